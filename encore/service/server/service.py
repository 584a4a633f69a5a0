"""One store, with all that a server adds to it: rules, limits, an authority, figures, a feed.

Handlers get a `Service` and where the request leads, and know nothing else. ``application`` makes
it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from encore.errors import InvalidKeyError
from encore.keys.rules import MAX_KEY_BYTES, check_key
from encore.service.places import Place, check_usecase, decode_piece, parse_scopes
from encore.service.server.exchange import Refused, Request
from encore.service.server.permissions import Authority
from encore.service.server.settings import Limits, Rules, UsecaseRules
from encore.service.server.shelf import UPLOADS, FoundObject, ObjectStore
from encore.storage.template import Store

if TYPE_CHECKING:
    from encore.service.server.feed import Feed
    from encore.service.server.inventory import Inventory

__all__ = ["Located", "Service"]


class Located(NamedTuple):
    """Where a request leads.

    Attributes
    ----------
    place : Place
    rules : UsecaseRules
    prefix : str
        What keys of the place begin with in the store.
    key : str
        ``""`` for the place itself.
    """

    place: Place
    rules: UsecaseRules
    prefix: str
    key: str

    @property
    def full(self) -> str:
        """The key in the store."""
        return self.prefix + self.key


class Service:
    """A store as a service.

    Parameters
    ----------
    store : Store
    rules : Rules
    limits : Limits
    authority : Authority, optional
    clock : callable
        Seconds since the epoch.

    Notes
    -----
    *Threads*: any.
    """

    def __init__(
        self,
        store: Store,
        rules: Rules,
        limits: Limits,
        authority: Authority | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = ObjectStore(store, clock=clock)
        self.rules = rules
        self.limits = limits
        self.authority = authority
        self._feed: Feed | None = None
        self._inventory: Inventory | None = None
        self._making = threading.Lock()
        self._located = lru_cache(1000)(self._locate)

    @property
    def feed(self) -> Feed:
        """The changes of the store, once somebody has asked for them."""
        from encore.service.server.feed import Feed

        with self._making:
            if self._feed is None:
                self._feed = Feed(self.store, self.limits.subscribers)
            return self._feed

    @property
    def inventory(self) -> Inventory:
        """How much places hold, once somebody has asked for that."""
        from encore.service.server.inventory import Inventory

        with self._making:
            if self._inventory is None:
                self._inventory = Inventory()
            return self._inventory

    def written_by(self, name: str | None) -> None:
        """Note who makes the changes that this thread is about to make."""
        if self._feed is not None:
            self._feed.writer.name = name

    def stop(self) -> None:
        """End what would never end by itself; from any thread, or a signal handler."""
        if self._feed is not None:
            self._feed.stop()

    def close(self) -> None:
        """Let go of what is kept, and listen no more; the store is its owner's to close."""
        if self._feed is not None:
            self._feed.close()
        self.store.forget()

    def locate(self, usecase: str, scopes: str, key: str) -> Located:
        """Find out where the pieces of a path lead, each decoded exactly once.

        Raises
        ------
        Refused
            Nowhere (400, or 404 for a usecase that is not served).
        """
        at = self._located(usecase, scopes)
        try:
            return at._replace(key=decode_piece(key)) if key else at
        except ValueError:
            raise Refused(400, "the path cannot be taken: the key is not UTF-8") from None

    def _locate(self, usecase: str, scopes: str) -> Located:
        """Where the first two pieces lead; what this returns is remembered."""
        try:
            place = Place(check_usecase(decode_piece(usecase)), parse_scopes(decode_piece(scopes)))
        except ValueError as error:
            raise Refused(400, f"the path cannot be taken: {error}") from None
        rules = self.rules.of(place.usecase)
        if rules is None:
            raise Refused(404, "there is no such usecase here")
        if rules.prefix is not None and place.scopes:
            raise Refused(404, "this usecase has no scopes")
        return Located(place, rules, place.prefix if rules.prefix is None else rules.prefix, "")

    def allow(self, request: Request, at: Located, permission: str) -> str:
        """Return who asks; raise `Refused` if they may not."""
        if self.authority is None:
            return request.peer
        return self.authority.check(request, at.place, permission)

    def check_key(self, at: Located, *, missing: bool = False) -> None:
        """Refuse what can be no key; with ``missing`` as a key that is not there."""
        try:
            check_key(at.full)
            if not at.key or at.full.startswith(UPLOADS):
                raise InvalidKeyError
        except InvalidKeyError:
            if missing:
                raise Refused(404) from None
            most = self.key_bytes(at)
            raise Refused(
                400, f"a key is 1 to {most} bytes of UTF-8 without the character NUL"
            ) from None

    def key_bytes(self, at: Located) -> int:
        """How long keys of a place may be, in bytes."""
        most: int = self.store.info()["key_bytes"]
        return min(most, MAX_KEY_BYTES) - len(at.prefix.encode())

    def kept_version(self, key: str, etag: str) -> FoundObject | None:
        """A version that is being read, by its entity tag."""
        return self.store.version(key, unquote(etag.strip('"')))
