"""The part of the store that is not about keys: opening and closing, taking turns, errors.

Only ``store`` imports this module.
"""

from __future__ import annotations

import os
import stat
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from encore.errors import EncoreError, StoreError
from encore.events.abstract_event_manager import BaseEventManager
from encore.storage.backend import BackendStore
from encore.storage.backends.filesystem.alone import LoneWrites
from encore.storage.backends.filesystem.checking import examine
from encore.storage.backends.filesystem.committing import Prepared
from encore.storage.backends.filesystem.failures import translate
from encore.storage.backends.filesystem.keeping import KeptFiles
from encore.storage.backends.filesystem.lasting import LastingFiles
from encore.storage.backends.filesystem.opening import OpenDirectory
from encore.storage.checking import Problem
from encore.storage.transactions.owners import OwnerState
from encore.storage.transactions.recording import KeptVersions, LastingVersions
from encore.storage.transactions.staging import StagedOwner, StagedStore

# How long closing waits for another thread that is writing.


class DirectoryOwner(StagedOwner):
    """What a store knows of the calling thread: also the permissions of what it is copying."""

    mode: int | None = None


class DirectoryEngine(StagedStore):
    """A staged store with an open directory; see `FilesystemStore`."""

    _owner: DirectoryOwner

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: str = "process",
        readonly: bool = False,
        event_manager: BaseEventManager | None = None,
        timeout: float = 5.0,
    ) -> None:
        if durability not in ("process", "power"):
            raise ValueError(f"durability is 'process' or 'power', not {durability!r}")
        self.path = os.fspath(path)
        super().__init__(event_manager=event_manager, timeout=timeout)
        self._durability = durability
        self._readonly = readonly
        self._opening = threading.RLock()
        self._directory: OpenDirectory | None = None
        self._release: weakref.finalize[Any, Any] | None = None
        self._in_memory = 0
        self._prepared: Prepared | None = None
        self._history: LoneWrites | None = None  # one that follows single writes
        self._is_dated = False  # whether a lone write has the time that its file will have

    def __repr__(self) -> str:
        return f"<FilesystemStore {self.path!r}>"

    def _new_owner(self) -> OwnerState:
        return DirectoryOwner()

    # -- opening and closing ----------------------------------------------------------------------

    def connect(self, credentials: Any = None) -> None:
        with self._opening:
            super().connect(credentials)

    def _open(self) -> None:
        try:
            if not self._readonly:
                os.makedirs(self.path, exist_ok=True)
            directory = OpenDirectory(self.path, self._durability == "power", self._readonly)
            try:
                directory.finish_for_others(self.timeout, repr(self))
            except BaseException:
                directory.release()
                raise
        except (FileExistsError, NotADirectoryError) as error:
            raise StoreError(
                f"{self.path!r} is not a directory", store=self, operation="open"
            ) from error
        except FileNotFoundError as error:
            raise StoreError(
                f"there is no directory {self.path!r}", store=self, operation="open"
            ) from error
        except OSError as error:
            raise translate(error, self, "open", writing=not self._readonly) from error
        self._directory = directory
        self._release = weakref.finalize(self, directory.release)

    def _ready(self) -> OpenDirectory:
        """The open directory; opens it on its first use."""
        self._opened()
        assert self._directory is not None
        return self._directory

    def _close(self) -> None:
        self._directory = None
        if self._release is not None:
            self._release()

    def _after_fork(self) -> None:
        super()._after_fork()
        self._opening = threading.RLock()
        if self._directory is not None:
            self._directory.after_fork()

    def _describe(self) -> dict[str, Any]:
        directory = self._directory
        return {
            "path": self.path,
            "readonly": self._readonly,
            "durability": self._durability,
            "folding": None if directory is None else directory.folding,
        }

    def _enter_writer(self, timeout: float) -> None:
        with self._translated("begin"):
            (self._directory or self._ready()).enter(timeout, repr(self))
        self._in_memory, self._prepared, self._is_dated = 0, None, False

    def _leave_writer(self) -> None:
        if self._directory is not None:
            self._directory.leave()

    # -- the short way ----------------------------------------------------------------------------

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        directory, history = self._directory, self._history
        if directory is None or self._owner.overlay is not None:
            return False
        if self._heard() if history is None else BackendStore._heard(self):
            return False
        if not self._writer.lock.acquire(False):
            return False  # somebody writes: wait for them in the general way
        try:
            is_done = directory.put_plain(key, data, text, history)
        except OSError as error:
            raise self._trouble(error, "put", key) from error
        finally:
            self._writer.lock.release()
        if is_done and history is not None:
            history.appended()
        return is_done

    def _mode_of(self, key: str) -> int:
        """The permissions for what is to replace a file: its own."""
        directory = self._directory or self._ready()
        with self._translated("write", key):
            spot = directory.tree.find(key)
        if spot is None or spot.found is None:
            return 0o666
        spot.close()
        return stat.S_IMODE(spot.found.st_mode)

    # -- what a history keeps ---------------------------------------------------------------------

    def _kept_versions(self) -> KeptVersions:
        return KeptFiles(self)

    def _lasting_versions(self) -> LastingVersions:
        return LastingFiles(self)

    # -- checking ---------------------------------------------------------------------------------

    def _examine(self, repair: bool) -> Iterator[Problem]:
        return examine(self, repair)

    # -- errors -----------------------------------------------------------------------------------

    @contextmanager
    def _translated(
        self, operation: str, key: str | None = None, *, writing: bool = True
    ) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._trouble(error, operation, key, writing=writing) from error

    def _trouble(
        self, error: OSError, operation: str, key: str | None = None, *, writing: bool = True
    ) -> EncoreError:
        directory = self._directory
        if directory is None or not directory.has_vanished():
            return translate(error, self, operation, key, writing=writing)
        return self._vanished(operation)

    def _vanished(self, operation: str) -> StoreError:
        return StoreError(
            f"{operation} in {self!r}: the directory has been removed",
            store=self,
            operation=operation,
        )
