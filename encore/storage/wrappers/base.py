"""What every wrapper is: a store whose acts are the acts of another store, its ``base``.

`WrapperStore` passes every act on as it is. A family overrides the acts it is there to change
(``keymaps`` the keys, ``codecs`` the data, ``intercepting`` whether and when), and a wrapper of the
family is a filter and a constructor. Transactions are the base's own: whoever writes through the
wrapper, beside it, or through another wrapper of the same base takes part in one transaction, and
each announces the change in its own terms.

The modules of this folder import this one; so may authors of other wrappers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NoReturn, Unpack

from encore.errors import StoreError, TransactionError
from encore.storage.announcements import Announcer
from encore.storage.checking import Problem
from encore.storage.template import Entry, MetadataChange, Staged, Store
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.recording import StepOptions
from encore.storage.values import KeyEntry, Value


class WrapperStore(Store):
    """A store over another one; by itself it changes nothing.

    Parameters
    ----------
    base : Store
        The wrapped store. It is closed with the wrapper if the wrapper opened it.

    Attributes
    ----------
    base : Store

    Notes
    -----
    *Threads*: as the base.
    """

    def __init__(self, base: Store) -> None:
        if not isinstance(base, Store):
            raise TypeError(
                f"{type(self).__name__} wraps a store, and {type(base).__name__} is not one that "
                "derives from encore's Store"
            )
        Announcer.__init__(self, base.event_manager)
        self.base = base
        self._inner: Any = base  # the base, or when closed what refuses in its place
        self._opened_base = not base.is_connected()
        base._add_face(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over {self.base!r}>"

    def _forget_listeners(self) -> None:
        super()._forget_listeners()
        self.base._forget_listeners()

    # -- opening and closing ----------------------------------------------------------------------

    def connect(self, credentials: Any = None) -> None:
        if not self.base.is_connected():
            self.base.connect(credentials)
            self._opened_base = True
        self._inner = self.base

    def disconnect(self) -> None:
        self.close()

    def close(self) -> None:
        if self._inner is not self.base:
            return
        context = self.base._context()
        if context is not None:
            raise TransactionError(
                f"{self!r} cannot be closed inside the transaction {context.notes!r}; "
                "commit it or roll it back first",
                store=self,
                operation="close",
            )
        if self._opened_base:
            self.base.close()
        self._inner = _Closed(self)

    def is_connected(self) -> bool:
        return self._inner is self.base and self.base.is_connected()

    def info(self) -> dict[str, Any]:
        beneath = self.base.info()
        return {**beneath, "type": type(self).__name__, "base": beneath["type"]}

    # -- transactions -----------------------------------------------------------------------------

    @property
    def transactions(self) -> str:  # type: ignore[override]
        """Whose transactions there are: those of the base."""
        return self.base.transactions

    @property
    def can_prepare(self) -> bool:  # type: ignore[override]
        """Whether the base can prepare."""
        return self.base.can_prepare

    def transaction(
        self, notes: str = "", *, timeout: float | None = None, **options: Unpack[StepOptions]
    ) -> SimpleTransactionContext:
        return self._inner.transaction(notes, timeout=timeout, **options)  # type: ignore[no-any-return]

    def _context(self) -> SimpleTransactionContext | None:
        return self._inner._context()  # type: ignore[no-any-return]

    def _unit(self) -> AbstractContextManager[Any]:
        return self._inner._unit()  # type: ignore[no-any-return]

    def _new_context(
        self,
        notes: str = "",
        *,
        timeout: float | None = None,
        quiet: bool = False,
        options: StepOptions | None = None,
    ) -> SimpleTransactionContext:
        return self._inner._new_context(  # type: ignore[no-any-return]
            notes, timeout=timeout, quiet=quiet, options=options
        )

    def _engine(self) -> Any:
        return self.base._engine()

    @property
    def sort_key(self) -> tuple[str, str]:
        return self.base.sort_key

    # -- acts of reading --------------------------------------------------------------------------

    def _find(self, key: str) -> Value | None:
        return self._inner._find(key)  # type: ignore[no-any-return]

    def _read(self, key: str) -> bytes | None:
        return self._inner._read(key)  # type: ignore[no-any-return]

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        return self._inner._read_range(key, start, end)  # type: ignore[no-any-return]

    def _has(self, key: str) -> bool:
        return self._inner._has(key)  # type: ignore[no-any-return]

    def _examine(self, repair: bool) -> Iterator[Problem]:
        return self._inner._examine(repair)  # type: ignore[no-any-return]

    def _find_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Value | None]]:
        return self._inner._find_many(keys)  # type: ignore[no-any-return]

    # -- acts of listing --------------------------------------------------------------------------

    def _scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        return self._inner._scan(prefix, start_after)  # type: ignore[no-any-return]

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        return self._inner._find_all(prefix)  # type: ignore[no-any-return]

    def _survey(self, prefix: str) -> Iterator[KeyEntry]:
        return self._inner._survey(prefix)  # type: ignore[no-any-return]

    def _sum(self, prefix: str) -> tuple[int, int | None]:
        return self._inner._sum(prefix)  # type: ignore[no-any-return]

    def _count(self) -> int:
        return self._inner._count()  # type: ignore[no-any-return]

    def _search(self, where: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        return self._inner._search(where)  # type: ignore[no-any-return]

    def _search_keys(self, where: Mapping[str, Any]) -> Iterator[str]:
        return self._inner._search_keys(where)  # type: ignore[no-any-return]

    # -- acts of writing --------------------------------------------------------------------------

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        return self._inner._put_plain(key, data, text)  # type: ignore[no-any-return]

    def _remove_plain(self, key: str) -> bool:
        return self._inner._remove_plain(key)  # type: ignore[no-any-return]

    def _take_stream(self, key: str, chunks: Iterator[bytes]) -> Staged:
        return self._inner._take_stream(key, chunks)  # type: ignore[no-any-return]

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        self._inner._write_content(entry, content, if_absent, if_token)

    def _write_many(self, entries: Iterable[Entry], buffer_size: int) -> None:
        # Small values go on in bulk; a long stream tells its progress, and is cancelled, here.
        for small, group in itertools.groupby(entries, lambda entry: _is_small(entry, buffer_size)):
            if small:
                self._inner._write_many(map(self._passed_on, group), buffer_size)
            else:
                super()._write_many(group, buffer_size)

    def _passed_on(self, entry: Entry) -> Entry:
        """What the base is to write for an entry with little data."""
        return entry

    def _rewrite_metadata(self, key: str, change: MetadataChange, empty: bytes = b"") -> None:
        self._inner._rewrite_metadata(key, change, empty)

    def _erase(self, key: str, missing_ok: bool) -> None:
        self._inner._erase(key, missing_ok)

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        self._inner._transfer(source, target, move=move)

    def _remove_all(self, prefix: str) -> bool:
        return self._inner._remove_all(prefix)  # type: ignore[no-any-return]


def stores_beneath(store: Store) -> Iterator[Store]:
    """Yield every store that a wrapper, or a store made of stores, is over."""
    parts = (store.base,) if isinstance(store, WrapperStore) else getattr(store, "_parts", ())
    for part in parts:
        yield part
        yield from stores_beneath(part)


def _is_small(entry: Entry, buffer_size: int) -> bool:
    data = entry.data.content if isinstance(entry.data, Value) else entry.data
    if not isinstance(data, (bytes, bytearray, memoryview)):
        return False
    return memoryview(data).nbytes <= buffer_size


class _Closed:
    """Stands in for the base of a closed wrapper: a check that costs open ones nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> NoReturn:
        raise StoreError(
            f"{self._store!r} is closed; connect() opens it again",
            store=self._store,
            operation="open",
        )
