"""The register of stores that can have a history: one line each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from history_files import kept_bytes

from encore.history import History
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.hashdir import HashdirStore
from encore.storage.backends.memory import DictStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.backends.zip import ZipStore
from encore.storage.wrappers.codecs import GzipStore
from encore.storage.wrappers.keymaps import PrefixStore

HeldBytes = Callable[[Path, tuple[Any, ...]], int]


@dataclass(frozen=True)
class HistoryUnderTest:
    """One store, or several that have one history.

    Attributes
    ----------
    name : str
    open : callable
        ``open(directory, **options)`` returns the stores.
    shared : bool
        Whether opening the same directory again gives the same data.
    persistent : bool
        Whether the steps are there again, too; None: some of them.
    held_bytes : callable, optional
        ``held_bytes(directory, stores)`` counts what is kept beside the content.
    examples : int
        How many random programs are played every day.
    """

    name: str
    open: Callable[..., tuple[Any, ...]]
    shared: bool = True
    persistent: bool | None = True
    held_bytes: HeldBytes | None = None
    examples: int = 4
    make: Callable[..., History] = History

    def __str__(self) -> str:
        return self.name

    def open_history(self, stores: tuple[Any, ...], **options: Any) -> History:
        return self.make(stores[0] if len(stores) == 1 else stores, **options)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class BesideHistory(History):
    """A history in a file beside the store, which is opened and closed with it."""

    def __init__(self, store: Any, **options: Any) -> None:
        self.side = SqliteStore(Path(store.info()["path"]).with_name("history.db"))
        super().__init__(store, persistent=self.side, **options)

    def close(self) -> None:
        super().close()
        self.side.close()


def _in_database(path: Path) -> int:
    """Bytes in the images of a database; what is shared with the content, or twice, once."""
    with closing(sqlite3.connect(path)) as connection:
        inline = "SELECT coalesce(sum(length(data)),0) FROM history_image WHERE blob IS NULL"
        alone = "SELECT coalesce(sum(length(data)),0) FROM history_step"
        apart = (
            "SELECT coalesce(sum(size),0) FROM (SELECT DISTINCT key, blob, size FROM history_image"
            " WHERE blob IS NOT NULL AND NOT EXISTS (SELECT 1 FROM kv"
            " WHERE kv.key=history_image.key AND kv.blob=history_image.blob))"
        )
        return sum(
            connection.execute(statement).fetchone()[0] for statement in (inline, alone, apart)
        )


_HAS_HISTORY = "SELECT 1 FROM sqlite_schema WHERE name='history_image'"


def in_sqlite(directory: Path, stores: tuple[Any, ...] = ()) -> int:
    """What a `SqliteStore` keeps; no data is there that nothing refers to."""
    path = directory / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        if connection.execute(_HAS_HISTORY).fetchone() is None:
            return 0
        strays = (
            "SELECT count(*) FROM chunk WHERE NOT EXISTS (SELECT 1 FROM"
            " (SELECT blob FROM kv UNION SELECT blob FROM history_image)"
            " WHERE chunk.id BETWEEN blob AND blob + 1048575)"
        )
        assert connection.execute(strays).fetchone() == (0,), "data that nothing refers to"
    return _in_database(path)


def _sqlite(directory: Path, **options: Any) -> SqliteStore:
    return SqliteStore(directory / "store.db", **options)


HISTORIES = [
    HistoryUnderTest("dict", lambda directory, **o: (DictStore(**o),), False, False),
    HistoryUnderTest(
        "sqlite", lambda directory, **o: (_sqlite(directory, **o),), True, True, in_sqlite
    ),
    HistoryUnderTest("hashdir", lambda directory, **o: (HashdirStore(directory, **o),)),
    HistoryUnderTest(
        "hashdir-inline", lambda directory, **o: (HashdirStore(directory, inline_bytes=100, **o),)
    ),
    HistoryUnderTest(
        "filesystem",
        lambda directory, **o: (FilesystemStore(directory, **o),),
        held_bytes=lambda directory, stores: kept_bytes(directory),
    ),
    HistoryUnderTest(
        "zip-beside",
        lambda directory, **o: (ZipStore(directory / "store.zip", **o),),
        make=BesideHistory,
    ),
    HistoryUnderTest(
        "prefix(sqlite)",
        lambda directory, **o: (PrefixStore(_sqlite(directory, **o), "project/"),),
        held_bytes=in_sqlite,
    ),
    HistoryUnderTest(
        "gzip(sqlite)",
        lambda directory, **o: (GzipStore(_sqlite(directory, **o)),),
        held_bytes=in_sqlite,
    ),
    HistoryUnderTest(
        "dict+sqlite",
        lambda directory, **o: (DictStore(**o), _sqlite(directory, **o)),
        False,
        None,
    ),
]
