"""An asynchronous face seen as a synchronous store, so that the laws of stores examine it.

Every thread (and asyncio task) that calls has a task of its own in a loop on another thread, which
makes its calls one after the other: owners stay apart as they do without a bridge.
"""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from queue import SimpleQueue
from typing import Any

from encore.aio import AsyncStore
from encore.aio.calls import _here
from encore.events.progress_events import ProgressEvent
from encore.storage.abstract_store import AbstractStore
from encore.storage.template import Store
from encore.storage.values import Value
from encore.storage.wrappers.base import WrapperStore

_PATIENCE_SECONDS = 90.0
_CHUNK = 50000


class Loop:
    """A loop on a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="bridge loop", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def end(self) -> None:
        async def finish() -> None:
            mine = asyncio.current_task()
            tasks = [task for task in asyncio.all_tasks() if task is not mine]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(finish(), self.loop).result(_PATIENCE_SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(_PATIENCE_SECONDS)
        self.loop.close()


class Ticket:
    """What an owner wants its task to do, and the line in which the answer comes."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.answers: SimpleQueue[tuple[str, Any]] = SimpleQueue()


class Owner:
    """A thread or task that calls, and its task in the loop."""

    def __init__(self, loop: Loop, name: str) -> None:
        self.loop = loop
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._arrival: asyncio.Future[None] | None = None
        self._serving: list[Ticket] = []
        started = asyncio.run_coroutine_threadsafe(self._start(name), loop.loop)
        started.result(_PATIENCE_SECONDS)

    async def _start(self, name: str) -> None:
        self._task = asyncio.get_running_loop().create_task(self._serve(None), name=name)

    def call(self, work: Callable[[], Any]) -> Any:
        ticket = Ticket(work)
        self._post(ticket)
        while True:
            kind, answer = ticket.answers.get(timeout=_PATIENCE_SECONDS)
            if kind == "returned":
                return answer
            if kind == "raised":
                try:
                    raise answer
                finally:
                    del answer, ticket
            kind, result = _outcome_of(answer)  # a hook, to be called here
            self._post((answer, kind, result))

    def end(self) -> None:
        self._post(None)

    def _post(self, item: Any) -> None:
        self._inbox.put(item)
        self.loop.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def _serve(self, until: Any) -> Any:
        """Do what the owner wants, until it answers what it was asked."""
        while True:
            while self._inbox.empty():
                self._arrival = asyncio.get_running_loop().create_future()
                await self._arrival
            item = self._inbox.get()
            if item is None:
                return None
            if isinstance(item, Ticket):
                await self._do(item)
            elif item[0] is until:
                return item[1:]

    async def _do(self, ticket: Ticket) -> None:
        self._serving.append(ticket)
        try:
            result = ticket.work()
            if asyncio.iscoroutine(result):
                result = await result
            ticket.answers.put(("returned", result))
        except BaseException as error:
            ticket.answers.put(("raised", error))
        finally:
            self._serving.pop()

    def hook(self, function: Callable[[], Any]) -> Callable[[], Any]:
        """A hook for the face that the thread of the owner runs."""

        async def run() -> Any:
            self._serving[-1].answers.put(("run", function))
            kind, result = await self._serve(function)
            if kind == "raised":
                raise result
            return result

        return run


def _outcome_of(function: Callable[[], Any]) -> tuple[str, Any]:
    try:
        return "returned", function()
    except BaseException as error:
        return "raised", error


