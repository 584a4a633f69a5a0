"""Asynchronous data on its way into a store: seen from the worker, files and iterators.

A worker that wants more asks the loop for it (see ``calls``), so the source is read in the task
that writes it, and no faster than the store takes it in. Only this room imports this module.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from encore.aio.calls import ask
from encore.storage.values import BUFFER_SIZE, Value

# Chunks that are smaller are fetched several at a time: asking the loop costs some 50 microseconds.
_WORTH_ASKING = 1 << 18
_END = object()


class _Chunks:
    """A binary file over an asynchronous iterable of chunks, for the worker that writes it."""

    def __init__(self, chunks: AsyncIterable[Any]) -> None:
        self._chunks = chunks
        self._iterator: AsyncIterator[Any] | None = None
        self._ready: list[Any] = []  # in reverse
        self._rest = memoryview(b"")
        self._is_over = False

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return b"".join(iter(partial(self.read, BUFFER_SIZE), b""))
        while not self._rest:
            while not self._ready:
                if self._is_over:
                    return b""
                self._ready = ask(self._fetch)
            self._take(self._ready.pop())
        whole = self._rest.obj
        if type(whole) is bytes and len(whole) == len(self._rest) <= size:
            self._rest = self._rest[:0]
            return whole
        chunk, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return chunk

    def _take(self, chunk: Any) -> None:
        if isinstance(chunk, str) or not isinstance(chunk, (bytes, bytearray, memoryview)):
            raise TypeError(f"the chunks of a source are bytes, not {type(chunk).__name__}")
        self._rest = memoryview(chunk).cast("B")

    async def _fetch(self) -> list[Any]:
        if self._iterator is None:
            self._iterator = aiter(self._chunks)
        found: list[Any] = []
        size = 0
        while size < _WORTH_ASKING:
            chunk = await anext(self._iterator, _END)
            if chunk is _END:
                self._is_over = True
                break
            found.append(chunk)
            size += len(chunk) if hasattr(chunk, "__len__") else _WORTH_ASKING
        found.reverse()
        return found


class Sourced:
    """What knows a synchronous object that a worker can use in its place."""

    def for_worker(self) -> Any:
        """That object."""
        raise NotImplementedError


def as_data(data: Any) -> Any:
    """Data for a synchronous verb: an asynchronous iterable becomes a binary file."""
    if isinstance(data, Sourced):
        return data.for_worker()
    if isinstance(data, AsyncIterable):
        return _Chunks(data)
    return data


def as_value(value: Any) -> Any:
    """A value for a synchronous verb: see `as_data`."""
    if isinstance(value, tuple) and len(value) == 2:
        return as_data(value[0]), value[1]
    return as_data(value)


def as_values(values: Any) -> Any:
    """Several of them, in whatever they came: a mapping, an iterable, an asynchronous one."""
    if isinstance(values, Mapping):
        return {key: as_value(value) for key, value in values.items()}
    if values is None:
        return None
    return map(as_value, as_iterable(values))


def as_iterable(items: Iterable[Any] | AsyncIterable[Any]) -> Iterable[Any]:
    """Items for a worker: those of an asynchronous iterable come one by one."""
    return _pulled(items) if isinstance(items, AsyncIterable) else items


def as_items(items: Iterable[Any] | AsyncIterable[Any]) -> Iterator[tuple[str, Value]]:
    """Keys with values for `import_values`."""
    return ((key, as_data(value)) for key, value in as_iterable(items))


def _pulled(items: AsyncIterable[Any]) -> Iterator[Any]:
    iterator = ask(lambda: aiter(items))
    for _ in itertools.count():
        item = ask(partial(anext, iterator, _END))
        if item is _END:
            return
        yield item
