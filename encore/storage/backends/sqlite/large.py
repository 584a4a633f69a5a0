"""Large data in the file itself: chunk rows, written ahead and published by a record.

``store`` imports this module.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from encore.errors import CorruptValueError
from encore.keys.rules import check_key
from encore.storage.backends.sqlite import statements as sql
from encore.storage.backends.sqlite.bulk import BulkWriter
from encore.storage.backends.sqlite.chunks import (
    COMMIT_BYTES,
    Blob,
    ChunkOwner,
    StagedBlob,
    TransactionVersion,
    batches,
    read_chunks,
    rows_of,
)
from encore.storage.backends.sqlite.failures import translate
from encore.storage.backends.sqlite.records import Records
from encore.storage.backends.sqlite.snapshots import Snapshot, SnapshotPool
from encore.storage.backends.sqlite.staging import sweep, writer_name
from encore.storage.content import Content, clip
from encore.storage.template import Entry, Staged
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.owners import OwnerState
from encore.storage.values import Value


class LargeValues(Records):
    """Records, and large data in chunk rows.

    The parameters are those of `SqliteStore`.
    """

    _owner: ChunkOwner
    _finding = sql.FIND_WITH_CHUNK
    _pool: SnapshotPool | None = None

    def _new_owner(self) -> OwnerState:
        return ChunkOwner()

    def _open(self) -> None:
        with self._opening:
            super()._open()
            self._pool = SnapshotPool(self._settings)

    def _recover(self, connection: sqlite3.Connection) -> None:
        sweep(connection)

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        super()._close()

    def _after_fork(self) -> None:
        super()._after_fork()
        if self._pool is not None:
            self._pool.close()
            self._pool = SnapshotPool(self._settings)

    # -- reading ----------------------------------------------------------------------------------

    def _value(self, row: tuple[Any, ...]) -> Value | None:
        key, text, size, created, modified, token, blob, data = row
        if data is None:
            if blob is None:
                raise CorruptValueError(f"{key!r} in {self!r} has no data", key=key, store=self)
            return self._large_value(row)
        return Value.of(data, text, size, created, modified, token, blob)

    def _large_value(self, row: tuple[Any, ...]) -> Value | None:
        context = self._context()
        version: Any
        if context is not None:
            version = TransactionVersion(self._connection(), context)
        else:
            version, row = self._snapshot(row)
            if row is None:
                return None
            if row[7] is not None:
                return self._value(row)
        _, text, size, created, modified, token, blob, _ = row
        return Value.of(Blob(blob, size, version), text, size, created, modified, token, blob)

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        check_key(key)
        connection = self._connection()
        alone = not connection.in_transaction
        try:
            if alone:
                connection.execute("BEGIN")  # one moment for the row and the chunks it points at
            try:
                row = connection.execute(sql.PLACE, (key,)).fetchone()
                if row is None:
                    return None
                size, blob, data = row
                start, end = clip(start, end, size)
                return (
                    data[start:end] if blob is None else read_chunks(connection, blob, start, end)
                )
            finally:
                if alone:
                    connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translate(error, self, "read", key) from error

    def _snapshot(self, row: tuple[Any, ...]) -> tuple[Snapshot, Any]:
        """A snapshot in which the key can be read, and its row there: the thread's latest if
        nothing has changed for this key, else a new one."""
        owner, key = self._owner, row[0]
        latest = None if owner.moment is None else owner.moment.share()
        if self._pool is None:
            self._opened()
        assert self._pool is not None
        try:
            if latest is not None:
                seen = latest.fetch(self._finding.one, (key,))
                if seen and seen[0][5] == row[5]:
                    return latest, seen[0]
            snapshot = self._pool.take()
            owner.moment = snapshot.moment
            seen = snapshot.fetch(self._finding.one, (key,))
            return snapshot, seen[0] if seen else None
        except sqlite3.Error as error:
            raise translate(error, self, "read", key) from error

    # -- writing ----------------------------------------------------------------------------------

    def _begin_transaction(self, context: SimpleTransactionContext) -> None:
        super()._begin_transaction(context)
        if context.depth == 1:
            self._owner.last_blob = 0

    def _before_commit(self, garbage: list[Any]) -> None:
        if garbage:
            self._connection().executemany(sql.DROP_CHUNKS, [(blob, blob) for blob in garbage])

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
        blob = self._next_blob()
        if registered:
            # Its number must not be given out again before the first chunk is there: this runs in
            # the same transaction as that chunk.
            self._execute(sql.STAGE, (blob, writer_name(), time.time()))
        version = TransactionVersion(self._connection(), None)
        return StagedBlob(blob, 0, version, registered, self._discard_blob)

    def _next_blob(self) -> int:
        """Take a number for a blob that has not been used in this transaction."""
        owner = self._owner
        unused: int = self._fetch_one(sql.NEXT_BLOB)[0]
        owner.last_blob = max(unused, owner.last_blob + (1 << sql.CHUNK_BITS))
        return owner.last_blob

    def _keep(self, key: str, content: bytes | Content) -> int:
        if isinstance(content, StagedBlob):
            self._publish(content)
            return content.blob
        assert isinstance(content, bytes)
        return self._add_chunks(content)

    def _publish(self, staged: StagedBlob) -> None:
        if staged.registered and self._execute(sql.UNSTAGE, (staged.blob,)).rowcount != 1:
            raise CorruptValueError("the data was swept away before it could be published")
        context = self._context()
        if context is not None:
            context.on_commit(staged.published)

    def _discard_blob(self, staged: StagedBlob) -> None:
        """Drop a blob that will not be published. What fails here the next open sweeps up."""
        with suppress(Exception), self._unit():
            self._execute(sql.DROP_CHUNKS, (staged.blob, staged.blob))
            self._execute(sql.UNSTAGE, (staged.blob,))

    def _add_chunks(self, data: bytes) -> int:
        blob = self._next_blob()
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
        blob = value.content.blob
        self._execute(sql.COPY_CHUNKS, (copy.blob - blob, blob, blob))
        copy.size = value.content.size
        return copy

    def _drop(self, key: str, blob: int) -> None:
        garbage = self._owner.garbage
        assert garbage is not None
        garbage[-1].append(blob)

    def _write_many(self, entries: Iterable[Entry], buffer_size: int) -> None:
        if self._heard():
            super()._write_many(entries, buffer_size)
            return
        try:
            BulkWriter(self, self._connection(), buffer_size).run(entries)
        except sqlite3.Error as error:
            raise translate(error, self, "write") from error
