"""What of a committing transaction becomes a step, and which steps go for it.

The order of things, all of it in the transaction that is about to commit::

    the images are taken        what was changed and changed back is not in them
    the redo tail goes          before anything is merged
    merge, or a new step        by merge key, or since a group is open
    old steps go                by number, bytes and age

``history`` imports this module.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from encore.history.ledger import Edit, Ledger
from encore.history.policy import Policy
from encore.history.scope import Scope
from encore.history.steps import LOST, NAMED, NOTHING, Captured, Summary, label_of
from encore.history.timeline import Timeline


class _Local(threading.local):
    """What a recorder knows of the calling thread.

    Attributes
    ----------
    suspended : int
        How many blocks that are not to be recorded are open.
    is_travelling : bool
        Whether it is the history that writes.
    unfinished : set
        The transactions whose end is to be told together.
    is_finishing : bool
        Whether one of them is past its commit point, and is being told.
    """

    def __init__(self) -> None:
        self.suspended = 0
        self.is_travelling = False
        self.unfinished: set[Any] = set()
        self.is_finishing = False


class StepRecorder:
    """Makes steps of the transactions of some stores; a `Recorder`.

    Parameters
    ----------
    timeline : Timeline
    policy : Policy
    scopes : mapping of Ledger to Scope
    changed : callable
        Called after each change of the history, when everybody has been told of the commit.

    Notes
    -----
    *Threads*: any.
    """

    def __init__(
        self,
        timeline: Timeline,
        policy: Policy,
        scopes: Mapping[Ledger, Scope],
        changed: Callable[[], None],
    ) -> None:
        self._timeline = timeline
        self._scopes = scopes
        self._ledger_of = {ledger.store: ledger for ledger in timeline.ledgers}
        self.policy = policy
        self._changed = changed
        self.local = _Local()
        self.lock = threading.RLock()
        self.groups: list[str] = []
        self._group_step: int | None = None
        self._may_merge = False
        if len(timeline.ledgers) == 1 and policy.is_simple and policy.max_steps != 0:
            ledger = timeline.ledgers[0]
            ledger.may_append, ledger.appended = self._may_append, self._appended
            ledger.superfluous, ledger.clock = policy.one_more, policy.clock

    # -- what transactions tell -------------------------------------------------------------------

    def follows(self, context: Any) -> bool:
        """See `Recorder`."""
        if self.local.suspended or self.local.is_travelling:
            return False
        return not context.options or context.options.get("undoable", True)

    def record(self, contexts: Sequence[Any]) -> None:
        """See `Recorder`."""
        if self.local.is_travelling:
            return
        self.local.unfinished = set(contexts)
        if not contexts[0].is_undoable:
            self._lose_saved(contexts)
            return
        with self.lock:
            for context in contexts:
                self._ledger_of[context._store].refresh()
            step = self._timeline.last_id() + 1
            captured = {
                ledger: ledger.capture(context, step)
                for ledger, context in ((self._ledger_of[c._store], c) for c in contexts)
            }
            if any(part.count for part in captured.values()):
                self._add(step, captured, contexts[0])
            else:
                for ledger in captured:
                    ledger.write(Edit(ledger.state))

    def passed(self, context: Any) -> None:
        """See `Recorder`."""
        self._ledger_of[context._store].passed()
        self.local.is_travelling = False  # who listens may write now, and that is to be recorded
        self.local.is_finishing = True

    def committed(self, context: Any) -> None:
        """See `Recorder`."""
        local = self.local
        local.unfinished.discard(context)
        if not local.unfinished:
            local.is_finishing = False
            if not self.groups:
                self._changed()

    def rolled_back(self, context: Any) -> None:
        """See `Recorder`."""
        self._ledger_of[context._store].rolled_back()
        self.local.unfinished.discard(context)

    def _may_append(self) -> bool:
        """Whether a lone write would be a new step, and nothing else would change."""
        local, ledger = self.local, self._timeline.ledgers[0]
        return not (self.groups or local.suspended or local.is_travelling or ledger.state.undone)

    def _appended(self) -> None:
        self._may_merge = False
        self._changed()

    # -- groups and merging -----------------------------------------------------------------------

    def begin_group(self, label: str) -> None:
        """From now on, until `end_group`, everything is one step."""
        with self.lock:
            if not self.groups:
                self._group_step = None
            self.groups.append(label)

    def end_group(self) -> None:
        """End the group that was begun last."""
        with self.lock:
            self.groups.pop()
            if not self.groups:
                self._may_merge = False

    def stop_merging(self) -> None:
        """Have the next transaction be a step of its own."""
        self._may_merge = False

    # -- the step ---------------------------------------------------------------------------------

    def _lose_saved(self, contexts: Sequence[Any]) -> None:
        """Something is changed that no step knows of: the content is not what was saved."""
        for context in contexts:
            ledger = self._ledger_of[context._store]
            ledger.refresh()
            if ledger.state.saved is not LOST:
                ledger.write(Edit(ledger.state._replace(saved=LOST)))

    def _add(self, step: int, captured: dict[Ledger, Captured], context: Any) -> None:
        timeline, options = self._timeline, context.options or {}
        tail = [summary.id for summary in timeline.undone()] if timeline.state.undone else []
        done = timeline.done() if tail else timeline.all()
        new = Summary(
            step,
            self.policy.clock(),
            self.groups[0] if self.groups else context.notes,
            NAMED,
            context.origin,
            dict(options.get("meta") or {}),
            options.get("merge_key"),
            0,
            0,
        )
        parts = {ledger: part for ledger, part in captured.items() if part.count}
        into = self._merges_into(done, new)
        if into is not None:
            parts = {ledger: ledger.merge(context, into.id, step) for ledger in parts}
            new = new._replace(id=into.id, label=into.label, verb=into.verb, meta=into.meta)
            done = done[:-1]
        total = self._total(parts, into)
        gone = tail
        if total.count:
            new = self._labelled(new, total, parts)
            done = [*done, new._replace(size=total.size)]
        elif into is not None:
            gone = [*tail, into.id]
        self._group_step = new.id if self.groups else None
        self._may_merge = total.count > 0
        self._write(captured, parts, new, gone, done)

    def _merges_into(self, done: list[Summary], new: Summary) -> Summary | None:
        """The step of which the new one becomes a part, if any."""
        if not done:
            return None
        last, state = done[-1], self._timeline.state
        if self.groups:
            return last if last.id == self._group_step else None
        if new.merge_key is None or not self._may_merge:
            return None
        is_same = (last.merge_key, last.origin) == (new.merge_key, new.origin)
        is_soon = new.time - last.time <= self.policy.merge_seconds
        is_open = last.id not in (state.saved, state.fence)
        return last if is_same and is_soon and is_open else None

    def _total(self, parts: dict[Ledger, Captured], into: Summary | None) -> Captured:
        """What the step has in all stores."""
        total = sum(parts.values(), NOTHING)
        if into is not None:
            for ledger in self._timeline.ledgers:
                if ledger not in parts and into.id in ledger.steps:
                    kept = ledger.steps[into.id]
                    total = total + Captured(kept.key_count, kept.size, 0, "")
        return total

    def _labelled(
        self, step: Summary, total: Captured, parts: Mapping[Ledger, Captured]
    ) -> Summary:
        """A step with a label: the one it was given, or one made from what it does."""
        if step.label and not step.verb:
            return step
        count = total.count
        if len(parts) > 1:  # a store made of stores may have written one key to several
            names = {
                (self._scopes[ledger].owner, self._scopes[ledger].name(key))
                for ledger in parts
                for key in ledger.keys(step.id)
            }
            count = len(names)
        ledger = next(iter(parts))
        name = self._scopes[ledger].name(parts[ledger].key)
        return step._replace(label=label_of(total.verb, count, name or ""), verb=total.verb)

    def _write(
        self,
        captured: Collection[Ledger],
        parts: dict[Ledger, Captured],
        new: Summary,
        gone: list[int],
        done: list[Summary],
    ) -> None:
        """Write down the step, and what goes for it, in each store that is changed."""
        state = self._timeline.state._replace(undone=0)
        if gone:
            saved = LOST if state.saved in gone else state.saved
            state = state._replace(saved=saved, last=max(state.last, *gone))
        old = self.policy.superfluous(done)
        if old:
            state = state.without(old[-1])
        for ledger in captured:
            stale = self._timeline.stale(ledger) if len(self._ledger_of) > 1 else []
            drop = [step for step in (*gone, *old, *stale) if step in ledger.steps]
            part, put = parts.get(ledger), {}
            if part is not None and part.count and new.id not in old:
                put[new.id] = new._replace(key_count=part.count, size=part.size)
            elif part is not None and new.id not in drop:
                drop.append(new.id)  # it is more than is kept, or merging has left nothing of it
            ledger.write(Edit(state, put, drop))
