"""The store: hooks of the template in terms of SQLite.

A thin layer: each hook looks up the thread's connection and runs one constant statement. What
takes more than one statement runs inside the transaction that the template has opened.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from encore.errors import CorruptValueError, LockTimeoutError, TransactionError
from encore.events.abstract_event_manager import BaseEventManager
from encore.keys.rules import check_key, prefix_end
from encore.storage.backends.sqlite import statements as sql
from encore.storage.backends.sqlite.bulk import BulkWriter
from encore.storage.backends.sqlite.chunks import (
    COMMIT_BYTES,
    Blob,
    Snapshot,
    SnapshotPool,
    StagedBlob,
    TransactionVersion,
    batches,
    rows_of,
)
from encore.storage.backends.sqlite.connections import Held, Settings, SqliteOwner
from encore.storage.backends.sqlite.document import create, make_private_directory, writer_name
from encore.storage.backends.sqlite.failures import describe_holder, translate
from encore.storage.backends.sqlite.searching import Search, index_statements
from encore.storage.template import Entry, Record, Staged, Store
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.locks import held_message
from encore.storage.transactions.owners import OwnerState, new_token
from encore.storage.values import KeyEntry, Value


class SqliteStore(Store):
    """A store in one SQLite file.

    Parameters
    ----------
    path : path-like
        The file; it and its directory are made if they are missing. ``":memory:"`` is a store
        that nobody else sees and that is gone when it is closed.
    index : iterable of str, optional
        Metadata fields to index: queries for them are fast. An index stays in the file.
    durability : str, optional
        What a commit survives: ``"process"``, a crash of the program (a power cut may lose the last
        commits, never a part of one), or ``"power"``, that too, at the cost of waiting for the
        disk.
    readonly : bool, optional
        Open an existing file without ever writing to it.
    page_size : int, optional
        Bytes; counts for a new file only. 16384 suits files of mostly large values.
    event_manager, timeout
        See `Store`.

    Raises
    ------
    StoreError
        The path is a directory or another program's database, or cannot be opened.
    CorruptValueError
        The file is no database.
    UnsupportedError
        A newer encore wrote the file.

    Notes
    -----
    *Threads*: each thread has its own connection; readers never wait for writers.
    """

    _owner: SqliteOwner

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
        self._settings = Settings(self.path, timeout, durability, readonly, page_size)
        self._private: weakref.finalize[Any, Any] | None = None
        self._connections: weakref.WeakSet[Held] = weakref.WeakSet()
        self._pool: SnapshotPool | None = None
        self._opening = threading.RLock()
        self._writing: tuple[str, float] | None = None

    def __repr__(self) -> str:
        return f"<SqliteStore {self.path!r}>"

    # -- opening and closing ----------------------------------------------------------------------

    def _new_owner(self) -> OwnerState:
        return SqliteOwner()

    def _open(self) -> None:
        with self._opening:
            if self.path == ":memory:":
                self._open_private()
            try:
                create(self._settings)
                if self._indexes and not self._settings.readonly:
                    connection = self._settings.connect()
                    try:
                        for statement in self._indexes:
                            connection.execute(statement)
                    finally:
                        connection.close()
            except sqlite3.Error as error:
                raise translate(error, self, "open") from error
            self._pool = SnapshotPool(self._settings)

    def _open_private(self) -> None:
        directory = make_private_directory()
        self._private = weakref.finalize(self, _remove_private, directory, os.getpid())
        settings = self._settings
        self._settings = Settings(
            os.path.join(directory, "store.db"),
            settings.timeout, "none", settings.readonly, settings.page_size,
        )  # fmt: skip

    def close(self) -> None:
        if self._state == "open" and self._writing is not None and self._owner.context is None:
            raise TransactionError(
                f"{self!r} cannot be closed: thread {self._writing[0]!r} has a transaction open",
                store=self,
                operation="close",
            )
        super().close()

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        if not self._settings.readonly:
            # So that the one file is all there is to it: for mailing it, or copying it away.
            with suppress(sqlite3.Error):
                self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for held in list(self._connections):
            held.close()
        if self._private is not None:
            self._private()

    def _after_fork(self) -> None:
        for held in list(self._connections):
            held.close()  # keeps them, since they are the parent's
        super()._after_fork()
        self._connections = weakref.WeakSet()
        self._opening = threading.RLock()
        self._writing = None
        if self._pool is not None:
            self._pool.close()
            self._pool = SnapshotPool(self._settings)

    def _describe(self) -> dict[str, Any]:
        journal = self._connection().execute("PRAGMA journal_mode").fetchone()[0]
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
        if self._state != "open":
            with self._opening:
                self._opened()
        owner = self._owner
        owner.held = self._new_connection()
        owner.connection = owner.held.connection
        return owner.connection

    def _new_connection(self) -> Held:
        try:
            held = Held(self._settings.connect())
        except sqlite3.Error as error:
            raise translate(error, self, "open") from error
        self._connections.add(held)
        return held

    def _execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._connection().execute(statement, parameters)
        except sqlite3.Error as error:
            raise translate(error, self, statement.split(" ", 1)[0].lower()) from error

    # -- reading ----------------------------------------------------------------------------------

    def _read(self, key: str) -> bytes | None:
        if type(key) is not str:
            check_key(key)
        owner = self._owner
        try:
            if owner.context is None:
                connection = owner.connection or self._connect()
            else:
                connection = self._connection()
            row = connection.execute(sql.READ, (key,)).fetchone()
        except sqlite3.Error as error:
            raise translate(error, self, "read", key) from error
        except UnicodeEncodeError:
            return None
        if row is None:
            return None
        return super()._read(key) if row[0] is None else row[0]

    def _has(self, key: str) -> bool:
        if type(key) is not str:
            check_key(key)
        owner = self._owner
        try:
            if owner.context is None:
                connection = owner.connection or self._connect()
            else:
                connection = self._connection()
            return connection.execute(sql.EXISTS, (key,)).fetchone() is not None
        except sqlite3.Error as error:
            raise translate(error, self, "exists", key) from error
        except UnicodeEncodeError:
            return False

    def _find(self, key: str) -> Value | None:
        check_key(key)
        row = self._execute(sql.FIND, (key,)).fetchone()
        return None if row is None else self._value(key, row)

    def _value(self, key: str, row: tuple[Any, ...]) -> Value | None:
        text, size, created, modified, token, blob, data = row
        if data is None:
            if blob is None:
                raise CorruptValueError(f"{key!r} in {self!r} has no data", key=key, store=self)
            return self._large_value(key, row)
        value = Value.of(data, text, size, created, modified, token)
        value.handle = blob
        return value

    def _large_value(self, key: str, row: tuple[Any, ...]) -> Value | None:
        context = self._context()
        version: Any
        if context is not None:
            version = TransactionVersion(self._connection(), context)
        else:
            version, row = self._snapshot(key, row)
            if row is None:
                return None
            if row[6] is not None:
                return self._value(key, row)
        text, size, created, modified, token, blob, _ = row
        value = Value.of(Blob(blob, size, version), text, size, created, modified, token)
        value.handle = blob
        return value

    def _snapshot(self, key: str, row: tuple[Any, ...]) -> tuple[Snapshot, Any]:
        """A snapshot in which the key can be read, and its row there: the thread's latest if
        nothing has changed for this key, else a new one."""
        owner = self._owner
        latest: Any = owner.snapshot and owner.snapshot()
        if latest is not None:
            seen = latest.connection().execute(sql.FIND, (key,)).fetchone()
            if seen is not None and seen[4] == row[4]:
                return latest, seen
        if self._pool is None:
            self._opened()
        assert self._pool is not None
        snapshot = self._pool.take()
        owner.snapshot = weakref.ref(snapshot)
        return snapshot, snapshot.connection().execute(sql.FIND, (key,)).fetchone()

    def _find_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Value | None]]:
        batch: list[str] = []
        for key in keys:
            check_key(key)
            batch.append(key)
            if len(batch) == sql.VALUES_PAGE:
                yield from self._find_batch(batch)
                batch = []
        yield from self._find_batch(batch)

    def _find_batch(self, keys: list[str]) -> Iterator[tuple[str, Value | None]]:
        if keys:
            for key, *row in self._execute(sql.FIND_MANY, (sql.to_json(keys),)).fetchall():
                yield key, None if row[4] is None else self._value(key, tuple(row))

    def _survey(self, prefix: str) -> Iterator[KeyEntry]:
        return (KeyEntry(*row) for row in self._pages(sql.ENTRIES, prefix, None))

    def _sum(self, prefix: str) -> tuple[int, int]:
        stop = prefix_end(prefix) if prefix else None
        if stop is None:
            return self._execute(sql.TOTALS, (prefix,)).fetchone()  # type: ignore[no-any-return]
        return self._execute(sql.TOTALS_BOUNDED, (prefix, stop)).fetchone()  # type: ignore[no-any-return]

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        for key, *row in self._pages(sql.FIND_ALL, prefix, None, sql.VALUES_PAGE):
            value = self._value(key, tuple(row))
            if value is not None:
                yield key, value

    def _scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        self._connection()  # a closed store says so here rather than at the first key
        return (key for (key,) in self._pages(sql.KEYS, prefix, start_after))

    def _pages(
        self,
        statements: Mapping[tuple[bool, bool], str],
        prefix: str,
        start_after: str | None,
        page_size: int = sql.PAGE,
    ) -> Iterator[tuple[Any, ...]]:
        """Rows in the order of their keys, by pages: no read is open while the caller works."""
        after = start_after is not None and start_after >= prefix
        start: str = start_after if after else prefix  # type: ignore[assignment]
        stop = prefix_end(prefix) if prefix else None
        bound = () if stop is None else (stop,)
        while True:
            rows = self._execute(statements[after, bool(bound)], (start, *bound)).fetchall()
            yield from rows
            if len(rows) < page_size:
                return
            after, start = True, rows[-1][0]

    def _count(self) -> int:
        return self._execute(sql.COUNT).fetchone()[0]  # type: ignore[no-any-return]

    def _search(self, where: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        return Search(where).run(self._execute)

    def _search_keys(self, where: Mapping[str, Any]) -> Iterator[str]:
        search = Search(where)
        if search.rest:
            return (key for key, _ in search.run(self._execute))
        return (key for page in search.pages(self._execute, "key") for (key,) in page)

    # -- writing ----------------------------------------------------------------------------------

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        if len(data) > sql.INLINE_BYTES or self._heard():
            return False
        owner = self._owner
        try:
            if owner.context is None:
                connection = owner.connection or self._connect()
            else:
                connection = self._connection()
            cursor = connection.execute(
                sql.PUT_PLAIN, (key, new_token(), time.time(), len(data), text, data)
            )
        except sqlite3.Error as error:
            raise translate(error, self, "put", key) from error
        return cursor.rowcount == 1

    def _remove_plain(self, key: str) -> bool:
        if self._heard():
            return False
        check_key(key)
        return self._execute(sql.DELETE_WHERE_INLINE, (key,)).rowcount == 1

    def _replace(self, key: str, old: Value | None, record: Record) -> None:
        content, text, size, created, modified, token = record
        if content is None:
            self._execute(sql.UPDATE_METADATA, (text, modified, token, key))
            return
        blob = data = None
        if isinstance(content, StagedBlob):
            self._publish(content)
            blob = content.blob
        elif isinstance(content, bytes) and size <= sql.INLINE_BYTES:
            data = content
        else:
            assert isinstance(content, bytes)
            blob = self._add_chunks(content)
        self._execute(sql.UPSERT, (key, token, created, modified, size, text, blob, data))
        if old is not None and old.handle is not None:
            self._drop_later(old.handle)

    def _remove(self, key: str, old: Value) -> None:
        self._execute(sql.DELETE, (key,))
        if old.handle is not None:
            self._drop_later(old.handle)

    def _write_many(self, entries: Iterable[Entry], buffer_size: int) -> None:
        if self._heard():
            super()._write_many(entries, buffer_size)
            return
        try:
            BulkWriter(self, self._connection(), buffer_size).run(entries)
        except sqlite3.Error as error:
            raise translate(error, self, "write") from error

    def _remove_all(self, prefix: str) -> bool:
        if self._heard():
            return False
        stop = prefix_end(prefix) if prefix else None
        bounds = (prefix,) if stop is None else (prefix, stop)
        for (blob,) in self._execute(
            sql.BLOBS_IN if stop is None else sql.BLOBS_IN_BOUNDED, bounds
        ).fetchall():
            self._drop_later(blob)
        if prefix:
            self._execute(sql.DELETE_IN if stop is None else sql.DELETE_IN_BOUNDED, bounds)
        else:
            self._execute(sql.DELETE_ALL)
        return True

    # -- large values -----------------------------------------------------------------------------

    def _stage(self, chunks: Iterator[bytes]) -> Staged:
        inside = self._context() is not None
        staged: StagedBlob | None = None
        count = 0
        try:
            for batch in batches(chunks, COMMIT_BYTES):
                with self._unit():
                    if staged is None:
                        staged = self._new_blob(registered=not inside)
                    self._connection().executemany(
                        sql.ADD_CHUNK, rows_of(staged.blob, count, batch)
                    )
                count += len(batch)
                staged.size += sum(map(len, batch))
        except BaseException as error:
            if staged is not None:
                staged.discard()
            if isinstance(error, sqlite3.Error):
                raise translate(error, self, "write") from error
            raise
        assert staged is not None, "an empty stream is never staged"
        return staged

    def _new_blob(self, *, registered: bool) -> StagedBlob:
        """Take a number for a blob; register it if its chunks are committed before its key is."""
        blob = self._execute(sql.NEXT_BLOB).fetchone()[0]
        if registered:
            # Its number must not be given out again before the first chunk is there: this runs in
            # the same transaction as that chunk.
            self._execute(sql.STAGE, (blob, writer_name(), time.time()))
        version = TransactionVersion(self._connection(), None)
        return StagedBlob(blob, 0, version, registered, self._discard_blob)

    def _publish(self, staged: StagedBlob) -> None:
        if staged.registered and self._execute(sql.UNSTAGE, (staged.blob,)).rowcount != 1:
            raise CorruptValueError("the data was swept away before it could be published")
        context = self._context()
        if context is not None:
            context.on_commit(staged.published)

    def _discard_blob(self, staged: StagedBlob) -> None:
        """Drop a blob that will not be published. What fails here the next open sweeps up."""
        with suppress(Exception), self._unit():
            self._execute(sql.DROP_CHUNKS, (staged.blob,))
            self._execute(sql.UNSTAGE, (staged.blob,))

    def _add_chunks(self, data: bytes) -> int:
        blob: int = self._execute(sql.NEXT_BLOB).fetchone()[0]
        (pieces,) = batches(iter([data]), len(data) + 1)
        try:
            self._connection().executemany(sql.ADD_CHUNK, rows_of(blob, 0, pieces))
        except sqlite3.Error as error:
            raise translate(error, self, "write") from error
        return blob

    def _duplicate(self, value: Value) -> bytes | Staged:
        if not isinstance(value.content, Blob):
            return super()._duplicate(value)
        copy = self._new_blob(registered=False)
        self._execute(sql.COPY_CHUNKS, (value.content.blob, copy.blob))
        copy.size = value.content.size
        return copy

    def _drop_later(self, blob: int) -> None:
        """Drop a blob with the commit: until then the owner may be reading it."""
        garbage = self._owner.garbage
        assert garbage is not None
        garbage[-1].append(blob)

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
                f"{self!r} open, and waiting for it here would stop it too; use AsyncStore",
                store=self,
            )
        connection = owner.connection or self._connect()
        try:
            if context.timeout is None:
                connection.execute(sql.BEGIN)
            else:
                self._begin_with_timeout(connection, context.timeout)
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise translate(error, self, "begin") from error
            raise
        owner.garbage = [[]]
        self._writing = (threading.current_thread().name, time.monotonic())

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
            garbage[-2] += garbage.pop()
            return
        connection = self._connection()
        try:
            if garbage[0]:
                connection.executemany(sql.DROP_CHUNKS, [(blob,) for blob in garbage[0]])
            self._writing = None  # before others can begin, or theirs would be taken away
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translate(error, self, "commit") from error
        except BaseException:
            if not connection.in_transaction:
                context.mark_committed()
            raise
        context.mark_committed()

    def _rollback_transaction(self, context: SimpleTransactionContext) -> None:
        owner = self._owner
        connection = owner.connection
        assert connection is not None
        assert owner.garbage is not None
        owner.garbage.pop()
        if context.depth == 1:
            self._writing = None
        if not connection.in_transaction:
            return  # SQLite has done it already: the disk was full, say
        try:
            if context.depth > 1:
                connection.execute(f"ROLLBACK TO s{context.depth}")
                connection.execute(f"RELEASE s{context.depth}")
            else:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise translate(error, self, "rollback") from error

    def _who_holds_it(self) -> str:
        writing = self._writing
        if writing is not None:
            name, since = writing
            return held_message(
                self.path, f"thread {name!r}", time.monotonic() - since, self.timeout
            )
        return describe_holder(self._settings.path, self.timeout, self.timeout)


def _remove_private(directory: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(directory, ignore_errors=True)
