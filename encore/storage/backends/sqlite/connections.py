"""Connections: how one is opened, and how each thread gets its own.

Every setting that matters is made explicitly and checked, since distributions compile SQLite with
defaults of their own. Only this folder imports this module.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections import deque
from dataclasses import dataclass
from functools import cache
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


class Connection(sqlite3.Connection):
    """A connection that is closed at the end of its life, if not before."""

    _process: int | None = None  # the one that has it open

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._process = os.getpid()

    def is_open(self) -> bool:
        """Whether this process has opened it, and not closed it."""
        return self._process == os.getpid()

    def close(self) -> None:
        if self.is_open():
            super().close()
        elif self._process is not None:
            _inherited.append(self)
        self._process = None

    def __del__(self) -> None:
        self.close()


class Held:
    """A connection that is closed when nobody holds this any more.

    Its thread has ended, then, or the store is being closed by another one. In that case the thread
    may be in the middle of a statement, and closing the connection would crash the interpreter. It
    shows in the references to the connection, since a call has one. Such a connection is *retired*:
    `close_retired` closes it, or else the garbage collector.
    """

    __slots__ = ("__weakref__", "connection")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def references(self) -> int:
        return sys.getrefcount(self.connection)

    def __del__(self) -> None:
        if self.connection.is_open():
            if self.references() <= _fewest_references():
                self.connection.close()
            else:
                _retired.append(self.connection)


_retired: deque[Connection] = deque()


@cache
def _fewest_references() -> int:
    """The references to a connection that nobody is using: this one's, and its own."""
    idle = Held(sqlite3.connect(":memory:", check_same_thread=False, factory=Connection))
    fewest = idle.references()
    idle.connection.close()
    return fewest


def close_retired(seconds: float = 0.2) -> None:
    """Wait a moment for threads to finish what they do on retired connections; close these."""
    deadline = time.monotonic() + seconds
    while _retired and time.monotonic() < deadline:
        for _ in range(len(_retired)):
            Held(_retired.popleft())  # which closes it, or puts it back
        if _retired:
            time.sleep(0.001)
    _retired.clear()


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

    def connect(self, cache_kib: int = 8000) -> Connection:
        """Open a connection and make its settings; the file must be there."""
        connection = sqlite3.connect(
            f"file:{quote(os.path.abspath(self.path))}?{self._mode()}",
            uri=True,
            timeout=self.timeout,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
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


class SqliteOwner(OwnerState):
    """What a store knows of the calling thread.

    Attributes
    ----------
    connection : Connection or None
        That of ``held``, which is let go of afterwards.
    held : Held or None
    other : Held or None
        For the other asyncio tasks of the thread while one has a transaction open.
    is_useless : bool
        Whether the connection has turned out to be for reading only, by accident.
    garbage : list of list
        Per nesting level, what is to be cleared up at the end; see ``engine``.
    """

    connection: Connection | None = None
    held: Held | None = None
    other: Held | None = None
    is_useless: bool = False
    garbage: list[list[Any]] | None = None
