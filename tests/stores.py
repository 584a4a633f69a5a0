"""The register of stores: one line each, and the whole conformance suite runs over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.memory import DictStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.template import Store


@dataclass(frozen=True)
class StoreUnderTest:
    """One store, and how a test gets it.

    Attributes
    ----------
    name : str
    open : callable
        ``open(directory, **options)`` returns a store whose data is in that directory.
    shared : bool
        Whether opening the same directory twice gives two doors to the same data.
    keeps : bool
        Whether data outlives `close`.
    """

    name: str
    open: Callable[..., Store]
    shared: bool = True
    keeps: bool = True

    def __str__(self) -> str:
        return self.name

    def reopen(self, store: Any, directory: Path, **options: Any) -> Store | None:
        """Another door to the data of ``store``, if there can be one."""
        return self.open(directory, **options) if self.shared else None


STORES = [
    StoreUnderTest("dict", lambda directory, **options: DictStore(**options), shared=False),
    StoreUnderTest("sqlite", lambda directory, **o: SqliteStore(directory / "store.db", **o)),
    StoreUnderTest(
        "sqlite-memory", lambda directory, **o: SqliteStore(":memory:", **o), False, False
    ),
    StoreUnderTest("filesystem", lambda directory, **o: FilesystemStore(directory, **o)),
]
