"""What a history says: where it stands, what its steps are, and what was there before.

``history`` has what changes it, and imports this module.
"""

from __future__ import annotations

from typing import Any

from encore.errors import HistoryBusy, HistoryError, UnsupportedError
from encore.history.events import HistoryChangedEvent
from encore.history.ledger import Ledger
from encore.history.ledgers import ledger_for
from encore.history.past import PastStore, over
from encore.history.policy import Policy
from encore.history.recorder import StepRecorder
from encore.history.scope import Scope
from encore.history.steps import Step, StepChange, Summary
from encore.history.timeline import Timeline
from encore.storage.template import Store


class HistoryView:
    """The part of a `History` that only reads.

    Parameters
    ----------
    stores : tuple of Store
    persistent : bool or Store, optional
    prefixes : tuple of str
    policy : Policy
    """

    def __init__(
        self, stores: tuple[Any, ...], persistent: Any, prefixes: tuple[str, ...], policy: Policy
    ) -> None:
        self.stores = stores
        self._ledgers, self._scopes = _ledgers_of(stores, persistent, prefixes)
        self._timeline = Timeline(self._ledgers, policy.max_steps)
        self._recorder = StepRecorder(self._timeline, policy, self._scopes, self._tell)
        self._told: tuple[Any, ...] | None = None
        self._is_open = False

    # -- where it stands --------------------------------------------------------------------------

    @property
    def is_persistent(self) -> bool:
        """Whether the steps are there after a restart."""
        return all(ledger.is_persistent for ledger in self._ledgers)

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, done and undone, oldest first."""
        self._timeline.refresh()
        undone = self._timeline.state.undone
        return tuple(
            self._step(summary, not undone or summary.id < undone)
            for summary in self._timeline.summaries()
        )

    @property
    def index(self) -> int:
        """How many steps are done."""
        self._timeline.refresh()
        return len(self._timeline.done())

    @property
    def size(self) -> int:
        """Bytes of earlier (and undone) versions that are kept."""
        self._timeline.refresh()
        return sum(ledger.size for ledger in self._ledgers)

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return self._next("undo") is not None

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""
        return self._next("redo") is not None

    @property
    def undo_label(self) -> str:
        """What would be undone; empty if there is nothing."""
        step = self._next("undo")
        return "" if step is None else step.label

    @property
    def redo_label(self) -> str:
        """What would be redone; empty if there is nothing."""
        step = self._next("redo")
        return "" if step is None else step.label

    def _next(self, way: str) -> Summary | None:
        self._timeline.refresh()
        if way == "redo":
            return next(iter(self._timeline.undone()), None)
        done = self._timeline.done()
        return done[-1] if done and done[-1].id > self._timeline.state.fence else None

    def _step(self, summary: Summary, is_done: bool) -> Step:
        def keys() -> tuple[str, ...]:
            names = {
                (self._scopes[ledger].owner, self._scopes[ledger].name(key)): None
                for ledger in self._ledgers
                if summary.id in ledger.steps
                for key in ledger.keys(summary.id)
            }
            return tuple(name for _, name in names if name is not None)

        return Step(
            summary.id,
            summary.label,
            summary.time,
            summary.size,
            summary.origin,
            summary.meta,
            is_done,
            keys,
        )

    @property
    def is_saved(self) -> bool:
        """Whether the content is what was there when `mark_saved` was called last.

        Changes by other programs that keep no history are not seen.
        """
        self._timeline.refresh()
        saved = self._timeline.state.saved
        return saved is not None and saved == self._timeline.position() and not self._is_inside()

    @property
    def saved_index(self) -> int | None:
        """How many steps were done when the content was saved; None if that is out of reach."""
        self._timeline.refresh()
        saved = self._timeline.state.saved
        if saved is None:
            return None
        return sum(step.id <= saved for step in self._timeline.summaries())

    @property
    def saved_reachable(self) -> bool:
        """Whether undo and redo can lead to the content that was saved."""
        self._timeline.refresh()
        return self._timeline.state.saved is not None

    def _is_readonly(self) -> bool:
        return any(ledger.store.info()["readonly"] for ledger in self._ledgers)

    def _is_inside(self) -> bool:
        """Whether the caller is in a transaction, or anybody in a group."""
        inside = any(ledger.store._context() is not None for ledger in self._ledgers)
        return inside or bool(self._recorder.groups)

    def _check_free(self) -> None:
        if not self._is_open:
            raise HistoryError(f"{self!r} is closed")
        local = self._recorder.local
        if self._is_inside() or local.is_finishing or local.is_travelling:
            raise HistoryBusy(
                "the history cannot be changed inside a transaction, a group or a hook; wait for "
                "its end"
            )

    # -- looking at the past ----------------------------------------------------------------------

    def at(self, when: Step | int) -> Store:
        """Return a read-only store of the content as it was.

        Parameters
        ----------
        when : Step or int
            After this step, or after that many steps; 0: before the first that is kept.

        Raises
        ------
        UnsupportedError
            The history is of several stores.
        """
        if len(self._ledgers) > 1 or len(self.stores) > 1:
            raise UnsupportedError("a history of several stores has no one store as it was")
        self._timeline.refresh()
        position = self._id_of(when)
        (ledger,) = self._ledgers
        return over(self.stores[0], ledger.store, PastStore(ledger, position))

    def _id_of(self, when: Step | int) -> int:
        summaries = self._timeline.summaries()
        if isinstance(when, Step):
            if all(summary.id != when.id for summary in summaries):
                raise HistoryError(f"the step {when.label!r} has been dropped")
            return when.id
        if not 0 <= when <= len(summaries):
            raise IndexError(f"there are {len(summaries)} steps, not {when}")
        return summaries[when - 1].id if when else self._timeline.state.base

    def diff(self, step: Step) -> list[StepChange]:
        """Return what a step changed, in the order of the keys."""
        self._timeline.refresh()
        self._id_of(step)
        found = []
        for ledger in self._ledgers:
            if step.id not in ledger.steps:
                continue
            scope = self._scopes[ledger]
            before, after = (
                over(scope.store, ledger.store, PastStore(ledger, position))
                for position in (step.id - 1, step.id)
            )
            names = (scope.name(key) for key in ledger.keys(step.id))
            found += [
                StepChange(name, before._find(name), after._find(name))
                for name in sorted(name for name in names if name is not None)
            ]
        return found

    def check(self, step: Step) -> list[str]:
        """Return the keys that are not what the step left (or, if undone, what undoing it left)."""
        self._timeline.refresh()
        return [
            self._scopes[ledger].name(conflict.key) or conflict.key
            for ledger in self._ledgers
            if step.id in ledger.steps
            for conflict in ledger.conflicts(step.id)
        ]

    def verify(self) -> list[str]:
        """Check that all that is kept is there, and fits the content.

        Returns
        -------
        list of str
            What is wrong, for people; empty if nothing is.
        """
        self._timeline.refresh()
        found = [problem for ledger in self._ledgers for problem in ledger.problems()]
        for summary in (self._next("undo"), self._next("redo")):
            if summary is not None:
                keys = self.check(self._step(summary, True))
                if keys:
                    found.append(f"{', '.join(keys[:5])}: changed since {summary.label!r}")
        return found

    # -- telling ----------------------------------------------------------------------------------

    def _position(self) -> tuple[Any, ...]:
        timeline = self._timeline
        return timeline.state, timeline.last_id(), tuple(timeline.summaries()[-1:])

    def _tell(self) -> None:
        """Announce where the history stands, unless that is known."""
        manager = self.stores[0].event_manager
        if not manager.wants(HistoryChangedEvent, self):
            return
        position = self._position()
        if position == self._told:
            return
        self._told = position
        manager.emit(
            HistoryChangedEvent(
                self,
                index=self.index,
                can_undo=self.can_undo,
                can_redo=self.can_redo,
                undo_label=self.undo_label,
                redo_label=self.redo_label,
                is_saved=self.is_saved,
            )
        )


def _ledgers_of(
    stores: tuple[Any, ...], persistent: Any, prefixes: tuple[str, ...]
) -> tuple[list[Ledger], dict[Ledger, Scope]]:
    """The ledgers of the engines of stores, and which keys they follow."""
    scopes: dict[Any, Scope] = {}
    for store in stores:
        for engine in _engines(store):
            face = store if engine is store._engine() else engine
            scopes.setdefault(engine, Scope(face, store, prefixes))
    ledgers = {
        ledger_for(engine, persistent, scope.follows, part): scope
        for part, (engine, scope) in enumerate(scopes.items())
    }
    return list(ledgers), ledgers


def _engines(store: Any) -> list[Any]:
    """The backends that commit what is written to a store."""
    engine = store._engine()
    if not hasattr(engine, "_members"):
        return [engine]
    return [member for member in engine._members() if not hasattr(member, "_members")]
