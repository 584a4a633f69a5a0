"""Headers and records of a zip file, written.

Source: see `headers`. Only this subpackage imports this module.
"""

from __future__ import annotations

import struct

from encore.errors import CorruptValueError
from encore.storage.backends.zip.headers import (
    BZIP2,
    CENTRAL,
    CENTRAL_MAGIC,
    DEFLATED,
    END,
    END64,
    END64_MAGIC,
    END_MAGIC,
    LOCAL,
    LOCAL_MAGIC,
    LOCATOR,
    LOCATOR_MAGIC,
    LZMA,
    MOST16,
    MOST32,
    STORED,
    ZIP64,
    Entry,
    fields,
    pack_field,
    widen,
)

# Made on Unix, where the upper half of the attributes are those of a file.
_UNIX, _REGULAR_FILE = 3 << 8, 0o100644 << 16


def local_header(entry: Entry) -> bytes:
    """The header before the data. ``entry.extra`` is without a zip64 field."""
    extra, size, packed_size, needed = entry.extra, entry.size, entry.packed_size, 20
    if size >= MOST32 or packed_size >= MOST32:
        wide = size.to_bytes(8, "little") + packed_size.to_bytes(8, "little")
        extra, size, packed_size, needed = extra + pack_field(ZIP64, wide), MOST32, MOST32, 45
    fixed = LOCAL.pack(
        LOCAL_MAGIC, _needed(entry, needed), entry.flags, entry.method, entry.stamp & MOST16,
        entry.stamp >> 16, entry.crc, packed_size, size, len(entry.name), len(extra),
    )  # fmt: skip
    return fixed + entry.name + extra


def central_record(entry: Entry) -> bytes:
    """The record of the central directory; see `local_header`."""
    extra, needed, wide = entry.extra, 20, b""
    numbers = []
    for value in (entry.size, entry.packed_size, entry.offset):
        if value >= MOST32:
            wide += value.to_bytes(8, "little")
            value = MOST32
        numbers.append(value)
    if wide:
        extra, needed = extra + pack_field(ZIP64, wide), 45
    size, packed_size, offset = numbers
    needed = _needed(entry, needed)
    fixed = CENTRAL.pack(
        CENTRAL_MAGIC, _UNIX | needed, needed, entry.flags, entry.method, entry.stamp & MOST16,
        entry.stamp >> 16, entry.crc, packed_size, size, len(entry.name), len(extra),
        0, 0, 0, _REGULAR_FILE, offset,
    )  # fmt: skip
    return fixed + entry.name + extra


def _needed(entry: Entry, needed: int) -> int:
    """The version of the format that a reader has to know."""
    method = entry.method
    if method in (DEFLATED, STORED):
        return needed
    return max(needed, {BZIP2: 46, LZMA: 63}.get(method, needed))


def moved_record(directory: bytes, at: int, end: int, offset: int) -> bytes:
    """A record as it stands, but for the offset of its local header."""
    if offset < MOST32 and directory[at + 42 : at + 46] != b"\xff\xff\xff\xff":
        return directory[at : at + 42] + offset.to_bytes(4, "little") + directory[at + 46 : end]
    record = bytearray(directory[at:end])
    name_length, extra_length = struct.unpack_from("<2H", record, 28)
    sizes = struct.unpack_from("<2I", record, 20)
    extra = at + CENTRAL.size + name_length
    fields_before = directory[extra : extra + extra_length]
    others = b"".join(pack_field(k, field) for k, field in fields(fields_before) if k != ZIP64)
    packed_size, size = sizes
    size, packed_size, _ = widen(fields_before, size, packed_size, 0)
    wide = b"".join(
        value.to_bytes(8, "little")
        for value, short in ((size, sizes[1]), (packed_size, sizes[0]))
        if short == MOST32
    )
    if offset >= MOST32:
        wide += offset.to_bytes(8, "little")
        struct.pack_into("<H", record, 6, max(45, struct.unpack_from("<H", record, 6)[0]))
    new = (pack_field(ZIP64, wide) if wide else b"") + others
    if len(new) > MOST16:
        raise CorruptValueError("the extra fields of an entry leave no room for its place")
    struct.pack_into("<H", record, 30, len(new))
    struct.pack_into("<I", record, 42, min(offset, MOST32))
    start = CENTRAL.size + name_length
    return bytes(record[:start]) + new + bytes(record[start + extra_length :])


def end_of_archive(count: int, offset: int, size: int, comment: bytes) -> bytes:
    """What follows the central directory: ``size`` bytes of it, from ``offset``."""
    wide = b""
    if count >= MOST16 or offset >= MOST32 or size >= MOST32:
        wide = END64.pack(END64_MAGIC, 44, _UNIX | 45, 45, 0, 0, count, count, size, offset)
        wide += LOCATOR.pack(LOCATOR_MAGIC, 0, offset + size, 1)
    short = min(count, MOST16)
    return (
        wide
        + END.pack(
            END_MAGIC, 0, 0, short, short, min(size, MOST32), min(offset, MOST32), len(comment)
        )
        + comment
    )
