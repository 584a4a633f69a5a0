"""Records in a table: hooks of the store in terms of SQLite, wherever large data is kept.

A thin layer: each hook looks up the thread's connection and runs one constant statement. What
takes more than one statement runs inside the transaction that the store has opened.

A record has its data beside it, or the number of a *blob*: data that is somewhere else. Where, is
for the classes below to say: in rows of another table (``large``), in files (``hashdir``).

======================  ============================================================================
``_value(row)``         the value of a record
``_keep(key, content)`` put data where it stays, and return its number
``_drop(key, blob)``    have data go when the transaction commits
======================  ============================================================================
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from encore.keys.rules import check_key, prefix_end
from encore.storage.backends.sqlite import statements as sql
from encore.storage.backends.sqlite.failures import translate
from encore.storage.backends.sqlite.searching import Search
from encore.storage.backends.sqlite.transacting import SqliteTransactions
from encore.storage.template import Record
from encore.storage.transactions.owners import new_token
from encore.storage.values import Content, KeyEntry, Value


class Records(SqliteTransactions):
    """Transactions, and records.

    The parameters are those of `SqliteStore`.
    """

    _finding = sql.FIND
    _inline_bytes = sql.INLINE_BYTES

    # -- where data is ----------------------------------------------------------------------------

    def _value(self, row: tuple[Any, ...]) -> Value | None:
        """The value of a row of ``_finding``; None if it has gone meanwhile."""
        raise NotImplementedError

    def _keep(self, key: str, content: bytes | Content) -> int:
        """Put data that is not to be in the record where it stays, and return its number."""
        raise NotImplementedError

    def _drop(self, key: str, blob: int) -> None:
        """Have data go with the commit: until then the owner may be reading it."""
        raise NotImplementedError

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
        row = self._fetch_one(self._finding.one, (key,))
        return None if row is None else self._value(row)

    def _find_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Value | None]]:
        remaining = iter(keys)
        while batch := [*itertools.islice(remaining, sql.VALUES_PAGE)]:
            for key in batch:
                check_key(key)
            for row in self._fetch(self._finding.many, (sql.to_json(batch),)):
                yield row[0], None if row[5] is None else self._value(row)

    def _survey(self, prefix: str) -> Iterator[KeyEntry]:
        return itertools.starmap(KeyEntry, self._rows(sql.ENTRIES, prefix, None))

    def _sum(self, prefix: str) -> tuple[int, int]:
        stop = prefix_end(prefix) if prefix else None
        if stop is None:
            return self._fetch_one(sql.TOTALS, (prefix,))  # type: ignore[no-any-return]
        return self._fetch_one(sql.TOTALS_BOUNDED, (prefix, stop))  # type: ignore[no-any-return]

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        for row in self._rows(self._finding.all, prefix, None, sql.VALUES_PAGE):
            value = self._value(row)
            if value is not None:
                yield row[0], value

    def _scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        self._connection()  # a closed store says so here rather than at the first key
        pages = self._pages(sql.KEYS, prefix, start_after)
        return itertools.chain.from_iterable([key for (key,) in page] for page in pages)

    def _rows(self, *arguments: Any) -> Iterator[tuple[Any, ...]]:
        return itertools.chain.from_iterable(self._pages(*arguments))

    def _pages(
        self,
        statements: Mapping[tuple[bool, bool], str],
        prefix: str,
        start_after: str | None,
        page_size: int = sql.PAGE,
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Rows in the order of their keys, by pages: no read is open while the caller works."""
        after = start_after is not None and start_after >= prefix
        start: str = start_after if after else prefix  # type: ignore[assignment]
        stop = prefix_end(prefix) if prefix else None
        bound = () if stop is None else (stop,)
        while True:
            rows = self._fetch(statements[after, bool(bound)], (start, *bound))
            yield rows
            if len(rows) < page_size:
                return
            after, start = True, rows[-1][0]

    def _count(self) -> int:
        return self._fetch_one(sql.COUNT)[0]  # type: ignore[no-any-return]

    def _search(self, where: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        return Search(where).run(self._fetch)

    def _search_keys(self, where: Mapping[str, Any]) -> Iterator[str]:
        search = Search(where)
        if search.rest:
            return (key for key, _ in search.run(self._fetch))
        return (key for page in search.pages(self._fetch, "key") for (key,) in page)

    # -- writing ----------------------------------------------------------------------------------

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        if len(data) > self._inline_bytes or self._heard():
            return False
        if self._remembering is not None:
            return self._put_remembered(key, data, text)
        return self._upsert_plain(key, data, text)

    def _put_remembered(self, key: str, data: bytes, text: str) -> bool:
        remembering = self._remembering
        if self._owner.context is None and remembering.put_alone(key, data, text):  # type: ignore[union-attr]
            return True
        with self._unit():
            self._touch(key)
            return self._upsert_plain(key, data, text)

    def _upsert_plain(self, key: str, data: bytes, text: str) -> bool:
        owner, now = self._owner, time.time()
        try:
            if owner.context is None:
                connection = owner.connection or self._connect()
            else:
                connection = self._connection()
            cursor = connection.execute(
                sql.PUT_PLAIN, (key, new_token(), now, now, len(data), text, data)
            )
        except sqlite3.Error as error:
            failure = translate(error, self, "put", key)
            if owner.context is None:
                self._recover_from_failure()
            raise failure from error
        return cursor.rowcount == 1

    def _remove_plain(self, key: str) -> bool:
        if self._heard() or self._remembering is not None:
            return False
        check_key(key)
        return self._execute(sql.DELETE_WHERE_INLINE, (key,)).rowcount == 1

    def _touch(self, key: str) -> None:
        """Have a history know that a key is about to change, if it follows this transaction."""
        if self._remembering is not None and self._owner.context.is_undoable:
            self._remembering.touch(key)

    def _replace(self, key: str, old: Value | None, record: Record) -> None:
        content, text, size, created, modified, token = record
        if self._remembering is not None:
            self._touch(key)
        if content is None:
            self._execute(sql.UPDATE_METADATA, (text, modified, token, key))
            return
        blob = data = None
        if isinstance(content, bytes) and size <= self._inline_bytes:
            data = content
        else:
            blob = self._keep(key, content)
        try:
            self._execute(sql.UPSERT, (key, token, created, modified, size, text, blob, data))
        except BaseException:
            if blob is not None:
                self._drop(key, blob)  # the transaction around it may go on
            raise
        if old is not None and old.handle is not None:
            self._drop(key, old.handle)

    def _remove(self, key: str, old: Value) -> None:
        self._touch(key)
        self._execute(sql.DELETE, (key,))
        if old.handle is not None:
            self._drop(key, old.handle)

    def _remove_all(self, prefix: str) -> bool:
        if self._heard():
            return False
        stop = prefix_end(prefix) if prefix else None
        if self._remembering is not None and self._owner.context.is_undoable:
            self._remembering.touch_range(prefix, stop)
        bounds = (prefix,) if stop is None else (prefix, stop)
        for key, blob in self._fetch(
            sql.BLOBS_IN if stop is None else sql.BLOBS_IN_BOUNDED, bounds
        ):
            self._drop(key, blob)
        if prefix:
            self._execute(sql.DELETE_IN if stop is None else sql.DELETE_IN_BOUNDED, bounds)
        else:
            self._execute(sql.DELETE_ALL)
        return True
