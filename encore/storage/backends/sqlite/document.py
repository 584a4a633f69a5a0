"""Creating the file, and recognising one.

A file belongs to encore by its ``application_id``; ``user_version`` is the format. What is newer
than this code is refused rather than damaged, and so is a file with anything in its schema that
encore did not put there: a trigger or a default of a stranger's would run as part of our writes.
The engine imports this module, and ``hashdir``.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from encore.errors import CorruptValueError, StoreError, UnsupportedError
from encore.storage.backends.sqlite import statements as sql
from encore.storage.backends.sqlite.connections import Settings
from encore.storage.backends.sqlite.history_tables import OBJECTS as HISTORY
from encore.storage.backends.sqlite.searching import is_our_index
from encore.storage.backends.sqlite.statements import Format


def create(settings: Settings, form: Format, recover: Callable[[sqlite3.Connection], None]) -> None:
    """Make the file, its directory and its tables if they are not there; check them if they are.

    Parameters
    ----------
    settings : Settings
    form : Format
    recover : callable
        Called with a connection to a file that was there, if it can be written.

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
        if not _is_ours(connection, settings.path, form):
            if settings.readonly:
                raise StoreError(f"{settings.path!r} is empty, and is to be opened for reading")
            connection.execute(f"PRAGMA page_size={settings.page_size}")
            connection.execute("PRAGMA encoding='UTF-8'")
            settings.choose_journal(connection)
            _make_tables(connection, settings.path, form)
        elif not settings.readonly and os.access(settings.path, os.W_OK):
            settings.choose_journal(connection)
            recover(connection)
    finally:
        connection.close()


def _is_ours(connection: sqlite3.Connection, path: str, form: Format) -> bool:
    """Whether the tables are there; False for an empty file."""
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_NOTADB:
            raise CorruptValueError(f"{path!r} is no SQLite database: {error}") from error
        raise
    if application == form.application_id:
        if version > form.version:
            raise UnsupportedError(
                f"{path!r} has format {version}, and this encore knows {form.version}; "
                "a newer encore opens it"
            )
        _check_objects(connection, path, form)
        return True
    if application or tables:
        raise StoreError(f"{path!r} is a database of another program, not an encore store")
    return False


def _check_objects(connection: sqlite3.Connection, path: str, form: Format) -> None:
    for kind, name, statement in connection.execute(sql.OBJECTS):
        ours = kind == "table" and form.tables.get(name) == statement
        ours = ours or HISTORY.get(name) == statement
        if not ours and not (kind == "index" and is_our_index(name, statement)):
            raise CorruptValueError(f"{path!r} contains the {kind} {name!r}, which is not encore's")


def add_indexes(connection: sqlite3.Connection, statements: dict[str, str]) -> None:
    """Make the declared indexes that are not there yet."""
    found = {name for kind, name, _ in connection.execute(sql.OBJECTS) if kind == "index"}
    for name in statements.keys() - found:
        connection.execute(statements[name].replace("INDEX", "INDEX IF NOT EXISTS", 1))


def _make_tables(connection: sqlite3.Connection, path: str, form: Format) -> None:
    connection.execute(sql.BEGIN)
    try:
        if not _is_ours(connection, path, form):  # unless another process has just done it
            for statement in (*form.tables.values(), *form.first):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={form.application_id}")
            connection.execute(f"PRAGMA user_version={form.version}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def make_private_directory() -> str:
    """Return a new directory for a store that lives no longer than the program, in memory if
    the system offers a file system there."""
    memory = "/dev/shm"
    usable = os.path.isdir(memory) and os.access(memory, os.W_OK)
    return tempfile.mkdtemp(prefix="encore-", dir=memory if usable else None)
