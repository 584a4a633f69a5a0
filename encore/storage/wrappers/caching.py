"""A fast store in front of a slow one.

``storage.api`` shows what is public here; ``cache_index`` keeps the books.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import Any, TypeVar

from encore.errors import StoreError
from encore.keys.rules import check_key
from encore.storage.announcements import Announcer, Batches
from encore.storage.content import BUFFER_SIZE, Content
from encore.storage.events import StoreEvent
from encore.storage.template import Entry, MetadataChange, Staged, Store
from encore.storage.transactions.changes import Change
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.values import Value
from encore.storage.wrappers.base import WrapperStore
from encore.storage.wrappers.cache_index import CacheIndex, CacheStats

_log = logging.getLogger("encore.storage")
_T = TypeVar("_T")

_VALIDATIONS = ("token", "ttl", "never")


class CachingStore(WrapperStore):
    """The values of ``main_store``, copies of which are kept in ``cache_store``.

    Parameters
    ----------
    main_store : Store
        Where everything is written, listed and searched.
    cache_store : Store
        Where copies are kept: this store's own, since what it does not know is removed.
    max_bytes, max_items : int, optional
        What the cache holds at most, in bytes of data and in values; the least recently used go.
    max_age : float, optional
        Seconds for which a copy is good.
    validate : str, optional
        When a copy counts: ``"token"``, if the main store still has that version (asks it at every
        read, which spares the data only); ``"ttl"``, for ``max_age`` seconds; ``"never"``, until it
        is written or deleted through this program.
    negative_ttl : float, optional
        Seconds for which a key that was not there is taken not to be there.
    clock : callable, optional
        Returns seconds, and never goes back.

    Notes
    -----
    A copy is made of a value that was read to its end; several readers who miss the same key
    wait for one of them to fetch it. A write takes the copy away before it begins, and again when
    it has been committed, by whomever in this program. A cache that fails is left out, with a
    warning in the log, and never fails a read. Inside a transaction nothing is cached.

    *Threads*: as the main store.
    """

    def __init__(
        self,
        main_store: Store,
        cache_store: Store,
        *,
        max_bytes: int | None = None,
        max_items: int | None = None,
        max_age: float | None = None,
        validate: str = "token",
        negative_ttl: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if validate not in _VALIDATIONS:
            raise ValueError(f"validate is one of {', '.join(_VALIDATIONS)}, not {validate!r}")
        if validate == "ttl" and max_age is None:
            raise ValueError("validate='ttl' needs max_age, in seconds")
        super().__init__(main_store)
        self.main_store = main_store
        self.cache_store = cache_store
        self._validate = validate
        self._index = CacheIndex(max_bytes, max_items, max_age, negative_ttl, clock)
        self._opened_cache = not cache_store.is_connected()
        self._is_loaded = False
        self._loading = threading.Lock()

    def __repr__(self) -> str:
        return f"<CachingStore over {self.main_store!r}, cached in {self.cache_store!r}>"

    def close(self) -> None:
        super().close()
        if self._opened_cache:
            self.cache_store.close()

    def info(self) -> dict[str, Any]:
        return {**super().info(), "cache": self.cache_store.info()["type"]}

    # -- the cache, for people --------------------------------------------------------------------

    def stats(self) -> CacheStats:
        """What the cache has been good for since this store was made."""
        return self._index.stats()

    def clear_cache(self, key: str | None = None) -> None:
        """Forget the copy of a key, or all copies. The main store keeps what it has."""
        if key is not None:
            self._forget(key)
            return
        self._index.clear()
        self._try(lambda: self.cache_store.clear())

    # -- reading ----------------------------------------------------------------------------------

    def _find(self, key: str) -> Value | None:
        return self._answer(key, lambda value: value)

    def _read(self, key: str) -> bytes | None:
        return self._answer(key, _read_and_close)

    _read_range = Store._read_range

    def _answer(self, key: str, use: Callable[[Value], _T]) -> _T | None:
        """What ``use`` makes of a value, be it of the copy or of the main store's."""
        check_key(key)
        if self._inner._context() is not None:
            value = self._inner._find(key)
            return None if value is None else use(value)
        self._load()
        if self._index.is_missing(key):
            self._index.count(hit=True)
            return None
        value = self._cached(key)
        if value is None:
            with self._index.flight(key) as flight:
                value = self._cached(key) if flight.waited else None
                self._index.count(hit=value is not None)
                if value is None:
                    value = self._fetch(key)
                return None if value is None else use(value)
        self._index.count(hit=True)
        return use(value)

    def _has(self, key: str) -> bool:
        check_key(key)
        if self._inner._context() is None and self._index.is_missing(key):
            return False
        return self._inner._has(key)  # type: ignore[no-any-return]

    def _find_many(self, keys: Any) -> Iterator[tuple[str, Value | None]]:
        return ((key, self._find(key)) for key in keys)

    def _cached(self, key: str) -> Value | None:
        """The copy of a value, if there is one that counts."""
        token = self._index.token(key)
        if token is None:
            return None
        if self._validate == "token":
            current = self._inner._find(key)
            if current is not None:
                current.close()
            if current is None or current.token != token:
                self._forget(key)
                return None
        value = self._try(lambda: self.cache_store._find(key))
        if value is None or value.token != token:
            self._forget(key)
            return None
        return value

    def _fetch(self, key: str) -> Value | None:
        """A value of the main store; once it has been read, a copy is in the cache."""
        version = self._index.version(key)
        value: Value | None = self._inner._find(key)
        if value is None:
            self._index.note_missing(key, version)
            return None
        if not self._index.fits(value.size):
            return value
        if isinstance(value.content, bytes):
            self._keep(key, value, value.content, version)
            return value
        copy = _Copying(value.content, lambda data: self._keep(key, value, data, version))
        return value.with_content(copy)

    def _keep(self, key: str, value: Value, data: Any, version: int) -> None:
        """Put a copy into the cache, unless the key has been written since."""
        size = value.size or 0
        entry = Entry(key, data, value.metadata_text, value.created, value.modified, value.token)

        def put() -> bool:
            self.cache_store._write(entry)
            return True

        if self._try(put):
            for old in self._index.add(key, size, value.token, version):
                self._try(lambda old=old: self.cache_store.delete(old, missing_ok=True))  # type: ignore[misc]

    # -- forgetting -------------------------------------------------------------------------------

    def _forget(self, key: str) -> None:
        if self._index.drop(key):
            self._try(lambda: self.cache_store.delete(key, missing_ok=True))

    def _try(self, act: Callable[[], _T]) -> _T | None:
        """Do something with the cache; if it fails, go on without it."""
        try:
            return act()
        except (StoreError, OSError) as error:
            self._index.count_error()
            _log.warning("the cache %r failed and was left out: %s", self.cache_store, error)
            return None

    def _load(self) -> None:
        """Take over what an earlier program left in the cache."""
        if self._is_loaded:
            return
        with self._loading:
            if not self._is_loaded:
                entries = self._try(lambda: list(self.cache_store.entries()))
                for entry in entries or ():
                    for old in self._index.add(entry.key, entry.size or 0, entry.token, None):
                        self._try(lambda old=old: self.cache_store.delete(old))  # type: ignore[misc]
                self._is_loaded = True

    def _wants_any(self, classes: tuple[type[StoreEvent], ...]) -> bool:
        return True  # to hear of every write, by whomever

    def _hear(
        self,
        base: Announcer,
        context: SimpleTransactionContext,
        changes: list[Change],
        batches: Batches,
    ) -> None:
        for change in changes:
            self._forget(change.key)
        super()._hear(base, context, changes, batches)

    # -- writing: the copy goes first -------------------------------------------------------------

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        return False

    def _remove_plain(self, key: str) -> bool:
        return False

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        with self._unsettled(entry.key):
            super()._write_content(entry, content, if_absent, if_token)

    def _passed_on(self, entry: Entry) -> Entry:
        check_key(entry.key)
        self._forget(entry.key)
        return entry

    def _rewrite_metadata(self, key: str, change: MetadataChange, empty: bytes = b"") -> None:
        with self._unsettled(key):
            super()._rewrite_metadata(key, change, empty)

    def _erase(self, key: str, missing_ok: bool) -> None:
        with self._unsettled(key):
            super()._erase(key, missing_ok)

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        with self._unsettled(source), self._unsettled(target):
            super()._transfer(source, target, move=move)

    def _remove_all(self, prefix: str) -> bool:
        return False

    @contextmanager
    def _unsettled(self, key: str) -> Iterator[None]:
        """Forget a key before and after it is written; an unknown outcome leaves no copy."""
        self._forget(key)
        try:
            yield
        finally:
            self._forget(key)


class _Copying:
    """A content of the main store that is copied when it has been read from end to end."""

    def __init__(self, content: Content, keep: Callable[[Any], None]) -> None:
        self._content = content
        self._keep: Callable[[Any], None] | None = keep

    @property
    def size(self) -> int:
        return self._content.size

    def read(self, start: int, end: int) -> bytes:
        data = self._content.read(start, end)
        if self._keep is not None and start == 0 and len(data) == self.size:
            keep, self._keep = self._keep, None
            keep(data)
        return data

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        chunks = self._content.chunks(start, end, buffer_size)
        if self._keep is None or start != 0 or end < self.size:
            yield from chunks
            return
        with SpooledTemporaryFile(BUFFER_SIZE) as copy:
            for chunk in chunks:
                copy.write(chunk)
                yield chunk
            if self._keep is not None and copy.tell() == self.size:
                keep, self._keep = self._keep, None
                copy.seek(0)
                keep(copy)

    def close(self) -> None:
        self._content.close()


def _read_and_close(value: Value) -> bytes:
    try:
        return value.read()
    finally:
        value.close()
