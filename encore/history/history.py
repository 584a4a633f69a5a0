"""Undo and redo: the `History` of a store.

What is a step decides ``recorder``, while transactions commit; what may be asked is in ``view``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

from encore.errors import HistoryError
from encore.events.abstract_event_manager import BaseEventManager
from encore.history.policy import Policy
from encore.history.steps import State, Step, Summary
from encore.history.travelling import OnConflict, Traveller, check_way
from encore.history.view import HistoryView
from encore.storage.template import Store


class History(HistoryView):
    """What has been done in a store, and the way back.

    From when it is opened, each outermost transaction that changes something is a *step*; a write
    outside a transaction is one, too. Steps are committed together with what they did.

    Parameters
    ----------
    store : Store or sequence of Store
        What is to be undone. Keys, steps and the past look as they do through it. Several stores
        have one history; what a transaction over them changes is one step.
    max_steps : int, optional
        How many steps are kept; None: all.
    max_bytes : int, optional
        How many bytes of earlier versions are kept, beside what is in the store.
    max_age : float, optional
        Seconds. Where a limit is passed the oldest steps go.
    persistent : bool or Store, optional
        Whether steps are there after a restart. None: where the store itself can keep them, which
        is `SqliteStore`, `FilesystemStore`, `HashdirStore`. False: never, which those with a
        database cannot do. A store, for this history alone: there, beside any other store.
    scope : iterable of str, optional
        Prefixes of the keys that are followed.
    merge_seconds : float, optional
        Transactions with the same ``merge_key`` that follow each other this quickly are one step.
    clock : callable, optional
        Returns seconds since the epoch.

    Raises
    ------
    HistoryError, UnsupportedError
        The store has a history already; or it cannot keep one, or not as asked for.

    Notes
    -----
    Earlier versions are kept by reference: that a step replaced 1 GiB costs nothing but the room.

    *Threads*: any. Undo waits, as writing does, for a transaction of another thread.

    Examples
    --------
    >>> from encore.storage.api import DictStore
    >>> from encore.history import History
    >>> store = DictStore()
    >>> history = History(store)
    >>> with store.transaction("Crop image"):
    ...     store.put("image", b"smaller")
    >>> history.undo_label
    'Crop image'
    >>> _ = history.undo()
    >>> "image" in store
    False
    """

    def __init__(
        self,
        store: Any,
        max_steps: int | None = 1000,
        max_bytes: int | None = None,
        max_age: float | None = None,
        persistent: Any = None,
        scope: Iterable[str] = ("",),
        *,
        merge_seconds: float = 2.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        stores = (store,) if isinstance(store, Store) else tuple(store)
        policy = Policy(max_steps, max_bytes, max_age, merge_seconds, clock)
        super().__init__(stores, persistent, tuple(scope), policy)
        self._traveller = Traveller(self._timeline, self._recorder, self._scopes, self._check_free)
        self._open()

    def __repr__(self) -> str:
        return f"<History of {', '.join(map(repr, self.stores))}>"

    @property
    def event_manager(self) -> BaseEventManager:
        """Who tells listeners of this history's events: that of the (first) store."""
        return self.stores[0].event_manager  # type: ignore[no-any-return]

    # -- life -------------------------------------------------------------------------------------

    def _open(self) -> None:
        if any(ledger.store._recorder is not None for ledger in self._ledgers):
            raise HistoryError(f"{self.stores!r} has a history already; close that one first")
        with ExitStack() as attached:
            for ledger in self._ledgers:
                ledger.attach()
                attached.callback(ledger.detach)
            attached.pop_all()
        for ledger in self._ledgers:
            ledger.store._recorder = self._recorder
        self._is_open = True
        self._told = self._position()
        if not self._is_readonly():
            self._traveller.drop_superfluous()

    def close(self) -> None:
        """Stop recording. What is persistent stays; closing twice does nothing.

        Raises
        ------
        HistoryBusy
            The caller is inside a transaction, or a group is open.
        """
        if self._is_open:
            self._check_free()
            self._is_open = False
            for ledger in self._ledgers:
                ledger.store._recorder = None
                ledger.detach()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- going back and forth ---------------------------------------------------------------------

    def undo(
        self, n: int = 1, *, step: Step | None = None, on_conflict: OnConflict = None
    ) -> tuple[Step, ...]:
        """Undo steps: one transaction, and one `HistoryChangedEvent`.

        Data, metadata, ``created``, ``modified``, ``token`` and absence become what they were. The
        key events have ``origin="undo"``.

        Parameters
        ----------
        n : int, optional
            How many, as far as there are.
        step : Step, optional
            Undo this one instead, though others came later. That is a step of its own.
        on_conflict : optional
            What to do about a key that somebody has changed without the history: None raises and
            changes nothing; ``"skip"`` leaves the key as it is, ``"force"`` overwrites it (redo
            brings it back). A function is called with the `Value` before the step, the one the step
            left if it is known still, and the current one, None for one that is not there; it
            returns the data that the key gets.

        Returns
        -------
        tuple of Step
            What has been undone, the latest first; empty if there is nothing.

        Raises
        ------
        UndoConflict
            Keys are not what the step left, or a later step has changed them. Nothing is changed.
        HistoryBusy
            The caller is inside a transaction, a group, or a hook of one.
        """
        self._check_free()
        check_way(on_conflict)
        if step is not None:
            return self._undo_one(step, on_conflict)
        return self._travel("undo", lambda: self._backwards(n), on_conflict)

    def redo(self, n: int = 1, *, on_conflict: OnConflict = None) -> tuple[Step, ...]:
        """Do again what was undone last; see `undo`. The key events have ``origin="redo"``."""
        self._check_free()
        check_way(on_conflict)
        return self._travel("redo", lambda: self._timeline.undone()[: max(n, 0)], on_conflict)

    def go_to(self, index: int, *, on_conflict: OnConflict = None) -> tuple[Step, ...]:
        """Undo or redo until ``index`` steps are done, in one transaction; see `undo`.

        Raises
        ------
        IndexError
            There are not so many steps.
        HistoryError
            A barrier is in between.
        """
        self._check_free()
        done, count = self.index, len(self._timeline.summaries())
        if not 0 <= index <= count:
            raise IndexError(f"there are {count} steps, and {index} of them cannot be done")
        if index > done:
            return self.redo(index - done, on_conflict=on_conflict)
        if len(self._backwards(done - index)) < done - index:
            raise HistoryError("what lies before a barrier cannot be undone")
        return self.undo(done - index, on_conflict=on_conflict)

    def _backwards(self, n: int) -> list[Summary]:
        fence = self._timeline.state.fence
        done = [step for step in self._timeline.done() if step.id > fence]
        return done[::-1][: max(n, 0)]

    def _travel(
        self, origin: str, plan: Callable[[], list[Summary]], on_conflict: OnConflict
    ) -> tuple[Step, ...]:
        self._timeline.refresh()
        if not plan():
            return ()
        travelled = self._traveller.travel(origin, plan, on_conflict)
        return tuple(self._step(summary, origin == "redo") for summary in travelled)

    def _undo_one(self, step: Step, on_conflict: OnConflict) -> tuple[Step, ...]:
        self._timeline.refresh()
        done = self._backwards(len(self._timeline.done()))
        found = next((summary for summary in done if summary.id == step.id), None)
        if found is None:
            raise HistoryError(f"{step.label!r} is not done, is gone, or lies before a barrier")
        if found is done[0]:
            return self.undo(on_conflict=on_conflict)
        self._traveller.reverse(found, on_conflict)
        return (self._step(found, True),)

    # -- what is a step ---------------------------------------------------------------------------

    @contextmanager
    def group(self, label: str) -> Iterator[None]:
        """Make all transactions inside, of any thread, one step; may be nested.

        If the block raises, what has been committed in it stays, as one step.
        """
        self._recorder.begin_group(label)
        try:
            yield
        finally:
            self._recorder.end_group()
            if not self._recorder.groups:
                self._tell()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Do not record what the calling thread does inside: undo will not know of it."""
        self._recorder.local.suspended += 1
        try:
            yield
        finally:
            self._recorder.local.suspended -= 1

    def stop_merging(self) -> None:
        """Make the next transaction a step of its own, whatever its ``merge_key``."""
        self._recorder.stop_merging()

    def barrier(self) -> None:
        """Have what has been done until now never be undone: it was sent, or published."""
        self._set_state(lambda state, position: state._replace(fence=position))

    def mark_saved(self) -> None:
        """Remember that the content, as it is now, has been saved."""
        self._set_state(lambda state, position: state._replace(saved=position))

    def _set_state(self, change: Callable[[State, int], State]) -> None:
        self._check_free()
        with self._traveller.editing() as edit:
            edit.state = change(edit.state, self._timeline.position())

    # -- keeping house ----------------------------------------------------------------------------

    def forget(self, key: str) -> None:
        """Remove every earlier version of a key, for good; steps that had nothing else go."""
        self._check_free()
        with self._traveller.editing() as edit:
            edit.forget(lambda ledger, name: self._scopes[ledger].name(name) == key)
            self._told = None  # also where only earlier steps are different

    def clear(self) -> None:
        """Drop all steps. The content stays as it is, and saved if it was."""
        self._check_free()
        with self._traveller.editing() as edit:
            edit.drop_all()

    def pack(self) -> None:
        """Give back to the disk the room of what has been dropped."""
        self._check_free()
        for ledger in self._ledgers:
            ledger.pack()
