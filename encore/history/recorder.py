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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from encore.history.ledger import Edit, Ledger
from encore.history.steps import LOST, NAMED, NOTHING, Captured, Summary, label_of
from encore.history.timeline import Timeline


@dataclass(slots=True)
class Policy:
    """How much is kept, and what is merged.

    Attributes
    ----------
    max_steps, max_bytes : int or None
    max_age : float or None
        Seconds.
    merge_seconds : float
    clock : callable
        Returns seconds since the epoch.
    """

    max_steps: int | None
    max_bytes: int | None
    max_age: float | None
    merge_seconds: float
    clock: Callable[[], float]

    @property
    def is_simple(self) -> bool:
        """Whether steps go by their number only."""
        return self.max_bytes is None and self.max_age is None

    def has_room(self, count: int) -> bool:
        """Whether one more step than ``count`` makes none superfluous."""
        return self.max_steps is None or count < self.max_steps + self._spare

    @property
    def _spare(self) -> int:
        # Dropping one at a time costs as much as recording.
        return 0 if self.max_steps is None else self.max_steps // 32

    def superfluous(self, steps: Sequence[Summary]) -> list[int]:
        """The ids of the oldest steps that are more than is to be kept."""
        count = len(steps)
        if self.is_simple and self.has_room(count - 1):
            return []
        size = 0 if self.max_bytes is None else sum(step.size for step in steps)
        oldest = None if self.max_age is None else self.clock() - self.max_age
        gone = []
        for step in steps:
            is_over = (
                (self.max_steps is not None and count > self.max_steps)
                or (self.max_bytes is not None and size > self.max_bytes)
                or (oldest is not None and step.time < oldest)
            )
            if not is_over:
                break
            gone.append(step.id)
            count, size = count - 1, size - step.size
        return gone


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
    changed : callable
        Called after each change of the history, when everybody has been told of the commit.

    Notes
    -----
    *Threads*: any.
    """

    def __init__(self, timeline: Timeline, policy: Policy, changed: Callable[[], None]) -> None:
        self._timeline = timeline
        self._ledger_of = {ledger.store: ledger for ledger in timeline.ledgers}
        self.policy = policy
        self._changed = changed
        self.local = _Local()
        self.lock = threading.RLock()
        self.groups: list[str] = []
        self._group_step: int | None = None
        self._may_merge = False
        if len(timeline.ledgers) == 1 and policy.is_simple:
            timeline.ledgers[0].may_append = self._may_append
            timeline.ledgers[0].appended = self._appended

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
        local = self.local
        if self.groups or local.suspended or local.is_travelling:
            return False
        ledger = self._timeline.ledgers[0]
        return not ledger.state.undone and self.policy.has_room(len(ledger.steps) + ledger.unread)

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
        into = self._merges_into(done, new)
        if into is not None:
            captured = {
                ledger: ledger.merge(context, into.id, step) if part.count else part
                for ledger, part in captured.items()
            }
            new = new._replace(id=into.id, label=into.label, verb=into.verb, meta=into.meta)
            done = done[:-1]
        total = self._total(captured, into)
        changed = [ledger for ledger in captured if captured[ledger].count]
        if total.count:
            new = _labelled(new, total)
            done = [*done, new._replace(size=total.size)]
        gone = [*tail, *([into.id] if into is not None and not total.count else [])]
        self._group_step = new.id if self.groups else None
        self._may_merge = total.count > 0
        self._write(captured, changed, new, gone, done)

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

    def _total(self, captured: dict[Ledger, Captured], into: Summary | None) -> Captured:
        """What the step has in all stores."""
        total = NOTHING
        for part in captured.values():
            total = total + part
        if into is not None:
            for ledger in self._timeline.ledgers:
                if ledger not in captured and into.id in ledger.steps:
                    kept = ledger.steps[into.id]
                    total = total + Captured(kept.key_count, kept.size, 0, "")
        return total

    def _write(
        self,
        captured: dict[Ledger, Captured],
        changed: list[Ledger],
        new: Summary,
        gone: list[int],
        done: list[Summary],
    ) -> None:
        """Write down the step, and what goes for it, in each store that is changed."""
        state = self._timeline.state._replace(undone=0)
        if state.saved in gone:
            state = state._replace(saved=LOST)
        old = self.policy.superfluous(done)
        if old:
            saved = LOST if state.saved is None or state.saved < old[-1] else state.saved
            state = state._replace(base=old[-1], saved=saved)
        for ledger, part in captured.items():
            drop = [step for step in (*gone, *old) if step in ledger.steps or step == new.id]
            put = {}
            if ledger in changed and new.id not in drop:
                put[new.id] = new._replace(key_count=part.count, size=part.size)
            elif new.id in ledger.steps and new.id not in drop:
                drop.append(new.id)  # merging has left nothing of it here
            ledger.write(Edit(state, put, drop))


def _labelled(step: Summary, total: Captured) -> Summary:
    """A step with a label: the one it was given, or one made from what it does."""
    if step.label and not step.verb:
        return step
    return step._replace(label=label_of(total.verb, total.count, total.key), verb=total.verb)
