"""Creating the file, and recognising one.

A file belongs to encore by its ``application_id``; ``user_version`` is the format. What is newer
than this code is refused rather than damaged, and so is a file with anything in its schema that
encore did not put there: a trigger or a default of a stranger's would run as part of our writes.
Only this folder imports this module.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import tempfile
import time
from pathlib import Path

from encore.errors import CorruptValueError, StoreError, UnsupportedError
from encore.storage.backends.sqlite import statements as sql
from encore.storage.backends.sqlite.connections import Settings
from encore.storage.backends.sqlite.searching import is_our_index

_STALE_SECONDS = 86400.0


def create(settings: Settings) -> None:
    """Make the file, its directory and its tables if they are not there; check them if they are.

    Raises
    ------
    StoreError
        It is a directory, or a database of another program.
    CorruptValueError
        It is no database.
    UnsupportedError
        A newer encore wrote it.
    """
    path = Path(settings.path)
    if path.is_dir():
        raise StoreError(f"{settings.path!r} is a directory, not a store in a file")
    if not path.exists():
        if settings.readonly:
            raise StoreError(f"{settings.path!r} does not exist, and is to be opened for reading")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    connection = settings.connect()
    try:
        if not _is_ours(connection, settings.path):
            if settings.readonly:
                raise StoreError(f"{settings.path!r} is empty, and is to be opened for reading")
            connection.execute(f"PRAGMA page_size={settings.page_size}")
            connection.execute("PRAGMA encoding='UTF-8'")
            settings.choose_journal(connection)
            _make_tables(connection, settings.path)
        elif not settings.readonly and os.access(settings.path, os.W_OK):
            settings.choose_journal(connection)
            sweep(connection)
    finally:
        connection.close()


def _is_ours(connection: sqlite3.Connection, path: str) -> bool:
    """Whether the tables are there; False for an empty file."""
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_NOTADB:
            raise CorruptValueError(f"{path!r} is no SQLite database: {error}") from error
        raise
    if application == sql.APPLICATION_ID:
        if version > sql.FORMAT:
            raise UnsupportedError(
                f"{path!r} has format {version}, and this encore knows {sql.FORMAT}; "
                "a newer encore opens it"
            )
        _check_objects(connection, path)
        return True
    if application or tables:
        raise StoreError(f"{path!r} is a database of another program, not an encore store")
    return False


def _check_objects(connection: sqlite3.Connection, path: str) -> None:
    for kind, name, statement in connection.execute(sql.OBJECTS):
        ours = kind == "table" and sql.TABLES.get(name) == statement
        if not ours and not (kind == "index" and is_our_index(name, statement)):
            raise CorruptValueError(f"{path!r} contains the {kind} {name!r}, which is not encore's")


def add_indexes(connection: sqlite3.Connection, statements: dict[str, str]) -> None:
    """Make the declared indexes that are not there yet."""
    found = {name for kind, name, _ in connection.execute(sql.OBJECTS) if kind == "index"}
    for name in statements.keys() - found:
        connection.execute(statements[name].replace("INDEX", "INDEX IF NOT EXISTS", 1))


def _make_tables(connection: sqlite3.Connection, path: str) -> None:
    connection.execute(sql.BEGIN)
    try:
        if not _is_ours(connection, path):  # unless another process has just done it
            for statement in sql.TABLES.values():
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={sql.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={sql.FORMAT}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def sweep(connection: sqlite3.Connection) -> None:
    """Drop the blobs that died with their writer before any key pointed at them."""
    orphans = [
        (blob,)
        for blob, writer, since in connection.execute(sql.STAGED).fetchall()
        if not _is_alive(writer, since)
    ]
    if orphans:
        connection.execute(sql.BEGIN)
        try:
            connection.executemany(sql.DROP_CHUNKS, orphans)
            connection.executemany(sql.UNSTAGE, orphans)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def writer_name() -> str:
    """This process, so that another can tell whether it is still alive."""
    pid = os.getpid()
    return f"{socket.gethostname()}/{pid}/{_start_time(pid)}"


def _is_alive(writer: str, since: float) -> bool:
    host, pid, started = writer.rsplit("/", 2)
    if host != socket.gethostname():
        return time.time() - since < _STALE_SECONDS
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is there, and somebody else's
    return _start_time(int(pid)) == started


def _start_time(pid: int) -> str:
    """When a process started, as the kernel counts; "" where that cannot be told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def make_private_directory() -> str:
    """Return a new directory for a store that lives no longer than the program, in memory if
    the system offers a file system there."""
    memory = "/dev/shm"
    usable = os.path.isdir(memory) and os.access(memory, os.W_OK)
    return tempfile.mkdtemp(prefix="encore-", dir=memory if usable else None)
