"""The store over a server that takes changes.

The face of the package exports it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from encore.events.abstract_event_manager import BaseEventManager
from encore.keys.rules import check_key
from encore.storage.backends.http.client import HttpClient
from encore.storage.backends.http.committing import Seen, apply_batch
from encore.storage.backends.http.contents import read_range
from encore.storage.backends.http.failures import About
from encore.storage.backends.http.granting import Granting
from encore.storage.backends.http.keyed import base_of
from encore.storage.backends.http.policy import Patience, Retries, Timeout
from encore.storage.backends.http.protocol import RestProtocol
from encore.storage.backends.http.records import RemoteValue
from encore.storage.backends.http.spooling import SpooledData
from encore.storage.content import KeyEntry
from encore.storage.template import Entry, Record, Staged
from encore.storage.transactions.changes import ChangeSet
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.owners import OwnerState, new_token
from encore.storage.transactions.staging import Batch, StagedOwner, StagedStore
from encore.storage.values import Value

__all__ = ["DynamicURLStore"]


class RemoteOwner(StagedOwner):
    """What a store knows of the calling thread: also what its transaction has seen."""

    seen: Seen | None = None
    is_blind = False  # a lone write that replaces whatever is there
    told_late: ChangeSet | None = None  # what a commit that ended on the way has changed


class DynamicURLStore(StagedStore, Granting):
    """Values on a server that speaks the protocol of ``docs/howto/http-stores.md``.

    Each key changes as one act, but a transaction of several keys is applied key by key: if the
    server refuses one of them, or goes away, those before it stay changed, and the commit raises
    `CommitUnknownError`. A key that another client has changed since the transaction looked at it
    is refused with `ConflictError`.

    Parameters
    ----------
    base_url : str
        The address that keys go below.
    query_url : str
        The address that listings and searches are asked of.
    user_tag : str, optional
        What the server calls the user; it is asked if this is not given.
    headers, auth, timeout, retries, max_redirects, spool_limit, verify, event_manager
        See `HttpStore`. Writing does not follow redirects.
    lock_timeout : float, optional
        Seconds to wait for another thread that writes to this store.

    Raises
    ------
    ValueError
        An address is no http or https address, or has a query.

    Notes
    -----
    *Threads*: any. Reads never wait; one thread writes at a time.
    """

    can_prepare = False
    _owner: RemoteOwner

    def __init__(
        self,
        base_url: str,
        query_url: str,
        *,
        user_tag: str | None = None,
        headers: Mapping[str, str] | None = None,
        auth: Any = None,
        timeout: Timeout = (10.0, 30.0),
        retries: int | Retries = 2,
        max_redirects: int = 5,
        spool_limit: int = 1 << 30,
        verify: bool | str = True,
        event_manager: BaseEventManager | None = None,
        lock_timeout: float = 5.0,
    ) -> None:
        self._base, user = base_of(base_url)
        self._query = base_of(query_url)[0].without_slash()
        self._user_tag = user_tag
        super().__init__(event_manager=event_manager, timeout=lock_timeout)
        patience = Patience(timeout, Retries.of(retries), max_redirects, spool_limit)
        self._use(HttpClient(headers=headers, auth=auth or user, patience=patience, verify=verify))

    def _use(self, client: HttpClient) -> None:
        self._rest = RestProtocol(client, self._base, self._query, self)

    def __repr__(self) -> str:
        return f"<DynamicURLStore {str(self._base)!r}>"

    def _new_owner(self) -> OwnerState:
        return RemoteOwner()

    def _after_fork(self) -> None:
        super()._after_fork()
        self._use(self._rest.client.renewed())

    def _describe(self) -> dict[str, Any]:
        return {"url": str(self._base), "atomic": "key"}

    def connect(self, credentials: Any = None) -> None:
        if credentials is not None:
            self._use(self._rest.client.renewed(credentials))
        super().connect()

    def _close(self) -> None:
        self._rest.client.close()

    def _asked(self) -> RestProtocol:
        self._opened()
        return self._rest

    # -- reading ----------------------------------------------------------------------------------

    def _lookup(self, key: str) -> Record | None:
        record = self._asked().record(key)
        seen = self._owner.seen
        if seen is not None and self._overlay() is not None:
            seen.setdefault(key, None if record is None else (record[5], record[1]))
        return record

    def _keys(self, prefix: str, start_after: str | None) -> Iterator[str]:
        return self._asked().listing(prefix=prefix, start_after=start_after, keys_only=True)

    def _has(self, key: str) -> bool:
        check_key(key)
        return self._asked().has(key) if self._overlay() is None else super()._has(key)

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        check_key(key)
        if self._overlay() is not None or start >= end:
            return super()._read_range(key, start, end)
        rest = self._asked()
        about = About(self, "get_data_range", key)
        return read_range(rest.client, rest.url(key, "data"), about, start, end)

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

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        # One request: what was there does not matter, and the server knows when it was made.
        if self._heard() or self._owner.overlay is not None:
            return False
        rest = self._asked()
        if not self._writer.lock.acquire(False):
            return False
        try:
            record = (data, text, len(data), 0.0, time.time(), new_token())
            rest.put(key, record, {}, keep=True)
        finally:
            self._writer.lock.release()
        return True

    def _remove_plain(self, key: str) -> bool:
        check_key(key)
        if self._heard() or self._owner.overlay is not None:
            return False
        rest = self._asked()
        if not self._writer.lock.acquire(False):
            return False
        try:
            return rest.delete(key, {})
        finally:
            self._writer.lock.release()

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

    # -- transactions -----------------------------------------------------------------------------

    def _begin_transaction(self, context: SimpleTransactionContext) -> None:
        super()._begin_transaction(context)
        if context.depth == 1:
            self._owner.seen = {}

    def _apply(self, batch: Batch) -> None:
        owner = self._owner
        seen, applied = owner.seen or {}, list[str]()
        try:
            apply_batch(self._asked(), batch, seen, applied, anyway=owner.is_blind)
        except BaseException:
            owner.told_late = changes = ChangeSet()
            for key in applied:
                before, after = seen.get(key), batch[key]
                changes.note(key, before and before[1], after and after[1])
            raise

    def _rollback_transaction(self, context: SimpleTransactionContext) -> None:
        super()._rollback_transaction(context)
        changes, self._owner.told_late = self._owner.told_late, None
        if changes is not None and len(changes):  # the truth, also about a commit that failed
            told = SimpleTransactionContext(self, context.notes, quiet=True)
            told.origin = context.origin
            self._announce_end(told, changes)
