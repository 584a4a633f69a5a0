"""What the store stands on: its file, and a connection for each thread.

``transacting`` imports this module.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from encore.errors import StoreError, TransactionError
from encore.events.abstract_event_manager import BaseEventManager
from encore.storage.backend import BackendStore
from encore.storage.backends.sqlite import statements as sql
from encore.storage.backends.sqlite.connections import (
    Held,
    Settings,
    SqliteOwner,
    close_retired,
)
from encore.storage.backends.sqlite.document import add_indexes, create, make_private_directory
from encore.storage.backends.sqlite.failures import describe_holder, translate
from encore.storage.backends.sqlite.searching import index_statements
from encore.storage.transactions.locks import held_message
from encore.storage.transactions.owners import OwnerState


class SqliteEngine(BackendStore):
    """A store with its file and its connections, but no transactions and no values yet.

    The parameters are those of `SqliteStore`.
    """

    _owner: SqliteOwner
    _form = sql.ONE_FILE

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        index: Iterable[str] = (),
        durability: str = "process",
        readonly: bool = False,
        page_size: int = 4096,
        event_manager: BaseEventManager | None = None,
        timeout: float = 5.0,
    ) -> None:
        if durability not in ("process", "power"):
            raise ValueError(f"durability is 'process' or 'power', not {durability!r}")
        self.path = os.fspath(path)
        super().__init__(event_manager=event_manager, timeout=timeout)
        self._indexes = index_statements(index)
        self._asked = Settings(self._file(), timeout, durability, readonly, page_size)
        self._settings = self._asked
        self._private: weakref.finalize[Any, Any] | None = None
        self._connections: weakref.WeakSet[Held] = weakref.WeakSet()
        self._opening = threading.RLock()
        self._writing: tuple[threading.Thread, float] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r}>"

    # -- hooks ------------------------------------------------------------------------------------

    def _file(self) -> str:
        """The path of the database, from the path of the store."""
        return self.path

    def _is_private(self) -> bool:
        """Whether the database is to be a file that nobody else sees."""
        return self.path == ":memory:"

    def _recover(self, connection: sqlite3.Connection) -> None:
        """Clear up, when the store is opened, what the dead have left."""

    # -- opening and closing ----------------------------------------------------------------------

    def _new_owner(self) -> OwnerState:
        return SqliteOwner()

    def _open(self) -> None:
        with self._opening:
            self._settings = settings = self._asked
            if self._is_private():
                self._settings = self._private_settings()
            elif os.path.isfile(settings.path) and not os.access(settings.path, os.W_OK):
                self._settings = replace(settings, readonly=True)
            try:
                create(self._settings, self._form, self._recover)
                if self._indexes and not self._settings.readonly:
                    connection = self._settings.connect()
                    try:
                        add_indexes(connection, self._indexes)
                    finally:
                        connection.close()
            except sqlite3.Error as error:
                raise translate(error, self, "open") from error
            except OSError as error:
                raise StoreError(
                    f"open in {self!r}: the file cannot be made ({error.strerror})",
                    store=self,
                    operation="open",
                ) from error

    def _private_settings(self) -> Settings:
        directory = make_private_directory()
        self._private = weakref.finalize(self, _remove_private, directory, os.getpid())
        path = os.path.join(directory, "store.db")
        return replace(self._asked, path=path, durability="none")

    def close(self) -> None:
        with self._opening:
            super().close()
        close_retired()

    def _close(self) -> None:
        writing = self._writing
        if writing is not None and writing[0].is_alive():
            raise TransactionError(
                f"{self!r} cannot be closed: thread {writing[0].name!r} has a transaction open",
                store=self,
                operation="close",
            )
        owner = self._owner
        if not self._settings.readonly:
            # So that the one file is all there is to it: for mailing it, or copying it away.
            # If others use it still, the last of them does that.
            with suppress(sqlite3.Error):
                connection = owner.connection or self._settings.connect()
                connection.execute("PRAGMA busy_timeout=0")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.close()
        for mine in filter(None, (owner.held, owner.other)):
            mine.connection.close()  # those of other threads close when they are let go of
        if self._private is not None:
            self._private()

    def _after_fork(self) -> None:
        for held in list(self._connections):
            held.connection.close()  # keeps it, since it is the parent's
        super()._after_fork()
        self._connections = weakref.WeakSet()
        self._opening = threading.RLock()
        self._writing = None

    def _describe(self) -> dict[str, Any]:
        journal = self._fetch_one("PRAGMA journal_mode")[0]
        return {
            "path": self.path,
            "readonly": self._settings.readonly,
            "durability": self._settings.durability,
            "journal": journal,
            "sqlite": sqlite3.sqlite_version,
        }

    # -- connections ------------------------------------------------------------------------------

    def _connection(self) -> sqlite3.Connection:
        """The connection for the caller: of its thread, and of its task where one writes."""
        owner = self._owner
        context = owner.context
        if context is None:
            return owner.connection or self._connect()
        if context.is_mine():
            connection = owner.connection
            assert connection is not None
            if not connection.in_transaction:
                raise TransactionError(
                    f"SQLite has already rolled back the transaction {context.notes!r} after an "
                    "earlier error; leave it and try again",
                    store=self,
                )
            return connection
        if owner.other is None:
            owner.other = self._new_connection()
        return owner.other.connection

    def _connect(self) -> sqlite3.Connection:
        owner = self._owner  # first: a store that is being closed is marked, then loses it
        if self._state != "open":
            with self._opening:
                self._opened()
        held = self._new_connection()
        owner.connection = connection = held.connection
        owner.held = held
        return connection

    def _new_connection(self) -> Held:
        try:
            held = Held(self._settings.connect())
        except sqlite3.Error as error:
            raise translate(error, self, "open") from error
        self._connections.add(held)
        return held

    def _may_write(self) -> bool:
        """Whether the file can be written, whatever a connection to it says.

        SQLite opens a file for reading if the system has no descriptor left at the first try. Such
        a connection is given up once the write that has failed is over.
        """
        settings = self._settings
        if settings.readonly or not os.access(settings.path, os.W_OK):
            return False
        self._owner.is_useless = True
        return True

    def _execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._connection().execute(statement, parameters)
        except sqlite3.Error as error:
            raise translate(error, self, statement.split(" ", 1)[0].lower()) from error

    def _fetch(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """All rows: what is damaged in one shows only when it is fetched."""
        try:
            return self._connection().execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            raise translate(error, self, "read") from error

    def _fetch_one(self, statement: str, parameters: tuple[Any, ...] = ()) -> Any:
        """The first row, None if there is none."""
        try:
            return self._connection().execute(statement, parameters).fetchone()
        except sqlite3.Error as error:
            raise translate(error, self, "read") from error

    def _who_holds_it(self, timeout: float) -> str:
        writing = self._writing
        if writing is not None:
            thread, since = writing
            waited = time.monotonic() - since
            return held_message(self.path, f"thread {thread.name!r}", waited, timeout)
        return describe_holder(self._settings.path, timeout, timeout)


def _remove_private(directory: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(directory, ignore_errors=True)
