"""Reading packed data from its beginning on, and telling damage.

Only this subpackage imports this module.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from encore.errors import CorruptValueError
from encore.storage.backends.zip.handles import Handle
from encore.storage.backends.zip.headers import DEFLATED, LZMA, STORED
from encore.storage.backends.zip.unpacking import unpacker, unpacking_errors

#: Packed bytes read at a time.
_PIECE = 65536
#: Data unpacked at a time where nobody wants it.
SKIP = 1 << 18

#: Packed bytes: the file, where they begin in it, and their number.
Place = tuple[Handle, int, int]


class PackedData(Protocol):
    """What there is to know of packed data; see `ZipContent`."""

    key: str
    size: int
    method: int
    crc: int

    def place(self) -> Place:
        """Where the packed bytes are."""


class Cursor:
    """Somebody reading data from its beginning on.

    Stored data is read at any place; what is packed is unpacked and thrown away up to there.
    """

    __slots__ = ("_content", "_crc", "_engine", "_handle", "_next", "_stop", "position")

    def __init__(self, content: PackedData) -> None:
        self._content = content
        self._handle, self._next, packed_size = content.place()
        self._stop = self._next + packed_size
        self._engine = None if content.method == STORED else unpacker(content.method, content.size)
        if self._engine is None and packed_size != content.size:
            raise damaged(content.key, "its two sizes differ")
        self._crc: int | None = 0  # None: something was skipped unseen
        self.position = 0

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        """Yield the data from ``start``, which is not before `position`, to ``end``."""
        if self._engine is None and start > self.position:
            self._next += start - self.position
            self.position, self._crc = start, None
        while self.position < start:
            self._some(min(start - self.position, SKIP))
        while self.position < end:
            yield self._some(min(end - self.position, buffer_size))

    def _some(self, most: int) -> bytes:
        """Return the next bytes, up to ``most``; the last ones only if all of them are right."""
        if self._engine is None:
            data = self._handle.read_at(self._next, most)
            self._next += len(data)
        else:
            data = self._unpack(most)
        if not data:
            raise damaged(self._content.key, "it ends too early")
        self.position += len(data)
        if self._crc is not None:
            self._crc = zlib.crc32(data, self._crc)
        if self.position == self._content.size:
            self.finish()
        return data

    def _unpack(self, most: int) -> bytes:
        engine = self._engine
        assert engine is not None
        pieces: list[bytes] = []
        missing = most
        while missing:
            packed = b""
            if engine.is_hungry():
                packed = self._handle.read_at(self._next, min(_PIECE, self._stop - self._next))
                self._next += len(packed)
            try:
                data = engine.give(packed, missing)
            except unpacking_errors() as error:
                raise damaged(self._content.key, str(error)) from error
            if data:
                pieces.append(data)
                missing -= len(data)
            elif engine.is_done() or (not packed and engine.is_hungry()):
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def finish(self) -> None:
        """Check that the data ends where it is declared to end, and is what it was."""
        content, engine = self._content, self._engine
        if engine is not None:
            if self._unpack(1):
                raise damaged(content.key, "there is more of it than declared")
            if not engine.is_done() and content.method != LZMA:  # which need not say so
                raise damaged(content.key, "its end is missing")
        if self._crc is not None and self._crc != content.crc:
            raise damaged(content.key, "its checksum is wrong")


def unpack(packed: bytes, packed_size: int, size: int, method: int, crc: int, key: str) -> bytes:
    """Return data that is all there at once."""
    if len(packed) != packed_size:
        raise damaged(key, "it ends too early")
    if method == STORED:
        data, ended = packed, True
    else:
        engine = unpacker(method, size)
        try:
            data = engine.give(packed, size + 1)
            while method != DEFLATED and len(data) <= size and not engine.is_done():
                more = engine.give(b"", size + 1 - len(data))
                if not more:
                    break
                data += more
        except unpacking_errors() as error:
            raise damaged(key, str(error)) from error
        ended = engine.is_done() or method == LZMA
    if len(data) != size or not ended:
        raise damaged(key, "its size is not the one declared")
    if zlib.crc32(data) != crc:
        raise damaged(key, "its checksum is wrong")
    return data


def damaged(key: str, reason: str) -> CorruptValueError:
    return CorruptValueError(
        f"the data of {key!r} in the archive is damaged: {reason}; "
        "ZipStore.recover saves what is still good",
        key=key,
    )
