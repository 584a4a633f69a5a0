"""Which ledger a store gets. ``history`` imports this module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from encore.errors import UnsupportedError
from encore.history.database_ledgers import HashdirLedger, OneFileLedger
from encore.history.ledger import Ledger
from encore.history.staged_ledger import StagedLedger
from encore.storage.backends.hashdir import HashdirStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.transactions.staging import StagedStore


def ledger_for(store: Any, persistent: Any, follows: Callable[[str], bool] | None) -> Ledger:
    """Return the ledger for a backend.

    Raises
    ------
    UnsupportedError
        It cannot be kept as is asked for.
    """
    is_own = persistent is None or persistent is True
    if is_own and isinstance(store, SqliteStore):
        return OneFileLedger(store, follows)
    if is_own and isinstance(store, HashdirStore):
        return HashdirLedger(store, follows)
    if isinstance(store, StagedStore):
        return StagedLedger(store, follows)
    raise UnsupportedError(f"{store!r} has no transactions that a history could follow")
