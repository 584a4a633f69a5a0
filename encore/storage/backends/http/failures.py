"""What went wrong with a request, as an error of encore that gives no secret away.

Addresses appear without user, password and query. The errors of the transport print the whole
address, so they are not chained; the error of the system that is at their root is.

The other modules of this package import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from encore.errors import (
    AuthorizationError,
    ConflictError,
    EncoreError,
    RequestError,
    StoreFullError,
)
from encore.storage.backends.http.documents import BadDocument, parse_json
from encore.storage.backends.http.urls import Url

__all__ = ["About", "FailedResponse", "Unanswered", "Unreachable", "failure", "refusal"]


_MOST_DETAIL = 200


class About(NamedTuple):
    """What a request is for."""

    store: Any
    operation: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class FailedResponse:
    """What a server answered that refused: the ``response`` of a `RequestError`.

    Attributes
    ----------
    status : int
    reason : str
    headers : dict of str to str
        Without cookies.
    body : bytes
        Its beginning.
    """

    status: int
    reason: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def detail(self) -> str:
        """What the server says, as far as it can be shown: the ``detail`` of RFC 9457."""
        try:
            document = parse_json(self.body)
        except BadDocument:
            return ""
        detail = document.get("detail") if isinstance(document, dict) else None
        if not isinstance(detail, str):
            return ""
        return "".join(filter(str.isprintable, detail))[:_MOST_DETAIL]


class Unreachable(Exception):  # noqa: N818  what the server is
    """There was no answer, or it broke off.

    Parameters
    ----------
    reason : str
        For people; without the address.
    root : OSError, optional
        The error of the system.
    sent : bool, optional
        Whether the server may have got the request.
    """

    def __init__(self, reason: str, root: OSError | None = None, *, sent: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.root = root
        self.sent = sent


class Unanswered(RequestError):  # noqa: N818  what the request was
    """There was no answer. ``may_have_arrived`` says whether the server may have acted on it."""

    may_have_arrived = True


def failure(
    error: Unreachable, method: str, url: Url, about: About, *, sent: bool = True
) -> Unanswered:
    """The error for a request that was not answered."""
    found = Unanswered(
        f"{about.operation}: {method} {url} failed: {error.reason}; try again later",
        None,
        None,
        **about._asdict(),
    )
    found.may_have_arrived = error.sent or sent
    return found


_MEANINGS: Mapping[int, str] = {
    202: "the answer is not ready; try again later",
    206: "it is a part of the data, and all of it was asked for",
    401: "it asks for credentials, or does not take these; give the store others",
    403: "the credentials do not allow it",
    407: "a proxy asks for credentials",
    409: "something there stands against it",
    412: "what is there has changed meanwhile; look at it again",
    413: "it is larger than the server takes",
    429: "the server asks for fewer requests; try again later",
    507: "the server has no room left",
}


def refusal(response: FailedResponse, method: str, url: Url, about: About) -> EncoreError:
    """The error for a request that was refused."""
    status = response.status
    meaning = _MEANINGS.get(status)
    if meaning is None:
        meaning = "the server has a problem; try again later" if status >= 500 else "it was refused"
        if 300 <= status < 400:
            meaning = "the server wants it somewhere else, which a change does not follow"
    text = f"{about.operation}: {method} {url} was answered with {status}: {meaning}"
    if response.detail:
        text += f" ({response.detail})"
    if status in (401, 403, 407):
        return AuthorizationError(text, **about._asdict())
    if status in (409, 412):
        return ConflictError(text, **about._asdict())
    if status == 507:
        return StoreFullError(text, **about._asdict())
    return RequestError(text, status, response, **about._asdict())
