"""What a history keeps beside a store, in another one: copies of versions, and the log.

For stores that cannot keep versions themselves: archives, buckets, servers. A version is copied in
pieces before it is replaced. All that one commit keeps, with the record that says what it is, is
one transaction of the side-car, which ends before the store commits. Only ``ledgers`` imports this
module.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from encore.errors import CorruptValueError, KeyNotFoundError
from encore.storage.content import ContentIO
from encore.storage.template import Store
from encore.storage.transactions.owners import new_token
from encore.storage.values import BUFFER_SIZE, Value

# Data up to this size, in bytes, is brought back in memory.
_SMALL = 65536


class _Mine(threading.local):
    """What belongs to the calling thread: the transaction of the side-car, while it is open."""

    transaction: Any = None


class SidecarVersions:
    """Versions of one store that are kept in another.

    Parameters
    ----------
    store : StagedStore
        Whose versions they are.
    side : Store
    prefix : str
        Of all keys that are used in ``side``.
    owns_side : bool, optional
        Whether ``side`` is for this alone, and is closed with it.
    """

    def __init__(self, store: Any, side: Store, prefix: str, *, owns_side: bool = False) -> None:
        self._store = store
        self._side = side
        self._prefix = f"{prefix}kept/"
        self._owns_side = owns_side
        self._mine = _Mine()
        self.log = SidecarLog(side, prefix)

    def keep(self, key: str, content: Any) -> str:
        if self._mine.transaction is None:
            transaction = self._side.transaction("Keep earlier versions")
            transaction.begin()
            self._mine.transaction = transaction
        name = new_token()
        self._side.put(self._prefix + name, _readable(content))
        return name

    def is_same(self, kept: Any, content: Any) -> bool:
        return False

    def flush(self) -> None:
        transaction, self._mine.transaction = self._mine.transaction, None
        if transaction is not None:
            transaction.commit()

    def release(self, kept: Sequence[str]) -> None:
        transaction, self._mine.transaction = self._mine.transaction, None
        if transaction is not None:  # it was not flushed: the store's has been rolled back
            transaction.rollback()
        elif kept:
            self._remove(self._prefix + name for name in kept)

    def _remove(self, keys: Iterable[str]) -> None:
        with self._side.transaction("Drop earlier versions"):
            for key in keys:
                self._side.delete(key, missing_ok=True)

    def sweep(self, needed: Collection[str]) -> None:
        start = len(self._prefix)
        keys = [key for key in self._side.keys(self._prefix) if key[start:] not in needed]
        if keys:
            self._remove(keys)

    def close(self) -> None:
        if self._owns_side:
            self._side.close()

    # -- reading, and bringing back ---------------------------------------------------------------

    def _value(self, kept: str) -> Value:
        try:
            return self._side.get(self._prefix + kept)
        except KeyNotFoundError as error:
            raise CorruptValueError(
                f"an earlier version in {self._store!r} is missing in {self._side!r}; "
                "on_conflict='skip' leaves such a key as it is, forget(key) drops what is kept",
                store=self._store,
            ) from error

    def content(self, kept: str, key: str) -> Any:
        value = self._value(kept)
        try:
            if value.size is not None and value.size <= _SMALL:
                return value.read()
            return self._store._stage(value.iterdata(BUFFER_SIZE))
        finally:
            value.close()

    def open(self, kept: str, size: int) -> Any:
        return self._value(kept).content

    def size(self, kept: str) -> int | None:
        try:
            value = self._value(kept)
        except CorruptValueError:
            return None
        value.close()
        return value.size


class SidecarLog:
    """A log in a store: a key for each record; see `VersionLog`.

    What is appended is part of the transaction of ``side`` that is open, if one is.

    Parameters
    ----------
    side : Store
    prefix : str
    """

    def __init__(self, side: Store, prefix: str) -> None:
        self._side = side
        self._all = prefix
        self._prefix = f"{prefix}log/"
        self._number = 0  # of the last record that is known
        self._length = 0
        self.size = 0

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:016x}"

    def exists(self) -> bool:
        return next(iter(self._side.keys(self._all, limit=1)), None) is not None

    def is_current(self) -> bool:
        if not self._number:
            return next(iter(self._side.keys(self._prefix, limit=1)), None) is None
        found = self._side.keys(self._prefix, self._key(self._number - 1), 2)
        return list(found) == [self._key(self._number)]

    def read(self, *, mend: bool) -> tuple[bool, list[bytes]]:
        is_new = not self._number or not self._side.exists(self._key(self._number))
        if is_new:
            self._number = self.size = 0
        records = []
        for key in list(self._side.keys(self._prefix, self._key(self._number))):
            try:
                record = self._side.read(key)
            except KeyNotFoundError:
                break  # replaced meanwhile: next time
            records.append(record)
            self._number = int(key[len(self._prefix) :], 16)
            self._length = len(record)
            self.size += self._length
        return is_new, records

    def step_back(self) -> None:
        self._number -= 1
        self.size -= self._length

    def start_over(self) -> None:
        self._number = 0

    def append(self, record: bytes) -> None:
        self._side.put(self._key(self._number + 1), record)
        self._number += 1
        self._length = len(record)
        self.size += self._length

    def replace(self, records: Iterable[bytes]) -> None:
        with self._side.transaction("Shorten the history"):
            for key in list(self._side.keys(self._prefix)):
                self._side.delete(key)
            self.size = 0
            for record in records:
                self._number += 1
                self._side.put(self._key(self._number), record)
                self.size += len(record)


def _readable(content: Any) -> Any:
    """The data of a version for whoever writes it elsewhere."""
    if isinstance(content, bytes):
        return content
    return io.BufferedReader(ContentIO(content, 0, content.size), BUFFER_SIZE)
