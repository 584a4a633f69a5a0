"""The read-only store over a static site that publishes an index of itself.

The face of the package exports it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from encore.errors import ConflictError, CorruptValueError, StoreError
from encore.events.abstract_event_manager import BaseEventManager
from encore.keys.rules import check_key
from encore.storage.backends.http.answers import Answer
from encore.storage.backends.http.client import HttpClient
from encore.storage.backends.http.contents import RemoteData, read_range
from encore.storage.backends.http.documents import BadDocument
from encore.storage.backends.http.headers import Version
from encore.storage.backends.http.index import IndexEntry, SiteIndex
from encore.storage.backends.http.keyed import base_of
from encore.storage.backends.http.policy import Patience, Retries, Timeout
from encore.storage.backends.http.polling import Poller
from encore.storage.backends.http.serving import ServedStore
from encore.storage.backends.http.urls import Url, key_path
from encore.storage.content import KeyEntry
from encore.storage.metadata import decode_metadata, matches
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.values import Value

__all__ = ["StaticURLStore"]

_log = logging.getLogger("encore.storage")


class _Known(NamedTuple):
    site: SiteIndex
    etag: str | None


class StaticURLStore(ServedStore):
    """Files of a web server, listed in a JSON index that it serves beside them.

    Keys, metadata and versions come from the index; see ``docs/howto/http-stores.md`` for its
    format. The store looks at the index again from time to time and announces what has changed.

    Parameters
    ----------
    root_url : str
        The address of the site.
    data_path : str
        Where the data is: key ``a/b`` is at ``root_url/data_path/a/b``. May be ``""``.
    query_path : str
        Where the index is, below ``root_url``.
    poll : float, optional
        Seconds between looks at the index; 0 looks only when `refresh` is called.
    headers, auth, timeout, retries, max_redirects, spool_limit, verify, event_manager
        See `HttpStore`.

    Raises
    ------
    ValueError
        ``root_url`` is no http or https address, or a path leads out of it.

    Notes
    -----
    A look that fails is logged once and repeated at the next turn; the index that is there stays.

    *Threads*: any. Changes are announced in the thread that looked.
    """

    def __init__(
        self,
        root_url: str,
        data_path: str,
        query_path: str,
        poll: float = 300,
        *,
        headers: Mapping[str, str] | None = None,
        auth: Any = None,
        timeout: Timeout = (10.0, 30.0),
        retries: int | Retries = 2,
        max_redirects: int = 5,
        spool_limit: int = 1 << 30,
        verify: bool | str = True,
        event_manager: BaseEventManager | None = None,
    ) -> None:
        if poll < 0:
            raise ValueError(f"poll is a number of seconds, or 0 for never, not {poll}")
        self._root, user = base_of(root_url)
        self._data = self._root.below(_inside(data_path, "data_path", directory=True))
        self._query = self._root.below(_inside(query_path, "query_path"))
        patience = Patience(timeout, Retries.of(retries), max_redirects, spool_limit)
        client = HttpClient(headers=headers, auth=auth or user, patience=patience, verify=verify)
        super().__init__(client, event_manager)
        self._poll_seconds = poll
        self._forget()

    def _forget(self) -> None:
        self._known: _Known | None = None
        self._has_failed = False
        # Held while the index is looked at and changes are told, so that they are told in order.
        # Readers never take it, and a listener may look again.
        self._looking = threading.RLock()
        self._poller: Poller | None = None

    def __repr__(self) -> str:
        return f"<StaticURLStore {str(self._root)!r}>"

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "url": str(self._root), "poll": self._poll_seconds}

    # -- the index --------------------------------------------------------------------------------

    def _open(self) -> None:
        with self._looking:
            if self._known is None:
                self._known = self._fetched(None)

    def _close(self) -> None:
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.stop()
        super()._close()
        self._known = None  # a look that is under way finds it gone, and changes nothing

    def _after_fork(self) -> None:
        super()._after_fork()
        known = self._known
        self._forget()
        self._known = known

    def refresh(self) -> bool:
        """Look at the index now, and announce what has changed.

        Returns
        -------
        bool
            Whether anything has.

        Raises
        ------
        StoreError
            The index could not be read; what was known of the site stays.
        """
        self._opened()
        with self._looking:
            before = self._known
            found = None if before is None else self._fetched(before.etag)
            if before is None or found is None or self._known is not before:
                return False
            changes = found.site.changes_since(before.site)
            self._known = found
            if len(changes):
                self._announce_end(SimpleTransactionContext(self, "Refresh", quiet=True), changes)
            return bool(len(changes))

    def _look_again(self) -> None:
        """Refresh, and log what goes wrong, once until it goes well again."""
        try:
            self.refresh()
            self._has_failed = False
        except Exception as error:
            if not self._has_failed and self._poller is not None:
                _log.warning("%r goes on with the index it has: %s", self, error)
            self._has_failed = True
        finally:
            if self._poller is None:
                self._client.close()  # what this look has opened since the store was closed

    def _fetched(self, etag: str | None) -> _Known | None:
        """The index as it is now; None if it is still the one with this entity tag."""

        def take(answer: Answer) -> _Known | None:
            if answer.status == 304:
                return None
            text = answer.read(self._client.spool_limit)
            return _Known(SiteIndex.parse(text), answer.headers.get("ETag"))

        headers = {} if etag is None else {"If-None-Match": etag}
        allowed = () if etag is None else (304,)
        about = self._about("refresh")
        try:
            found = self._client.ask(
                "GET", self._query, about, take, headers=headers, allowed=allowed
            )
        except BadDocument as error:
            raise CorruptValueError(
                f"the index of {self!r} cannot be read: {error}", store=self
            ) from error
        if found is not None and found.site.unreachable:
            _log.warning(
                "%r leaves out %d keys with a segment '.' or '..', which cannot be asked for",
                self,
                found.site.unreachable,
            )
        return found

    def _now(self) -> SiteIndex:
        """The index to be read from."""
        self._opened()
        known = self._known
        if known is None:
            raise StoreError(f"{self!r} is closed; connect() opens it again", store=self)
        if self._poll_seconds and self._poller is None:
            with self._looking:
                if self._poller is None:
                    self._poller = Poller(self._look_again, self._poll_seconds)
        return known.site

    # -- reading ----------------------------------------------------------------------------------

    def _entry(self, key: str) -> IndexEntry | None:
        check_key(key)
        return self._now().entries.get(key)

    def _url(self, key: str) -> Url:
        return self._data.below(key_path(key) or "")

    def _has(self, key: str) -> bool:
        return self._entry(key) is not None

    def _find(self, key: str) -> Value | None:
        entry = self._entry(key)
        if entry is None:
            return None
        url, size, modified = self._url(key), entry.size, entry.modified
        if size is not None:
            about, version = self._about("read", key), Version(size=size)
            data: Any = RemoteData(self._client, url, about, size, version)
        else:
            served = self._served(url, key)
            if served is None:
                raise self._gone(key)
            data, size = served.data, served.data.size
            modified = served.modified if modified is None else modified
        value = Value.of(data, entry.text, size, 0.0, 0.0, entry.token)
        value.created, value.modified = entry.created, modified
        return value

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        if self._entry(key) is None:
            return None
        if start >= end:
            return b""
        about = self._about("get_data_range", key)
        found = read_range(self._client, self._url(key), about, start, end)
        if found is None:
            raise self._gone(key)
        return found

    def _gone(self, key: str) -> ConflictError:
        return ConflictError(
            f"{key!r} is in the index of {self!r}, but not on the site; refresh() looks again",
            key=key,
            store=self,
        )

    # -- listing ----------------------------------------------------------------------------------

    def _scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        return self._now().scan(prefix, start_after)

    def _count(self) -> int:
        return len(self._now().keys)

    def _search(self, where: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        index = self._now()
        found = ((key, index.entries[key].text) for key in index.keys)
        return (
            (key, text) for key, text in found if not where or matches(decode_metadata(text), where)
        )

    def _survey(self, prefix: str) -> Iterator[KeyEntry]:
        index = self._now()
        for key in index.scan(prefix, None):
            entry = index.entries[key]
            yield KeyEntry(key, entry.size, entry.modified or 0.0, entry.token)


def _inside(path: str, name: str, *, directory: bool = False) -> str:
    """Encode a path below the root."""
    encoded = key_path(path.strip("/"))
    if encoded is None:
        raise ValueError(f"{name} leads out of root_url")
    return f"{encoded}/" if directory and encoded else encoded
