"""The content of a store as it was: what ``History.at`` returns.

`PastStore` looks at the images around a position, and for what is in none of them at the store as
it is. `over` puts the wrappers of a store over another one, so that the past looks as the present
does. ``history`` imports this module.
"""

from __future__ import annotations

import copy
import heapq
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, NoReturn, Unpack

from encore.errors import ReadOnlyError, UnsupportedError
from encore.history.ledger import Ledger
from encore.keys.rules import check_key
from encore.storage.announcements import Announcer
from encore.storage.template import Entry, MetadataChange, Staged, Store
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.recording import StepOptions
from encore.storage.values import Value
from encore.storage.wrappers.base import WrapperStore


class PastStore(Store):
    """A store as it was after a step; read-only.

    Parameters
    ----------
    ledger : Ledger
    position : int
        The id of the step.

    Notes
    -----
    *Threads*: as the store.
    """

    transactions = "none"
    can_prepare = False

    def __init__(self, ledger: Ledger, position: int) -> None:
        Announcer.__init__(self, ledger.store.event_manager)
        self._ledger = ledger
        self._present = ledger.store
        self._position = position

    def __repr__(self) -> str:
        return f"<{self._present!r} as it was after step {self._position}>"

    def connect(self, credentials: Any = None) -> None:
        self._present.connect(credentials)

    def disconnect(self) -> None:
        self.close()

    def close(self) -> None:
        """Do nothing: the store of the present is its owner's to close."""

    def is_connected(self) -> bool:
        return bool(self._present.is_connected())

    def info(self) -> dict[str, Any]:
        return {**self._present.info(), **super().info(), "readonly": True}

    # -- reading ----------------------------------------------------------------------------------

    def _find(self, key: str) -> Value | None:
        check_key(key)
        is_known, value = self._ledger.around(key, self._position)
        return value if is_known else self._present._find(key)

    def _scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        overrides = dict(self._ledger.overrides(self._position, prefix))
        present = (key for key in self._present._scan(prefix, start_after) if key not in overrides)
        past = (
            key
            for key, is_there in overrides.items()
            if is_there and (start_after is None or key > start_after)
        )
        return heapq.merge(present, past)

    # -- writing ----------------------------------------------------------------------------------

    def _refuse(self, verb: str, key: str | None = None) -> NoReturn:
        raise ReadOnlyError(
            f"{verb}: {self!r} is the past, which cannot be changed; undo, or copy from it",
            key=key,
            store=self,
            operation=verb,
        )

    def _take_stream(self, key: str, chunks: Iterator[bytes]) -> Staged:
        self._refuse("put", key)

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        self._refuse("put", entry.key)

    def _rewrite_metadata(self, key: str, change: MetadataChange, empty: bytes = b"") -> None:
        self._refuse("set_metadata", key)

    def _erase(self, key: str, missing_ok: bool) -> None:
        self._refuse("delete", key)

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        self._refuse("move" if move else "copy", source)

    def transaction(
        self, notes: str = "", *, timeout: float | None = None, **options: Unpack[StepOptions]
    ) -> SimpleTransactionContext:
        self._refuse("transaction")

    def _context(self) -> SimpleTransactionContext | None:
        return None

    def _unit(self) -> AbstractContextManager[Any]:
        self._refuse("write")

    def _engine(self) -> Any:
        return self

    @property
    def sort_key(self) -> tuple[str, str]:
        return "PastStore", str(id(self))


def over(store: Store, engine: Store, other: Store) -> Store:
    """Return what ``store``, a wrapper over ``engine`` or that itself, would be over ``other``.

    Raises
    ------
    UnsupportedError
        There is a store of several stores between them.
    """
    if store is engine:
        return other
    if not isinstance(store, WrapperStore):
        raise UnsupportedError(f"{store!r} is made of several stores, which have one past each")
    wrapper = copy.copy(store)
    base = over(store.base, engine, other)
    Announcer.__init__(wrapper, store.event_manager)
    wrapper.base = wrapper._inner = base
    wrapper._opened_base = False
    return wrapper
