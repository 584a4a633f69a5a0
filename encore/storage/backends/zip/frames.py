"""What stands in the log of changes that are not in the archive yet.

::

    encore-zip-log 0 1               16 bytes, the last two of them the version
    frame, frame, ...                one for each commit

    frame:  "chng"                   written last, where a commit is prepared first
            CRC-32 of what follows the next two numbers
            length of the list       4 bytes
            length of the data       8 bytes
            the list                 JSON: [key] is removed, and written is [key, metadata, size,
                                     created, modified, token, method, crc, packed size, place]
            the data                 packed, of all that is small

    place:  a number                 where its packed bytes begin in the data of the frame
            [file, number]           where they begin in another file of the side-car
            null                     the data stays as it is

A frame is written by one call, and counts once all of it is there and its checksum is right. What
is behind the last good frame belongs to a commit that did not happen; the next writer cuts it off.

Only this subpackage imports this module.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

HEADER = b"encore-zip-log\0\1"
FRAME = struct.Struct("<4sIIQ")
MAGIC = b"chng"

_quote: Callable[[str], str] = json.encoder.encode_basestring
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Change(NamedTuple):
    """What a key has become; see the head of the module.

    Attributes
    ----------
    text : str
        Metadata as JSON.
    size : int
        Bytes of the data.
    created, modified : float
    token : str
    method, crc, packed_size : int
    file : str or None
        A file of the side-car; "" is the log itself, None says that the data stays.
    offset : int
        Where the packed bytes begin in it.
    """

    text: str
    size: int
    created: float
    modified: float
    token: str
    method: int
    crc: int
    packed_size: int
    file: str | None
    offset: int


# A key that is there has a change, one that was removed has None.
Changes = dict[str, Change | None]
# Metadata as text, size, created, modified, token.
Said = tuple[str, int, float, float, str]
# Method, CRC, packed size.
Packed = tuple[int, int, int]


class Frame:
    """A commit on its way into the log."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._texts: list[str] = []
        self._data: list[bytes] = []
        self._length = 0
        self.start = 0  # of the data, once the frame is encoded

    def remove(self, key: str) -> None:
        self.rows.append((key,))
        self._texts.append(f"[{_quote(key)}]")

    def add(self, key: str, said: Said, packed: Packed, place: Any) -> None:
        """Add a change whose data is in another file, or stays."""
        self._add(key, said, packed, place, "null" if place is None else _encode(place))

    def add_data(self, key: str, said: Said, packed: Packed, data: bytes) -> None:
        """Add a change together with its packed data."""
        self._add(key, said, packed, self._length, str(self._length))
        self._data.append(data)
        self._length += len(data)

    def _add(self, key: str, said: Said, packed: Packed, place: Any, as_json: str) -> None:
        self.rows.append((key, *said, *packed, place))
        text, size, created, modified, token = said
        method, crc, packed_size = packed
        # Putting it together by hand takes a quarter of the time that an encoder takes.
        self._texts.append(
            f"[{_quote(key)},{_quote(text)},{size},{float(created)!r},{float(modified)!r},"
            f"{_quote(token)},{method},{crc},{packed_size},{as_json}]"
        )

    def encode(self) -> bytes:
        """The bytes of the frame."""
        head = f"[{','.join(self._texts)}]".encode()
        self.start = FRAME.size + len(head)
        crc = zlib.crc32(head)
        for data in self._data:
            crc = zlib.crc32(data, crc)
        begin = FRAME.pack(MAGIC, crc, len(head), self._length)
        return b"".join((begin, head, *self._data))
