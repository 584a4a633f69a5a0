"""Requests and replies as the handlers of the server see them: they know no framework.

A handler is a plain function in a thread of its own; it takes a `Request`, and returns a `Reply` or
raises `Refused`. The modules of this package import this one; ``application`` translates.
"""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl

__all__ = ["Headers", "Refused", "Reply", "Request", "Source", "json_reply"]

Headers = list[tuple[str, str]]

_MOST_DOCUMENT = 1 << 24


class Refused(Exception):  # noqa: N818  what became of the request
    """A request is answered with an error.

    Parameters
    ----------
    status : int
    detail : str
        For people; never a secret. ``""``: an answer without a body.
    causes : tuple of str, optional
    headers : list of (str, str), optional
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        causes: tuple[str, ...] = (),
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.causes = causes
        self.headers = [*headers]


class Source(NamedTuple):
    """The body of a request: all of it, or a stream that is still arriving.

    Attributes
    ----------
    data : bytes or None
    stream : file-like or None
        If there is no ``data``; raises `Refused` if it breaks off or is too large.
    """

    data: bytes | None
    stream: io.RawIOBase | None = None

    def document(self) -> Any:
        """The body as JSON.

        Raises
        ------
        Refused
            It is none (400), or is too large (413).
        """
        data = self.data
        if data is None:
            assert self.stream is not None
            data = io.BufferedReader(self.stream).read(_MOST_DOCUMENT + 1)
            if len(data) > _MOST_DOCUMENT:
                raise Refused(413, "the document is too large")
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise Refused(400, "the body is not JSON") from None


_NOTHING = Source(b"")


@dataclass(slots=True)
class Request:
    """A request.

    Attributes
    ----------
    method : str
    path : str
        Raw, as it came over the wire, without the query and what the service is mounted under.
    query : str
        Raw.
    headers : list of (str, str)
        Names in lower case.
    peer : str
        The address of the client.
    body : Source
    wire_path : str
        ``path`` with what the service is mounted under.
    """

    method: str
    path: str
    query: str
    headers: Headers
    peer: str = ""
    body: Source = _NOTHING
    wire_path: str = ""
    _parameters: dict[str, str] | None = field(default=None, repr=False)

    def header(self, name: str) -> str | None:
        """The value of a header; of several the last."""
        for found, value in reversed(self.headers):
            if found == name:
                return value
        return None

    @property
    def parameters(self) -> dict[str, str]:
        """The query, decoded."""
        if self._parameters is None:
            try:
                pairs = parse_qsl(
                    self.query.replace("+", "%2B"), keep_blank_values=True, errors="strict"
                )
            except ValueError:
                raise Refused(400, "the query is not UTF-8") from None
            self._parameters = dict(pairs)
        return self._parameters

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number in the query, 0 or more."""
        text = self.parameters.get(name)
        if text is None and default is not None:
            return default
        if text is None or not (text.isascii() and text.isdigit() and len(text) < 16):
            raise Refused(400, f"{name} is a whole number")
        return int(text)


class Stream(Protocol):
    """A body that goes on until the client has gone, or the server ends."""

    def pieces(self) -> AsyncIterator[bytes]:
        """The body."""


@dataclass(slots=True)
class Reply:
    """An answer.

    Attributes
    ----------
    status : int
    headers : list of (str, str)
        Names in lower case.
    body : bytes
    size : int or None
        Bytes, where ``read`` or ``pieces`` gives the body.
    read : callable, optional
        ``read(start, end)``; called from any thread, one at a time.
    close : callable, optional
        Called at the end, whatever happened.
    stream : object, optional
        Its ``pieces()`` gives a body that has no end.
    """

    status: int = 200
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    size: int | None = None
    read: Callable[[int, int], bytes] | None = None
    close: Callable[[], object] | None = None
    stream: Stream | None = None


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def json_reply(status: int, document: Any, headers: Headers | None = None) -> Reply:
    """An answer in JSON."""
    return Reply(
        status, [("content-type", "application/json"), *(headers or ())], _encode(document).encode()
    )
