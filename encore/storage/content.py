"""Contents: one immutable version of a value's data, and the stream over it.

Small data is plain bytes. Data that a backend does not want to hold in memory is an object that
reads ranges of a version which will not change under it. Everybody in ``storage`` may import this
module.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

BUFFER_SIZE = 1048576


class Content(Protocol):
    """One immutable version of a value's data, read in ranges.

    What a backend supplies for data it does not want to hold in memory. Offsets and sizes are in
    bytes, ends are exclusive, and a range never reaches beyond ``size``. Only a content whose size
    is not told by its value is asked for more than there is.
    """

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self, start: int, end: int) -> bytes:
        """Return exactly the bytes from ``start`` to ``end``."""

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to ``end`` in pieces of up to ``buffer_size``."""

    def close(self) -> None:
        """Give back what holding this version costs; further reads are an error."""


class KeyEntry(NamedTuple):
    """What a listing knows of a key without touching its data.

    Attributes
    ----------
    key : str
    size : int or None
        Bytes; None where it cannot be told without reading the data.
    modified : float
        Seconds since the epoch, UTC.
    token : str
    """

    key: str
    size: int | None
    modified: float
    token: str


class ContentIO(io.RawIOBase):
    """A seekable stream over a range of a content."""

    def __init__(self, content: Content, start: int, end: int) -> None:
        self._content = content
        self._start = start
        self._size = end - start
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}, before the beginning")
        self._position = base + offset
        return self._position

    def readall(self) -> bytes:
        begin = min(self._position, self._size)
        self._position = self._size
        if self.closed:
            raise ValueError("I/O operation on closed value")
        return self._content.read(self._start + begin, self._start + self._size)

    def readinto(self, buffer: Any) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed value")
        view = memoryview(buffer).cast("B")
        begin = min(self._position, self._size)
        end = min(begin + len(view), self._size)
        data = self._content.read(self._start + begin, self._start + end)
        view[: len(data)] = data
        self._position = begin + len(data)
        return len(data)


def clip(start: int | None, end: int | None, size: int) -> tuple[int, int]:
    """Return the range as offsets within ``size``; ValueError for a negative one."""
    if (start is not None and start < 0) or (end is not None and end < 0):
        raise ValueError(f"a range begins and ends at 0 or later, not {start}..{end}")
    stop = size if end is None else min(end, size)
    return min(start or 0, stop), stop
