"""Requests of one session: where they go, with which token, and what becomes of refusals.

``session`` and ``multipart`` import this module.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from encore.errors import RequestError
from encore.service.client.failures import error_of
from encore.service.places import Place, encode_piece
from encore.storage.backends.http.answers import Answer
from encore.storage.backends.http.client import HttpClient
from encore.storage.backends.http.failures import About
from encore.storage.backends.http.urls import Url

__all__ = ["Asking", "Connection", "TokenSource", "document_of"]

_T = TypeVar("_T")

# Refusals that are not worth another attempt become errors here, not in the client beneath.
_FINAL = tuple(status for status in range(400, 500) if status not in (408, 429))
_MOST_DOCUMENT = 1 << 26


class TokenSource(Protocol):
    """Makes tokens for a place, when one is needed."""

    def token(self, place: Place) -> str:
        """A token that is valid for a while."""


class Connection:
    """A service: its address, and how to get there.

    Parameters
    ----------
    base : Url
    client : HttpClient
    once : HttpClient
        One that repeats nothing.
    token : str or TokenSource, optional
    propagate_traces : bool
    """

    def __init__(
        self,
        base: Url,
        client: HttpClient,
        once: HttpClient,
        token: str | TokenSource | None,
        propagate_traces: bool,
    ) -> None:
        self.base = base
        self.client = client
        self.once = once
        self.token = token
        self._propagate_traces = propagate_traces

    def close(self) -> None:
        """Close the sockets that nobody uses; the next request makes new ones."""
        self.client.close()
        self.once.close()

    def renewed(self) -> Connection:
        """A connection like this one that shares no socket with it: for a forked child."""
        return Connection(
            self.base,
            self.client.renewed(),
            self.once.renewed(),
            self.token,
            self._propagate_traces,
        )

    def headers(self, place: Place) -> dict[str, str]:
        """What every request for a place brings along."""
        found = {}
        if self.token is not None:
            text = self.token if isinstance(self.token, str) else self.token.token(place)
            found["x-os-auth"] = f"Bearer {text}"
        if self._propagate_traces:
            found.update(_traces())
        return found


class Asking:
    """Asks a service, for one place.

    *Threads*: any.
    """

    def __init__(self, connection: Connection, place: Place) -> None:
        self.connection = connection
        self.place = place

    def url(self, resource: str, key: str = "", **query: object) -> Url:
        """The address of a resource."""
        text = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
        path = f"v1/{resource}/{self.place.path}/{encode_piece(key)}"
        return self.connection.base.below(path, text)

    def ask(
        self,
        method: str,
        url: Url,
        about: About,
        take: Callable[[Answer], _T],
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        can_repeat: bool = True,
        harmless: bool = False,
    ) -> _T:
        """Send a request, and return what ``take`` makes of the answer.

        Raises
        ------
        RequestError
            The service refused, or did not answer. `ObjectNotFound`, `NotAllowed` and
            `ObjectChanged` are the kinds of it.
        """

        def taken(answer: Answer) -> _T:
            if answer.status >= 400:
                raise error_of(answer.refused(), about)
            return take(answer)

        client = self.connection.client if can_repeat else self.connection.once
        given = {**self.connection.headers(self.place), **(headers or {})}
        return client.ask(
            method, url, about, taken, headers=given, body=body, allowed=_FINAL, harmless=harmless
        )

    def open(self, url: Url, about: About, *, headers: Mapping[str, str] | None = None) -> Answer:
        """GET, and return the answer with its body still to be read; the caller closes it."""
        given = {**self.connection.headers(self.place), **(headers or {})}
        answer = self.connection.client.open(url, about, headers=given, allowed=_FINAL)
        if answer.status >= 400:
            with answer:
                raise error_of(answer.refused(), about)
        return answer


def document_of(answer: Answer, about: About) -> dict[str, Any]:
    """The JSON object in an answer."""
    try:
        found = json.loads(answer.read(_MOST_DOCUMENT))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RequestError(
            f"{about.operation}: the answer of the service is no JSON object; is it one?",
            answer.status,
            None,
            **about._asdict(),
        )
    return found


def _traces() -> dict[str, str]:
    """What a tracing library that the program uses wants to be sent along."""
    library = sys.modules.get("sentry_sdk")
    if library is None:
        return {}
    found = {"sentry-trace": library.get_traceparent(), "baggage": library.get_baggage()}
    return {name: value for name, value in found.items() if value}
