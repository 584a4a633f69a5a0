"""Transactions, which are SQLite's own.

BEGIN IMMEDIATE, so that what is read in one cannot change before it writes; savepoints for the
blocks inside. What values leave behind is collected in ``owner.garbage`` while a block is open, and
handed to the hooks of the store where it is settled::

    BEGIN IMMEDIATE
    ...                          garbage of the block, and of the blocks inside it once they end
    _before_commit(garbage)
    COMMIT                       or ROLLBACK, and then _after_rollback(garbage)
    _after_commit(garbage)

``records`` imports this module.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from contextlib import suppress
from typing import Any

from encore.errors import LockTimeoutError, ReadOnlyError, StoreError
from encore.storage.backends.sqlite import statements as sql
from encore.storage.backends.sqlite.connections import SqliteOwner
from encore.storage.backends.sqlite.engine import SqliteEngine
from encore.storage.backends.sqlite.failures import translate
from encore.storage.backends.sqlite.history_tables import HAS_BLOB, HAS_HISTORY, Remembering
from encore.storage.transactions.contexts import SimpleTransactionContext


class SqliteTransactions(SqliteEngine):
    """The engine, and transactions.

    The parameters are those of `SqliteStore`.
    """

    _remembering: Remembering | None = None  # a history, where one is attached

    # -- hooks ------------------------------------------------------------------------------------

    def _before_commit(self, garbage: list[Any]) -> None:
        """Do what has to be in the transaction, or before it counts."""

    def _after_commit(self, garbage: list[Any]) -> None:
        """Clear up; nothing may be raised any more."""

    def _after_rollback(self, garbage: list[Any], depth: int) -> None:
        """Clear up after a block at this depth; nothing may be raised."""

    # -- transactions -----------------------------------------------------------------------------

    def _begin_transaction(self, context: SimpleTransactionContext) -> None:
        owner = self._owner
        if context.depth > 1:
            self._execute(f"SAVEPOINT s{context.depth}")
            owner.garbage.append([])  # type: ignore[union-attr]
            return
        if owner.context is not None:
            raise LockTimeoutError(
                f"another task of this thread has the transaction {owner.context.notes!r} of "
                f"{self!r} open, and waiting for it here would stop it, too",
                store=self,
            )
        connection = owner.connection or self._connect()
        if self._settings.readonly:
            raise ReadOnlyError(f"begin: {self!r} was opened for reading only", store=self)
        try:
            if context.timeout is None:
                connection.execute(sql.BEGIN)
            else:
                self._begin_with_timeout(connection, context.timeout)
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise translate(error, self, "begin", timeout=context.timeout) from error
            raise
        owner.garbage = [[]]
        self._writing = (threading.current_thread(), time.monotonic())
        if self._owner is not owner or self._state != "open":
            self._give_up(owner)

    def _give_up(self, owner: SqliteOwner) -> None:
        """Begin no transaction in a store that has been closed meanwhile."""
        with self._opening:  # whoever is closing it may find that he cannot
            if self._owner is owner and self._state == "open":
                return
        self._writing = None
        assert owner.connection is not None
        owner.connection.execute("ROLLBACK")
        raise StoreError(f"{self!r} has been closed", store=self, operation="begin")

    def _begin_with_timeout(self, connection: sqlite3.Connection, timeout: float) -> None:
        connection.execute(f"PRAGMA busy_timeout={int(timeout * 1000)}")
        try:
            connection.execute(sql.BEGIN)
        finally:
            connection.execute(f"PRAGMA busy_timeout={int(self.timeout * 1000)}")

    def _commit_transaction(self, context: SimpleTransactionContext) -> None:
        owner = self._owner
        garbage = owner.garbage
        assert garbage is not None
        if context.depth > 1:
            self._execute(f"RELEASE s{context.depth}")
            inner = garbage.pop()
            garbage[-1] += inner
            return
        connection = self._connection()
        try:
            if garbage[0]:
                garbage[0] = self._useless(garbage[0])
            self._before_commit(garbage[0])
            self._writing = None  # before others can begin, or theirs would be taken away
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translate(error, self, "commit") from error
        except BaseException:
            if not connection.in_transaction:
                context.mark_committed()
                self._after_commit(garbage[0])
            raise
        context.mark_committed()
        self._after_commit(garbage[0])

    def _useless(self, garbage: list[Any]) -> list[Any]:
        """What of the data that a commit leaves behind no history of the file remembers.

        Whether one is attached here or not: another program may have it.
        """
        if self._fetch_one(HAS_HISTORY) is None:
            return garbage
        return [data for data in garbage if not self._is_remembered(data)]

    def _is_remembered(self, data: Any) -> bool:
        return self._fetch_one(HAS_BLOB, (data,)) is not None

    def _rollback_transaction(self, context: SimpleTransactionContext) -> None:
        owner = self._owner
        assert owner.garbage is not None
        garbage = owner.garbage.pop()
        if context.depth == 1:
            self._writing = None
        try:
            self._undo(context.depth)
        finally:
            self._after_rollback(garbage, context.depth)
            if context.depth == 1:
                self._recover_from_failure()

    def _undo(self, depth: int) -> None:
        connection = self._owner.connection
        assert connection is not None
        if not connection.in_transaction:
            return  # SQLite has done it already: the disk was full, say
        try:
            if depth > 1:
                connection.execute(f"ROLLBACK TO s{depth}")
                connection.execute(f"RELEASE s{depth}")
            else:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise translate(error, self, "rollback") from error

    def _recover_from_failure(self) -> None:
        """Put right, outside a transaction, what a write that was undone has left."""
        owner = self._owner
        if owner.is_useless:
            owner.connection = owner.held = None
            owner.is_useless = False
        else:
            self._make_room()

    def _make_room(self) -> None:
        """Give back what the log has grown by, after a write that was undone on a full disk.

        The log would keep that until the store is closed. It stays if others are reading, or if
        there is no room for what it has to put into the file first.
        """
        path = os.path.abspath(self._settings.path)
        with suppress(OSError, sqlite3.Error):
            if os.path.getsize(f"{path}-wal") <= shutil.disk_usage(os.path.dirname(path)).free:
                return
            connection = self._owner.connection
            assert connection is not None
            connection.execute("PRAGMA busy_timeout=0")
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.execute(f"PRAGMA busy_timeout={int(self.timeout * 1000)}")
