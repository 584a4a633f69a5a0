"""`ServiceStore`: an object service as a store. The face of the package exports it."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from encore.errors import EncoreError, InvalidKeyError
from encore.events.abstract_event_manager import BaseEventManager
from encore.keys.rules import MAX_KEY_BYTES
from encore.service.client.batches import Condition
from encore.service.client.following import Follower, RemoteChange
from encore.service.client.remote import RemotePlace
from encore.service.client.session import Session
from encore.storage.backends.http.remote import RemoteStore
from encore.storage.metadata import EMPTY, encode_metadata
from encore.storage.transactions.changes import ChangeSet
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.staging import Batch

__all__ = ["ServiceStore"]

_log = logging.getLogger("encore.service")

_BEGIN_SECONDS = 10.0
_ACTIONS = {"set": (None, True), "update": (EMPTY, True), "delete": (EMPTY, False)}


class ServiceStore(RemoteStore):
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

    def _check_fits(self, key: str) -> None:
        if len(key.encode()) > self._key_bytes:
            raise InvalidKeyError(
                f"a key of {self!r} has {self._key_bytes} bytes at most, because the usecase and "
                "the scopes stand before it",
                key=key,
                store=self,
            )

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
