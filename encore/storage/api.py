"""The names people import: every store, and what moves data between them.

Each is loaded on first use, so that a program which needs one store pays for one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from encore.storage.abstract_store import AbstractStore
    from encore.storage.backend import BackendStore
    from encore.storage.backends.filesystem import FilesystemStore
    from encore.storage.backends.memory import DictStore
    from encore.storage.backends.sqlite import SqliteStore
    from encore.storage.copying import CopyResult, clear_store, copy_store, sync_stores
    from encore.storage.template import Store
    from encore.storage.transactions.contexts import (
        DummyTransactionContext,
        SimpleTransactionContext,
    )
    from encore.storage.transactions.staging import StagedStore
    from encore.storage.values import Value

_HOMES = {
    "AbstractStore": "encore.storage.abstract_store",
    "BackendStore": "encore.storage.backend",
    "CopyResult": "encore.storage.copying",
    "DictStore": "encore.storage.backends.memory",
    "DummyTransactionContext": "encore.storage.transactions.contexts",
    "FilesystemStore": "encore.storage.backends.filesystem",
    "SimpleTransactionContext": "encore.storage.transactions.contexts",
    "SqliteStore": "encore.storage.backends.sqlite",
    "StagedStore": "encore.storage.transactions.staging",
    "Store": "encore.storage.template",
    "Value": "encore.storage.values",
    "clear_store": "encore.storage.copying",
    "copy_store": "encore.storage.copying",
    "sync_stores": "encore.storage.copying",
}

__all__ = [
    "AbstractStore",
    "BackendStore",
    "CopyResult",
    "DictStore",
    "DummyTransactionContext",
    "FilesystemStore",
    "SimpleTransactionContext",
    "SqliteStore",
    "StagedStore",
    "Store",
    "Value",
    "clear_store",
    "copy_store",
    "sync_stores",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
