"""Writing many values with few calls: rows are gathered, and stored by ``executemany``.

The writer runs inside the transaction that its caller has opened, where nobody listens. Only this
folder imports this module.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from typing import Any

from encore.keys.rules import check_key
from encore.storage.backends.sqlite import statements as sql
from encore.storage.backends.sqlite.chunks import COMMIT_BYTES, batches, rows_of
from encore.storage.template import Entry
from encore.storage.transactions.owners import new_token
from encore.storage.values import BUFFER_SIZE, Value

_ROWS = 500


class BulkWriter:
    """Stores entries in batches.

    Parameters
    ----------
    store : SqliteStore
    connection : sqlite3.Connection
        In a transaction.
    buffer_size : int
        Bytes; larger data is streamed by the store, one value at a time.
    """

    def __init__(self, store: Any, connection: sqlite3.Connection, buffer_size: int) -> None:
        self._store = store
        self._connection = connection
        self._buffer_size = buffer_size
        self._rows: list[tuple[Any, ...]] = []
        self._keys: set[str] = set()  # of the rows: each of them once
        self._exact = False  # whether the rows bring their time of creation
        self._chunks: list[tuple[int, bytes]] = []
        self._bytes = 0
        self._next_blob: int | None = None

    def run(self, entries: Iterable[Entry]) -> None:
        """Store all of them; for a key that comes twice the last one stays."""
        for entry in entries:
            check_key(entry.key)
            data = entry.data
            if type(data) is not bytes:
                if self._may_be_large(data):
                    # Its chunks go straight into the table, which must know of ours by then.
                    self._flush()
                    self._next_blob = None
                data = self._store._take_in(entry.key, data, self._buffer_size)
                if not isinstance(data, bytes):
                    self._store._write_content(entry, data)
                    continue
            if (
                len(self._rows) >= _ROWS
                or self._bytes >= COMMIT_BYTES
                or self._exact is (entry.created is None)
                or entry.key in self._keys
            ):
                self._flush()
            self._add(entry, data)
        self._flush()

    def _may_be_large(self, data: Any) -> bool:
        """Whether the store might stream the data instead of returning it."""
        size = data.size if isinstance(data, Value) else None
        return size is None or size > min(self._buffer_size, BUFFER_SIZE)

    def _add(self, entry: Entry, data: bytes) -> None:
        now = time.time()
        exact = self._exact = entry.created is not None
        size = len(data)
        blob = None
        if size > sql.INLINE_BYTES:
            blob = self._take_number()
            if size <= sql.CHUNK_BYTES:
                self._chunks.append((blob, data))
            else:
                (pieces,) = batches(iter([data]), size + 1)
                self._chunks += rows_of(blob, 0, pieces)
            self._bytes += size
        self._keys.add(entry.key)
        self._rows.append(
            (
                entry.key,
                entry.token or new_token(),
                entry.created if exact else now,
                now if entry.modified is None else entry.modified,
                size,
                entry.text,
                blob,
                data if blob is None else None,
            )
        )

    def _take_number(self) -> int:
        if self._next_blob is None:
            self._next_blob = self._store._next_blob()
        blob = self._next_blob
        self._next_blob += 1 << sql.CHUNK_BITS
        self._store._owner.last_blob = blob
        return blob

    def _flush(self) -> None:
        connection = self._connection
        if self._chunks:
            connection.executemany(sql.ADD_CHUNK, self._chunks)
            self._chunks = []
            self._bytes = 0
        rows, self._rows = self._rows, []
        if rows:
            remembering = self._store._remembering
            if remembering is not None and self._store._owner.context.is_undoable:
                remembering.touch_many(self._keys)
        self._keys.clear()
        if rows:
            statement = sql.UPSERT_WHERE_INLINE if self._exact else sql.UPSERT_KEEPING_CREATED
            if connection.executemany(statement, rows).rowcount < len(rows):
                self._replace_blobs(rows)

    def _replace_blobs(self, rows: list[tuple[Any, ...]]) -> None:
        """Store again the rows whose key pointed at a blob: it has to go, too."""
        keys = sql.to_json([row[0] for row in rows])
        found = {
            key: (blob, created)
            for key, blob, created in self._connection.execute(sql.BLOBS, (keys,)).fetchall()
        }
        for row in rows:
            blob, created = found.get(row[0], (None, None))
            if blob is None or blob == row[6]:
                continue  # stored already
            if not self._exact:
                row = (*row[:2], created, *row[3:])
            self._connection.execute(sql.UPSERT, row)
            self._store._drop(row[0], blob)
