"""What stores have in common whose values are on a server that takes changes.

``dynamic`` imports this module, and so does the store over an object service.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from encore.keys.rules import check_key
from encore.storage.backends.http.committing import Seen
from encore.storage.backends.http.records import RemoteValue
from encore.storage.backends.http.spooling import SpooledData
from encore.storage.content import KeyEntry
from encore.storage.template import Entry, Record, Staged
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.owners import OwnerState, new_token
from encore.storage.transactions.staging import StagedOwner, StagedStore
from encore.storage.values import Value

__all__ = ["OtherSide", "RemoteOwner", "RemoteStore"]


class OtherSide(Protocol):
    """A server, in terms of keys and records."""

    def record(self, key: str) -> Record | None:
        """The record under a key; small data comes along, large data is read when it is asked."""

    def has(self, key: str) -> bool:
        """Whether there is such a key."""

    def read_range(self, key: str, start: int, end: int) -> bytes | None:
        """A part of the data, which is not empty, cut off at the end; None if there is no key."""

    def listing(
        self,
        *,
        prefix: str = "",
        start_after: str | None = None,
        where: Mapping[str, Any] | None = None,
        keys_only: bool = False,
    ) -> Iterator[Any]:
        """What a query finds; only the keys for ``keys_only=True``."""

    def put_anyway(self, key: str, record: Record) -> None:
        """Put a record, whatever is there; the server knows since when."""


class RemoteOwner(StagedOwner):
    """What a store knows of the calling thread: also what its transaction has seen."""

    seen: Seen | None = None
    is_blind = False  # a lone write that replaces whatever is there


class RemoteStore(StagedStore):
    """A store over another side.

    A transaction remembers what it has found, so that its commit can have the server compare.
    """

    can_prepare = False
    _owner: RemoteOwner

    def _asked(self) -> OtherSide:
        """The other side; opens the store on its first use."""
        raise NotImplementedError

    def _check_fits(self, key: str) -> None:
        """Raise for a key that the server cannot take."""

    def _new_owner(self) -> OwnerState:
        return RemoteOwner()

    # -- reading ----------------------------------------------------------------------------------

    def _lookup(self, key: str) -> Record | None:
        other = self._asked()
        self._check_fits(key)
        record = other.record(key)
        seen = self._owner.seen
        if seen is not None and self._overlay() is not None:
            seen.setdefault(key, None if record is None else (record[5], record[1]))
        return record

    def _keys(self, prefix: str, start_after: str | None) -> Iterator[str]:
        return self._asked().listing(prefix=prefix, start_after=start_after, keys_only=True)

    def _has(self, key: str) -> bool:
        check_key(key)
        if self._overlay() is not None:
            return super()._has(key)
        other = self._asked()
        self._check_fits(key)
        return other.has(key)

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        check_key(key)
        other = self._asked()
        self._check_fits(key)
        if self._overlay() is not None or start >= end:
            return super()._read_range(key, start, end)
        return other.read_range(key, start, end)

    def _survey(self, prefix: str) -> Iterator[KeyEntry]:
        if self._overlay():
            return super()._survey(prefix)
        found = self._asked().listing(prefix=prefix)
        return (KeyEntry(item.key, item.size, item.modified, item.token) for item in found)

    def _search(self, where: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        if self._overlay():
            return super()._search(where)
        return ((item.key, item.text) for item in self._asked().listing(where=where))

    def _search_keys(self, where: Mapping[str, Any]) -> Iterator[str]:
        if self._overlay():
            return super()._search_keys(where)
        return self._asked().listing(where=where, keys_only=True)

    # -- writing ----------------------------------------------------------------------------------

    def _stage(self, chunks: Iterator[bytes]) -> Staged:
        return SpooledData(chunks)

    def _duplicate(self, value: Value) -> bytes | Staged:
        content = value.content
        if isinstance(content, (bytes, RemoteValue, SpooledData)):
            return content
        return super()._duplicate(value)

    def _replace(self, key: str, old: Value | None, record: Record) -> None:
        self._check_fits(key)
        super()._replace(key, old, record)

    def _is_alone(self) -> bool:
        """Whether a write by the caller can take the short way: one request."""
        return not self._heard() and self._owner.overlay is None

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        check_key(key)
        if not self._is_alone():
            return False
        other = self._asked()
        self._check_fits(key)
        if not self._writer.lock.acquire(False):
            return False
        try:
            other.put_anyway(key, (data, text, len(data), 0.0, time.time(), new_token()))
        finally:
            self._writer.lock.release()
        return True

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        self._owner.is_blind = entry.text is not None and not if_absent and if_token is None
        try:
            super()._write_content(entry, content, if_absent, if_token)
        finally:
            self._owner.is_blind = False

    def _erase(self, key: str, missing_ok: bool) -> None:
        self._owner.is_blind = True
        try:
            super()._erase(key, missing_ok)
        finally:
            self._owner.is_blind = False

    def _begin_transaction(self, context: SimpleTransactionContext) -> None:
        super()._begin_transaction(context)
        if context.depth == 1:
            self._owner.seen = {}
