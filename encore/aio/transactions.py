"""Transactions whose owner is a task: everything in them happens on one thread of its own.

The context of the store does the work; here it is only driven, in the right thread and in turn.
Anybody may import what is public here from the face of the room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from encore.aio.calls import ask
from encore.aio.sessions import Session, running_task, session_here
from encore.errors import WrongOwnerError
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.recording import StepOptions
from encore.storage.transactions.several import SeveralTransactions
from encore.storage.transactions.several import transaction as several

if TYPE_CHECKING:
    from encore.aio.core import AsyncCore
    from encore.aio.store import AsyncStore

__all__ = ["AsyncSeveralTransactions", "AsyncTransaction", "transaction"]

Hook = Callable[[], object]


class AsyncTransaction:
    """A transaction of one store and one task; entering it again deepens it.

    Use it with ``async with``, or await `begin`, `commit` and `rollback` for edits that begin and
    end in different places. A task that is cancelled rolls back. One that is cancelled while it
    commits waits for the outcome, which `state` then tells, and is cancelled after that.

    Attributes
    ----------
    context : SimpleTransactionContext
        Of the store; for looking at.

    Notes
    -----
    Hooks are called in the loop, by the task, and may be asynchronous.

    *Threads*: belongs to the task that began it.
    """

    def __init__(self, owner: AsyncCore, context: SimpleTransactionContext) -> None:
        self._owner = owner
        self._session: Session | None = None
        self._notes: str | None = None
        self.context = context

    def __repr__(self) -> str:
        return repr(self.context)

    @property
    def depth(self) -> int:
        """How many blocks are open; 0 outside."""
        return self.context.depth

    @property
    def notes(self) -> str:
        """What the outermost block is called."""
        return self.context.notes

    @property
    def state(self) -> str:
        """``"new"``, ``"active"``, ``"done"`` or ``"failed"``."""
        return self.context.state

    @property
    def transaction_id(self) -> str | None:
        """A unique name of this transaction."""
        return self.context.transaction_id

    def deepen(self, notes: str) -> AsyncTransaction:
        """Give the block that is entered next its notes."""
        self._notes = notes
        return self

    async def begin(self) -> Self:
        """Open the transaction, or a block inside it; see `SimpleTransactionContext.begin`."""
        await self._begin(self.context.begin, self.context.rollback)
        return self

    async def commit(self) -> None:
        """Close the innermost block; see `SimpleTransactionContext.commit`."""
        await self._act(self.context.commit)

    async def rollback(self) -> None:
        """Close the innermost block and undo it; see `SimpleTransactionContext.rollback`."""
        await self._act(self.context.rollback)

    async def before_commit(self, hook: Hook) -> None:
        """Have ``hook()`` run before the outermost commit, unless this block is rolled back."""
        await self._act(self.context.before_commit, lambda: ask(hook))

    async def on_commit(self, hook: Hook) -> None:
        """Have ``hook()`` run after the outermost commit, unless this block is rolled back."""
        await self._act(self.context.on_commit, lambda: ask(hook, always=True))

    async def on_rollback(self, hook: Hook) -> None:
        """Have ``hook()`` run when this block, or one around it, has been rolled back."""
        await self._act(self.context.on_rollback, lambda: ask(hook, always=True))

    async def __aenter__(self) -> Self:
        leave = self.context.__exit__
        await self._begin(self.context.__enter__, lambda: leave(asyncio.CancelledError, None, None))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._act(self.context.__exit__, kind, error, trace)

    # -- the inside -------------------------------------------------------------------------------

    async def _begin(self, begin: Callable[[], object], undo: Callable[[], object]) -> None:
        owner, context, task = self._owner, self.context, running_task()
        if self._session is not None:
            self._check_owner(task)
            session = self._session
        else:
            engine = owner.store._engine()
            timeout = owner._timeout() if context.timeout is None else context.timeout
            session = await owner._session(timeout)
            session.transactions.setdefault(engine, self)
            self._session = session
        notes, self._notes = self._notes, None
        if notes is not None:
            context.deepen(notes)
        call = session.call(begin)
        interruption = await call.settle()
        if interruption is not None and call.error is None:
            await session.call(undo).settle()  # a block that nobody will leave
        self._let_go_if_over()
        if interruption is not None:
            raise interruption
        call.outcome()

    async def _act(self, act: Callable[..., object], *args: Any) -> None:
        session = self._session
        if session is None:
            act(*args)  # says that it is not open, or that its block has been ended by hand
            return
        self._check_owner(asyncio.current_task())
        call = session.call(act, *args)
        interruption = await call.settle()
        self._let_go_if_over()
        if interruption is not None:
            what = self.context.state if not self.context.depth else "open"
            interruption.add_note(f"the transaction {self.notes!r} is {what}")
            raise interruption from call.error
        call.outcome()

    def _let_go_if_over(self) -> None:
        session = self._session
        if session is not None and not self.context.depth:
            self._session = None
            engine = self._owner.store._engine()
            if session.transactions.get(engine) is self:
                del session.transactions[engine]
            session.release(engine)

    def _check_owner(self, task: object) -> None:
        if self._session is not None and self._session.task is not task:
            raise WrongOwnerError(
                f"the transaction {self.notes!r} belongs to the task "
                f"{self._session.task.get_name()!r} that began it",
                store=self._owner.store,
            )


def transaction_of(
    owner: AsyncCore, notes: str, timeout: float | None, options: StepOptions
) -> AsyncTransaction:
    """The open transaction of the running task, or a new one."""
    session = session_here()
    if session is not None:
        found: AsyncTransaction | None = session.transactions.get(owner.store._engine())
        if found is not None and found.depth:
            return found.deepen(notes)
    return AsyncTransaction(owner, owner.store.transaction(notes, timeout=timeout, **options))


def transaction(
    *stores: AsyncStore,
    notes: str = "",
    timeout: float | None = None,
    **options: Unpack[StepOptions],
) -> AsyncSeveralTransactions:
    """Return a context in which writes to several stores happen together or not at all.

    The asynchronous form of `encore.transaction`; parameters and errors are the same. A store whose
    asynchronous face has a native way around its threads writes through them here.
    """
    both = several(*(store.store for store in stores), notes=notes, timeout=timeout, **options)
    return AsyncSeveralTransactions(stores, both, timeout)


class AsyncSeveralTransactions:
    """The transactions of several stores, ended together; see `transaction`.

    *Threads*: belongs to the task that entered it.
    """

    def __init__(
        self,
        stores: tuple[AsyncStore, ...],
        both: SeveralTransactions,
        timeout: float | None,
    ) -> None:
        self._stores = stores
        self._both = both
        self._timeout = timeout
        self._session: Session | None = None
        self._held: list[Any] = []

    async def __aenter__(self) -> Self:
        try:
            # In the order that all programs share, so that two never wait for each other.
            for store in sorted(self._stores, key=lambda one: one.store.sort_key):
                engine = store.store._engine()
                if engine not in self._held:
                    timeout = store._timeout() if self._timeout is None else self._timeout
                    self._session = await store._session(timeout)
                    self._held.append(engine)
            assert self._session is not None
            call = self._session.call(self._both.__enter__)
            interruption = await call.settle()
            if interruption is not None:
                if call.error is None:
                    await self._session.call(
                        self._both.__exit__, BaseException, None, None
                    ).settle()
                raise interruption
            call.outcome()
        except BaseException:
            self._release()
            raise
        self._remember()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._session is not None
        call = self._session.call(self._both.__exit__, kind, error, trace)
        interruption = await call.settle()
        self._release()
        if interruption is not None:
            raise interruption from call.error
        call.outcome()

    def _remember(self) -> None:
        """Have `transaction` of each store return the context of that store."""
        assert self._session is not None
        for store in self._stores:
            engine = store.store._engine()
            for context in self._both._contexts:
                if context._store is engine and engine not in self._session.transactions:
                    part = AsyncTransaction(store, context)
                    part._session = self._session
                    self._session.transactions[engine] = part

    def _release(self) -> None:
        session, self._session = self._session, None
        held, self._held = self._held, []
        if session is not None:
            for engine in held:
                session.release(engine)
