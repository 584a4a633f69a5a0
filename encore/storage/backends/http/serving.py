"""What the read-only stores of this package share: a client, and no for an answer to every write.

``keyed`` and ``static`` import this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, NoReturn

from encore.errors import ReadOnlyError
from encore.events.abstract_event_manager import BaseEventManager
from encore.storage.backend import BackendStore
from encore.storage.backends.http.answers import Answer
from encore.storage.backends.http.client import MISSING, HttpClient
from encore.storage.backends.http.contents import RemoteData
from encore.storage.backends.http.failures import About
from encore.storage.backends.http.headers import Version, modified_of
from encore.storage.backends.http.spooling import SpooledData
from encore.storage.backends.http.urls import Url
from encore.storage.transactions.contexts import SimpleTransactionContext

__all__ = ["Served", "ServedStore"]

_NO_HEAD = (405, 501)


class Served(NamedTuple):
    """What a server has under an address: its headers, and its data, not yet read."""

    headers: Mapping[str, str]
    data: RemoteData | SpooledData

    @property
    def version(self) -> Version:
        return Version.of(self.headers, self.data.size)

    @property
    def modified(self) -> float | None:
        """Seconds since the epoch, UTC."""
        return modified_of(self.headers)


class ServedStore(BackendStore):
    """A store that a server offers for reading.

    Parameters
    ----------
    client : HttpClient
    event_manager : BaseEventManager, optional

    Notes
    -----
    *Threads*: any.
    """

    transactions = "none"

    def __init__(self, client: HttpClient, event_manager: BaseEventManager | None) -> None:
        super().__init__(event_manager=event_manager)
        self._client = client
        self._without_head: set[str] = set()  # origins of servers that do not know HEAD

    def _close(self) -> None:
        self._client.close()

    def _after_fork(self) -> None:
        super()._after_fork()
        self._client = self._client.renewed()

    def _describe(self) -> dict[str, Any]:
        return {"readonly": True}

    def _about(self, operation: str, key: str | None = None) -> About:
        return About(self, operation, key)

    # -- reading ----------------------------------------------------------------------------------

    def _serves(self, url: Url, key: str) -> bool:
        """Whether there is something under an address."""
        return self._look(url, self._about("exists", key)) is not None

    def _served(self, url: Url, key: str) -> Served | None:
        """What is under an address; where its size is not announced it is fetched as a whole."""
        found = self._look(url, self._about("get", key))
        if found is None:
            return None
        headers, size = found
        about = self._about("read", key)
        if size is not None:
            version = Version.of(headers, size)
            return Served(headers, RemoteData(self._client, url, about, size, version))

        def take(answer: Answer) -> Served | None:
            if answer.status in MISSING:
                return None
            return Served(answer.headers, SpooledData(answer.chunks()))

        return self._client.ask("GET", url, about, take, allowed=MISSING)

    def _look(self, url: Url, about: About) -> tuple[Mapping[str, str], int | None] | None:
        """Headers and size of what is there, without its data."""

        def take(answer: Answer) -> tuple[Mapping[str, str], int | None] | None:
            if answer.status in _NO_HEAD:
                self._without_head.add(url.origin)
            is_there = 200 <= answer.status < 300
            return (answer.headers, answer.size) if is_there else None

        if url.origin not in self._without_head:
            allowed = (*MISSING, *_NO_HEAD)
            found = self._client.ask("HEAD", url, about, take, allowed=allowed)
            if found is not None or url.origin not in self._without_head:
                return found
        with self._client.open(url, about, allowed=MISSING) as answer:
            return take(answer)

    # -- writing ----------------------------------------------------------------------------------

    def _stage(self, chunks: Iterator[bytes]) -> NoReturn:
        self._refuse()

    def _begin_transaction(self, context: SimpleTransactionContext) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        self._opened()
        raise ReadOnlyError(
            f"{self!r} is read from a server that does not take changes; copy it to another store "
            "to change it",
            store=self,
        )
