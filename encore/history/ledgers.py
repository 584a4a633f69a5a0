"""Which ledger a store gets. ``history`` imports this module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from encore.errors import HistoryError, UnsupportedError
from encore.events.event_manager import EventManager
from encore.history.database_ledgers import HashdirLedger, OneFileLedger
from encore.history.ledger import Ledger
from encore.history.lone_writes import FilesLedger, MemoryLedger
from encore.history.sidecar import SidecarVersions
from encore.history.staged_ledger import StagedLedger
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.hashdir import HashdirStore
from encore.storage.backends.memory import DictStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.template import Store
from encore.storage.transactions.staging import StagedStore


def ledger_for(
    store: Any, persistent: Any, follows: Callable[[str], str | None] | None, part: int = 0
) -> Ledger:
    """Return the ledger for a backend.

    Parameters
    ----------
    store, follows
        See `Ledger`.
    persistent : bool, Store or None
        See `History`.
    part : int, optional
        Which of the backends of the history it is: each has its own keys in a side-car.

    Raises
    ------
    HistoryError
        The store is to be beside itself.
    UnsupportedError
        The history cannot be kept as is asked for.
    """
    if isinstance(store, (SqliteStore, HashdirStore)):
        if persistent is False:
            raise UnsupportedError(
                f"a history of {store!r} is in its own database, where it stays; leave "
                "'persistent' out, and clear() the history when it is not needed any more"
            )
        kind = OneFileLedger if isinstance(store, SqliteStore) else HashdirLedger
        return kind(store, follows)
    if not isinstance(store, StagedStore):
        raise UnsupportedError(f"{store!r} has no transactions that a history could follow")
    if isinstance(persistent, Store):
        return _beside(store, persistent, follows, part)
    lasting = None if persistent is False else store._lasting_versions()
    if lasting is not None:
        return _kind(store)(store, follows, lasting, lasting)
    if persistent:
        raise UnsupportedError(
            f"{store!r} cannot keep a history itself; give 'persistent' a store that can keep it "
            "beside, such as SqliteStore('history.db')"
        )
    kept = store._kept_versions()
    if kept is None:
        side = SqliteStore(":memory:", event_manager=EventManager())
        kept = SidecarVersions(store, side, "", owns_side=True)
    return _kind(store)(store, follows, kept)


def _kind(store: StagedStore) -> type[StagedLedger]:
    """The ledger for a store that keeps versions itself."""
    if isinstance(store, FilesystemStore):
        return FilesLedger
    return MemoryLedger if isinstance(store, DictStore) else StagedLedger


def _beside(
    store: StagedStore, side: Store, follows: Callable[[str], str | None] | None, part: int
) -> Ledger:
    if side._engine() is store:
        raise HistoryError(f"the history of {store!r} cannot be kept in that store itself")
    kept = SidecarVersions(store, side, f"{part}/")
    return StagedLedger(store, follows, kept, kept)
