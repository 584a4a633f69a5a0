"""What the engine's errors mean here: SQLite's result codes in terms of ``encore.errors``.

The codes are those of https://www.sqlite.org/rescode.html.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from encore.errors import (
    CorruptValueError,
    EncoreError,
    LockTimeoutError,
    ReadOnlyError,
    StoreError,
    StoreFullError,
)
from encore.storage.transactions.locks import held_message

# What SQLite says where the file beside the database that its processes share cannot grow.
_IS_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
_WAL_WRITE_LOCK = 120  # the byte of the -shm file that a writer locks: sqlite.org/walformat.html


def translate(
    error: sqlite3.Error,
    store: Any,
    operation: str,
    key: str | None = None,
    *,
    timeout: float | None = None,
) -> EncoreError:
    """Return the error to raise ``from`` the engine's.

    Parameters
    ----------
    error : sqlite3.Error
    store : SqliteStore
    operation : str
        What was attempted.
    key : str, optional
    timeout : float, optional
        Seconds it waited for other writers; default: the store's.
    """
    code = getattr(error, "sqlite_errorcode", 0)
    primary = code & 0xFF
    what = f"{operation} of {key!r} in {store!r}" if key else f"{operation} in {store!r}"
    context: dict[str, Any] = {"store": store, "operation": operation, "key": key}
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LockTimeoutError(
            store._who_holds_it(store.timeout if timeout is None else timeout), **context
        )
    if code in _IS_FULL:
        return StoreFullError(
            f"{what}: no room left on the disk; nothing was changed. Free some and try again",
            **context,
        )
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        if store._may_write():
            return StoreError(
                f"{what}: the file could only be opened for reading a moment ago, when the system "
                f"had no more open files to give, say; try again ({error})",
                **context,
            )
        return ReadOnlyError(f"{what}: the file cannot be written ({error})", **context)
    is_no_text = "Could not decode" in str(error)  # it has no code
    if is_no_text or primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return CorruptValueError(f"{what}: the file is damaged or no database ({error})", **context)
    if primary == sqlite3.SQLITE_CANTOPEN:
        return StoreError(
            f"{what}: the file cannot be opened; does its directory exist, and may it be "
            f"written? ({error})",
            **context,
        )
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return StoreError(f"{what}: the store has been closed; connect() opens it again", **context)
    return StoreError(f"{what} failed: {error}", **context)


class Rows:
    """What a statement gives, its errors those of a store: damage may show only in a late row."""

    __slots__ = ("_cursor", "_store")

    def __init__(self, cursor: sqlite3.Cursor, store: Any) -> None:
        self._cursor = cursor
        self._store = store

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    def fetchall(self) -> list[Any]:
        try:
            return self._cursor.fetchall()
        except sqlite3.Error as error:
            raise translate(error, self._store, "read") from error

    def fetchone(self) -> Any:
        try:
            return self._cursor.fetchone()
        except sqlite3.Error as error:
            raise translate(error, self._store, "read") from error


def not_read(error: sqlite3.Error) -> EncoreError:
    """The error to raise where a value, which knows no store, cannot be read any further."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    ):
        return CorruptValueError(f"a value cannot be read: the file is damaged ({error})")
    return StoreError(f"a value cannot be read: {error}")


def describe_holder(path: str, waited_seconds: float, timeout: float) -> str:
    """Say which process keeps the file from being written, as far as the system tells."""
    pid = _holder_pid(f"{path}-shm", _WAL_WRITE_LOCK) or _holder_pid(path, None)
    holder = f"process {pid}{_command(pid)}" if pid else "another process or connection"
    return held_message(path, holder, waited_seconds, timeout)


def _holder_pid(path: str, byte: int | None) -> int | None:
    """The process with a write lock on the file, from the kernel's table (Linux).

    Asking the kernel with F_GETLK would need a descriptor, and closing it would drop the locks
    that SQLite itself holds in this process.
    """
    try:
        inode = os.stat(path).st_ino
        table = Path("/proc/locks").read_text()
    except OSError:
        return None
    for line in table.splitlines():
        found = re.search(r"WRITE\s+(\d+)\s+\w+:\w+:(\d+)\s+(\d+)\s+(\d+|EOF)", line)
        if found is None or int(found[2]) != inode or int(found[1]) <= 0:
            continue
        if byte is None or int(found[3]) <= byte <= int(found[4].replace("EOF", str(1 << 62))):
            return int(found[1])
    return None


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    name = os.path.basename(words[0].decode(errors="replace"))
    return f" ({name})" if name else ""
