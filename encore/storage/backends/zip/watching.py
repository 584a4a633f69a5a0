"""Which view holds now: seen without a lock, with two calls of the system.

The order matters: the log first, then the archive. A log that has gone is in the archive already,
so whoever sees that it has gone finds its changes there. Nobody who reads waits for a writer; only
a new archive is read by one thread while the others wait for it.

Only this subpackage imports this module.
"""

from __future__ import annotations

import os
import threading

from encore.errors import ConflictError, CorruptValueError, StoreError
from encore.storage.backends.zip.archives import Archive, identity_of
from encore.storage.backends.zip.changes import Log
from encore.storage.backends.zip.sidecars import LOG
from encore.storage.backends.zip.views import View

# How often a reader looks again at a store that others are rewriting.
_TRIES = 100


class Views:
    """The view there is, brought up to date when it no longer holds.

    Parameters
    ----------
    path : str
        The archive.
    sidecar : str
    readonly : bool

    Attributes
    ----------
    is_writing : bool
        Whether a thread of this store is writing a frame, which does not count yet.

    Notes
    -----
    *Threads*: any.
    """

    def __init__(self, path: str, sidecar: str, readonly: bool) -> None:
        self._path = path
        self._sidecar = sidecar
        self._log_path = os.path.join(sidecar, LOG)
        self._readonly = readonly
        self._view: View | None = None
        self.lock = threading.Lock()
        self.is_writing = False

    def now(self) -> View:
        """The view as it is now.

        Raises
        ------
        CorruptValueError
            The archive is damaged.
        StoreError
            The archive has been removed.
        """
        view = self._view
        if view is not None and self._holds(view):
            return view
        with self.lock:
            view = self._view
            if view is None or not self._holds(view):
                view = self._view = self._renew(view)
            return view

    def latest(self) -> View:
        """The view that was right a moment ago."""
        return self._view or self.now()

    def _holds(self, view: View) -> bool:
        log = view.log
        try:
            if log is None:
                if os.access(self._log_path, os.F_OK):
                    return False
            else:
                found = os.stat(self._log_path)
                if found.st_ino != log.inode:
                    return False
                if not self.is_writing and not log.is_current(found.st_size):
                    return False
            return identity_of(os.stat(self._path)) == view.archive.identity
        except FileNotFoundError:
            return False

    def _renew(self, old: View | None) -> View:
        for _ in range(_TRIES):
            log = self._renew_log(None if old is None else old.log)
            archive = None if old is None else old.archive
            try:
                if archive is None or identity_of(os.stat(self._path)) != archive.identity:
                    archive = Archive(self._path)
            except FileNotFoundError as error:
                raise StoreError(f"there is no archive {self._path!r}") from error
            if old is not None and log is old.log and archive is old.archive:
                return old
            view = View(archive, log, self._sidecar)
            if self._inode() == (None if log is None else log.inode):
                return view
            old = view  # the log was finished while we looked at the archive
        raise ConflictError(f"{self._path!r} is being rewritten all the time; try again")

    def _renew_log(self, log: Log | None) -> Log | None:
        inode = self._inode()
        if inode is None:
            return None
        if log is not None and log.inode == inode:
            if not self.is_writing:
                log.catch_up()
            return log
        try:
            return Log(self._log_path, self._readonly)
        except FileNotFoundError:
            return None  # finished in this moment; whoever calls looks again
        except CorruptValueError as error:
            raise CorruptValueError(f"{self._path!r} cannot be opened: {error}") from error

    def _inode(self) -> int | None:
        try:
            return os.stat(self._log_path).st_ino
        except FileNotFoundError:
            return None

    def forget(self) -> None:
        """Let go of all files."""
        self._view = None

    def after_fork(self) -> None:
        """The lock may be held by a thread that does not exist in this process."""
        self.lock = threading.Lock()
        self.is_writing = False
