"""What a history keeps in ``.encore/history``: versions, and the log that says what they are.

The folder is made when there is something to keep, so that looking at a directory writes nothing
into it. Only this subpackage imports this module.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from encore.storage.backends.filesystem.keeping import KeptFiles
from encore.storage.backends.filesystem.layout import OWN_FOLDER
from encore.storage.backends.filesystem.logfile import LogFile
from encore.storage.backends.filesystem.own import HISTORY_FOLDER
from encore.storage.backends.filesystem.system import (
    Folder,
    close_folder,
    exists_at,
    is_removed,
    list_folder,
    make_folder,
    open_folder,
    sync_folder,
    unlink_at,
)

_LOG = "log"


class LastingFiles(KeptFiles):
    """Versions that are there after a restart, in ``.encore/history``, with a log.

    Parameters
    ----------
    store : FilesystemStore
    """

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self._holding = threading.Lock()
        self._handle: Folder | None = None
        self._release: Any = None
        self._is_durable = store._durability == "power"
        self._has_new = False
        self.log = LogFile(
            _LOG, self._find_folder, self._folder, self._is_durable, store._translated
        )

    def _find_folder(self) -> Folder | None:
        """The folder, if there is one."""
        if self._is_held():
            return self._handle
        root = self._store._ready().tree.root
        if not exists_at(root, OWN_FOLDER):
            return None
        with suppress(OSError):
            own = open_folder(root, OWN_FOLDER)
            try:
                return self._hold(open_folder(own, HISTORY_FOLDER))
            finally:
                close_folder(own)
        return None

    def _folder(self) -> Folder:
        folder = self._find_folder()
        if folder is None:
            self._session()
            own = self._store._directory.own
            folder = self._hold(make_folder(own.folder, HISTORY_FOLDER))
            if self._is_durable:
                sync_folder(own.folder)
        return folder

    def _is_held(self) -> bool:
        return self._handle is not None and not is_removed(self._handle)

    def _hold(self, folder: Folder) -> Folder:
        with self._holding:
            if self._is_held():  # another thread, which may be using it, was faster
                close_folder(folder)
                assert self._handle is not None
                return self._handle
            self.close()
            self._handle = folder
            self._release = weakref.finalize(self, close_folder, folder)
            return folder

    def keep(self, key: str, content: Any) -> str:
        self._has_new = True
        return super().keep(key, content)

    def flush(self) -> None:
        if self._is_durable and self._has_new:
            with self._store._translated("commit"):
                sync_folder(self._folder())
        self._has_new = False

    def sweep(self, needed: Collection[str]) -> None:
        folder = self._find_folder()
        if folder is None:
            return
        with self._store._translated("pack"):
            for entry in list(list_folder(folder)):
                if entry.name != _LOG and entry.name not in needed:
                    with suppress(OSError):
                        unlink_at(folder, entry.name)

    def close(self) -> None:
        self.log.close()
        self._handle = None
        if self._release is not None:
            self._release()
