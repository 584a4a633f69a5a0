"""Values in a dictionary: the store for tests, caches, and documents not yet saved.

Staged like the file stores, so a program tried out on it behaves the same on them.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any, NoReturn

from encore.errors import StoreError
from encore.events.abstract_event_manager import BaseEventManager
from encore.keys.rules import check_key, prefix_end
from encore.storage.backend import BackendStore
from encore.storage.template import Record, Staged
from encore.storage.transactions.locks import WriterLock
from encore.storage.transactions.owners import next_number, token_text
from encore.storage.transactions.recording import KeptVersions
from encore.storage.transactions.staging import Batch, StagedOwner, StagedStore

_PAGE = 1000


class DictStore(StagedStore):
    """Values in a dictionary.

    Parameters
    ----------
    event_manager, timeout
        See `Store`.

    Notes
    -----
    *Threads*: reads never wait; a commit swaps all of its records in one step.
    """

    _owner: StagedOwner
    _appending: Any = None  # a history, where one is attached that can follow the shortest way

    def __init__(
        self, *, event_manager: BaseEventManager | None = None, timeout: float = 5.0
    ) -> None:
        super().__init__(event_manager=event_manager, timeout=timeout)
        # None stands for a key being removed: it lets a commit be a single dict.update, which no
        # reader can see half of.
        self._kept: dict[str, Record | None] = {}
        self._data: dict[str, Record | None] = self._kept
        self._index = _KeyIndex(self._kept)
        self.connect()  # there is nothing to wait for

    def _new_writer(self) -> WriterLock:
        writer = super()._new_writer()
        self._free = writer.lock
        return writer

    def __repr__(self) -> str:
        return f"<DictStore at {id(self):#x}>"

    def _close(self) -> None:
        self._data = _CLOSED

    def _open(self) -> None:
        self._data = self._kept

    def close(self) -> None:
        super().close()
        self._data = _CLOSED  # also when nothing had been done with it yet

    # -- the four hooks ---------------------------------------------------------------------------

    def _lookup(self, key: str) -> Record | None:
        record = self._data.get(key)
        return None if record is None else with_token(record)

    def _keys(self, prefix: str, start_after: str | None) -> Iterator[str]:
        self._data.get("")  # a closed store says so here rather than at the first key
        return self._index.scan(prefix, start_after)

    def _stage(self, chunks: Iterator[bytes]) -> Staged:
        return _Joined(b"".join(chunks))

    def _apply(self, batch: Batch) -> None:
        for key, record in batch.items():
            if record is not None and isinstance(record[0], _Joined):
                batch[key] = (record[0].data, *record[1:])
        kept = self._kept
        self._index.add(key for key in batch if key not in kept)
        kept.update(batch)
        for key, record in batch.items():
            if record is None:
                kept.pop(key, None)
                self._index.removed += 1

    def _kept_versions(self) -> KeptVersions:
        return _KEPT

    # -- accelerations ----------------------------------------------------------------------------

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        # One write by itself, in as few steps as there can be: even the text of its token is made
        # only when somebody reads it. Whatever is out of the ordinary (a listener, a transaction,
        # somebody else writing) is left to the general way.
        appending = self._appending
        heard = self._heard() if appending is None else BackendStore._heard(self)
        if heard or self._owner.overlay is not None or not self._free.acquire(False):
            return False
        try:
            old = self._data.get(key)
            now = time.time()
            number = next_number()
            if appending is not None and not appending.append(key, old, data, text, number):
                return False
            if old is None:
                self._index.new.append(key)
                self._kept[key] = (data, text, len(data), now, now, number)
            else:
                self._kept[key] = (data, text, len(data), old[3], now, number)
        finally:
            self._free.release()
        if appending is not None:
            appending.appended()
        return True

    def _read(self, key: str) -> bytes | None:
        if type(key) is not str:
            check_key(key)
        record = self._data.get(key) if self._owner.overlay is None else self._record(key)
        if record is None:
            return None
        content = record[0]
        if isinstance(content, bytes):
            return content
        assert content is not None
        return content.read(0, content.size)

    def _count(self) -> int:
        if self._overlay():
            return super()._count()
        return len(self._data)


def with_token(record: Record) -> Record:
    """A record with the text of its token, which a lone write leaves to those who want it."""
    token: Any = record[5]
    return record if isinstance(token, str) else (*record[:5], token_text(token))


class _KeyIndex:
    """The keys of a dictionary in order, brought up to date when somebody lists them.

    Writers append, a listing sorts: sorting a long ordered run with a short tail is linear, and
    programs that only write never pay for it.
    """

    def __init__(self, data: dict[str, Record | None]) -> None:
        self._data = data
        self._sorted: list[str] = []
        self._known: set[str] = set()  # what is in the list: a key may be removed and come again
        self._sorting = threading.Lock()
        self.new: list[str] = []
        self.removed = 0

    def add(self, keys: Iterator[str]) -> None:
        self.new.extend(keys)

    def _current(self) -> list[str]:
        """The keys in order, with some that have been removed; never changed afterwards."""
        if not self.new and self.removed <= len(self._sorted) // 2 + _PAGE:
            return self._sorted
        with self._sorting:
            keys = self._sorted
            if self.removed > len(keys) // 2 + _PAGE:
                self.removed = 0
                keys = [key for key in keys if key in self._data]
                self._known = set(keys)
            # Writers append without this lock, so take what is there by now and leave the list.
            count = len(self.new)
            fresh = {key for key in self.new[:count] if key not in self._known}
            if fresh:
                keys = [*keys, *fresh]
                keys.sort()
                self._known |= fresh
            self._sorted = keys
            del self.new[:count]
            return keys

    def scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        data = self._data
        stop = prefix_end(prefix)
        while True:
            keys = self._current()
            start = bisect_left(keys, prefix)
            if start_after is not None:
                start = max(start, bisect_right(keys, start_after))
            end = len(keys) if stop is None else bisect_left(keys, stop, start)
            page = keys[start : min(end, start + _PAGE)]
            if not page:
                return
            for key in page:
                if data.get(key) is not None:
                    yield key
            start_after = page[-1]


class _Joined:
    """Streamed data that has arrived in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, start: int, end: int) -> bytes:
        return self.data[start:end]

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        return (self.data[at : min(at + buffer_size, end)] for at in range(start, end, buffer_size))

    def close(self) -> None:
        pass

    def discard(self) -> None:
        pass


class _KeptBytes:
    """Versions that have been replaced: immutable bytes need only be remembered."""

    def keep(self, key: str, content: Any) -> Any:
        return content

    def is_same(self, kept: Any, content: Any) -> bool:
        return kept is content

    def content(self, kept: Any, key: str) -> Any:
        return kept

    def open(self, kept: Any, size: int) -> Any:
        return kept

    def size(self, kept: Any) -> int | None:
        return len(kept)

    def flush(self) -> None: ...

    def release(self, kept: Any) -> None: ...

    def close(self) -> None: ...


_KEPT = _KeptBytes()


class _Closed(dict[str, Any]):
    """Stands in for the data of a closed store: a check that costs open stores nothing."""

    def _refuse(self, *_args: object) -> NoReturn:
        raise StoreError("the store is closed; connect() opens it again")

    get = __contains__ = __len__ = __iter__ = _refuse


_CLOSED = _Closed()
