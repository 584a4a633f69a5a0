"""The side-car: the directory beside an archive where changes wait.

::

    data.zip-encore/lock        held by whoever writes
    data.zip-encore/changes     the log
    data.zip-encore/data-...    packed data that changes speak of, where it is large
    data.zip-encore/tmp/        what is being written, a folder for each store that writes
    data.zip-encore/new         the archive that is to replace the old one

The first write makes it, and the last store that is closed removes it. Whoever holds the lock may
remove it; whoever gets the lock therefore looks whether the file it locked is still there.

Only this subpackage imports this module.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from typing import TypeVar

from encore.errors import StoreError
from encore.storage.backends.filesystem.locking import FileLock
from encore.storage.backends.filesystem.session import Session, sweep
from encore.storage.backends.filesystem.system import (
    Folder,
    close_folder,
    make_folder,
    open_root,
    rename_at,
    sync_folder,
)
from encore.storage.backends.zip.changes import Log
from encore.storage.backends.zip.spools import Spool
from encore.storage.transactions.owners import new_token

_SUFFIX = "-encore"
LOG, NEW = "changes", "new"
LOCK, TMP, DATA = "lock", "tmp", "data-"
# How often the side-car is made again when others remove it, before that is an error.
_TRIES = 50
_T = TypeVar("_T")


def path_of_sidecar(archive: str) -> str:
    return archive + _SUFFIX


class Sidecar:
    """The directory beside an archive, as a writer has it open.

    Parameters
    ----------
    path : str
        The directory; made when it is needed.
    durable : bool
        Whether to wait for the disk.

    Notes
    -----
    *Threads*: `new_spool` any; the rest whoever has the writer lock of the store.
    """

    def __init__(self, path: str, durable: bool) -> None:
        self.path = path
        self._durable = durable
        self._folder: Folder | None = None
        self._tmp: Folder | None = None
        self._lock: FileLock | None = None
        self._session: Session | None = None
        self._process = os.getpid()
        self._is_swept = False
        self._making = threading.RLock()

    def path_of(self, name: str) -> str:
        return os.path.join(self.path, name)

    # -- taking turns -----------------------------------------------------------------------------

    def enter(self, timeout: float, what: str) -> None:
        """Keep all others from writing; LockTimeoutError after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        for _ in range(_TRIES):
            lock = self._lock or self._again(self._open)
            lock.wait(max(deadline - time.monotonic(), 0.0), what)
            if os.fstat(lock.descriptor).st_nlink:
                return
            self._drop()  # others have removed the side-car while we waited
        raise self._unsteady()

    def try_enter(self) -> bool:
        """Take the lock if that is all there is to do."""
        lock = self._lock
        if lock is None or not self._is_swept or not lock.take():
            return False
        found = os.fstat(lock.descriptor)
        if found.st_size or not found.st_nlink:
            lock.give_back()
            return False
        return True

    def announce(self, known: Container[str]) -> None:
        """Say who writes, and put away what those have left who died; the lock is held.

        Parameters
        ----------
        known : container of str
            The files that changes speak of.
        """
        lock = self._held()
        if not self._is_swept or lock.is_announced():
            self._is_swept = True  # unless something refuses to go
            try:
                self.sweep(known)
                lock.withdraw()
            except BaseException:
                self._is_swept = False
                raise
        lock.announce()

    def leave(self) -> None:
        """Let others write again."""
        lock = self._lock
        if lock is not None:
            try:
                # A commit may lie behind us, so this may not fail: the next writer finds the text,
                # and looks for something to put away.
                with suppress(OSError):
                    lock.withdraw()
            finally:
                lock.give_back()

    def give_back(self) -> None:
        """The end of what `try_enter` began."""
        self._held().give_back()

    def _held(self) -> FileLock:
        assert self._lock is not None, "the lock is held"
        return self._lock

    def _open(self) -> FileLock:
        if self._folder is None:
            with suppress(FileExistsError):
                os.mkdir(self.path, self._mode())
            self._folder = open_root(self.path)
        if self._lock is None:
            self._lock = FileLock(self._folder, LOCK)
        return self._lock

    def _mode(self) -> int:
        """Who may look into it: those who may read the archive."""
        mode = os.stat(self.path.removesuffix(_SUFFIX)).st_mode
        return 0o700 | (0o070 if mode & 0o040 else 0) | (0o007 if mode & 0o004 else 0)

    def _again(self, make: Callable[[], _T]) -> _T:
        """Make something in the directory, which others may remove in that moment."""
        for _ in range(_TRIES):
            with self._making:
                try:
                    return make()
                except FileNotFoundError:
                    if not os.path.isdir(os.path.dirname(self.path)):
                        raise
                    self._drop()
        raise self._unsteady()

    def _unsteady(self) -> StoreError:
        return StoreError(f"others keep removing {self.path!r}; try again")

    # -- files ------------------------------------------------------------------------------------

    def new_spool(self) -> Spool:
        """Return a new file for packed data."""
        return Spool(self._session or self._again(self._begin_session))

    def _begin_session(self) -> Session:
        self._open()
        self._tmp = make_folder(self._folder, TMP)
        try:
            self._session = Session(self._tmp)
        except BaseException:
            close_folder(self._tmp)
            self._tmp = None
            raise
        return self._session

    def adopt(self, spool: Spool) -> str:
        """Move a file to where changes look for it, and return its name there."""
        if self._durable:
            spool.sync()
        session = self._session
        if session is None:
            raise StoreError("the store was closed while the data was being written")
        name = DATA + new_token()
        rename_at(session.folder, spool.name, self._folder, name)
        return name

    def sync(self) -> None:
        """Make the names in the directory durable, if that is asked for."""
        if self._durable:
            sync_folder(self._folder)

    def finish(self, log: Log) -> None:
        """Remove a log whose changes are in the archive, and then the files that it speaks of.

        As long as it cannot be removed, they stay: whoever opens the store looks for them.
        """
        with suppress(FileNotFoundError):
            os.unlink(self.path_of(LOG))
        self.remove(log.files)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that no change speaks of any more; what refuses to go, at the next write."""
        for name in names:
            try:
                os.unlink(self.path_of(name))
            except FileNotFoundError:
                pass
            except OSError:
                self._is_swept = False

    def sweep(self, known: Container[str]) -> None:
        """Remove what the dead have left, but for files that are ``known``; the lock is held."""
        for name in os.listdir(self.path):
            if name == NEW or (name.startswith(DATA) and name not in known):
                self.remove([name])
        with suppress(FileNotFoundError):
            folder = open_root(self.path_of(TMP))
            try:
                sweep(folder, lambda _purpose, _status: None)
            finally:
                close_folder(folder)

    # -- the end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close everything, and remove the directory if nothing waits in it and nobody uses it."""
        if self._process != os.getpid() or self._folder is None:
            return
        try:
            session, self._session = self._session, None
            if session is not None:
                session.close()
            lock = self._lock
            if lock is not None and lock.take() and os.fstat(lock.descriptor).st_nlink:
                self._remove_if_idle()  # the lock is kept until the file is closed
        finally:
            self._let_go()

    def _remove_if_idle(self) -> None:
        if os.path.exists(self.path_of(LOG)):
            return
        with suppress(OSError):
            with suppress(FileNotFoundError):
                os.rmdir(self.path_of(TMP))
            os.unlink(self.path_of(LOCK))
            os.rmdir(self.path)

    def _drop(self) -> None:
        """Let go of what others have removed. As long as we have a session, that is the lock."""
        with self._making:
            if self._lock is not None:
                self._lock.close()
                self._lock = None
            self._is_swept = False
            if self._session is None:
                for folder in (self._tmp, self._folder):
                    if folder is not None:
                        close_folder(folder)
                self._tmp = self._folder = None

    def _let_go(self) -> None:
        with self._making:
            session, self._session = self._session, None
            if session is not None:
                session.let_go()
            self._drop()

    def after_fork(self) -> None:
        """Let go, in a forked child, of what is the parent's."""
        self._process = os.getpid()
        self._making = threading.RLock()
        self._let_go()
