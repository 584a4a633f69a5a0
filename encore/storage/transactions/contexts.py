"""The transaction context: nesting, hooks, and the order of things at the end.

A context is driven by its owner through these states::

    new ──begin──> active ──commit (outermost)──> done
                     │ ^                   │
               begin │ │ commit/rollback   │ a hook vetoes, or the engine refuses
             (deeper)└─┘ (of a block)      v
                     └──rollback (outermost)──> failed

What the engine under a store promises: `_begin_transaction` returns with exclusive write access,
or raises with nothing held; `_commit_transaction` at depth 1 either makes everything durable and
returns, or raises with everything undone; `_rollback_transaction` always ends the level. At a
depth greater than 1 the three of them are savepoints.

The order of an outermost commit, as a listener sees it::

    StoreTransactionStartEvent                before the lock is taken
    ...                                       writes, held back
    before_commit hooks                       may read, write, and veto by raising
    -- commit point --                        the lock is given back
    StoreTransactionEndEvent(state="done")
    key events, first-touch order             then the same through each wrapper
    on_commit hooks

Stores import this module; applications meet the context as ``store.transaction()``.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Any, Protocol, Self

from encore.errors import TransactionClosedError, TransactionError, WrongOwnerError
from encore.storage.transactions.changes import ChangeSet
from encore.storage.transactions.levels import Hook, Level, run_logged
from encore.storage.transactions.owners import OwnerState, current_task, new_token
from encore.storage.transactions.recording import Recorder, StepOptions, record_together

_log = logging.getLogger("encore.storage")


class TransactionalStore(Protocol):
    """What a context asks of its store."""

    _owner: OwnerState
    _recorder: Recorder | None
    can_prepare: bool

    def _begin_transaction(self, context: SimpleTransactionContext) -> None: ...
    def _prepare_transaction(self, context: SimpleTransactionContext) -> None: ...
    def _commit_transaction(self, context: SimpleTransactionContext) -> None: ...
    def _rollback_transaction(self, context: SimpleTransactionContext) -> None: ...
    def _announce_start(self, context: SimpleTransactionContext) -> None: ...
    def _announce_end(
        self, context: SimpleTransactionContext, changes: ChangeSet | None
    ) -> None: ...


class SimpleTransactionContext:
    """A transaction of one store and one owner; entering it again deepens it.

    Parameters
    ----------
    store : TransactionalStore
    notes : str, optional
        What the transaction does, for people: "Crop image".
    timeout : float, optional
        Seconds to wait for another writer; default: the store's.
    quiet : bool, optional
        Announce the changes, but no start and end: what a lone write uses.
    options : StepOptions, optional
        What a history is to know of it.

    Notes
    -----
    Use it as a context manager, or call `begin`, `commit` and `rollback` for edits that begin and
    end in different places (mouse down, mouse up).

    *Threads*: a context belongs to the thread, and to the asyncio task, that began it.
    """

    __slots__ = (
        "_entered",
        "_id",
        "_levels",
        "_next_notes",
        "_owner",
        "_store",
        "_task",
        "has_been_recorded",
        "is_prepared",
        "is_undoable",
        "options",
        "origin",
        "quiet",
        "recorder",
        "state",
        "timeout",
    )

    def __init__(
        self,
        store: Any,
        notes: str = "",
        *,
        timeout: float | None = None,
        quiet: bool = False,
        options: StepOptions | None = None,
    ) -> None:
        self._store: TransactionalStore = store
        self._owner: Any = None  # of the store, as it was at the beginning
        self._levels: list[Level] = []
        self._entered: list[int] = []
        self._next_notes = notes
        self._task: object | None = None
        self._id: str | None = None
        self.timeout = timeout
        self.quiet = quiet
        self.options = options
        self.origin = options.get("origin") if options else None
        self.recorder: Recorder | None = None
        self.has_been_recorded = False
        self.is_undoable = False
        self.state = "new"
        self.is_prepared = False

    def __repr__(self) -> str:
        return f"<transaction {self.notes!r} of {self._store!r}: {self.state}, depth {self.depth}>"

    @property
    def depth(self) -> int:
        """How many blocks are open; 0 outside."""
        return len(self._levels)

    @property
    def notes(self) -> str:
        """What the outermost block is called."""
        return self._levels[0].notes if self._levels else self._next_notes

    @property
    def transaction_id(self) -> str | None:
        """A unique name of this transaction; None for a lone write."""
        if self._id is None and not self.quiet:
            self._id = new_token()
        return self._id

    def deepen(self, notes: str) -> SimpleTransactionContext:
        """Give the block that is entered next its notes."""
        self._next_notes = notes
        return self

    def is_mine(self) -> bool:
        """Whether the caller, on the thread that began the transaction, is its owner."""
        return self._task is None or self._task is current_task()

    # -- the three acts ---------------------------------------------------------------------------

    def begin(self) -> Self:
        """Open the transaction, or a block inside it.

        Raises
        ------
        TransactionClosedError
            The transaction has ended; ask the store for another.
        WrongOwnerError
            Another thread or task began it.
        LockTimeoutError
            Another writer did not finish in time.
        """
        if self._levels:
            self._check_owner()
        else:
            self._open()
        self._levels.append(Level(self._next_notes))
        try:
            self._store._begin_transaction(self)
        except BaseException:
            self._levels.pop()
            if not self._levels:
                self._end("failed", None)
            raise
        self._owner = owner = self._store._owner
        owner.context = self
        return self

    def commit(self) -> None:
        """Close the innermost block; closing the outermost one makes everything durable.

        Raises
        ------
        TransactionClosedError, WrongOwnerError
            See `begin`.
        Exception
            What a before-commit hook raised, or the reason of the engine. Nothing has changed.
        """
        self._check_owner()
        if len(self._levels) > 1:
            try:
                self._store._commit_transaction(self)
            except BaseException:
                self._roll_back_to(len(self._levels) - 1)
                raise
            inner = self._levels.pop()
            self._levels[-1].absorb(inner)
            return
        try:
            if self._levels[0].hooks is not None:
                self.run_before_commit()
            if self.recorder is not None:
                record_together((self,))
            self._store._commit_transaction(self)
        except BaseException:
            if self.state != "done":
                self._roll_back_to(0)
                raise
            # The engine had committed when the interruption came: tell the truth, then pass it on.
            self._finish()
            raise
        self._finish()

    def rollback(self) -> None:
        """Close the innermost block and undo what was done in it: data, metadata and events.

        Raises
        ------
        TransactionClosedError, WrongOwnerError
            See `begin`.
        """
        self._check_owner()
        try:
            self._store._rollback_transaction(self)
        finally:
            level = self._levels.pop()
            if not self._levels:
                self._next_notes = level.notes
                self._end("failed", None)
            if level.hooks is not None:
                run_logged(level.hooks.on_rollback)
            if not self._levels and self.recorder is not None:
                self.recorder.rolled_back(self)

    def run_before_commit(self) -> bool:
        """Run the before-commit hooks now; return whether there were any."""
        self._check_owner()
        hooks = self._levels[0].hooks
        if hooks is None or not hooks.before_commit:
            return False
        while hooks.before_commit:  # a hook may add hooks
            hooks.before_commit.pop(0)()
            if len(self._levels) > 1:
                raise TransactionError(
                    f"a before-commit hook of {self.notes!r} left a block open", store=self._store
                )
        return True

    def prepare(self) -> None:
        """Do everything of the outermost commit that can fail, where the store can do that."""
        self._check_owner()
        if self._store.can_prepare:
            self._store._prepare_transaction(self)
            self.is_prepared = True

    def mark_committed(self) -> None:
        """Called by an engine once the commit point is passed."""
        self.state = "done"
        if self.recorder is not None:
            self.recorder.passed(self)

    # -- hooks ------------------------------------------------------------------------------------

    def before_commit(self, hook: Hook) -> None:
        """Have ``hook()`` run before the outermost commit, unless this block is rolled back.

        It may read and write in the transaction. If it raises, the transaction is rolled back and
        the exception goes to whoever commits.
        """
        self._check_owner()
        self._levels[-1].wanted_hooks().before_commit.append(hook)

    def on_commit(self, hook: Hook) -> None:
        """Have ``hook()`` run after the outermost commit, unless this block is rolled back.

        What it raises is logged: the commit has happened.
        """
        self._check_owner()
        self._levels[-1].wanted_hooks().on_commit.append(hook)

    def on_rollback(self, hook: Hook) -> None:
        """Have ``hook()`` run when this block, or one around it, has been rolled back."""
        self._check_owner()
        self._levels[-1].wanted_hooks().on_rollback.append(hook)

    def note(self, key: str, before: str | None, after: str | None) -> None:
        """Record a change of the innermost block, by the metadata texts; None: not there."""
        level = self._levels[-1]
        if level.changes is None:
            level.changes = ChangeSet()
        level.changes.note(key, before, after)

    # -- context manager --------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.begin()
        self._entered.append(len(self._levels))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        depth = self._entered.pop()
        if len(self._levels) < depth:
            return  # the block was ended by hand
        if kind is None:
            if len(self._levels) > depth:
                self._roll_back_to(depth - 1)
                raise TransactionError(
                    f"a block begun by hand inside {self.notes!r} was neither committed nor rolled "
                    "back when the block around it ended; everything in it has been undone"
                )
            self.commit()
        else:
            self._roll_back_to(depth - 1)

    def _roll_back_to(self, depth: int) -> None:
        while len(self._levels) > depth:
            before = len(self._levels)
            try:
                self.rollback()
            except Exception:  # the exception under way is the one to report
                _log.exception("rolling back %r failed", self.notes)
                if len(self._levels) == before:  # that could not even begin
                    self._levels.pop()
                    if not self._levels:
                        self._end("failed", None)

    # -- the inside -------------------------------------------------------------------------------

    def _open(self) -> None:
        if self.state != "new":
            raise TransactionClosedError(
                f"the transaction {self._next_notes!r} has ended; "
                "ask store.transaction() for a new one",
                store=self._store,
            )
        store = self._store
        owner = store._owner
        if owner.context is not None and owner.context.is_mine():
            raise TransactionError(
                "this thread has another transaction of the store open; "
                "store.transaction() returns it, and entering it again nests",
                store=self._store,
            )
        store._announce_start(self)
        if store._recorder is not None:
            self.recorder = store._recorder
            self.is_undoable = self.recorder.follows(self)
        self._task = current_task()
        self.state = "active"

    def _check_owner(self) -> None:
        if not self._levels:
            raise TransactionClosedError(
                f"the transaction {self._next_notes!r} is not open: it "
                + ("has not begun" if self.state == "new" else "has ended"),
                store=self._store,
            )
        if self._store._owner.context is not self or not self.is_mine():
            raise WrongOwnerError(
                f"the transaction {self.notes!r} belongs to the thread or task that began it",
                store=self._store,
            )

    def _finish(self) -> None:
        level = self._levels.pop()
        self._next_notes = level.notes  # what the whole was called, not the last block inside
        try:
            self._end("done", level.changes)
        finally:
            if level.hooks is not None:
                run_logged(level.hooks.on_commit)
            if self.recorder is not None:
                self.recorder.committed(self)

    def _end(self, state: str, changes: ChangeSet | None) -> None:
        self.state = state
        store = self._store
        if self._owner is not None and self._owner.context is self:
            self._owner.context = None
        store._announce_end(self, changes)


class DummyTransactionContext:
    """A context for stores that say ``transactions: none``: it groups nothing and undoes nothing.

    Parameters
    ----------
    store : object
    notes : str, optional
    """

    def __init__(self, store: Any, notes: str = "") -> None:
        self.store = store
        self.notes = notes

    def begin(self) -> Self:
        """Do nothing."""
        return self

    def commit(self) -> None:
        """Do nothing: every write has been made already."""

    def rollback(self) -> None:
        """Do nothing: every write has been made already."""

    def __enter__(self) -> Self:
        return self.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.commit()
        else:
            self.rollback()
