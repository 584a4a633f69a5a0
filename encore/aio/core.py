"""What every asynchronous face is made of: a store, its threads, and two ways to call it.

A call that reads is made by one of a few readers. A call that writes waits for its turn without a
thread, and is made by a worker; inside a transaction both are made by the thread of the task. The
verbs, in the modules beside this one, are lines that say which of the two they are.

Only this room imports this module.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from typing import Any, Self, TypeVar

from encore.aio.calls import Call
from encore.aio.sessions import Session, running_task, session_for, session_here
from encore.aio.threads import Threads, joined
from encore.errors import StoreError
from encore.events.abstract_event_manager import BaseEventManager
from encore.events.progress_events import CancelToken
from encore.keys.builder import KeyBuilder
from encore.storage.template import Store
from encore.storage.transactions.owners import watch_forks

T = TypeVar("T")

_READERS = 4


class AsyncCore:
    """A store that is called from a loop.

    Parameters
    ----------
    store : Store or AsyncStore
        Of another face its store is taken; the two faces share nothing else.
    readers : int, optional
        How many threads read at most.
    key_builder : KeyBuilder, optional
        For whoever wants keys under a common beginning; the verbs do not look at it.
    """

    def __init__(
        self,
        store: Store | AsyncCore,
        *,
        readers: int = _READERS,
        key_builder: KeyBuilder | None = None,
    ) -> None:
        beneath = store if isinstance(store, AsyncCore) else None
        if isinstance(store, AsyncCore):
            store = store.store
        if not isinstance(store, Store):
            raise TypeError(
                f"{type(self).__name__} is made over a store, and {type(store).__name__} is not "
                "one that derives from encore's Store"
            )
        if readers < 1:
            raise ValueError(f"somebody has to read: readers is 1 or more, not {readers}")
        self._store = store
        self._beneath: tuple[AsyncCore, ...] = () if beneath is None else (beneath,)
        self._readers = readers
        self._key_builder = KeyBuilder() if key_builder is None else key_builder
        self._is_closed = False
        self._iterators: weakref.WeakSet[Any] = weakref.WeakSet()  # of events; closed with it
        self._begin_threads()
        watch_forks(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._store!r}>"

    @property
    def store(self) -> Store:
        """The synchronous store, for code that has threads of its own."""
        return self._store

    @property
    def key_builder(self) -> KeyBuilder:
        """Makes keys of parts: what it builds is what listings show."""
        return self._key_builder

    @property
    def event_manager(self) -> BaseEventManager:
        """Who tells listeners of the store's events; their ``source`` is `store`."""
        return self._store.event_manager

    @property
    def is_closed(self) -> bool:
        """Whether the store has been closed through this face, and is not open again."""
        return self._is_closed and not self._store.is_connected()

    def _begin_threads(self) -> None:
        self._threads = Threads(type(self._store).__name__, self._readers)
        self._finalizer = weakref.finalize(self, self._threads.end)
        self._finalizer.atexit = False  # threads that are left do not outlive the program

    def _after_fork(self) -> None:
        self._finalizer.detach()
        self._begin_threads()

    # -- calling ----------------------------------------------------------------------------------

    async def _read(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Make a call that waits for no writer."""
        return await self._reading(function, *args, **kwargs).result_or_nothing()

    async def _read_long(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Make a call that reads much, and is stopped if the task is cancelled."""
        call = self._reading(function, *args, token=CancelToken(), **kwargs)
        interruption = await call.settle()
        if interruption is not None:
            raise interruption
        return call.outcome()

    def _reading(
        self,
        function: Callable[..., T],
        *args: Any,
        token: CancelToken | None = None,
        **kwargs: Any,
    ) -> Call[T]:
        session = session_here()
        if session is not None:
            return session.call(function, *args, token=token, **kwargs)
        if self.is_closed:
            raise self._closed()
        call = Call(function, args, kwargs, self._threads.mailbox(), token)
        self._threads.read(call)
        return call

    async def _write(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Make a call that writes, when it is this task's turn. A short one: nothing stops it."""
        return await self._change(function, args, kwargs, None)

    async def _write_long(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Make a call that writes, and is stopped if the task is cancelled."""
        return await self._change(function, args, kwargs, CancelToken())

    async def _change(
        self,
        function: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        token: CancelToken | None,
    ) -> T:
        engine = self._store._engine()
        session = await self._session(self._timeout())
        try:
            call = session.call(function, *args, token=token, **kwargs)
            interruption = await call.settle()
        finally:
            session.release(engine)
        if interruption is not None:
            raise told(interruption, call, self._store)
        return call.outcome()

    async def _session(self, timeout: float) -> Session:
        """The session of this task, begun if it has none, when it is its turn to write here."""
        if self.is_closed and session_here() is None:
            raise self._closed()
        engine = self._store._engine()
        return await session_for(running_task(), self._threads, engine, timeout, self._store)

    def _timeout(self) -> float:
        """Seconds to wait for others who write through a loop."""
        seconds: float = getattr(self._store._engine(), "timeout", 5.0)
        return seconds

    def _closed(self) -> StoreError:
        return StoreError(
            f"{self._store!r} is closed; connect() opens it again",
            store=self._store,
            operation="open",
        )

    # -- opening and closing ----------------------------------------------------------------------

    async def connect(self, credentials: Any = None) -> None:
        """See `AbstractStore.connect`."""
        self._is_closed = False
        await self._read(self._store.connect, credentials)

    async def disconnect(self) -> None:
        """Close the store: the same as `close`."""
        await self.close()

    async def close(self) -> None:
        """Give back files, connections, locks and threads. Closing twice is fine.

        What other tasks are reading is read to its end, and who is writing is waited for.

        Raises
        ------
        TransactionError
            This task has a transaction open.
        LockTimeoutError
            Another task has, and does not end it.
        """
        if self.is_closed:
            return
        engine = self._store._engine()
        session = session_here()
        if session is not None and engine in session.transactions:
            await session.call(self._store.close).result()  # which refuses
            return
        session = await session_for(
            running_task(), self._threads, engine, self._timeout(), self._store
        )
        try:
            await joined(self._threads.end_readers())  # when they have read what they were to read
            await self._close_in(session)
        finally:
            session.release(engine)
            await joined(self._end_threads())

    def _end_threads(self) -> list[threading.Thread]:
        """End threads that have nothing to do, here and in the faces this one was made over."""
        self._is_closed = not self._store.is_connected()
        ending = self._threads.end()
        for face in self._beneath:
            ending += face._end_threads()
        return ending

    async def _close_in(self, session: Session) -> None:
        call = session.call(self._store.close)
        interruption = await call.settle()
        if call.error is None:
            for events in [*self._iterators]:
                events.end()
        if interruption is not None:
            raise told(interruption, call, self._store)
        call.outcome()

    async def is_connected(self) -> bool:
        """Whether the store is open."""
        return self._store.is_connected()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def told(
    interruption: asyncio.CancelledError, call: Call[Any], what: object
) -> asyncio.CancelledError:
    """Have the exception that cancelled a task say what has become of its call."""
    error = call.error
    if error is None:
        interruption.add_note(f"what was under way in {what!r} had been carried out by then")
    else:
        interruption.add_note(f"what was under way in {what!r} has been undone: {error!r}")
    return interruption
