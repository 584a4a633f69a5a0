"""The store over a server that takes changes.

The face of the package exports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from encore.events.abstract_event_manager import BaseEventManager
from encore.keys.rules import check_key
from encore.storage.backends.http.client import HttpClient
from encore.storage.backends.http.committing import apply_batch
from encore.storage.backends.http.granting import Granting
from encore.storage.backends.http.keyed import base_of
from encore.storage.backends.http.policy import Patience, Retries, Timeout
from encore.storage.backends.http.protocol import RestProtocol
from encore.storage.backends.http.remote import RemoteOwner, RemoteStore
from encore.storage.transactions.changes import ChangeSet
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.owners import OwnerState
from encore.storage.transactions.staging import Batch

__all__ = ["DynamicURLStore"]


class _Owner(RemoteOwner):
    """What a store knows of the calling thread."""

    told_late: ChangeSet | None = None  # what a commit that ended on the way has changed


class DynamicURLStore(RemoteStore, Granting):
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

    _owner: _Owner

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
        return _Owner()

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

    # -- writing ----------------------------------------------------------------------------------

    def _remove_plain(self, key: str) -> bool:
        check_key(key)
        if not self._is_alone():
            return False
        rest = self._asked()
        if not self._writer.lock.acquire(False):
            return False
        try:
            return rest.delete(key, {})
        finally:
            self._writer.lock.release()

    # -- transactions -----------------------------------------------------------------------------

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
