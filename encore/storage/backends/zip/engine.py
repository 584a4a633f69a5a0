"""The part of the store that is not about keys: opening and closing.

Only ``writing`` imports this module.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from encore.errors import StoreError
from encore.events.abstract_event_manager import BaseEventManager
from encore.storage.backends.zip.checking import examine
from encore.storage.backends.zip.failures import translated
from encore.storage.backends.zip.handles import CREATE
from encore.storage.backends.zip.headers import EMPTY_ARCHIVE
from encore.storage.backends.zip.packing import METHODS
from encore.storage.backends.zip.sidecars import Sidecar, path_of_sidecar
from encore.storage.backends.zip.views import View
from encore.storage.backends.zip.watching import Views
from encore.storage.checking import Problem
from encore.storage.transactions.staging import StagedOwner, StagedStore

# How long closing waits for another thread that is writing, in seconds.


class ZipOwner(StagedOwner):
    """What a store knows of the calling thread: also whether its transaction is a lone verb."""

    is_lone: bool = False


class ZipEngine(StagedStore):
    """A staged store with an archive and its side-car; see `ZipStore`."""

    _owner: ZipOwner

    def __init__(
        self,
        path: str | os.PathLike[str],
        compression: str = "deflated",
        *,
        readonly: bool = False,
        durability: str = "process",
        event_manager: BaseEventManager | None = None,
        timeout: float = 5.0,
    ) -> None:
        if compression not in METHODS:
            raise ValueError(f"compression is 'deflated' or 'stored', not {compression!r}")
        if durability not in ("process", "power"):
            raise ValueError(f"durability is 'process' or 'power', not {durability!r}")
        self.path = os.fspath(path)
        super().__init__(event_manager=event_manager, timeout=timeout)
        self._compression = compression
        self._method = METHODS[compression]
        self._durability = durability
        self._durable = durability == "power"
        self._wants_readonly = self._readonly = readonly
        self._opening = threading.RLock()
        self._views: Views | None = None
        self._sidecar: Sidecar | None = None
        self._release: weakref.finalize[Any, Any] | None = None

    def __repr__(self) -> str:
        return f"<ZipStore {self.path!r}>"

    def _new_owner(self) -> ZipOwner:
        return ZipOwner()

    # -- opening and closing ----------------------------------------------------------------------

    def connect(self, credentials: Any = None) -> None:
        with self._opening:
            super().connect(credentials)

    def _open(self) -> None:
        self._target = path = os.path.realpath(self.path)
        if os.path.isdir(path):
            raise StoreError(f"{self.path!r} is a directory, not an archive", store=self)
        exists = os.path.exists(path)
        self._readonly = self._wants_readonly or (exists and not os.access(path, os.W_OK))
        with translated(self, "open", writing=not self._readonly):
            if not exists:
                self._create(path)
            views = Views(path, path_of_sidecar(path), self._readonly)
            views.now()
        self._views = views
        sidecar = self._sidecar = Sidecar(path_of_sidecar(path), self._durable)
        self._release = weakref.finalize(self, sidecar.close)

    def _create(self, path: str) -> None:
        if self._readonly:
            raise StoreError(
                f"{self.path!r} does not exist, and is to be opened for reading", store=self
            )
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with suppress(FileExistsError):  # another process has been faster
            descriptor = os.open(path, CREATE, 0o666)
            try:
                os.write(descriptor, EMPTY_ARCHIVE)
            finally:
                os.close(descriptor)

    def _current(self) -> View:
        """What is committed now; opens the store on its first use."""
        views = self._views
        if views is None:
            self._opened()
            views = self._views
            assert views is not None
        return views.now()

    def close(self) -> None:
        try:
            if self._state == "open" and self._owner.context is None and not self._readonly:
                self._fold_at_end()
        finally:
            super().close()

    def _fold_at_end(self) -> None:
        """Fold what waits, unless another store is writing, which will do it."""
        raise NotImplementedError

    def _close(self) -> None:
        views, self._views, self._sidecar = self._views, None, None
        if views is not None:
            views.forget()
        if self._release is not None:
            self._release()

    def _after_fork(self) -> None:
        super()._after_fork()
        self._opening = threading.RLock()
        if self._views is not None:
            self._views.after_fork()
        if self._sidecar is not None:
            self._sidecar.after_fork()

    def _examine(self, repair: bool) -> Iterator[Problem]:
        return examine(self, repair)

    def _describe(self) -> dict[str, Any]:
        views = self._views
        view = None if views is None else views.now()
        return {
            "path": self.path,
            "readonly": self._readonly,
            "durability": self._durability,
            "compression": self._compression,
            "pending": None if view is None else len(view.changes),
            "archive_bytes": None if view is None else view.archive.size,
        }
