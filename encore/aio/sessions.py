"""Sessions: a task with a transaction has a thread of its own until the transaction ends.

To a store the owner of a transaction is a thread. A task that begins one is therefore lent a
worker, and everything it does to any store happens there: what is inside the transaction finds
itself inside, through wrappers and over several stores, as in synchronous code. Other tasks are
other owners, on other threads.

Only this room imports this module.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from encore.aio.calls import Call
from encore.aio.threads import Threads, Worker
from encore.aio.turns import turn_of
from encore.events.progress_events import CancelToken

T = TypeVar("T")

Task = asyncio.Task[Any]

_sessions: dict[Task, Session] = {}


def session_here() -> Session | None:
    """The session of the running task, if it has one."""
    if not _sessions:
        return None
    task = asyncio.current_task()
    return None if task is None else _sessions.get(task)


def running_task() -> Task:
    """The running task.

    Raises
    ------
    RuntimeError
        There is none.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("transactions and writes belong to an asyncio task, and none is running")
    return task


class Session:
    """The thread of one task, and the turns it has.

    Parameters
    ----------
    task : asyncio.Task
    threads : Threads
        Where its worker comes from.

    Attributes
    ----------
    transactions : dict
        The one that is open, or ending, by the engine of its store.
    """

    def __init__(self, task: Task, threads: Threads) -> None:
        self.task = task
        self.transactions: dict[Any, Any] = {}
        self._threads = threads
        self._worker: Worker | None = None  # until it is this task's turn
        self._held: dict[Any, int] = {}  # how many need the turn of an engine
        _sessions[task] = self
        task.add_done_callback(self._abandoned)

    @property
    def is_over(self) -> bool:
        """Whether the worker has been given back."""
        return not self._held

    def call(
        self,
        function: Callable[..., T],
        *args: Any,
        token: CancelToken | None = None,
        **kwargs: Any,
    ) -> Call[T]:
        """Have the worker make a call."""
        call = Call(function, args, kwargs, self._threads.mailbox(), token)
        if self._worker is None:
            self._worker = self._threads.borrow()
        call.sent_to(self._worker.jobs)
        return call

    async def hold(self, engine: Any, timeout: float, what: object) -> None:
        """Get the turn of an engine, or keep it longer. On failure the session may be over."""
        held = self._held.get(engine)
        if held is None:
            try:
                await turn_of(engine).take(self.task.get_name(), timeout, what)
            except BaseException:
                if not self._held:
                    self._end()
                raise
            held = 0
        self._held[engine] = held + 1

    def release(self, engine: Any) -> None:
        """Need the turn of an engine no longer; the last one that is released ends the session."""
        self._held[engine] -= 1
        if not self._held[engine]:
            del self._held[engine]
            self.transactions.pop(engine, None)
            turn_of(engine).give_back()
        if not self._held:
            self._end()

    def _end(self) -> None:
        if _sessions.get(self.task) is self:
            del _sessions[self.task]
            self.task.remove_done_callback(self._abandoned)
            if self._worker is not None:
                self._threads.give_back(self._worker)

    # -- a task that ends inside a transaction ----------------------------------------------------

    def _abandoned(self, task: Task) -> None:
        """Undo what the task has left open, as for a thread that has died."""
        open_ones = [*self.transactions.values()]

        def undo() -> None:
            try:
                for transaction in reversed(open_ones):
                    transaction.context._roll_back_to(0)
            finally:
                self._let_go()  # here: the loop of a task that is over may be so, too

        self.call(undo)

    def _let_go(self) -> None:
        for engine in [*self._held]:
            self._held[engine] = 1
            self.release(engine)


async def session_for(
    task: Task, threads: Threads, engine: Any, timeout: float, what: object
) -> Session:
    """The session of a task, begun if it has none, with the turn of an engine."""
    session = _sessions.get(task)
    if session is None:
        session = Session(task, threads)
    await session.hold(engine, timeout, what)
    return session
