"""Values too large for a row: chunk rows, and what keeps them readable.

A reader of a large value needs its version to stay while others replace it. Outside a transaction
it holds a *snapshot*: a connection of its own with a read transaction open, in which the old rows
stay visible. Inside its own transaction the rows stay because replaced blobs are only dropped at
the commit. Only this folder imports this module.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from encore.errors import ConflictError
from encore.storage.backends.sqlite import statements as sql
from encore.storage.backends.sqlite.connections import SqliteOwner
from encore.storage.backends.sqlite.failures import not_read
from encore.storage.backends.sqlite.snapshots import Moment

COMMIT_BYTES = 4 * 1024 * 1024
_ROWS_AT_ONCE = 4  # twice as fast as one; eight and more leave the processor's cache


class ChunkOwner(SqliteOwner):
    """What a store with chunks knows of the calling thread.

    Attributes
    ----------
    last_blob : int
        The latest number given to a blob in this transaction. Numbers are not used again in it,
        even if the block that used them has been undone: somebody may still hold its values.
    moment : Moment or None
        The one that was taken last.
    """

    last_blob: int = 0
    moment: Moment | None = None


class Version(Protocol):
    """Where the rows of one version can be read."""

    def fetch(self, statement: str, parameters: tuple[Any, ...]) -> list[Any]:
        """What a statement gives on a connection that sees them."""

    def missing(self, number: int) -> Exception:
        """The error for a chunk that ought to be there."""


class Blob:
    """The data of a large value, as a content that is read in ranges.

    Parameters
    ----------
    blob : int
        The id of its first chunk.
    size : int
        Bytes.
    version : Version
    """

    __slots__ = ("_version", "blob", "size")

    def __init__(self, blob: int, size: int, version: Version) -> None:
        self.blob = blob
        self.size = size
        self._version = version

    def read(self, start: int, end: int) -> bytes:
        return b"".join(self.chunks(start, end, sql.CHUNK_BYTES))

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        first, stop = start // sql.CHUNK_BYTES, -(-end // sql.CHUNK_BYTES)
        for number in range(first, stop, _ROWS_AT_ONCE):
            after = min(number + _ROWS_AT_ONCE, stop)
            for place, chunk in enumerate(self._rows(number, after), number):
                base = place * sql.CHUNK_BYTES
                if base < start or base + len(chunk) > end:
                    chunk = chunk[max(start - base, 0) : end - base]
                if len(chunk) <= buffer_size:
                    yield chunk
                else:
                    for at in range(0, len(chunk), buffer_size):
                        yield chunk[at : at + buffer_size]

    def _rows(self, first: int, stop: int) -> list[bytes]:
        version = self._version
        try:
            rows = version.fetch(sql.READ_CHUNKS, (self.blob + first, self.blob + stop - 1))
        except sqlite3.Error as error:
            raise not_read(error) from error
        if len(rows) != stop - first:
            raise version.missing(first + len(rows))
        return [data for (data,) in rows]

    def close(self) -> None:
        # The snapshot goes back when the last value that shares it lets go.
        self._version = _CLOSED


class StagedBlob(Blob):
    """A blob that no key points at yet."""

    __slots__ = ("_discard", "registered")

    def __init__(
        self,
        blob: int,
        size: int,
        version: Version,
        registered: bool,
        discard: Callable[[StagedBlob], None],
    ) -> None:
        super().__init__(blob, size, version)
        self.registered = registered
        self._discard: Callable[[StagedBlob], None] | None = discard

    def published(self) -> None:
        """A key points at it now; discarding it does nothing any more."""
        self._discard = None

    def discard(self) -> None:
        discard, self._discard = self._discard, None
        if discard is not None:
            discard(self)


class TransactionVersion:
    """What the caller's open transaction sees.

    *Threads*: belongs to the owner of the transaction.
    """

    __slots__ = ("_connection", "_context")

    def __init__(self, connection: sqlite3.Connection, context: Any) -> None:
        self._connection = connection
        self._context = context

    def fetch(self, statement: str, parameters: tuple[Any, ...]) -> list[Any]:
        if self._context is not None and not self._context.depth:
            raise ConflictError(
                "this value was read inside a transaction that has ended since; get it again"
            )
        return self._connection.execute(statement, parameters).fetchall()

    def missing(self, number: int) -> Exception:
        return ConflictError(
            "this value was written in a block that has been undone since; get it again"
        )


class _Closed:
    """What a value sees that has been closed."""

    def fetch(self, statement: str, parameters: tuple[Any, ...]) -> list[Any]:
        raise ValueError("I/O operation on a closed value")

    def missing(self, number: int) -> Exception:
        return ValueError("I/O operation on a closed value")


_CLOSED = _Closed()


def read_chunks(connection: sqlite3.Connection, blob: int, start: int, end: int) -> bytes:
    """Return a range of a blob; of the chunks at its ends only what is in it is copied."""
    pieces = []
    for number in range(start // sql.CHUNK_BYTES, -(-end // sql.CHUNK_BYTES)):
        base = number * sql.CHUNK_BYTES
        with connection.blobopen("chunk", "data", blob + number, readonly=True) as chunk:
            if start > base:
                chunk.seek(start - base)
            pieces.append(chunk.read(min(end - base, sql.CHUNK_BYTES) - max(start - base, 0)))
    return b"".join(pieces)


def rows_of(blob: int, first: int, chunks: list[bytes]) -> list[tuple[int, bytes]]:
    """Number the pieces of a blob, beginning with number ``first``."""
    if first + len(chunks) > sql.CHUNK_SPAN:
        raise OverflowError("a value is at most 1 TiB")
    return [(blob + first + number, chunk) for number, chunk in enumerate(chunks)]


def batches(chunks: Iterator[bytes], batch_bytes: int) -> Iterator[list[bytes]]:
    """Cut a stream into chunk rows, and gather them into batches of about ``batch_bytes``."""
    batch: list[bytes] = []
    size = 0
    rest = bytearray()
    for data in chunks:
        view = memoryview(data)
        if rest:
            need = sql.CHUNK_BYTES - len(rest)
            rest += view[:need]
            view = view[need:]
            if len(rest) < sql.CHUNK_BYTES:
                continue
            batch.append(bytes(rest))
            rest.clear()
            size += sql.CHUNK_BYTES
        whole = len(view) - len(view) % sql.CHUNK_BYTES
        for at in range(0, whole, sql.CHUNK_BYTES):
            batch.append(view[at : at + sql.CHUNK_BYTES])  # type: ignore[arg-type]
            size += sql.CHUNK_BYTES
        rest += view[whole:]
        if size >= batch_bytes:
            yield batch
            batch, size = [], 0
    if rest:
        batch.append(bytes(rest))
    if batch:
        yield batch
