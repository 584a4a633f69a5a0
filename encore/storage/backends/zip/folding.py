"""Rewriting the archive with all changes in it; nothing that stays is unpacked or packed.

What did not change is copied as it stands, headers and all, in runs as long as they can be, and its
records in the directory with it. What did change follows, its packed bytes copied from where they
were written when they arrived. Bytes that no entry claims are left behind.

Only this subpackage imports this module.
"""

from __future__ import annotations

import math
import os
import zlib
from contextlib import suppress

from encore.storage.backends.zip.extents import Kept, runs, what_stays
from encore.storage.backends.zip.frames import Change
from encore.storage.backends.zip.handles import CREATE, Handle, Output
from encore.storage.backends.zip.headers import LOCAL_MAGIC, STORED, UTF8, Entry
from encore.storage.backends.zip.marks import (
    ELSEWHERE,
    HAS_KEY,
    NO_KEY,
    Mark,
    is_too_long,
    name_of,
    write_elsewhere,
    write_mark,
)
from encore.storage.backends.zip.records import (
    central_record,
    end_of_archive,
    local_header,
    moved_record,
)
from encore.storage.backends.zip.stamps import time_field, to_stamp
from encore.storage.backends.zip.views import View
from encore.storage.transactions.owners import new_token

_APART = ".encore/metadata-"
# Bits of the flags that say how data was packed.
_PACKING_BITS = 0x6


def write_archive(view: View, new: str, *, durable: bool) -> None:
    """Write the archive that a view amounts to.

    Parameters
    ----------
    view : View
    new : str
        Where to; on the volume of the old archive.
    durable : bool
        Whether to wait for the disk.
    """
    _remove(new)  # what is left of one that failed
    try:
        target = Handle(os.open(new, CREATE, 0o666))
        if os.fstat(target.descriptor).st_mode & 0o7777 != view.archive.mode:
            os.chmod(new, view.archive.mode)
        Fold(view, Output(target)).run()
        if durable:
            os.fsync(target.descriptor)
    except BaseException:
        _remove(new)
        raise


def put_in_place(new: str, path: str, *, durable: bool) -> None:
    """Have a new archive take the place of the old one."""
    try:
        os.replace(new, path)
    except BaseException:
        _remove(new)
        raise
    if durable:
        with suppress(PermissionError):  # Windows opens no directories
            descriptor = os.open(os.path.dirname(path), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


class Fold:
    """One rewriting of an archive."""

    def __init__(self, view: View, output: Output) -> None:
        self._view = view
        self._archive = view.archive
        self._directory = view.archive.directory
        self._output = output
        self._central: list[bytes] = []
        self._count = 0
        self._names: set[bytes] | None = None
        log = view.log
        self._log = self._archive.handle if log is None else log.handle

    def run(self) -> None:
        kept = what_stays(self._view)
        self._copy_front()
        self._copy(kept)
        for key, change in self._view.changes.items():
            if change is not None:
                self._add(key, change, kept)
        start = self._output.position
        for records in self._central:
            self._output.write(records)
        size = self._output.position - start
        self._output.write(end_of_archive(self._count, start, size, self._archive.end.comment))
        self._output.flush()

    # -- what stays -------------------------------------------------------------------------------

    def _copy_front(self) -> None:
        """Copy what was put before the archive: the line or program that makes it one to start."""
        offset = min(
            (self._archive.entry(at).offset for at in self._directory.places.values()),
            default=self._archive.end.offset,
        )
        for at in (*self._directory.others.values(), *self._directory.apart.values()):
            offset = min(offset, self._archive.entry(at).offset)
        if offset and self._archive.handle.read_at(0, 4) != LOCAL_MAGIC:
            self._output.copy(self._archive.handle, 0, offset)

    def _copy(self, kept: list[Kept]) -> None:
        """Copy entries, those that stand together at once, and their records."""
        data, shift = self._directory.data, self._archive.end.shift
        for run in runs(kept):
            start, end = run[0].start, run[-1].end
            moved = self._output.position - start
            self._output.copy(self._archive.handle, start, end - start)
            first = last = run[0].at
            for entry in run:
                at, stop = entry.at, self._directory.end_of(entry.at)
                if moved or shift:
                    self._central.append(moved_record(data, at, stop, entry.start + moved))
                elif at == last:
                    last = stop
                else:
                    self._central.append(data[first:last])
                    first, last = at, stop
            self._central.append(data[first:last])
        self._count += len(kept)

    # -- what is new ------------------------------------------------------------------------------

    def _add(self, key: str, change: Change, kept: list[Kept]) -> None:
        flags = 0
        if change.file == "":  # the usual case, which needs no object
            method, crc, size = change.method, change.crc, change.size
            place = (self._log, change.offset, change.packed_size)
        else:
            content = self._view.content(key, change)
            if content is None:
                return
            method, crc, size, place = content.method, content.crc, content.size, content.place()
            old = self._view.entry(key) if change.file is None else None
            if old is not None:
                flags = old.flags & _PACKING_BITS
        name = name_of(key)
        if not name.isascii() or b"%=" in name:
            name = self._free_name(name, kept)
        kind, other = (0, None) if name == key.encode() else (HAS_KEY, key)
        mark = Mark(kind, other, crc, change.created, change.modified, change.token, change.text)
        if is_too_long(mark):
            elsewhere = self._add_apart(mark, kept)
            mark = mark._replace(kind=kind | ELSEWHERE, elsewhere=elsewhere)
        self._begin(name, flags, method, crc, place[2], size, mark)
        self._output.copy(*place)

    def _add_apart(self, mark: Mark, kept: list[Kept]) -> bytes:
        """Keep metadata that is too long for a field in an entry of its own."""
        name = self._free_name((_APART + new_token()).encode(), kept)
        data = write_elsewhere(mark.token, mark.text)
        crc = zlib.crc32(data)
        own = Mark(NO_KEY, None, crc, mark.created, mark.modified, "", "{}")
        self._begin(name, 0, STORED, crc, len(data), len(data), own)
        self._output.write(data)
        return name

    def _begin(
        self,
        name: bytes,
        flags: int,
        method: int,
        crc: int,
        packed_size: int,
        size: int,
        mark: Mark,
    ) -> None:
        """Write the header of an entry, and note its record."""
        if not name.isascii():
            flags |= UTF8
        second = math.floor(mark.modified)
        extra = write_mark(mark) + time_field(second)
        stamp, offset = to_stamp(second), self._output.position
        entry = Entry(name, flags, method, stamp, crc, packed_size, size, offset, extra)
        self._output.write(local_header(entry))
        self._central.append(central_record(entry))
        self._count += 1

    def _free_name(self, name: bytes, kept: list[Kept]) -> bytes:
        """A name that no entry has: another program may have used an odd one for another key."""
        if self._names is None:
            self._names = {self._archive.entry(entry.at).name for entry in kept}
        number, free = 0, name
        while free in self._names:
            number += 1
            free = name + b"%%=~%d" % number
        self._names.add(free)
        return free
