"""Going back and forth, and every other change of a history that is not a new step.

All of it happens in one transaction over the stores concerned, which the recorder does not record.
``history`` imports this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from encore.errors import UndoConflict
from encore.history.ledger import Edit, Ledger
from encore.history.past import PastStore, over
from encore.history.recorder import StepRecorder
from encore.history.scope import Scope
from encore.history.steps import LOST, State, Summary
from encore.history.timeline import Timeline
from encore.storage.template import Entry
from encore.storage.transactions.several import transaction
from encore.storage.values import Value

Merge: TypeAlias = Callable[[Value | None, Value | None, Value | None], bytes]
OnConflict: TypeAlias = str | Merge | None


class Editing:
    """The steps of a timeline, being changed.

    Parameters
    ----------
    timeline : Timeline
    contexts : dict of Ledger to context
        The open transactions.

    Attributes
    ----------
    state : State
        Where the history is to stand.
    """

    def __init__(self, timeline: Timeline, contexts: dict[Ledger, Any]) -> None:
        self._timeline = timeline
        self.contexts = contexts
        self.state: State = timeline.state
        self.put: dict[Ledger, dict[int, Summary]] = {ledger: {} for ledger in contexts}
        self._dropped: list[int] = []
        # Now: when one ledger has been written to, what the others have looks different.
        self._stale = {ledger: timeline.stale(ledger) for ledger in contexts}

    def drop(self, steps: list[int], *, oldest: bool) -> None:
        """Drop steps; if they are the oldest ones, the history begins after them."""
        if not steps:
            return
        self._dropped += steps
        saved, base, last = self.state.saved, self.state.base, max(self.state.last, *steps)
        if oldest:
            base = max(steps)
            if saved is not None and saved < base:
                saved = LOST
        elif saved in steps:
            saved = LOST
        undone = self.state.undone
        if undone:
            left = (step.id for step in self._timeline.summaries() if step.id not in self._dropped)
            undone = next((step for step in left if step >= undone), 0)
        self.state = self.state._replace(saved=saved, base=base, undone=undone, last=last)

    def drop_all(self) -> None:
        """Drop every step, and keep where the content stands."""
        position = self._timeline.position()
        is_saved = self.state.saved == position
        self.drop([step.id for step in self._timeline.all()], oldest=True)
        base = self.state.base
        self.state = State(
            base=base, saved=base if is_saved else LOST, fence=base, last=self.state.last
        )

    def forget(self, is_meant: Callable[[Ledger, str], bool]) -> None:
        """Drop the images of a key."""
        is_saved = self.state.saved == self._timeline.position()
        for ledger, context in self.contexts.items():
            keys = {key for step in ledger.steps for key in ledger.keys(step)}
            for key in sorted(keys):
                if is_meant(ledger, key):
                    for step, left in ledger.forget(context, key).items():
                        old = self.put[ledger].get(step, ledger.steps[step])
                        self.put[ledger][step] = old._replace(key_count=left.count, size=left.size)
        left_over = {
            step: sum(
                self.put[ledger].get(step, ledger.steps[step]).key_count
                for ledger in self.contexts
                if step in ledger.steps
            )
            for puts in self.put.values()
            for step in puts
        }
        self.drop([step for step, count in left_over.items() if not count], oldest=False)
        if left_over:  # the way to any other content leads past what is not known any more
            self.state = self.state._replace(saved=self._position() if is_saved else LOST)

    def _position(self) -> int:
        """Where the content stands when what is to be dropped has gone."""
        left = (step.id for step in self._timeline.done() if step.id not in self._dropped)
        return max(left, default=self.state.base)

    def write(self) -> None:
        """Make it part of the transactions."""
        for ledger, put in self.put.items():
            gone = (*self._dropped, *self._stale[ledger])
            drop = [step for step in gone if step in ledger.steps]
            kept = {step: summary for step, summary in put.items() if step not in drop}
            ledger.write(Edit(self.state, kept, drop))


class Traveller:
    """Changes a history from the outside, and the stores with it.

    Parameters
    ----------
    timeline : Timeline
    recorder : StepRecorder
    scopes : mapping of Ledger to Scope
    check_free : callable
        Raises if the caller is inside something.
    """

    def __init__(
        self,
        timeline: Timeline,
        recorder: StepRecorder,
        scopes: Mapping[Ledger, Scope],
        check_free: Callable[[], None],
    ) -> None:
        self._timeline = timeline
        self._scopes = scopes
        self._recorder = recorder
        self._check_free = check_free

    @contextmanager
    def editing(self, notes: str = "", origin: str | None = None) -> Iterator[Editing]:
        """A transaction over all stores that no step is made of."""
        local, ledgers = self._recorder.local, self._timeline.ledgers
        self._check_free()
        local.is_travelling = True
        try:
            with self._transaction(notes, origin):
                contexts = {ledger: ledger.store._context() for ledger in ledgers}
                self._timeline.refresh()
                editing = Editing(self._timeline, contexts)
                yield editing
                editing.write()
                local.unfinished = set(contexts.values())
                self._recorder.stop_merging()
        finally:
            local.is_travelling = False

    def _transaction(self, notes: str, origin: str | None) -> Any:
        engines = [ledger.store for ledger in self._timeline.ledgers]
        if len(engines) > 1:
            return transaction(*engines, notes=notes, origin=origin)
        return engines[0]._new_context(notes, quiet=not notes, options={"origin": origin})

    def drop_superfluous(self) -> None:
        """Drop what is more than is to be kept."""
        policy = self._recorder.policy
        if policy.superfluous(self._timeline.done()):
            with self.editing() as editing:
                editing.drop(policy.superfluous(self._timeline.done()), oldest=True)

    # -- undo and redo ----------------------------------------------------------------------------

    def travel(
        self, origin: str, plan: Callable[[], list[Summary]], on_conflict: OnConflict
    ) -> list[Summary]:
        """Undo or redo the steps that ``plan`` names, one after the other."""
        steps = plan()
        notes = (
            f"{origin.capitalize()} {steps[0].label if len(steps) == 1 else f'{len(steps)} steps'}"
        )
        with self.editing(notes, origin) as editing:
            steps = plan()  # another process may have been faster
            for step in steps:
                self._exchange(editing, step.id, origin, on_conflict)
            if steps:
                editing.state = editing.state._replace(undone=self._undone_after(origin, steps))
        return steps

    def _undone_after(self, origin: str, steps: list[Summary]) -> int:
        """The first step that is undone, when these have been undone or redone."""
        last = steps[-1].id
        if origin == "undo":
            return last
        return next((step.id for step in self._timeline.undone() if step.id > last), 0)

    def _exchange(self, editing: Editing, step: int, origin: str, on_conflict: OnConflict) -> None:
        parts = [
            ledger
            for ledger in editing.contexts
            if step in ledger.steps and ledger.is_done(step) is (origin == "undo")
        ]
        found = {ledger: [found.key for found in ledger.conflicts(step)] for ledger in parts}
        if on_conflict is None:
            self._refuse(origin, found)
        for ledger in parts:
            keys = found[ledger]
            contents = {}
            if callable(on_conflict):
                contents = {key: self._resolve(ledger, step, key, on_conflict) for key in keys}
            skip = keys if on_conflict == "skip" else ()
            size = ledger.exchange(editing.contexts[ledger], step, skip)
            for key, data in contents.items():
                self._scopes[ledger].store._write(Entry(self._name(ledger, key), data, None))
            ledger.settle(step, contents)
            summary = editing.put[ledger].get(step, ledger.steps[step])
            editing.put[ledger][step] = summary._replace(size=size)

    def _name(self, ledger: Ledger, key: str) -> str:
        """What a key is called through the store of the history."""
        return self._scopes[ledger].name(key) or key

    def _refuse(self, origin: str, found: Mapping[Ledger, list[str]]) -> None:
        """Raise if there are conflicts."""
        keys = [self._name(ledger, key) for ledger, part in found.items() for key in part]
        if keys:
            named = ", ".join(map(repr, keys[:5])) + (", ..." if len(keys) > 5 else "")
            raise UndoConflict(
                f"{origin}: {named} changed since, in a later step or without the history; nothing "
                "was done. on_conflict says what to do about such keys",
                keys=keys,
            )

    def _resolve(self, ledger: Ledger, step: int, key: str, merge: Merge) -> bytes:
        """What the caller makes of a key that is in conflict."""
        store, name = self._scopes[ledger].store, self._name(ledger, key)
        # What the exchange would bring: of a step that is done the version before it.
        past = PastStore(ledger, step - 1 if ledger.is_done(step) else step)
        data = merge(over(store, ledger.store, past)._find(name), None, store._find(name))
        if not isinstance(data, bytes):
            raise TypeError(f"on_conflict returns bytes, not {type(data).__name__}")
        return data

    def reverse(self, step: Summary, on_conflict: OnConflict) -> None:
        """Undo a step that later ones followed, as a step of its own."""
        parts = [ledger for ledger in self._timeline.ledgers if step.id in ledger.steps]
        self._recorder.stop_merging()
        stores = [ledger.store for ledger in parts]
        with transaction(*stores, notes=f"Undo {step.label}", origin="undo"):
            self._timeline.refresh()
            found = {ledger: [found.key for found in ledger.conflicts(step.id)] for ledger in parts}
            if on_conflict is None:
                self._refuse("undo", found)
            for ledger in parts:
                for key in ledger.keys(step.id):
                    if key not in found[ledger] or on_conflict == "force":
                        _put_back(ledger, step.id, key)
                    elif callable(on_conflict):
                        data = self._resolve(ledger, step.id, key, on_conflict)
                        name = self._name(ledger, key)
                        self._scopes[ledger].store._write(Entry(name, data, None))
        self._recorder.stop_merging()


def _put_back(ledger: Ledger, step: int, key: str) -> None:
    store = ledger.store
    is_known, value = ledger.image(key, step)
    if not is_known:
        return  # it was left out when the step was redone
    if value is None:
        store._erase(key, True)
        return
    with value:
        text, created, modified = value.metadata_text, value.created, value.modified
        store._write(Entry(key, value, text, created, modified, value.token))


def check_way(on_conflict: OnConflict) -> None:
    """Raise `ValueError` if there is no such way to settle a conflict."""
    if not (on_conflict in (None, "skip", "force") or callable(on_conflict)):
        raise ValueError(f"on_conflict is 'skip', 'force' or a function, not {on_conflict!r}")
