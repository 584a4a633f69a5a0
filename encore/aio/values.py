"""Values and their data for a loop: nothing that could wait is done in it.

Anybody may import what is public here from the face of the room.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

from encore.aio.iterating import AsyncItems
from encore.aio.sources import Sourced
from encore.storage.values import BUFFER_SIZE, Value

if TYPE_CHECKING:
    from encore.aio.core import AsyncCore

__all__ = ["AsyncData", "AsyncValue"]

T = TypeVar("T")

# Chunks that are smaller are fetched several at a time, up to so many bytes.
_AT_ONCE = 4 << 20


class AsyncData(Sourced):
    """A readable, seekable binary stream whose methods are awaited.

    Iterating over it yields chunks, from where it stands to the end.

    *Threads*: belongs to one task at a time.
    """

    def __init__(self, owner: AsyncCore, open_stream: Callable[[], IO[bytes]]) -> None:
        self._owner = owner
        self._open: Callable[[], IO[bytes]] = open_stream
        self._stream: IO[bytes] | None = None

    def for_worker(self) -> IO[bytes]:
        return self._opened()

    def _opened(self) -> IO[bytes]:
        if self._stream is None:
            self._stream = self._open()
        return self._stream

    async def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes; all that are left without."""
        return await self._do(lambda stream: stream.read(size))

    async def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, and return it in bytes from the beginning."""
        return await self._do(lambda stream: stream.seek(offset, whence))

    async def tell(self) -> int:
        """Where the stream stands, in bytes from the beginning."""
        return await self._do(lambda stream: stream.tell())

    async def close(self) -> None:
        """Give back what the stream holds. Closing twice is fine."""
        if self._owner.is_closed:
            self._opened().close()
        else:
            await self._do(lambda stream: stream.close())

    def chunks(self, size: int = BUFFER_SIZE) -> AsyncIterator[bytes]:
        """Yield the rest in pieces of up to ``size`` bytes."""
        return AsyncItems(
            self._owner,
            lambda: iter(lambda: self._opened().read(size), b""),
            most=1,  # so that the stream stands where the last chunk ended
        )

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.chunks()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _do(self, act: Callable[[IO[bytes]], T]) -> T:
        stream = self._stream
        if isinstance(stream, io.BytesIO):  # nothing to wait for
            return act(stream)
        return await self._owner._read(lambda: act(self._opened()))


class AsyncValue(Sourced):
    """A `Value` whose data is awaited; everything else is there already.

    It can be given to any verb that takes a value, of any store.

    Parameters
    ----------
    owner : AsyncStore
    value : Value
        It belongs to this one from here on.

    Attributes
    ----------
    size, created, modified, token
        See `Value`.
    """

    def __init__(self, owner: AsyncCore, value: Value) -> None:
        self._owner = owner
        self._value = value
        self._data: AsyncData | None = None
        self.size = value.size
        self.created = value.created
        self.modified = value.modified
        self.token = value.token

    def __repr__(self) -> str:
        return f"<Async{repr(self._value)[1:]}"

    def for_worker(self) -> Value:
        return self._value

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata, a dictionary that belongs to the caller."""
        return self._value.metadata

    @property
    def data(self) -> AsyncData:
        """The data as a stream; the same one at each access."""
        if self._data is None:
            self._data = AsyncData(self._owner, lambda: self._value.data)
        return self._data

    def range(self, start: int | None = None, end: int | None = None) -> AsyncData:
        """Return a stream over the bytes from ``start`` to ``end`` (exclusive); see `Value`."""
        return AsyncData(self._owner, lambda: self._value.range(start, end))

    def iterdata(
        self, buffer_size: int = BUFFER_SIZE, progress: Callable[..., Any] | None = None
    ) -> AsyncItems[bytes]:
        """Yield the data, from the beginning, in chunks of up to ``buffer_size`` bytes.

        Parameters
        ----------
        buffer_size : int, optional
            Bytes.
        progress : callable, optional
            Called in the loop, as ``progress(step=bytes so far)``, when a chunk has been taken.
        """
        done = 0

        def count(chunk: bytes) -> bytes:
            nonlocal done
            done += len(chunk)
            if progress is not None:
                progress(step=done)
            return chunk

        def chunks() -> Iterator[bytes]:
            return self._value.iterdata(buffer_size)

        most = max(1, _AT_ONCE // max(buffer_size, 1))
        return AsyncItems(self._owner, chunks, most=most, shape=count)

    async def read(self) -> bytes:
        """Return all of the data, from the beginning."""
        if isinstance(self._value.content, bytes):
            return self._value.content
        return await self._owner._read(self._value.read)

    async def close(self) -> None:
        """Give back what the value holds. Closing twice is fine."""
        if isinstance(self._value.content, bytes) or self._owner.is_closed:
            self._value.close()
        else:
            await self._owner._read(self._value.close)

    async def __aenter__(self) -> AsyncData:
        return self.data

    async def __aexit__(self, *_: object) -> None:
        await self.close()
