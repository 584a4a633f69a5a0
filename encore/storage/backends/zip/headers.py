"""The structures of a zip file, and how to read them; nothing of files, nothing of encore.

Source: APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT. All numbers
are little-endian. What is read is copied out of a central directory that is kept in memory as it
stands in the file: a tuple for each of a million entries would take longer to make than to need.

Only this subpackage imports this module.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
END64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR = struct.Struct("<4sIQI")
LOCAL_MAGIC, CENTRAL_MAGIC = b"PK\3\4", b"PK\1\2"
END_MAGIC, END64_MAGIC, LOCATOR_MAGIC = b"PK\5\6", b"PK\6\6", b"PK\6\7"
DESCRIPTOR_MAGIC = b"PK\7\x08"
EMPTY_ARCHIVE = END.pack(END_MAGIC, 0, 0, 0, 0, 0, 0, 0)

STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
ENCRYPTED, DESCRIBED, PATCHED, STRONGLY, UTF8 = 0x1, 0x8, 0x20, 0x40, 0x800
HIDDEN = 0x2000  # the local header does not say the truth, for secrecy

#: What does not fit into 32 bits, or into 16, stands in an extra field.
MOST32, MOST16 = 0xFFFFFFFF, 0xFFFF
ZIP64, _UNICODE_NAME = b"\x01\x00", b"up"
#: In the upper byte of the version of who made an entry: Unix, and the one of Apple.
UNIX_SYSTEMS = (3, 19)


class Entry(NamedTuple):
    """A record of the central directory, zip64 fields resolved.

    Attributes
    ----------
    name : bytes
        As it stands in the file.
    flags, method : int
    stamp : int
        Date and time as DOS has them, in one number.
    crc, packed_size, size : int
        Sizes in bytes.
    offset : int
        Of the local header, as the record says it.
    extra : bytes
    """

    name: bytes
    flags: int
    method: int
    stamp: int
    crc: int
    packed_size: int
    size: int
    offset: int
    extra: bytes

    @property
    def is_readable(self) -> bool:
        return not self.flags & (ENCRYPTED | STRONGLY | PATCHED | HIDDEN)


def read_entry(directory: bytes, at: int) -> Entry:
    """Return the record that begins at ``at``."""
    (
        _, _, _, flags, method, clock, date, crc, packed_size, size, name_length, extra_length,
        _, _, _, _, offset,
    ) = CENTRAL.unpack_from(directory, at)  # fmt: skip
    start = at + CENTRAL.size
    name = directory[start : start + name_length]
    extra = directory[start + name_length : start + name_length + extra_length]
    if MOST32 in (packed_size, size, offset):
        size, packed_size, offset = widen(extra, size, packed_size, offset)
    stamp = date << 16 | clock
    return Entry(name, flags, method, stamp, crc, packed_size, size, offset, extra)


def widen(extra: bytes, *values: int) -> list[int]:
    """Take from the zip64 field the numbers that did not fit, in their fixed order."""
    for kind, field in fields(extra):
        if kind == ZIP64:
            at = 0
            found = []
            for value in values:
                if value == MOST32 and at + 8 <= len(field):
                    value = int.from_bytes(field[at : at + 8], "little")
                    at += 8
                found.append(value)
            return found
    return [*values]


def wide_sizes(extra: bytes, size: int, packed_size: int) -> tuple[int, int]:
    """The sizes of a local header, zip64 fields resolved."""
    size, packed_size = widen(extra, size, packed_size)
    return size, packed_size


def fields(extra: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The extra fields: their two bytes of kind, and what is in them. Damage ends them."""
    at = 0
    while at + 4 <= len(extra):
        length = int.from_bytes(extra[at + 2 : at + 4], "little")
        if at + 4 + length > len(extra):
            return
        yield extra[at : at + 2], extra[at + 4 : at + 4 + length]
        at += 4 + length


def pack_field(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(2, "little") + content


def decode_name(name: bytes, flags: int, extra: bytes, *, unix: bool) -> str | None:
    """Return a name as text, or None if it is damaged.

    Where nothing says what the bytes mean they are in the code page of DOS; but ``unix`` programs
    leave names in the encoding of the system, which is UTF-8.
    """
    if name.isascii():
        return name.decode("ascii")
    if flags & UTF8 or unix:
        try:
            return name.decode()
        except UnicodeDecodeError:
            if flags & UTF8:
                return None
    for kind, field in fields(extra):
        # Info-ZIP: the name in UTF-8 beside the one for old programs, if that is still the same.
        if kind == _UNICODE_NAME and field[1:5] == zlib.crc32(name).to_bytes(4, "little"):
            try:
                return field[5:].decode()
            except UnicodeDecodeError:
                break
    return name.decode("cp437")
