"""The copies of a cache: a store that holds them, and the books.

What a value is besides its data is kept in the metadata of its copy: a store of files or a bucket
gives tokens and times of its own. Whatever the store does wrong is counted, logged, and left out.
Only ``caching`` imports this module.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from encore.errors import TransactionError
from encore.storage.metadata import encode_metadata
from encore.storage.template import Entry, Store
from encore.storage.values import Value
from encore.storage.wrappers.cache_index import CacheIndex, Copy
from encore.storage.wrappers.copies import CACHE_FAILURES

_log = logging.getLogger("encore.storage")
_T = TypeVar("_T")


class CachedCopies:
    """Copies of values, in a store that may fail.

    Parameters
    ----------
    store : Store
        Nobody else's: what the books do not know is removed.
    index : CacheIndex

    Notes
    -----
    *Threads*: any, as far as the store is for any.
    """

    def __init__(self, store: Store, index: CacheIndex) -> None:
        self._store = store
        self._index = index
        self._opened_store = not store.is_connected()
        self._is_loaded = False
        self._loading = threading.Lock()

    def open(self) -> None:
        if not self._store.is_connected():
            self._opened_store = True
            self._try(self._store.connect)

    def close(self) -> None:
        if self._opened_store:
            self._try(self._store.close)

    def load(self) -> None:
        """Take over what an earlier program has left."""
        if self._is_loaded:
            return
        with self._loading:
            if not self._is_loaded:
                for key, size, token in self._try(self._left_behind) or ():
                    self._make_room(self._index.add(key, size, token, None))
                self._is_loaded = True

    def _left_behind(self) -> list[tuple[str, int, str]]:
        found = []
        for key, copy in self._store._find_all(""):
            copy.close()
            original = _original(copy)
            if original is None:
                self._make_room([key])
            else:
                found.append((key, original.size or 0, original.token))
        return found

    def find(self, key: str, copy: Copy) -> Value | None:
        """The value of a copy that is in the books, unless it is gone or another version."""
        found = self._try(lambda: self._store._find(key))
        value = None if found is None else _original(found)
        if value is not None and value.token == copy.token:
            return value
        self.forget(key)
        return None

    def keep(self, key: str, value: Value, data: Any, version: int) -> None:
        """Copy a value, unless its key has been written since."""
        said = {
            "size": value.size,
            "text": value.metadata_text,
            "created": value.created,
            "modified": value.modified,
            "token": value.token,
        }
        entry = Entry(key, data, encode_metadata(said))
        if self._try(lambda: self._store._write(entry) or True):  # type: ignore[func-returns-value]
            self._make_room(self._index.add(key, value.size or 0, value.token, version))

    def forget(self, key: str) -> None:
        if self._index.drop(key):
            self._make_room([key])

    def clear(self) -> None:
        self._index.clear()
        self._try(self._store.clear)

    def _make_room(self, keys: list[str]) -> None:
        for key in keys:
            self._try(partial(self._store.delete, key, missing_ok=True))

    def _try(self, act: Callable[[], _T]) -> _T | None:
        """Do something with the store; if it fails, go on without it."""
        try:
            return act()
        except (*CACHE_FAILURES, TransactionError) as error:
            self.failed(error)
            return None

    def failed(self, error: Exception) -> None:
        self._index.count_error()
        _log.warning("the cache %r failed and was left out: %s", self._store, error)


def _original(copy: Value) -> Value | None:
    """The value that a copy is of; None if it is something else."""
    said = copy.metadata
    try:
        size, text = said["size"], said["text"]
        created, modified = said["created"], said["modified"]
        return Value.of(copy.content, text, size, created, modified, said["token"])
    except KeyError:
        return None
