"""The data of values: where the packed bytes are, and how they become data again.

A content refers to an open file and never to a name, so it is one version for as long as anybody
holds it. What is packed can only be unpacked from its beginning: a content remembers how far its
readers have come, so that reading on does not begin anew.

Only this subpackage imports this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from encore.storage.backends.zip.cursors import SKIP, Cursor, Place, unpack

#: Data up to this size, in bytes, is unpacked in one go.
_AT_ONCE = 1 << 20
_MOST_CURSORS = 4


class ZipContent:
    """Packed data in an open file.

    Parameters
    ----------
    key : str
        For messages.
    size : int
        Bytes of the data, as declared.
    method : int
    crc : int
        CRC-32 of the data, as declared.
    locate : callable
        Returns the place of the packed bytes; it may raise what is wrong with the entry.

    Notes
    -----
    *Threads*: a content belongs to one thread at a time.
    """

    __slots__ = ("_cursors", "_locate", "_place", "crc", "key", "method", "size")

    def __init__(
        self, key: str, size: int, method: int, crc: int, locate: Callable[[], Place]
    ) -> None:
        self.key = key
        self.size = size
        self.method = method
        self.crc = crc
        self._locate = locate
        self._place: Place | None = None
        self._cursors: list[Cursor] = []

    def place(self) -> Place:
        """Where the packed bytes are.

        Raises
        ------
        CorruptValueError, UnsupportedError
            They cannot be read.
        """
        if self._place is None:
            self._place = self._locate()
        return self._place

    def read(self, start: int, end: int) -> bytes:
        if start >= end:
            if self.size == 0:
                self.check_empty()
            return b""
        if start == 0 and end == self.size <= _AT_ONCE:
            handle, offset, packed_size = self.place()
            if packed_size <= 2 * _AT_ONCE:
                packed = handle.read_at(offset, packed_size)
                return unpack(packed, packed_size, self.size, self.method, self.crc, self.key)
        return b"".join(self._cursor(start).chunks(start, end, SKIP))

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        if self.size == 0:
            self.check_empty()
        if start < end:
            yield from Cursor(self).chunks(start, end, buffer_size)

    def check_empty(self) -> None:
        """Check that data which is declared to be empty is."""
        Cursor(self).finish()

    def _cursor(self, start: int) -> Cursor:
        """The reader who is nearest before ``start``, or a new one."""
        best = None
        for cursor in self._cursors:
            if cursor.position <= start and (best is None or cursor.position > best.position):
                best = cursor
        if best is None or (best.position != start and len(self._cursors) < _MOST_CURSORS):
            best = Cursor(self)
            self._cursors.append(best)
            if len(self._cursors) > _MOST_CURSORS:
                del self._cursors[0]
        return best

    def share(self) -> ZipContent:
        """The same data for somebody else, who may outlive this and will close it."""
        place = self._place
        locate = self._locate if place is None else lambda: place
        return ZipContent(self.key, self.size, self.method, self.crc, locate)

    def close(self) -> None:
        self._cursors.clear()
        self._place = None
        self._locate = _closed


def _closed() -> Place:
    raise ValueError("I/O operation on closed value")


class StagedContent(ZipContent):
    """Packed data in a file of the side-car, not yet under any key.

    Attributes
    ----------
    spool : Spool
        The file it is in.
    """

    __slots__ = ("_discard", "spool")

    def __init__(
        self,
        spool: Any,
        place: Place,
        size: int,
        method: int,
        crc: int,
        discard: Callable[[], None] | None,
    ) -> None:
        super().__init__("", size, method, crc, lambda: place)
        self.spool = spool
        self._discard = discard

    def discard(self) -> None:
        discard, self._discard = self._discard, None
        if discard is not None:
            discard()
