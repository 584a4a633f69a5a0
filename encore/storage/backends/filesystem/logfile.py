"""A file of records that only grows: each on one line, under a checksum.

Others may read it while it is written: a line without its end, or that its checksum does not fit,
is not there yet. Nothing that has been read is ever taken back, so its length says whether there is
more. A file in the place of it, which somebody has written to have it shorter, is known by
this one having no name any more. Only this subpackage imports this module.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from itertools import takewhile
from zlib import crc32

from encore.errors import CorruptValueError
from encore.storage.backends.filesystem.system import (
    APPEND,
    READ,
    Folder,
    exists_at,
    open_at,
    read_all,
    rename_at,
    sync_folder,
    unlink_at,
    write_all,
)

_log = logging.getLogger("encore.storage")
_CRC = 9  # eight digits and a blank


class LogFile:
    """A log in a folder; see `VersionLog`.

    Parameters
    ----------
    name : str
    find, make : callable
        Return the folder: the one that is there, or None; and one that is made if it is missing.
    durable : bool
        Whether to wait for the disk.
    translated : callable
        ``translated(operation, writing=...)`` makes the store's errors of the system's.

    Notes
    -----
    *Threads*: one at a time, but for `is_current`.
    """

    def __init__(
        self,
        name: str,
        find: Callable[[], Folder | None],
        make: Callable[[], Folder],
        durable: bool,
        translated: Callable[..., AbstractContextManager[None]],
    ) -> None:
        self._name = name
        self._find = find
        self._make = make
        self._durable = durable
        self._translated = translated
        self._descriptor = -1
        self._last = 0  # where the record begins that was read last
        self.size = 0

    def exists(self) -> bool:
        return self._find() is not None

    def is_current(self) -> bool:
        if self._descriptor < 0:
            folder = self._find()
            return folder is None or not exists_at(folder, self._name)
        found = os.fstat(self._descriptor)
        return found.st_size == self.size and found.st_nlink > 0

    # -- reading ----------------------------------------------------------------------------------

    def read(self, *, mend: bool) -> tuple[bool, list[bytes]]:
        with self._translated("open", writing=False):
            return self._read(mend)

    def _read(self, mend: bool) -> tuple[bool, list[bytes]]:
        is_new = self._descriptor < 0 or self._is_replaced()
        if is_new:
            self.close()
            self.size = 0
            folder = self._find()
            if folder is None:
                return True, []
            try:
                self._descriptor = open_at(folder, self._name, APPEND & ~os.O_CREAT)
            except FileNotFoundError:
                return True, []
            except PermissionError:
                self._descriptor = open_at(folder, self._name, READ)
        os.lseek(self._descriptor, self.size, os.SEEK_SET)
        lines = read_all(self._descriptor).splitlines(keepends=True)
        records = [line[_CRC:-1] for line in takewhile(_is_whole, lines)]
        count = len(records)
        if count:
            self.size += sum(map(len, lines[:count]))
            self._last = self.size - len(lines[count - 1])
        is_damaged = any(map(_is_whole, lines[count:]))  # a crash leaves nothing behind it
        if is_damaged or (mend and count < len(lines)):
            self._mend(is_damaged)
        return is_new, records

    def _mend(self, is_damaged: bool) -> None:
        """Remove what a crash has left of a record."""
        if is_damaged:
            raise CorruptValueError(
                f"the log of the history is damaged at byte {self.size}; move .encore/history "
                "away to begin a new history"
            )
        _log.warning("a record of the history that was not written to its end is removed")
        os.ftruncate(self._descriptor, self.size)

    def _is_replaced(self) -> bool:
        found = os.fstat(self._descriptor)
        return found.st_nlink == 0 or found.st_size < self.size

    def step_back(self) -> None:
        self.size = self._last

    def start_over(self) -> None:
        self.close()

    # -- writing ----------------------------------------------------------------------------------

    def append(self, record: bytes) -> None:
        with self._translated("commit"):
            self._append(_line(record))

    def _append(self, line: bytes) -> None:
        is_first = self._descriptor < 0
        folder = self._make() if is_first else None
        if is_first:
            self._descriptor = open_at(folder, self._name, APPEND)
        try:
            write_all(self._descriptor, line)
            if self._durable:
                os.fsync(self._descriptor)
                if folder is not None:
                    sync_folder(folder)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise
        self._last = self.size
        self.size += len(line)

    def replace(self, records: Iterable[bytes]) -> None:
        with self._translated("pack"):
            self._replace(records)

    def _replace(self, records: Iterable[bytes]) -> None:
        folder, temporary, size = self._make(), f"{self._name}.new", 0
        with suppress(FileNotFoundError):
            unlink_at(folder, temporary)
        descriptor = open_at(folder, temporary, APPEND)
        try:
            for record in records:
                line = _line(record)
                write_all(descriptor, line)
                size += len(line)
            if self._durable:
                os.fsync(descriptor)
            if os.name == "nt":  # what is open cannot be replaced there
                self.close()
            rename_at(folder, temporary, folder, self._name)
        except BaseException:
            os.close(descriptor)
            raise
        if self._durable:
            sync_folder(folder)
        self.close()
        self._descriptor, self.size = descriptor, size

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def _line(record: bytes) -> bytes:
    return b"%08x %b\n" % (crc32(record), record)


def _is_whole(line: bytes) -> bool:
    return line == _line(line[_CRC:-1])
