"""Temporary files, and how those of dead processes are told from those of the living.

Each store that writes has a folder of its own for them, ``tmp/<id>/``, and keeps ``tmp/<id>.live``
open and locked. The kernel drops that lock when the process ends, however it ends: what is not
locked belongs to nobody. Neither an age nor a process number could tell as much.

The lock is taken before the folder is made, and afterwards the file is looked for again, so that a
sweeper who comes in between does not sweep away somebody who is just beginning.

This subpackage and ``hashdir`` import this module.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from encore.storage.backends.filesystem.locking import try_lock
from encore.storage.backends.filesystem.system import (
    CREATE,
    READ,
    Folder,
    close_folder,
    list_folder,
    make_folder,
    open_at,
    open_folder,
    rmdir_at,
    set_time,
    stat_at,
    unlink_at,
    write_all,
)
from encore.storage.transactions.owners import new_token

_LIVE = ".live"
_OF_SESSION = re.compile(r"[0-9a-f]+(\.live)?")


class Session:
    """A folder for temporary files on the volume of the store, until it is closed.

    Parameters
    ----------
    parent : Folder
        Where all sessions are; belongs to the caller.

    Notes
    -----
    *Threads*: names may be taken from any thread, the time by whoever holds the writer lock.

    Attributes
    ----------
    folder : Folder
    name : str
    has_exact_times : bool
        Whether files keep the modification time they are given, to the microsecond.
    """

    def __init__(self, parent: Folder) -> None:
        self._parent = parent
        self.name, self._live = _begin(parent)
        try:
            self.folder = make_folder(parent, self.name)
        except BaseException:
            self._end()
            raise
        self._next = itertools.count().__next__
        self._latest = 0
        self.has_exact_times = _has_exact_times(self._live)

    def tick(self) -> int:
        """Return the time in nanoseconds, later than ever before; whole microseconds."""
        now = time.time_ns() // 1000 * 1000
        if now <= self._latest:
            now = self._latest + 1000
        self._latest = now
        return now

    def create(self, purpose: str = "", mode: int = 0o666) -> tuple[str, int]:
        """Make a file that nobody else has.

        Parameters
        ----------
        purpose : str, optional
            The sidecar that is about to speak of it, so that a sweeper can correct that.
        mode : int, optional
            Permissions, less those that the umask takes away: what replaces a private file is to
            be private from the beginning.

        Returns
        -------
        name : str
        descriptor : int
            Open for reading and writing.
        """
        name = self.new_name(purpose)
        return name, open_at(self.folder, name, CREATE, mode)

    def new_name(self, purpose: str = "") -> str:
        """Return a name that is never used again; see `create`."""
        return f"{self._next():x}-{purpose}" if purpose else f"{self._next():x}"

    def write(self, data: bytes, durable: bool) -> str:
        """Make a file with this content and return its name."""
        name, descriptor = self.create()
        try:
            write_all(descriptor, data)
            if durable:
                os.fsync(descriptor)
        except BaseException:
            self.remove(name)
            raise
        finally:
            os.close(descriptor)
        return name

    def remove(self, name: str) -> None:
        with suppress(OSError):
            unlink_at(self.folder, name)

    def let_go(self) -> None:
        """Close what is open and leave the files alone: in a forked child they are the parent's."""
        close_folder(self.folder)
        os.close(self._live)

    def close(self) -> None:
        """Remove the folder with all that is left in it."""
        with suppress(OSError):
            _clear(self.folder)
            rmdir_at(self._parent, self.name)
            unlink_at(self._parent, self.name + _LIVE)
        self.let_go()

    def _end(self) -> None:
        """Say that nobody lives here: the folder could not be made."""
        with suppress(OSError):
            unlink_at(self._parent, self.name + _LIVE)
        os.close(self._live)


def _has_exact_times(descriptor: int) -> bool:
    """Whether the file system keeps the modification times that it is given."""
    set_time(descriptor, 1_234_567_000)
    return os.fstat(descriptor).st_mtime_ns == 1_234_567_000


def _begin(parent: Folder) -> tuple[str, int]:
    while True:
        name = new_token()
        live = open_at(parent, name + _LIVE, CREATE)
        if try_lock(live):
            with suppress(FileNotFoundError):
                stat_at(parent, name + _LIVE)
                return name, live
        os.close(live)


def sweep(
    parent: Folder,
    pending: Callable[[str, os.stat_result], None] | None = None,
    may_go: Callable[[Folder], bool] = lambda folder: True,
) -> None:
    """Remove what dead sessions have left.

    Parameters
    ----------
    parent : Folder
        Where all sessions are.
    pending : callable, optional
        Called with the purpose and the status of each file that has one, before it is removed.
    may_go : callable, optional
        Called with the folder of each dead session; where it returns false the session stays.
    """
    for name in _sessions(parent):
        live = _dead(parent, name + _LIVE)
        if live is None:
            continue
        try:
            with suppress(FileNotFoundError, NotADirectoryError):
                folder = open_folder(parent, name)
                try:
                    if not may_go(folder):
                        continue
                    _clear(folder, pending)
                finally:
                    close_folder(folder)
                rmdir_at(parent, name)
            with suppress(FileNotFoundError):
                unlink_at(parent, name + _LIVE)
        finally:
            if live >= 0:
                os.close(live)


def dead_sessions(parent: Folder) -> Iterator[tuple[str, int]]:
    """Yield the sessions whose program has died, and how many files each has left."""
    for name in sorted(_sessions(parent)):
        live = _dead(parent, name + _LIVE)
        if live is None:
            continue
        if live >= 0:
            os.close(live)
        count = 0
        with suppress(FileNotFoundError, NotADirectoryError):
            folder = open_folder(parent, name)
            try:
                count = sum(1 for _ in list_folder(folder))
            finally:
                close_folder(folder)
        yield name, count


def _sessions(parent: Folder) -> set[str]:
    """The sessions there are. What else somebody has put there is none, and stays."""
    names = [entry.name for entry in list_folder(parent) if _OF_SESSION.fullmatch(entry.name)]
    found = {name.removesuffix(_LIVE) for name in names}
    return {name for name in found if name + _LIVE in names or _is_folder(parent, name)}


def _is_folder(parent: Folder, name: str) -> bool:
    with suppress(FileNotFoundError):
        return stat.S_ISDIR(stat_at(parent, name).st_mode)
    return False


def _dead(parent: Folder, name: str) -> int | None:
    """Return a locked descriptor if the session is dead, -1 if it has none, None if it lives."""
    try:
        live = open_at(parent, name, READ)
    except FileNotFoundError:
        return -1
    if try_lock(live):
        return live
    os.close(live)
    return None


def _clear(folder: Folder, pending: Callable[[str, os.stat_result], None] | None = None) -> None:
    for entry in list(list_folder(folder)):
        purpose = entry.name.partition("-")[2]
        if purpose and pending is not None:
            pending(purpose, stat_at(folder, entry.name))
        unlink_at(folder, entry.name)
