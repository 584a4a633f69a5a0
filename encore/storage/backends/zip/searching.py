"""Searching a file for entries, without a central directory.

Only this subpackage imports this module.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from encore.errors import CorruptValueError, EncoreError, InvalidKeyError
from encore.keys.rules import check_key
from encore.storage.backends.zip.contents import ZipContent
from encore.storage.backends.zip.cursors import Place
from encore.storage.backends.zip.handles import Handle
from encore.storage.backends.zip.headers import (
    DEFLATED,
    DESCRIBED,
    DESCRIPTOR_MAGIC,
    LOCAL,
    LOCAL_MAGIC,
    STORED,
    Entry,
    decode_name,
    wide_sizes,
)
from encore.storage.backends.zip.marks import NO_KEY, Mark, mark_of

_PIECE = 1 << 20
#: Above this no program has made headers yet: 6.3.
_NEWEST = 63


class Found(NamedTuple):
    """A good entry that was found.

    Attributes
    ----------
    key : str or None
        None for what is no key.
    mark : Mark or None
        None where it is damaged.
    entry : Entry
    content : ZipContent
    """

    key: str | None
    mark: Mark | None
    entry: Entry
    content: ZipContent


def content_at(place: Place, key: str, size: int, method: int, crc: int) -> ZipContent:
    """The content whose packed bytes are at this place."""
    return ZipContent(key, size, method, crc, lambda: place)


def prove(content: ZipContent) -> None:
    """Read all of the data; raises what is wrong with it."""
    for _ in content.chunks(0, content.size, _PIECE):
        pass


def search(handle: Handle) -> Iterator[Found | str]:
    """Yield the good entries as they are, the bad ones by their key."""
    size = os.fstat(handle.descriptor).st_size
    at = _next(handle, LOCAL_MAGIC, 0, size)
    while at is not None:
        end = at + 4
        header = _header(handle, at, size)
        if header is not None:
            entry, start = header
            try:
                found, end = _examine(handle, entry, start, size)
                yield found
            except EncoreError:
                key = _key_of(entry)
                if key is not None:
                    yield key
        at = _next(handle, LOCAL_MAGIC, end, size)


def _next(handle: Handle, magic: bytes, at: int, size: int) -> int | None:
    """Where these four bytes come next."""
    while at < size:
        piece = handle.read_at(at, _PIECE + 3)
        found = piece.find(magic)
        if found >= 0:
            return at + found
        at += _PIECE
    return None


def _header(handle: Handle, at: int, size: int) -> tuple[Entry, int] | None:
    """The header at this place and where the data begins; None if that cannot be one."""
    data = handle.read_at(at, LOCAL.size)
    if len(data) < LOCAL.size:
        return None
    (
        _, needed, flags, method, clock, date, crc, packed_size, data_size, name_length,
        extra_length,
    ) = LOCAL.unpack(data)  # fmt: skip
    start = at + LOCAL.size + name_length + extra_length
    if needed & 0xFF > _NEWEST or not name_length or start > size:
        return None
    rest = handle.read_at(at + LOCAL.size, name_length + extra_length)
    name, extra = rest[:name_length], rest[name_length:]
    data_size, packed_size = wide_sizes(extra, data_size, packed_size)
    stamp = date << 16 | clock
    return Entry(name, flags, method, stamp, crc, packed_size, data_size, at, extra), start


def _key_of(entry: Entry) -> str | None:
    try:
        mark: Mark | None = mark_of(entry)
    except EncoreError:
        mark = None
    if mark is not None and mark.kind & NO_KEY:
        return None
    key = mark.key if mark is not None and mark.key else None
    key = key or decode_name(entry.name, entry.flags, entry.extra, unix=True)
    try:
        check_key(key)
    except InvalidKeyError:
        return None
    is_directory = entry.name.endswith(b"/") and not entry.size and not entry.packed_size
    return None if is_directory else key


def _examine(handle: Handle, entry: Entry, start: int, size: int) -> tuple[Found, int]:
    """Read the data that begins at ``start``, and return the entry with where it ends."""
    if not entry.is_readable:
        raise CorruptValueError("encrypted data cannot be checked")
    if entry.flags & DESCRIBED and not entry.packed_size:
        entry = _measure(handle, entry, start, size)
    end = start + entry.packed_size
    if end > size:
        raise CorruptValueError("the file ends before the data does")
    key = _key_of(entry)
    place = (handle, start, entry.packed_size)
    content = content_at(place, key or "", entry.size, entry.method, entry.crc)
    prove(content)
    try:
        return Found(key, mark_of(entry), entry, content), end
    except EncoreError:
        return Found(key, None, entry, content), end


def _measure(handle: Handle, entry: Entry, start: int, size: int) -> Entry:
    """Find out sizes that the header does not say, because they were not known yet."""
    if entry.method == DEFLATED:
        return _inflate(handle, entry, start, size)
    if entry.method != STORED:
        raise CorruptValueError("where the data ends is written in the directory only")
    at = _next(handle, DESCRIPTOR_MAGIC, start, size)
    while at is not None:  # the right one says how far away it is
        told = handle.read_at(at + 4, 20)
        for width in (4, 8):
            packed_size = int.from_bytes(told[4 : 4 + width], "little")
            if packed_size == at - start:
                crc = int.from_bytes(told[:4], "little")
                return entry._replace(crc=crc, packed_size=packed_size, size=packed_size)
        at = _next(handle, DESCRIPTOR_MAGIC, at + 4, size)
    raise CorruptValueError("where the data ends is written in the directory only")


def _inflate(handle: Handle, entry: Entry, start: int, size: int) -> Entry:
    """Deflated data says itself where it ends; what it is to be stands behind it."""
    engine = zlib.decompressobj(-15)
    at, found, crc = start, 0, 0
    waiting = b""
    while not engine.eof:
        if not waiting:
            waiting = handle.read_at(at, min(65536, size - at))
            if not waiting:
                raise CorruptValueError("the file ends before the data does")
            at += len(waiting)
        try:
            data = engine.decompress(waiting, _PIECE)
        except zlib.error as error:
            raise CorruptValueError(str(error)) from error
        waiting = engine.unconsumed_tail
        found += len(data)
        crc = zlib.crc32(data, crc)
    packed_size = at - len(engine.unused_data) - start
    descriptor = handle.read_at(start + packed_size, 8)
    wanted = descriptor[4:] if descriptor[:4] == DESCRIPTOR_MAGIC else descriptor[:4]
    if int.from_bytes(wanted, "little") != crc:
        raise CorruptValueError("its checksum is wrong")
    return entry._replace(crc=crc, packed_size=packed_size, size=found)
