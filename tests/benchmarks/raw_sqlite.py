"""R for everything that SQLite does: `sqlite3` by hand, on the schema and settings of SqliteStore.

Nothing here comes from encore, so that a change there cannot move the limit; `check_same_engine`
fails when the two part. A row gets what a row of the store has: a token that is new, the time, the
size, metadata as JSON text.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import time
from typing import Any

CHUNK = 65536
COMMIT_BYTES = 4 * 1048576

_SCHEMA = (
    """CREATE TABLE kv(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, token TEXT NOT NULL,
       created REAL NOT NULL, modified REAL NOT NULL, size INTEGER NOT NULL,
       metadata TEXT NOT NULL, blob INTEGER, data BLOB)""",
    "CREATE TABLE chunk(id INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "CREATE TABLE staging(blob INTEGER PRIMARY KEY, writer TEXT NOT NULL, since REAL NOT NULL)",
)
_PRAGMAS = {
    "trusted_schema": 1,
    "cell_size_check": 0,
    "cache_size": -8000,
    "mmap_size": 1073741824,
    "secure_delete": "FAST",
    "temp_store": 2,
}
PUT = (
    "INSERT INTO kv(key,token,created,modified,size,metadata,data) VALUES(?1,?2,?3,?3,?4,?5,?6)"
    " ON CONFLICT(key) DO UPDATE SET token=?2, modified=?3, size=?4, metadata=?5, data=?6"
)
PUT_BLOB = (
    "INSERT INTO kv(key,token,created,modified,size,metadata,blob) VALUES(?1,?2,?3,?3,?4,'{}',?5)"
)
READ = "SELECT data FROM kv WHERE key=?"
EXISTS = "SELECT 1 FROM kv WHERE key=?"
ADD_CHUNK = "INSERT INTO chunk(id,data) VALUES(?,?)"
KEYS = "SELECT key FROM kv ORDER BY key"
KEYS_BETWEEN = "SELECT key FROM kv WHERE key>=? AND key<? ORDER BY key"
FIRST_BLOB = 1 << 24

next_token = itertools.count(1 << 62).__next__


def create(path: Path, *, durability: str = "NORMAL") -> sqlite3.Connection:
    """A new file with the tables of a store, open and warm."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA page_size=4096")
    connection.execute("PRAGMA journal_mode=wal")
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.close()
    connection = open_file(path, durability=durability)
    connection.execute(PUT, row("warm", b"warm"))
    return connection


def open_file(path: Path, *, durability: str = "NORMAL") -> sqlite3.Connection:
    """A connection with the settings of a store's."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=5.0, check_same_thread=False)
    for name, value in _PRAGMAS.items():
        connection.execute(f"PRAGMA {name}={value}")
    connection.execute(f"PRAGMA synchronous={durability}")
    return connection


def row(key: str, value: bytes, text: str = "{}") -> tuple[Any, ...]:
    """The parameters of `PUT`."""
    return (key, hex(next_token()), time(), len(value), text, value)


def put_stream(connection: sqlite3.Connection, key: str, source: Any, blob: int) -> None:
    """Chunk rows of 64 KiB, committed every 4 MiB, and one row that publishes them."""
    number = blob
    size = 0
    while chunk := source.read(COMMIT_BYTES // 4):
        views: Iterable[memoryview] = _cut(chunk)
        if not connection.in_transaction:
            connection.execute("BEGIN IMMEDIATE")
        connection.executemany(ADD_CHUNK, zip(itertools.count(number), views, strict=False))
        number += -(-len(chunk) // CHUNK)
        size += len(chunk)
        if size % COMMIT_BYTES == 0:
            connection.execute("COMMIT")
    if not connection.in_transaction:
        connection.execute("BEGIN IMMEDIATE")
    connection.execute(PUT_BLOB, (key, hex(next_token()), time(), size, blob))
    connection.execute("COMMIT")


def _cut(chunk: bytes) -> Iterator[memoryview]:
    view = memoryview(chunk)
    return (view[at : at + CHUNK] for at in range(0, len(chunk), CHUNK))


def find_difference(directory: Path) -> str:
    """Name the tables and settings of a store that are no longer those of R; "" if none are."""
    from encore.storage.api import SqliteStore

    with SqliteStore(directory / "encore.db") as store:
        store.put("a", b"a")
        theirs = _engine(store._connection())
    connection = create(directory / "raw.db")
    ours = _engine(connection)
    connection.close()
    names = sorted(ours.keys() | theirs.keys())
    return ", ".join(name for name in names if ours.get(name) != theirs.get(name))


def _engine(connection: sqlite3.Connection) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: connection.execute(f"PRAGMA {name}").fetchone()
        for name in (*_PRAGMAS, "journal_mode", "synchronous", "page_size", "wal_autocheckpoint")
    }
    for (table,) in connection.execute(
        "SELECT name FROM sqlite_schema WHERE type='table'"
    ).fetchall():
        found[table] = (
            connection.execute(f"PRAGMA table_info({table})").fetchall(),
            connection.execute(f"PRAGMA index_list({table})").fetchall(),
        )
    return found
