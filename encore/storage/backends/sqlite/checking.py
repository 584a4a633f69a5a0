"""What `verify` looks at in a database: its structure, its records, and the rows of large data.

Everything is looked at in one read transaction of a connection of its own, so that what others
write meanwhile is no damage. ``store`` imports this module, and ``hashdir``.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from encore.errors import CorruptValueError, InvalidKeyError
from encore.keys.rules import check_key
from encore.storage.backends.sqlite import statements as sql
from encore.storage.backends.sqlite.failures import translate
from encore.storage.backends.sqlite.history_tables import HAS_HISTORY
from encore.storage.backends.sqlite.staging import classify, sweep
from encore.storage.checking import (
    DAMAGE,
    MISSING,
    ORPHAN,
    UNKNOWN,
    Problem,
    read_everything,
)
from encore.storage.metadata import decode_metadata

# What integrity_check says of an index that does not fit its table: making it anew mends that.
_OF_INDEX = re.compile(r"row .* missing from index|wrong # of entries in index|non-unique entry in")
_MOST = 100  # of SQLite's complaints
_RECORDS = (
    "SELECT key, typeof(key), token, typeof(created), typeof(modified), size, typeof(size),"
    " metadata, typeof(metadata), blob, typeof(blob), typeof(data), length(data)"
    " FROM kv NOT INDEXED"  # a damaged index must not hide any
)
_PIECES = (
    "SELECT count(*), coalesce(sum(length(data)),0), min(id), max(id), max(length(data)) FROM chunk"
    f" WHERE id BETWEEN ? AND ?+{sql.CHUNK_SPAN}"
)
_STEP = f"{sql.CHUNK_BITS}) << {sql.CHUNK_BITS}"
# Goes from blob to blob, and not through every chunk.
_UNUSED = f"""WITH RECURSIVE found(blob) AS (
    SELECT (min(id) >> {_STEP} FROM chunk
    UNION ALL
    SELECT ((SELECT min(id) FROM chunk WHERE id > found.blob + {sql.CHUNK_SPAN}) >> {_STEP}
    FROM found WHERE found.blob IS NOT NULL)
    SELECT blob FROM found WHERE blob IS NOT NULL
    AND blob NOT IN (SELECT blob FROM kv WHERE blob IS NOT NULL)
    AND blob NOT IN (SELECT blob FROM staging)"""
_AND_NOT_REMEMBERED = " AND blob NOT IN (SELECT blob FROM history_image WHERE blob IS NOT NULL)"


def examine(store: Any, repair: bool) -> Iterator[Problem]:
    """What is wrong with a `SqliteStore`."""
    yield from structure(store, repair)
    known = set()
    connection = begin(store)
    try:
        for problem in records(connection, _whole):
            known.add(problem.key)
            yield problem
        yield from _unused(connection)
        yield from _staged(store, connection, repair)
    except sqlite3.Error as error:
        yield unreadable(store, error)
    finally:
        connection.close()
    yield from read_everything(store, known)


def begin(store: Any) -> sqlite3.Connection:
    """A connection with a read transaction open."""
    store._connection()  # a closed store says so
    try:
        connection: sqlite3.Connection = store._settings.connect()
        try:
            connection.execute("BEGIN")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise translate(error, store, "verify") from error
    return connection


def unreadable(store: Any, error: sqlite3.Error) -> Problem:
    """What is told where SQLite cannot go on; raises what is no damage."""
    problem = translate(error, store, "verify")
    if not isinstance(problem, CorruptValueError):
        raise problem from error
    return Problem(DAMAGE, None, f"the file cannot be read any further: {error}")


# -- the file -------------------------------------------------------------------------------------


def structure(store: Any, repair: bool) -> Iterator[Problem]:
    """What SQLite itself finds wrong with the file."""
    found = _complaints(store)
    is_index_only = bool(found) and all(_OF_INDEX.search(text) for text in found)
    is_mended = is_index_only and repair and _reindex(store) and not _complaints(store)
    for text in found:
        problem = Problem(DAMAGE, None, f"in the file: {text}", is_index_only)
        yield problem.repaired() if is_mended else problem


def _complaints(store: Any) -> list[str]:
    connection = begin(store)
    try:
        rows = connection.execute(f"PRAGMA integrity_check({_MOST})").fetchall()
    except sqlite3.Error as error:
        return [unreadable(store, error).explanation]
    finally:
        connection.close()
    return [text for (text,) in rows if text != "ok"]


def _reindex(store: Any) -> bool:
    with suppress(sqlite3.Error), store._unit():
        store._connection().execute("REINDEX")
        return True
    return False


# -- the records ----------------------------------------------------------------------------------


def records(
    connection: sqlite3.Connection, whole: Any, only: str | None = None
) -> Iterator[Problem]:
    """What is wrong with records, or the only one; ``whole`` looks at data that is elsewhere."""
    statement, keys = (_RECORDS, ()) if only is None else (_RECORDS + " WHERE key=?", (only,))
    for row in connection.execute(statement, keys):
        key = row[0]
        try:
            check_key(key)
        except InvalidKeyError as error:
            yield Problem(UNKNOWN, None, f"there is a record under what is no key: {error}")
            continue
        complaint = _complaint(row)
        if complaint:
            yield Problem(DAMAGE, key, complaint)
        elif row[9] is not None:
            yield from whole(connection, key, row[5], row[9])


def _complaint(row: tuple[Any, ...]) -> str:
    """What is wrong with a record, apart from data that is elsewhere."""
    _, key_type, _, created, modified, size, size_type, text, text_type, blob, *rest = row
    blob_type, data_type, length = rest
    types = (key_type, created, modified, size_type, text_type)
    if types != ("text", "real", "real", "integer", "text"):
        return "its record has fields of another type than encore writes"
    try:
        decode_metadata(text)
    except CorruptValueError as error:
        return str(error)
    if blob_type == "integer" and data_type == "null" and blob >= 0 and size >= 0:
        return ""
    if blob_type != "null" or data_type != "blob":
        return "its record does not say where its data is"
    return "" if length == size else f"there are {length:,} bytes of data, not {size:,}"


def _whole(connection: sqlite3.Connection, key: str, size: int, blob: int) -> Iterator[Problem]:
    count, found, first, last, longest = connection.execute(_PIECES, (blob, blob)).fetchone()
    expected = -(-size // sql.CHUNK_BYTES)
    if count < expected:
        yield Problem(MISSING, key, f"{expected - count} of {expected} pieces of its data are gone")
    elif count and (count, found, first, last) != (expected, size, blob, blob + count - 1):
        yield Problem(
            DAMAGE, key, f"its pieces have {found:,} bytes, not {size:,}, or wrong places"
        )
    elif longest is not None and longest > sql.CHUNK_BYTES:
        yield Problem(DAMAGE, key, "a piece of its data is longer than a piece can be")


# -- large data -----------------------------------------------------------------------------------


def _unused(connection: sqlite3.Connection) -> Iterator[Problem]:
    has_history = connection.execute(HAS_HISTORY).fetchone() is not None
    statement = _UNUSED + (_AND_NOT_REMEMBERED if has_history else "")
    for (blob,) in connection.execute(statement):
        yield Problem(
            UNKNOWN,
            None,
            f"no key has the data numbered {blob}, and nobody is writing it; it is left as it is",
        )


def _staged(store: Any, connection: sqlite3.Connection, repair: bool) -> Iterator[Problem]:
    dead, odd = classify(connection)
    for blob in odd:
        yield Problem(
            UNKNOWN, None, f"the data numbered {blob} is being written by nobody that can be named"
        )
    if not dead:
        return
    problem = Problem(
        ORPHAN,
        None,
        f"{len(dead)} large values were being written by programs that died before they got a key",
        can_repair=True,
    )
    if repair:
        writing = store._settings.connect()
        try:
            sweep(writing)
            problem = problem.repaired()
        finally:
            writing.close()
    yield problem
