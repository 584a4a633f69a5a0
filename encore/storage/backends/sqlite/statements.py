"""The formats of files, and every constant SQL text.

::

    kv        one row per key: the record, and the data if it is small
    chunk     larger data, in pieces of 64 KiB; id = blob * 2**24 + piece
    staging   blobs being written that no key points at yet, and who writes them

``kv.blob`` is the id of the first chunk, or NULL where the data is inline. A rowid table with a
unique key rather than WITHOUT ROWID: values in the tree of the keys make every search for a key
read them (three times slower at 4 KiB). Metadata is JSON text, so that SQLite can look into it.

Writing goes by UPSERT; REPLACE would delete and insert, which costs twice. The condition on
``blob`` lets one statement do for the usual case: it touches no row where there is more to do.

Where large data stays elsewhere (``hashdir``), ``kv`` is the same, and ``blob`` is a number there.
This folder and that one import this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

INLINE_BYTES = 1024
CHUNK_BYTES = 65536
CHUNK_BITS = 24
CHUNK_SPAN = (1 << CHUNK_BITS) - 1
PAGE = 1000
VALUES_PAGE = 100  # rows that may bring a chunk each

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

TABLES = {
    "kv": """CREATE TABLE kv(
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        token TEXT NOT NULL,
        created REAL NOT NULL,
        modified REAL NOT NULL,
        size INTEGER NOT NULL,
        metadata TEXT NOT NULL,
        blob INTEGER,
        data BLOB)""",
    "chunk": "CREATE TABLE chunk(id INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "staging": """CREATE TABLE staging(
        blob INTEGER PRIMARY KEY,
        writer TEXT NOT NULL,
        since REAL NOT NULL)""",
}


@dataclass(frozen=True, slots=True)
class Format:
    """What a file must be to be ours.

    Attributes
    ----------
    application_id : int
    version : int
        Newer ones are refused.
    tables : mapping of str to str
        By name, the statements that make them.
    first : tuple of str
        Statements that a new file begins with.
    """

    application_id: int
    version: int
    tables: Mapping[str, str]
    first: tuple[str, ...] = ()


ONE_FILE = Format(0x656E6372, 1, TABLES)  # "encr"
OBJECTS = (  # but for SQLite's own, such as the statistics that ANALYZE leaves
    "SELECT type, name, sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*'"
)

# -- reading --------------------------------------------------------------------------------------

READ = "SELECT data, blob FROM kv WHERE key=?"
EXISTS = "SELECT 1 FROM kv WHERE key=?"
COUNT = "SELECT count(*) FROM kv"
PLACE = "SELECT size, blob, data FROM kv WHERE key=?"


def _pages(columns: str, limit: int) -> dict[tuple[bool, bool], str]:
    """The texts for a page of rows in key order: (after a key or from it, bounded or not)."""
    return {
        (after, bounded): f"SELECT {columns} FROM kv WHERE key{'>' if after else '>='}?"
        f"{' AND key<?' if bounded else ''} ORDER BY key LIMIT {limit}"
        for after in (False, True)
        for bounded in (False, True)
    }


KEYS = _pages("key", PAGE)
ENTRIES = _pages("key, size, modified, token", PAGE)
TOTALS = "SELECT count(*), coalesce(sum(size),0) FROM kv WHERE key>=?"
TOTALS_BOUNDED = TOTALS + " AND key<?"


class Finding(NamedTuple):
    """The texts that find records: key, metadata, size, created, modified, token, blob, data."""

    one: str
    many: str
    all: dict[tuple[bool, bool], str]


def _finding(data: str) -> Finding:
    """The texts where ``data`` is what they give of the data."""
    record = f"kv.metadata, kv.size, kv.created, kv.modified, kv.token, kv.blob, {data}"
    return Finding(
        f"SELECT kv.key, {record} FROM kv WHERE key=?",
        f"SELECT wanted.value, {record} FROM json_each(?) AS wanted"
        " LEFT JOIN kv ON kv.key=wanted.value",
        _pages(f"kv.key, {record}", VALUES_PAGE),
    )


FIND = _finding("kv.data")
FIND_WITH_CHUNK = _finding(
    "CASE WHEN kv.blob IS NULL THEN kv.data"
    f" WHEN kv.size<={CHUNK_BYTES} THEN (SELECT data FROM chunk WHERE id=kv.blob) END"
)

# -- writing --------------------------------------------------------------------------------------

_UPSERT = (
    "INSERT INTO kv(key,token,created,modified,size,metadata,blob,data) VALUES(?,?,?,?,?,?,?,?)"
    " ON CONFLICT(key) DO UPDATE SET token=excluded.token,{} modified=excluded.modified,"
    " size=excluded.size, metadata=excluded.metadata, blob=excluded.blob, data=excluded.data"
)
UPSERT = _UPSERT.format(" created=excluded.created,")
UPSERT_WHERE_INLINE = UPSERT + " WHERE kv.blob IS NULL"
PUT_PLAIN = (
    "INSERT INTO kv(key,token,created,modified,size,metadata,data) VALUES(?,?,?,?,?,?,?)"
    " ON CONFLICT(key) DO UPDATE SET token=excluded.token, modified=excluded.modified,"
    " size=excluded.size, metadata=excluded.metadata, data=excluded.data"
    " WHERE kv.blob IS NULL"
)
UPSERT_KEEPING_CREATED = _UPSERT.format("") + " WHERE kv.blob IS NULL"
UPDATE_METADATA = "UPDATE kv SET metadata=?, modified=?, token=? WHERE key=?"
DELETE = "DELETE FROM kv WHERE key=?"
DELETE_WHERE_INLINE = "DELETE FROM kv WHERE key=? AND blob IS NULL"
BLOBS = (
    "SELECT key, blob, created FROM kv"
    " WHERE blob IS NOT NULL AND key IN (SELECT value FROM json_each(?))"
)
BLOBS_IN = "SELECT key, blob FROM kv WHERE blob IS NOT NULL AND key>=?"
BLOBS_IN_BOUNDED = BLOBS_IN + " AND key<?"
DELETE_ALL = "DELETE FROM kv"
DELETE_IN = "DELETE FROM kv WHERE key>=?"
DELETE_IN_BOUNDED = DELETE_IN + " AND key<?"

# -- chunks ---------------------------------------------------------------------------------------

NEXT_BLOB = f"SELECT ((coalesce(max(id),0) >> {CHUNK_BITS}) + 1) << {CHUNK_BITS} FROM chunk"
ADD_CHUNK = "INSERT INTO chunk(id,data) VALUES(?,?)"
READ_CHUNKS = "SELECT data FROM chunk WHERE id BETWEEN ? AND ? ORDER BY id"
# Takes its one parameter twice: numbered ones (?1) count as named in some versions of Python 3.12.
DROP_CHUNKS = f"DELETE FROM chunk WHERE id BETWEEN ? AND ?+{CHUNK_SPAN}"
COPY_CHUNKS = (
    "INSERT INTO chunk(id,data) SELECT id+?, data FROM chunk"
    f" WHERE id BETWEEN ? AND ?+{CHUNK_SPAN} ORDER BY id"
)
STAGE = "INSERT INTO staging(blob,writer,since) VALUES(?,?,?)"
UNSTAGE = "DELETE FROM staging WHERE blob=?"
STAGED = "SELECT blob, writer, since FROM staging"
HAS_BLOB = "SELECT 1 FROM kv WHERE blob=?"

# -- transactions ---------------------------------------------------------------------------------

BEGIN = "BEGIN IMMEDIATE"


def to_json(keys: list[str]) -> str:
    """Keys as one parameter: any number of them with one statement text."""
    return _encode(keys)
