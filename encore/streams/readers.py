"""Readers over a reader: one that hashes what passes, one that sees only a range.

Both are real `io` objects and take from their source no more than was asked of them (a range: no
more than the range). Neither closes its source unless told to: who opens it closes it. Anybody may
import this through `encore.streams`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from encore.streams.buffers import READ_AHEAD, buffer_iterator
from encore.streams.chunks import (
    BUFFER_SIZE,
    BinarySource,
    as_bytes,
    check_open,
    check_size,
    check_source,
    close_if_possible,
    read_chunk,
)


class Hash(Protocol):
    """What is needed of a hash object: those of `hashlib`, or one like them."""

    def update(self, data: bytes, /) -> object: ...
    def digest(self) -> bytes: ...
    def hexdigest(self) -> str: ...


def hash_chunks(chunks: Iterable[bytes], hasher: Hash) -> Iterator[bytes]:
    """Yield the chunks unchanged, each after the hash has seen it."""
    for chunk in chunks:
        hasher.update(chunk)
        yield chunk


class HashingReader(io.BufferedIOBase):
    """A reader that knows the hash and the size of what has been read through it.

    Nothing is read ahead: hash, size and the source's own position always stand at the last byte
    handed out.

    Parameters
    ----------
    filelike : binary file-like
        What to read, from where it stands.
    algorithm : str
        A name that `hashlib.new` knows.
    close_source : bool
        Whether closing the reader closes the source.
    """

    # Until a constructor is through: a half-made stream is finalised, hence closed, as well.
    _close_source = False

    def __init__(
        self, filelike: BinarySource, algorithm: str = "sha256", *, close_source: bool = False
    ) -> None:
        import hashlib  # loads OpenSSL; importing the room should not

        check_source(filelike)
        self._source = filelike
        self._hash: Hash = hashlib.new(algorithm)
        self.algorithm = algorithm
        self.size = 0
        """Bytes read so far."""
        self._close_source = close_source

    def digest(self) -> bytes:
        """Return the hash of the bytes read so far."""
        return self._hash.digest()

    def hexdigest(self) -> str:
        """Return the hash of the bytes read so far, in lower-case hexadecimal digits."""
        return self._hash.hexdigest()

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def read(self, size: int | None = -1, /) -> bytes:
        check_open(self)
        wanted = None if size is None or size < 0 else size
        chunks = buffer_iterator(self._source, BUFFER_SIZE, max_bytes=wanted)
        return self._seen(b"".join(chunks))

    def read1(self, size: int = -1, /) -> bytes:
        check_open(self)
        return self._seen(read_chunk(self._source, READ_AHEAD if size < 0 else size))

    def readline(self, size: int | None = -1, /) -> bytes:
        check_open(self)
        readline = getattr(self._source, "readline", None)
        if readline is None:
            return super().readline(size)  # byte by byte: the source cannot take any back
        return self._seen(as_bytes(readline(-1 if size is None else size)))

    def close(self) -> None:
        if not self.closed:
            super().close()
            if self._close_source:
                close_if_possible(self._source)

    def _seen(self, data: bytes) -> bytes:
        self._hash.update(data)
        self.size += len(data)
        return data


class RangeReader(io.BufferedReader):
    """The bytes ``start`` to ``end`` of a source, as a stream of their own.

    Over a seekable source it seeks, to begin with and before every access, so that several
    ranges may share one file (in one thread), and can seek itself. Over a plain stream the bytes
    before ``start`` are read and dropped. A source that is shorter gives a shorter range.

    Parameters
    ----------
    filelike : binary file-like
        The source.
    start : int
        The first byte, counted from the beginning of a seekable source, otherwise from where the
        stream stands.
    end : int, optional
        One past the last byte. To the end of the source if not given.
    close_source : bool
        Whether closing the reader closes the source.

    Raises
    ------
    ValueError
        If ``start`` is negative or ``end`` comes before it.
    """

    def __init__(
        self,
        filelike: BinarySource,
        start: int,
        end: int | None = None,
        *,
        close_source: bool = False,
    ) -> None:
        check_source(filelike)
        check_size("start", start, at_least=0)
        if end is not None:
            check_size("end", end, at_least=start)
        super().__init__(_RangeRaw(filelike, start, end, close_source), READ_AHEAD)


class _RangeRaw(io.RawIOBase):
    """The range without a buffer; ``_position`` counts from its first byte."""

    _close_source = False  # as above

    def __init__(self, source: Any, start: int, end: int | None, close_source: bool) -> None:
        self._source = source
        self._start = start
        self._length = None if end is None else end - start
        self._position = 0
        seekable = getattr(source, "seekable", None)
        self._seeks = seekable is not None and seekable()
        self._to_skip = 0 if self._seeks else start
        self._close_source = close_source

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seeks

    def tell(self) -> int:
        check_open(self)
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if not self._seeks:
            raise io.UnsupportedOperation("the source of this range cannot seek")
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            offset += self._size()
        if offset < 0:
            raise ValueError(f"cannot seek to {offset}, before the beginning of the range")
        self._position = offset
        return offset

    def readinto(self, buffer: Any, /) -> int:
        size = len(buffer)
        if self._length is not None:
            size = min(size, self._length - self._position)
        if size <= 0:
            return 0
        if self._seeks:
            self._source.seek(self._start + self._position)
        else:
            self._skip()
        data = read_chunk(self._source, size)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            if self._close_source:
                close_if_possible(self._source)

    def _size(self) -> int:
        end: int = self._source.seek(0, io.SEEK_END)
        available = max(0, end - self._start)
        return available if self._length is None else min(available, self._length)

    def _skip(self) -> None:
        while self._to_skip:
            skipped = len(read_chunk(self._source, min(self._to_skip, BUFFER_SIZE)))
            if not skipped:
                return  # shorter than start: what follows reads the end again
            self._to_skip -= skipped
