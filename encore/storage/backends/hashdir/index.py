"""The format of the index: that of one file, without chunks, and two small tables.

::

    kv        as in one file; blob is the version of the file that has the data, 0 a plain file
    layout    width and depth, one row
    removed   plain files whose key is gone, until they are gone too

A plain file has no version in its name, so only this table can tell one that is about to be removed
from one that another program has put there. ``file`` is its signature: inode, time, size.

Only this folder imports this module.
"""

from __future__ import annotations

import sqlite3

from encore.storage.backends.hashdir.tree import Place
from encore.storage.backends.sqlite.history_tables import HAS_HISTORY
from encore.storage.backends.sqlite.statements import TABLES, Format

_LAYOUT = """CREATE TABLE layout(
        width INTEGER NOT NULL,
        depth INTEGER NOT NULL)"""
_REMOVED = """CREATE TABLE removed(
        key TEXT PRIMARY KEY,
        file TEXT NOT NULL)"""

LAYOUT = "SELECT width, depth FROM layout"
VERSION = "SELECT blob FROM kv WHERE key=?"
REMEMBERED = "SELECT 1 FROM history_image WHERE key=? AND blob=?"
REMOVING = "INSERT OR REPLACE INTO removed(key,file) VALUES(?,?)"
REMOVED = "SELECT file FROM removed WHERE key=?"
ALL_REMOVED = "SELECT key, file FROM removed"
FORGET_REMOVED = "DELETE FROM removed WHERE key=?"
ADOPT = (
    "INSERT INTO kv(key,token,created,modified,size,metadata,blob) VALUES(?,?,?,?,?,?,0)"
    " ON CONFLICT(key) DO NOTHING"
)


def is_needed(connection: sqlite3.Connection, place: Place) -> bool:
    """Whether a record points at a file, or a history keeps it."""
    row = connection.execute(VERSION, (place.key,)).fetchone()
    if row is not None and row[0] == place.version:
        return True
    if connection.execute(HAS_HISTORY).fetchone() is None:
        return False
    return connection.execute(REMEMBERED, place).fetchone() is not None


def recorded(connection: sqlite3.Connection) -> list[str]:
    """The statements that give the key and the version of every file that is needed."""
    tables = ["kv"]
    if connection.execute(HAS_HISTORY).fetchone() is not None:
        tables.append("history_image")
    return [f"SELECT key, blob FROM {table} WHERE blob>0" for table in tables]


def index_format(width: int, depth: int) -> Format:
    """What the index of a directory with this layout must be."""
    return Format(
        0x656E6368,  # "ench"
        1,
        {"kv": TABLES["kv"], "layout": _LAYOUT, "removed": _REMOVED},
        (f"INSERT INTO layout(width,depth) VALUES({width},{depth})",),
    )
