"""A fast store in front of a slow one.

``storage.api`` shows what is public here; ``cache_index`` keeps the books.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from encore.keys.rules import check_key
from encore.storage.announcements import Announcer, Batches
from encore.storage.checking import Problem
from encore.storage.content import Content
from encore.storage.events import StoreEvent
from encore.storage.template import Entry, MetadataChange, Staged, Store
from encore.storage.transactions.changes import Change
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.values import Value
from encore.storage.wrappers.base import WrapperStore
from encore.storage.wrappers.cache_index import CacheIndex, CacheStats
from encore.storage.wrappers.cached import CachedCopies
from encore.storage.wrappers.copies import Copying, InMemory, Spared

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
        self._copies = CachedCopies(cache_store, self._index)

    def __repr__(self) -> str:
        return f"<CachingStore over {self.main_store!r}, cached in {self.cache_store!r}>"

    def connect(self, credentials: Any = None) -> None:
        super().connect(credentials)
        self._copies.open()

    def close(self) -> None:
        super().close()
        self._copies.close()

    def info(self) -> dict[str, Any]:
        return {**super().info(), "cache": self.cache_store.info()["type"]}

    # -- the cache, for people --------------------------------------------------------------------

    def stats(self) -> CacheStats:
        """What the cache has been good for since this store was made."""
        return self._index.stats()

    def clear_cache(self, key: str | None = None) -> None:
        """Forget the copy of a key, or all copies. The main store keeps what it has."""
        if key is not None:
            self._copies.forget(key)
            return
        self._copies.clear()

    def _examine(self, repair: bool) -> Iterator[Problem]:
        yield from super()._examine(repair)
        for problem in self.cache_store._examine(repair):
            yield replace(problem, explanation=f"{problem.explanation} (in the cache)")

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
        self._copies.load()
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
        copy = self._index.find(key)
        if copy is None:
            return None
        # What an earlier program has left may be of any age: its first reader asks in any case.
        if self._validate == "token" or copy.since is None:
            current = self._inner._find(key)
            if current is not None:
                current.close()
            if current is None or current.token != copy.token:
                self._copies.forget(key)
                return None
            self._index.confirm(key, copy)
        value = self._copies.find(key, copy)
        if value is None or isinstance(value.content, bytes):
            return value
        return value.with_content(
            Spared(value.content, lambda error: self._instead(key, copy.token, error))
        )

    def _instead(self, key: str, token: str, error: Exception) -> Content:
        """What the main store has, for a reader of a copy that fails."""
        self._copies.failed(error)
        self._copies.forget(key)
        value: Value | None = self._inner._find(key)
        if value is None or value.token != token:
            raise error  # the reader has begun with a version that is gone
        content = value.content
        return InMemory(content) if isinstance(content, bytes) else content

    def _fetch(self, key: str) -> Value | None:
        """A value of the main store; once it has been read, a copy is in the cache."""
        version = self._index.version(key)
        value: Value | None = self._inner._find(key)
        if value is None:
            self._index.note_missing(key, version)
            return None
        if not self._index.fits(value.size):
            return value
        keep = partial(self._copies.keep, key, value, version=version)
        if isinstance(value.content, bytes):
            keep(value.content)
            return value
        return value.with_content(Copying(value.content, keep, self._copies.failed))

    # -- forgetting -------------------------------------------------------------------------------

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
            self._copies.forget(change.key)
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
        self._copies.forget(entry.key)
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
        self._copies.forget(key)
        try:
            yield
        finally:
            self._copies.forget(key)


def _read_and_close(value: Value) -> bytes:
    try:
        return value.read()
    finally:
        value.close()