class _Mine:
    """Ends an owner when the thread that it belongs to has ended."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner

    def __del__(self) -> None:
        if not self.owner.loop.loop.is_closed():
            self.owner.end()


class Relay:
    """The events of a store, for whoever looks at the bridge over it.

    Keys and transactions are announced by the bridge, as by any wrapper. Progress is the store's.
    """

    def __init__(self, bridge: Bridge, base: Store) -> None:
        self._bridge = weakref.ref(bridge)
        self._base = weakref.ref(base)

    def connect(
        self,
        cls: type,
        func: Any,
        filter: Any = None,  # noqa: A002  as in the contract
        priority: int = 0,
        dispatch: Any = None,
    ) -> None:
        wanted = filter
        if filter and filter.get("source") is self._bridge() and issubclass(cls, ProgressEvent):
            wanted = {**filter, "source": self._base()}
        self._manager.connect(cls, func, wanted, priority, dispatch)

    @contextmanager
    def listening(self, cls: type, func: Any, *args: Any, **kwargs: Any) -> Iterator[None]:
        self.connect(cls, func, *args, **kwargs)
        try:
            yield
        finally:
            self._manager.disconnect(cls, func)

    @property
    def _manager(self) -> Any:
        return self._base().event_manager

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manager, name)


class Bridge(WrapperStore):
    """A store that is only reached through an asynchronous face of it.

    Parameters
    ----------
    base : Store
    asynchronous : bool
        Whether sources are handed on as asynchronous iterables.
    """

    def __init__(self, base: Store, *, asynchronous: bool = False) -> None:
        super().__init__(base)
        self.face = AsyncStore(base)
        self._relay = Relay(self, base)
        self._asynchronous = asynchronous
        self._loop: Loop | None = None
        self._starting = threading.Lock()
        self._forget_owners()

    def _forget_owners(self) -> None:
        self._of_threads = threading.local()
        self._of_tasks: weakref.WeakKeyDictionary[Any, Owner] = weakref.WeakKeyDictionary()

    @property
    def event_manager(self) -> Any:
        return self._relay

    def owner(self) -> Owner:
        with self._starting:
            if self._loop is None:
                self._loop = Loop()
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if task is not None:
            if task not in self._of_tasks:
                self._of_tasks[task] = Owner(self._loop, task.get_name())
            return self._of_tasks[task]
        mine = getattr(self._of_threads, "mine", None)
        if mine is None:
            mine = _Mine(Owner(self._loop, threading.current_thread().name))
            self._of_threads.mine = mine
        return mine.owner

    def do(self, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self.owner().call(lambda: verb(*args, **kwargs))

    def _each(self, items: Callable[[], AsyncIterator[Any]]) -> Iterator[Any]:
        return self._following(self.do(items))

    def _following(self, iterator: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(iterator, self)

        while (item := self.do(following)) is not self:
            yield item

    # -- opening and closing ----------------------------------------------------------------------

    def connect(self, credentials: Any = None) -> None:
        self.do(self.face.connect, credentials)

    def close(self) -> None:
        self.do(self.face.close)
        if self._loop is not None:
            loop, self._loop = self._loop, None
            self._forget_owners()
            loop.end()

    def is_connected(self) -> bool:
        return self.do(self.face.is_connected)

    def info(self) -> dict[str, Any]:
        # A forked child has no loop to call from.
        return {**self.do(self.face.info), "type": "Bridge", "forks": False}

    def verify(self, *, repair: bool = False) -> Any:
        return self.do(self.face.verify, repair=repair)

    def transaction(self, *args: Any, **kwargs: Any) -> Any:
        found = self.do(self.face.transaction, *args, **kwargs)
        if not hasattr(found, "bridged"):
            found.bridged = BridgedTransaction(self, found)
        return found.bridged

    # -- reading ----------------------------------------------------------------------------------

    def _value(self, value: Any) -> Value:
        content = value.for_worker().content
        if not isinstance(content, bytes):
            content = BridgedContent(self, value)
        made = Value.of(content, "{}", value.size, value.created, value.modified, value.token)
        made._text = value.for_worker().metadata_text
        return made

    def get(self, key: str) -> Value:
        return self._value(self.do(self.face.get, key))

    def get_data(self, key: str) -> Any:
        return BridgedIO(self, self.do(self.face.get_data, key))

    def get_data_range(self, key: str, start: Any = None, end: Any = None) -> Any:
        return BridgedIO(self, self.do(self.face.get_data_range, key, start, end))

    def get_metadata(self, key: str, select: Any = None) -> Any:
        return self.do(self.face.get_metadata, key, select)

    def read(self, key: str) -> bytes:
        return self.do(self.face.read, key)

    def to_bytes(self, key: str) -> bytes:
        return self.do(self.face.to_bytes, key)

    def to_file(self, *args: Any, **kwargs: Any) -> None:
        self.do(self.face.to_file, *args, **kwargs)

    def exists(self, key: str) -> bool:
        return self.do(self.face.exists, key)

    def __len__(self) -> int:
        return self.do(self.face.count)

    def totals(self, prefix: str = "") -> Any:
        return self.do(self.face.totals, prefix)

    def keys(self, prefix: str = "", start_after: Any = None, limit: Any = None) -> Iterator[str]:
        return self._each(lambda: self.face.keys(prefix, start_after, limit))

    def list(self, prefix: str = "", page_size: int = 1000) -> Any:
        return self._each(lambda: self.face.list(prefix, page_size))

    def items(self, prefix: str = "") -> Any:
        found = self._each(lambda: self.face.items(prefix))
        return ((key, self._value(value)) for key, value in found)

    def entries(self, prefix: str = "") -> Any:
        return self._each(lambda: self.face.entries(prefix))

    def glob(self, pattern: str) -> Any:
        return self._each(lambda: self.face.glob(pattern))

    def query(self, select: Any = None, where: Any = None, **equals: Any) -> Any:
        return self._each(lambda: self.face.query(select, where, **equals))

    def query_keys(self, where: Any = None, **equals: Any) -> Any:
        return self._each(lambda: self.face.query_keys(where, **equals))

    def multiget(self, keys: Any) -> Any:
        return map(self._value, self._each(lambda: self.face.multiget(self._several(keys))))

    def multiget_data(self, keys: Any) -> Any:
        found = self._each(lambda: self.face.multiget_data(self._several(keys)))
        return (BridgedIO(self, stream) for stream in found)

    def multiget_metadata(self, keys: Any, select: Any = None) -> Any:
        return self._each(lambda: self.face.multiget_metadata(self._several(keys), select))

    # -- writing ----------------------------------------------------------------------------------

    def _source(self, data: Any, buffer_size: int = _CHUNK) -> Any:
        if isinstance(data, BridgedIO):
            return data.data
        if self._asynchronous and hasattr(data, "read") and not isinstance(data, Value):
            return _chunks(data, min(buffer_size, _CHUNK))
        if isinstance(data, Value) and isinstance(data.content, BridgedContent):
            value = data.content.value
            value.metadata.clear()
            value.metadata.update(data.metadata)  # whoever has it may have changed it
            return value
        return data

    def _given(self, value: Any) -> Any:
        if isinstance(value, tuple) and len(value) == 2:
            return self._source(value[0]), value[1]
        return self._source(value)

    def _several(self, items: Any) -> Any:
        """Several of something; asynchronous unless that would change who reads it."""
        if self._asynchronous and isinstance(items, list):
            return _each(items)
        return items

    def put(self, key: str, data: Any, *args: Any, **kwargs: Any) -> None:
        source = self._source(data, kwargs.get("buffer_size", _CHUNK))
        self.do(self.face.put, key, source, *args, **kwargs)

    def set(self, key: str, value: Any, *args: Any, **kwargs: Any) -> None:
        self.do(self.face.set, key, self._given(value), *args, **kwargs)

    def set_data(self, key: str, data: Any, *args: Any, **kwargs: Any) -> None:
        self.do(self.face.set_data, key, self._source(data), *args, **kwargs)

    def set_metadata(self, key: str, metadata: Any) -> None:
        self.do(self.face.set_metadata, key, metadata)

    def update_metadata(self, key: str, metadata: Any) -> None:
        self.do(self.face.update_metadata, key, metadata)

    def from_bytes(self, *args: Any, **kwargs: Any) -> None:
        self.do(self.face.from_bytes, *args, **kwargs)

    def from_file(self, *args: Any, **kwargs: Any) -> None:
        self.do(self.face.from_file, *args, **kwargs)

    def delete(self, key: str, missing_ok: bool = False) -> None:
        self.do(self.face.delete, key, missing_ok)

    def copy(self, source: str, target: str) -> None:
        self.do(self.face.copy, source, target)

    def move(self, source: str, target: str) -> None:
        self.do(self.face.move, source, target)

    def clear(self, prefix: str = "") -> None:
        self.do(self.face.clear, prefix)

    def multiset(self, keys: Any, values: Any = None, *args: Any) -> None:
        if isinstance(keys, dict):
            keys = {key: self._given(value) for key, value in keys.items()}
        elif isinstance(values, list):
            values = self._several([self._given(value) for value in values])
        self.do(self.face.multiset, keys, values, *args)

    def multiset_data(self, keys: Any, values: Any = None, *args: Any) -> None:
        self.do(self.face.multiset_data, keys, values, *args)

    def multiset_metadata(self, keys: Any, values: Any = None) -> None:
        self.do(self.face.multiset_metadata, keys, values)

    def multiupdate_metadata(self, keys: Any, values: Any = None) -> None:
        self.do(self.face.multiupdate_metadata, keys, values)

    def import_values(self, items: Any, *args: Any) -> None:
        items = ((key, self._source(value)) for key, value in items)
        if self._asynchronous:
            items = [*items]
        self.do(self.face.import_values, self._several(items), *args)


def _directly_in_workers(name: str, bridged: Any) -> Any:
    """In the threads of the store, where listeners are called, use the store itself."""
    direct = getattr(WrapperStore, name)

    @wraps(bridged)
    def verb(self: Bridge, *args: Any, **kwargs: Any) -> Any:
        return (bridged if _here.call is None else direct)(self, *args, **kwargs)

    return verb


for _name, _bridged in [*vars(Bridge).items()]:
    if callable(_bridged) and hasattr(AbstractStore, _name) and _name not in ("__init__", "close"):
        setattr(Bridge, _name, _directly_in_workers(_name, _bridged))


async def _chunks(source: Any, size: int) -> AsyncIterator[bytes]:
    while chunk := source.read(size):
        await asyncio.sleep(0)
        yield chunk


async def _each(items: Any) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


class BridgedContent:
    """The data of a value."""

    def __init__(self, bridge: Bridge, value: Any) -> None:
        self._bridge = bridge
        self.value = value

    @property
    def size(self) -> int:
        return self._bridge.do(
            self.value._owner._read, lambda: self.value.for_worker().content.size
        )

    def read(self, start: int, end: int) -> bytes:
        if start == 0 and end in (self.value.size, sys.maxsize):
            return self._bridge.do(self.value.read)
        return self._bridge.do(self.value.range(start, end).read)

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        if start == 0 and end in (self.value.size, sys.maxsize):
            yield from self._bridge._each(lambda: self.value.iterdata(buffer_size))
        else:
            data = self.value.range(start, end)
            yield from self._bridge._each(lambda: data.chunks(buffer_size))

    def close(self) -> None:
        self._bridge.do(self.value.close)


class BridgedIO(io.RawIOBase):
    """A stream of data."""

    def __init__(self, bridge: Bridge, data: Any) -> None:
        self._bridge = bridge
        self.data = data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._bridge.do(self.data.seek, offset, whence)

    def tell(self) -> int:
        return self._bridge.do(self.data.tell)

    def readall(self) -> bytes:
        return self._bridge.do(self.data.read)

    def readinto(self, buffer: Any) -> int:
        data = self._bridge.do(self.data.read, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._bridge.do(self.data.close)


class BridgedTransaction:
    """A transaction of a face, for the thread that owns it."""

    def __init__(self, bridge: Bridge, transaction: Any) -> None:
        self._bridge = bridge
        self._transaction = transaction

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)

    def begin(self) -> Any:
        self._bridge.do(self._transaction.begin)
        return self

    def commit(self) -> None:
        self._bridge.do(self._transaction.commit)

    def rollback(self) -> None:
        self._bridge.do(self._transaction.rollback)

    def before_commit(self, hook: Any) -> None:
        self._bridge.do(self._transaction.before_commit, self._bridge.owner().hook(hook))

    def on_commit(self, hook: Any) -> None:
        self._bridge.do(self._transaction.on_commit, self._bridge.owner().hook(hook))

    def on_rollback(self, hook: Any) -> None:
        self._bridge.do(self._transaction.on_rollback, self._bridge.owner().hook(hook))

    def __enter__(self) -> Any:
        self._bridge.do(self._transaction.__aenter__)
        return self

    def __exit__(self, *what: Any) -> None:
        self._bridge.do(self._transaction.__aexit__, *what)
