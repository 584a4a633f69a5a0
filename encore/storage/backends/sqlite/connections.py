"""Connections: how one is opened, and how each thread gets its own.

Every setting that matters is made explicitly and checked, since distributions compile SQLite with
defaults of their own. Only this folder imports this module.
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from encore.errors import CorruptValueError, StoreError, UnsupportedError
from encore.storage.backends.mounts import is_on_network
from encore.storage.transactions.owners import OwnerState

# The first in which JSON functions are always there; metadata is searched with them.
_OLDEST = (3, 38, 0)

# Connections that a forked child inherited. SQLite forbids even closing them there, so they are
# kept from the garbage collector until the child ends.
_inherited: list[object] = []


@dataclass(frozen=True, slots=True)
class Settings:
    """How the connections of a store are opened.

    Attributes
    ----------
    path : str
    timeout : float
        Seconds to wait for a lock.
    durability : str
        ``"process"`` (a commit survives a crash of the program), ``"power"`` (also a power cut) or
        ``"none"`` (the file is gone at the end anyway).
    readonly : bool
    page_size : int
        Bytes; only counts for a new file.
    """

    path: str
    timeout: float
    durability: str
    readonly: bool
    page_size: int

    def connect(self, cache_kib: int = 8000) -> sqlite3.Connection:
        """Open a connection and make its settings; the file must be there."""
        connection = sqlite3.connect(
            f"file:{quote(os.path.abspath(self.path))}?{self._mode()}",
            uri=True,
            timeout=self.timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            self._adjust(connection, cache_kib)
        except UnicodeDecodeError as error:  # SQLite's complaint quotes what is damaged
            connection.close()
            raise CorruptValueError(f"{self.path!r} is damaged: its schema is no text") from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _mode(self) -> str:
        """How SQLite is to open the file.

        A reader of a write-ahead log makes files beside it, which only a connection that may write
        takes away again at the end; so for reading the file is opened for both where that is
        possible, and writing is forbidden by `query_only`.
        """
        if not self.readonly:
            return "mode=rw"
        beside = os.access(os.path.dirname(os.path.abspath(self.path)), os.W_OK)
        if beside and os.access(self.path, os.W_OK):
            return "mode=rw"
        if not beside and not os.path.exists(f"{self.path}-wal"):
            return "mode=ro&immutable=1"  # no log can be there, and none be made
        return "mode=ro"

    def _adjust(self, connection: sqlite3.Connection, cache_kib: int) -> None:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise UnsupportedError(
                f"SQLite {sqlite3.sqlite_version} is too old; encore needs 3.38 or newer"
            )
        for pragma in (
            # Off, it would forbid JSON in indexes. The schema is checked word by word instead.
            "trusted_schema=ON",
            "cell_size_check=OFF",  # it would look at every page again on each access
            f"cache_size=-{cache_kib}",
            "mmap_size=1073741824",
            "secure_delete=FAST",  # ON, a common default, makes deleting ten times slower
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")
        journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
        connection.execute(f"PRAGMA synchronous={_SYNCHRONOUS[self.durability, journal == 'wal']}")
        if self.readonly:
            connection.execute("PRAGMA query_only=ON")

    def choose_journal(self, connection: sqlite3.Connection) -> None:
        """Give a writable file its journal: write-ahead where that is safe.

        The shared memory of WAL does not work between machines, so files on network file systems
        get a rollback journal, and so does every file on which WAL does not take.
        """
        journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
        wanted = "delete" if is_on_network(self.path) else "wal"
        if journal != wanted:
            journal = connection.execute(f"PRAGMA journal_mode={wanted}").fetchone()[0]
        if journal not in ("wal", "delete"):
            journal = connection.execute("PRAGMA journal_mode=delete").fetchone()[0]
        if journal not in ("wal", "delete"):
            raise StoreError(f"{self.path!r} has the journal {journal!r} and does not change it")
        wal = journal == "wal"
        connection.execute(f"PRAGMA synchronous={_SYNCHRONOUS[self.durability, wal]}")
        level = connection.execute("PRAGMA synchronous").fetchone()[0]
        if level != _LEVELS[_SYNCHRONOUS[self.durability, wal]]:
            raise StoreError(f"{self.path!r} refuses the synchronous level that was asked for")


# (durability, write-ahead) -> synchronous. A rollback journal without EXTRA can bring a committed
# transaction's journal back after a power cut.
_SYNCHRONOUS = {
    ("none", True): "OFF",
    ("none", False): "OFF",
    ("process", True): "NORMAL",
    ("process", False): "EXTRA",
    ("power", True): "FULL",
    ("power", False): "EXTRA",
}
_LEVELS = {"OFF": 0, "NORMAL": 1, "FULL": 2, "EXTRA": 3}


class Held:
    """A connection that is closed when nobody holds it any more: when its thread has ended."""

    __slots__ = ("__weakref__", "_process", "connection")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._process = os.getpid()

    def close(self) -> None:
        if self._process == os.getpid():
            self.connection.close()
        else:
            _inherited.append(self.connection)

    def __del__(self) -> None:
        self.close()


class SqliteOwner(OwnerState):
    """What a store knows of the calling thread.

    Attributes
    ----------
    connection : sqlite3.Connection or None
    other : sqlite3.Connection or None
        For the other asyncio tasks of the thread while one has a transaction open.
    garbage : list of list
        Per nesting level, what is to be cleared up at the end; see ``engine``.
    """

    connection: sqlite3.Connection | None = None
    held: Held | None = None
    other: Held | None = None
    garbage: list[list[Any]] | None = None
