"""The ledgers of the two stores with a database, which differ in where large data is.

``ledgers`` imports this module.
"""

from __future__ import annotations

from typing import Any

from encore.errors import CorruptValueError
from encore.history import statements as sql
from encore.history.sql_ledger import SqlLedger
from encore.storage.backends.hashdir.tree import PLAIN, Place
from encore.storage.backends.sqlite.chunks import Blob, TransactionVersion, read_chunks
from encore.storage.backends.sqlite.statements import CHUNK_BYTES, CHUNK_SPAN
from encore.storage.values import Value

_CHUNKS = "SELECT count(*), coalesce(sum(length(data)),0) FROM chunk WHERE id BETWEEN ? AND ?"


class OneFileLedger(SqlLedger):
    """In a `SqliteStore`: large data is in chunk rows.

    The parameters are those of `Ledger`.
    """

    def _data(self, key: str, size: int, blob: int | None) -> bytes | None:
        connection = self.store._connection()
        return None if blob is None else read_chunks(connection, blob, 0, size)

    def _value(self, row: tuple[Any, ...]) -> Value:
        _, text, size, created, modified, token, blob, data = row
        if blob is None:
            return Value.of(data, text, size, created, modified, token)
        store = self.store
        context = store._context()
        version: Any = (
            store._pool.take()
            if context is None
            else TransactionVersion(store._connection(), context)
        )
        return Value.of(Blob(blob, size, version), text, size, created, modified, token, blob)

    def _is_whole(self, row: tuple[Any, ...]) -> bool:
        _, _, size, _, _, _, blob, data = row
        if blob is None:
            return data is not None and len(data) == size
        found = self._execute(_CHUNKS, (blob, blob + CHUNK_SPAN)).fetchone()
        return bool(found == (-(-size // CHUNK_BYTES), size))


class HashdirLedger(SqlLedger):
    """In a `HashdirStore`: data is in files, which stay where they are.

    The parameters are those of `Ledger`.
    """

    def touch(self, key: str) -> None:
        super().touch(key)
        if self.follows is None or self.follows(key):
            self._take_plain([key])

    def touch_many(self, keys: Any) -> None:
        keys = [*keys] if self.follows is None else [*filter(self.follows, keys)]
        super().touch_many(keys)
        self._take_plain(keys)

    def _take_plain(self, keys: list[str]) -> None:
        """Give files of other programs, which are about to be removed, a place as versions."""
        store = self.store
        for key in keys:
            if not store._is_in_place(key):
                continue
            value = store._plain_value(key)
            if value is None:
                continue
            known = self._execute(sql.TAKEN, (key, self._open.step)).fetchone()
            if known is None or known[0] not in (PLAIN, None) or known[1] is not None:
                continue
            version = store._keep(key, store._duplicate(value))
            place = (key, self._open.step)
            self._execute(sql.GIVE_BLOB, (version, *place))
            if known[0] is None:  # it had no record: what it is, its file says
                record = (value.token, value.created, value.modified, value.size)
                self._execute(sql.GIVE_RECORD, (*record, value.metadata_text, *place))

    def _data(self, key: str, size: int, blob: int | None) -> bytes | None:
        if blob is None:
            return None
        content = self.store._load(Place(key, blob), size)
        if content is None or isinstance(content, bytes):
            return content
        try:
            return content.read(0, size)  # type: ignore[no-any-return]
        finally:
            content.close()

    def _value(self, row: tuple[Any, ...]) -> Value:
        key, text, size, created, modified, token, blob, data = row
        content = data if blob is None else self.store._load(Place(key, blob), size)
        if content is None:
            raise CorruptValueError(
                f"{key!r}: the file of an earlier version is missing", key=key, store=self.store
            )
        return Value.of(content, text, size, created, modified, token, blob)

    def _is_whole(self, row: tuple[Any, ...]) -> bool:
        key, _, size, _, _, _, blob, data = row
        if blob is None:
            return data is not None and len(data) == size
        found = self.store._files().status(Place(key, blob))
        return found is not None and found.st_size == size
