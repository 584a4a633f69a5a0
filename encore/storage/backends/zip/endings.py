"""The end of an archive, which says where its central directory is.

Only this subpackage imports this module.
"""

from __future__ import annotations

from typing import NamedTuple

from encore.errors import CorruptValueError
from encore.storage.backends.zip.handles import Handle
from encore.storage.backends.zip.headers import (
    CENTRAL_MAGIC,
    END,
    END64,
    END64_MAGIC,
    END_MAGIC,
    LOCATOR,
    LOCATOR_MAGIC,
    MOST16,
    MOST32,
)

_MOST_COMMENT = 0xFFFF


class End(NamedTuple):
    """What the end of an archive says.

    Attributes
    ----------
    entries : int
    offset, size : int
        Of the central directory in the file, in bytes.
    shift : int
        What to add to every offset: the bytes that were put before the archive.
    comment : bytes
    """

    entries: int
    offset: int
    size: int
    shift: int
    comment: bytes


def find_end(handle: Handle, file_size: int) -> End:
    """Find the end of the archive, and the central directory before it.

    Raises
    ------
    CorruptValueError
        There is none, or it cannot be true.
    """
    if file_size == 0:
        return End(0, 0, 0, 0, b"")
    start = max(file_size - _MOST_COMMENT - END.size, 0)
    tail = handle.read_at(start, file_size - start)
    problem = "it has no central directory: it is no zip archive, or was cut off"
    at = tail.rfind(END_MAGIC)
    while at >= 0:  # a comment may contain what looks like the end
        if at + END.size <= len(tail):
            end = _read_end(handle, tail, at, start)
            if end is not None:
                return end
            problem = "its end says that the central directory is where there is none"
        at = tail.rfind(END_MAGIC, 0, at)
    raise CorruptValueError(problem)


def _read_end(handle: Handle, tail: bytes, at: int, start: int) -> End | None:
    """What the end at this place of the tail says, if that can be true."""
    _, _, _, _, count, size, offset, length = END.unpack_from(tail, at)
    comment = tail[at + END.size : at + END.size + length]
    if len(comment) != length:
        return None
    place = start + at
    end = End(count, offset, size, 0, comment)
    if MOST32 in (size, offset) or count == MOST16:
        wide = _find_wide(handle, place)
        if wide is not None:
            place, end = wide[0], wide[1]._replace(comment=comment)
    shift = place - end.size - end.offset
    if shift < 0 or end.size > place:
        return None
    end = end._replace(offset=end.offset + shift, shift=shift)
    begins = handle.read_at(end.offset, 4) if end.size else CENTRAL_MAGIC
    return end if begins == CENTRAL_MAGIC else None


def _find_wide(handle: Handle, place: int) -> tuple[int, End] | None:
    """The zip64 record of the end, if there is one: where it is, and what it says."""
    locator = handle.read_at(max(place - LOCATOR.size, 0), LOCATOR.size)
    if len(locator) < LOCATOR.size or locator[:4] != LOCATOR_MAGIC:
        return None
    _, disk, offset, disks = LOCATOR.unpack(locator)
    if disk or disks > 1:
        raise CorruptValueError("it is one of several volumes")
    near = place - LOCATOR.size - END64.size
    for at in (offset, near):  # the offset is wrong where something was put before the archive
        record = handle.read_at(at, END64.size) if at >= 0 else b""
        if len(record) == END64.size and record[:4] == END64_MAGIC:
            *_, count, size, directory = END64.unpack(record)
            return at, End(count, directory, size, 0, b"")
    raise CorruptValueError("the zip64 record of its end is not where it should be")
