"""`ServiceStore`: an object service as a store. The face of the package exports it."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from encore.errors import EncoreError, InvalidKeyError
from encore.events.abstract_event_manager import BaseEventManager
from encore.keys.rules import MAX_KEY_BYTES, check_key
from encore.service.client.batches import Condition
from encore.service.client.following import Follower, RemoteChange
from encore.service.client.remote import Found, RemotePlace
from encore.service.client.session import Session
from encore.storage.backends.http.contents import read_range
from encore.storage.backends.http.records import RemoteValue
from encore.storage.backends.http.spooling import SpooledData
from encore.storage.content import KeyEntry
from encore.storage.metadata import EMPTY, encode_metadata
from encore.storage.template import Entry, Record, Staged
from encore.storage.transactions.changes import ChangeSet
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.owners import OwnerState, new_token
from encore.storage.transactions.staging import Batch, StagedOwner, StagedStore
from encore.storage.values import Value

__all__ = ["ServiceStore"]

_log = logging.getLogger("encore.service")

_BEGIN_SECONDS = 10.0
_ACTIONS = {"set": (None, True), "update": (EMPTY, True), "delete": (EMPTY, False)}


class _Owner(StagedOwner):
    """What a store knows of the calling thread: also what its transaction has seen."""

    seen: Found | None = None
    is_blind = False  # a lone write that replaces whatever is there


class ServiceStore(StagedStore):
    """The objects of a session as a store.

    A transaction is sent as one request when it commits, and the service applies all of it or
    none, provided that what it has read is still there; else it raises `ConflictError`. Data is
    what is stored: objects that others have compressed are not decompressed. What a store puts is
    not compressed; `GzipStore` and its kin do that.

    What others change is announced like what is changed here, as it happens, by the ordinary
    events.

    Parameters
    ----------
    session : Session
    follow : bool, optional
        Whether to announce what others change; it takes a connection and a thread.
    event_manager : BaseEventManager, optional
        See `Store`.
    timeout : float, optional
        Seconds to wait for another thread that writes to this store.

    Notes
    -----
    Events that others have caused come from a thread of the store; give ``dispatch`` when you
    connect a listener that is for a window. If the connection was lost for so long that the
    service does not know any more what has changed, or it began anew, a warning is logged, and
    what was missed is not announced.

    *Threads*: any. Reads never wait; one thread writes at a time.
    """

    can_prepare = False
    _owner: _Owner

    def __init__(
        self,
        session: Session,
        *,
        follow: bool = True,
        event_manager: BaseEventManager | None = None,
        timeout: float = 5.0,
    ) -> None:
        self._session = session
        super().__init__(event_manager=event_manager, timeout=timeout)
        self._name = uuid.uuid4().hex
        self._remote = RemotePlace(session.connection, session.place, self, self._name)
        self._key_bytes = MAX_KEY_BYTES - len(session.place.prefix.encode())
        self._is_following = follow
        self._follower: Follower | None = None

    def __repr__(self) -> str:
        place = self._session.place
        return f"<ServiceStore {place.usecase} {place.scopes_text}>"

    def _new_owner(self) -> OwnerState:
        return _Owner()

    def _after_fork(self) -> None:
        super()._after_fork()
        self._follower = None  # the thread has stayed behind
        connection = self._session.connection.renewed()
        self._remote = RemotePlace(connection, self._session.place, self, self._name)

    def _describe(self) -> dict[str, Any]:
        place = self._session.place
        return {
            "url": str(self._session.connection.base),
            "usecase": place.usecase,
            "scopes": place.scopes_text,
            "key_bytes": self._key_bytes,
        }

    def _open(self) -> None:
        self._key_bytes = self._remote.key_bytes()
        if self._is_following:
            self._follower = Follower(self._remote, self._hear_change, self._hear_gap)
            self._follower.wait(_BEGIN_SECONDS)

    def _close(self) -> None:
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.stop()
        self._session.connection.close()

    def _asked(self) -> RemotePlace:
        self._opened()
        return self._remote

    # -- reading ----------------------------------------------------------------------------------

    def _lookup(self, key: str) -> Record | None:
        remote = self._asked()
        self._check_length(key)
        record = remote.record(key)
        seen = self._owner.seen
        if seen is not None and self._overlay() is not None:
            seen.setdefault(key, None if record is None else (record[5], record[1]))
        return record

    def _keys(self, prefix: str, start_after: str | None) -> Iterator[str]:
        return self._asked().listing(prefix=prefix, start_after=start_after, keys_only=True)

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        check_key(key)
        remote: Any = self._asked()
        self._check_length(key)
        if self._overlay() is not None or start >= end:
            return super()._read_range(key, start, end)
        about = remote.about("get_data_range", key)
        return read_range(remote, remote.url("objects", key, "data"), about, start, end)

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

    def _check_length(self, key: str) -> None:
        if len(key.encode()) > self._key_bytes:
            raise InvalidKeyError(
                f"a key of {self!r} has {self._key_bytes} bytes at most, because the usecase and "
                "the scopes stand before it",
                key=key,
                store=self,
            )

    def _replace(self, key: str, old: Value | None, record: Record) -> None:
        self._check_length(key)
        super()._replace(key, old, record)

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        # One request: what was there does not matter, and the service knows when it was made.
        check_key(key)
        if self._heard() or self._owner.overlay is not None:
            return False
        remote = self._asked()
        self._check_length(key)
        if not self._writer.lock.acquire(False):
            return False
        try:
            record = (data, text, len(data), 0.0, time.time(), new_token())
            remote.commit({key: record}, {}, keep_created=True)
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

    # -- transactions -----------------------------------------------------------------------------

    def _begin_transaction(self, context: SimpleTransactionContext) -> None:
        super()._begin_transaction(context)
        if context.depth == 1:
            self._owner.seen = {}

    def _apply(self, batch: Batch) -> None:
        owner = self._owner
        seen = {} if owner.is_blind else owner.seen or {}
        conditions = {
            key: Condition(None if found is None else found[0]) for key, found in seen.items()
        }
        context = owner.context
        notes, origin = ("", None) if context is None else (context.notes, context.origin)
        self._asked().commit(batch, conditions, notes=notes, origin=origin)

    # -- what others change -----------------------------------------------------------------------

    def _hear_change(self, change: RemoteChange) -> None:
        if change.by == self._name or change.action not in _ACTIONS:
            return
        text = encode_metadata(change.metadata)
        before, is_there = _ACTIONS[change.action]
        changes = ChangeSet()
        changes.note(change.key, before if is_there else text, text if is_there else None)
        told = SimpleTransactionContext(self, quiet=True)
        told.origin = change.origin
        try:
            self._announce_end(told, changes)
        except EncoreError:
            _log.exception("a change of %r could not be announced", self)

    def _hear_gap(self) -> None:
        _log.warning("%r has missed changes that others have made; look at the keys again", self)
