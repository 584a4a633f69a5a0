"""From streams to chunks, and back.

`buffer_iterator` cuts a file-like object into chunks, `chunks_of` does the same for anything that
may be given as data, and `BufferIteratorIO` is the way back: an iterator of chunks that reads like
a file. A stream never ends early in silence: what the source raises is raised, now and by every
later read. Anybody may import this through `encore.streams`.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

from encore.streams.chunks import (
    BUFFER_SIZE,
    BinarySource,
    BytesLike,
    as_bytes,
    check_open,
    check_size,
    check_source,
    close_if_possible,
    read_chunk,
)

# One refill from Python per 64 KiB is lost among the small reads in C that it feeds; with the
# default of 8 KiB, reads of 1000 bytes take nearly twice as long.
READ_AHEAD = 65536


def buffer_iterator(
    filelike: BinarySource,
    buffer_size: int = BUFFER_SIZE,
    progress: Callable[..., object] | None = None,
    max_bytes: int | None = None,
) -> Iterator[bytes]:
    """Yield the rest of a binary file-like object in chunks.

    Arguments are checked at once, reading begins with the first chunk asked for. What the source
    raises passes through. The source is not closed.

    Parameters
    ----------
    filelike : binary file-like
        Anything with ``read(n)``; short reads are fine and give short chunks.
    buffer_size : int
        The largest chunk, in bytes.
    progress : callable, optional
        Called as ``progress(step=total)`` with the bytes read so far, once per chunk, before the
        chunk is handed out, so that whoever stops after the last byte has heard of it.
    max_bytes : int, optional
        Stop after exactly this many bytes, and leave the source standing there.

    Raises
    ------
    TypeError
        If the source is not binary.
    ValueError
        If a size is out of range.
    BlockingIOError
        If the source is in non-blocking mode.
    """
    check_source(filelike)
    check_size("buffer_size", buffer_size)
    if max_bytes is not None:
        check_size("max_bytes", max_bytes, at_least=0)
    else:
        max_bytes = sys.maxsize
    return _buffers(filelike, buffer_size, progress, max_bytes)


def _buffers(
    source: BinarySource,
    buffer_size: int,
    progress: Callable[..., object] | None,
    max_bytes: int,
) -> Iterator[bytes]:
    total = 0
    while total < max_bytes:
        chunk = read_chunk(source, min(buffer_size, max_bytes - total))
        if not chunk:
            return
        total += len(chunk)
        if progress is not None:
            progress(step=total)
        yield chunk


def chunks_of(source: Any, buffer_size: int = BUFFER_SIZE) -> Iterator[bytes]:
    """Yield in chunks whatever may be given as data.

    Parameters
    ----------
    source : bytes-like or binary file-like
        Bytes, a bytearray, a memoryview of any shape and format or another object with a buffer
        of plain data (its bytes in C order); or a file-like object, read from where it stands.
    buffer_size : int
        The largest chunk, in bytes.

    Raises
    ------
    TypeError
        If it is neither, with what to do instead.
    """
    check_size("buffer_size", buffer_size)
    if type(source) is bytes and len(source) <= buffer_size:
        return iter((source,) if source else ())
    if isinstance(source, str):
        raise TypeError("text cannot be data: encode it first, as in text.encode()")
    if isinstance(source, io.TextIOBase):
        raise TypeError('a text file cannot be data: open it in binary mode, open(path, "rb")')
    # mmap has both faces; as a file it is read from where it stands, like any other.
    if callable(getattr(source, "read", None)):
        return buffer_iterator(source, buffer_size)
    try:
        view = memoryview(source)
    except TypeError:
        raise TypeError(
            f"{type(source).__name__} cannot be data: give bytes or a binary file; "
            'for a path open(path, "rb"), for an iterator of bytes BufferIteratorIO(iterator)'
        ) from None
    # The format of a record has its field names between colons.
    if any("O" in part for part in view.format.split(":")[::2]):
        raise TypeError("an array of Python objects cannot be data: its bytes are addresses")
    return _slices(_flat(view), buffer_size)


def _flat(view: memoryview) -> memoryview:
    try:
        return view.cast("B")
    except TypeError:
        # Strided, empty in one dimension, or of a format that cannot be cast (big-endian, say).
        return memoryview(view.tobytes())


def _slices(view: memoryview, buffer_size: int) -> Iterator[bytes]:
    for start in range(0, len(view), buffer_size):
        yield bytes(view[start : start + buffer_size])


class ChunkedRaw(io.RawIOBase):
    """The raw stream under the readers of this room: a position in the chunk in hand.

    The rest of a chunk is never cut anew, so the work is linear in the bytes for any size of
    read. A chunk is let go with its last byte, not when the next one is asked for.

    Parameters
    ----------
    chunks : iterable of bytes-like
        Empty chunks are skipped. Its iterator is closed with the stream, if it can be.
    """

    def __init__(self, chunks: Iterable[BytesLike]) -> None:
        # First of all, for a stream that could not be made is finalised, hence closed, as well.
        self._chunks: Iterator[BytesLike] = iter(())
        self._chunk = b""
        self._start = 0
        self._position = 0
        self._ended = False
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None
        self._chunks = iter(chunks)

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        check_open(self)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        if not self._fill():
            return 0
        size = min(len(buffer), len(self._chunk) - self._start)
        buffer[:size] = memoryview(self._chunk)[self._start : self._start + size]
        self._advance(size)
        return size

    def readall(self) -> bytes:
        return self.take(sys.maxsize)

    def take(self, size: int) -> bytes:
        """Return exactly ``size`` bytes, or what is left; a whole chunk is not copied."""
        parts = []
        while size > 0 and self._fill():
            parts.append(self._chunk[self._start : self._start + size])
            size -= len(parts[-1])
            self._advance(len(parts[-1]))
        return b"".join(parts)

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        self._chunk = b""
        self._error = self._traceback = None
        chunks, self._chunks = self._chunks, iter(())
        close_if_possible(chunks)

    def _fill(self) -> bool:
        """Have at least one byte in hand; False at the end."""
        while self._start == len(self._chunk):
            if self._error is not None:
                # A generator that has raised looks exhausted, so the error has to be kept here.
                # Its first traceback too, or it would grow with every read.
                raise self._error.with_traceback(self._traceback)
            if self._ended:
                return False
            try:
                self._chunk, self._start = as_bytes(next(self._chunks)), 0
            except StopIteration:
                self._ended = True
            except BaseException as error:
                self._error, self._traceback = error, error.__traceback__
                raise
        return True

    def _advance(self, size: int) -> None:
        self._position += size
        self._start += size
        if self._start == len(self._chunk):
            self._chunk, self._start = b"", 0


class BufferIteratorIO(io.BufferedReader):
    """An iterator of chunks, read as a binary file.

    A real buffered reader, so it works wherever one does (`io.TextIOWrapper`,
    `shutil.copyfileobj`), at the speed of one. It cannot seek; ``tell`` gives the bytes read so
    far. Closing it, or forgetting it, closes the iterator. What the iterator raises is raised by
    the read that needed those bytes and by every later one.

    Parameters
    ----------
    iterator : iterable of bytes-like
        The chunks; each is taken when the one before is used up. Empty ones are skipped.

    Notes
    -----
    *Threads*: reads from several threads are serialised; each byte goes to one of them.
    """

    # Nothing is overridden on purpose: one Python call per read would cost more than small reads.

    def __init__(self, iterator: Iterable[BytesLike]) -> None:
        super().__init__(ChunkedRaw(iterator), READ_AHEAD)
