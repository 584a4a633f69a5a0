"""The data of values on a server, read in parts of one version.

The stores of this package import this module.
"""

from __future__ import annotations

from collections.abc import Iterator

from encore.errors import ConflictError, CorruptValueError
from encore.storage.backends.http.answers import Answer
from encore.storage.backends.http.client import MISSING, HttpClient
from encore.storage.backends.http.failures import About
from encore.storage.backends.http.headers import ContentRange, Version
from encore.storage.backends.http.urls import Url

__all__ = ["RemoteData", "read_range"]

_LEAST_AHEAD = 1 << 16
_MOST_AHEAD = 1 << 20
_REFUSED_RANGE = 416


class RemoteData:
    """One version of data on a server; what is read is that version, or an error.

    Reads that follow one another are served from parts that grow, up to 1 MiB, so that small
    reads do not become as many requests.

    Parameters
    ----------
    client : HttpClient
    url : Url
    about : About
    size : int
        Bytes.
    version : Version
        The version it has to be. Filled up by the first answer, so that parts of two versions
        never mix even if nothing was known of it.
    """

    def __init__(
        self, client: HttpClient, url: Url, about: About, size: int, version: Version
    ) -> None:
        self._client = client
        self._url = url
        self._about = about
        self._version = version
        self._next = 0
        self._ahead = 0
        self._part: tuple[int, bytes] = (0, b"")
        self.size = size

    def read(self, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        first, part = self._part
        if not first <= start <= end <= first + len(part):
            grown = min(max(2 * self._ahead, _LEAST_AHEAD), _MOST_AHEAD)
            self._ahead = grown if start == self._next and end < self.size else 0
            stop = min(max(end, start + self._ahead), self.size)
            first, part = start, self._fetch(start, stop)
            self._part = (first, part) if self._ahead else (0, b"")
        self._next = end
        return part[start - first : end - first]

    def _fetch(self, start: int, stop: int) -> bytes:
        return self._client.ask(
            "GET",
            self._url,
            self._about,
            lambda answer: b"".join(self._taken(answer, start, stop)),
            headers=self._headers(start, stop),
            allowed=(*MISSING, 412, _REFUSED_RANGE),
        )

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        if start >= end:
            return
        with self._client.open(
            self._url,
            self._about,
            headers=self._headers(start, end),
            allowed=(*MISSING, 412, _REFUSED_RANGE),
        ) as answer:
            for piece in self._taken(answer, start, end):
                for at in range(0, len(piece), buffer_size):
                    yield piece[at : at + buffer_size]

    def close(self) -> None:
        self._part = (0, b"")

    def discard(self) -> None:
        """Nothing: the data belongs to the server."""

    def _headers(self, start: int, end: int) -> dict[str, str]:
        headers = self._version.conditions()
        if (start, end) != (0, self.size):
            headers["Range"] = f"bytes={start}-{end - 1}"
        return headers

    def _taken(self, answer: Answer, start: int, end: int) -> Iterator[bytes]:
        """The part that was asked for, of whatever the server has answered."""
        if answer.status in MISSING:
            raise self._changed("it is there no more")
        if answer.status in (412, _REFUSED_RANGE):
            raise self._changed("it has been replaced")
        first, size = _place(answer, self._about)
        found = Version.of(answer.headers, self.size if size is None else size)
        if not self._version.agrees(found) or found.size != self.size:
            raise self._changed("it has been replaced")
        self._version = self._version.filled(found)
        left = end - start
        for piece in answer.part(start, end, first):
            left -= len(piece)
            yield piece
        if left:
            raise CorruptValueError(
                f"{self._about.operation}: {self._url} ended {left} bytes too early",
                **self._about._asdict(),
            )

    def _changed(self, problem: str) -> ConflictError:
        return ConflictError(
            f"{self._about.operation}: {self._url} was to be read, but {problem}; "
            "get the value again",
            **self._about._asdict(),
        )


def read_range(client: HttpClient, url: Url, about: About, start: int, end: int) -> bytes | None:
    """Return bytes ``start`` to ``end`` of whatever version there is, cut off at its end.

    Parameters
    ----------
    client : HttpClient
    url : Url
    about : About
    start, end : int
        Offsets in bytes, the first one smaller.

    Returns
    -------
    bytes or None
        None where there is nothing under the address.
    """

    def take(answer: Answer) -> bytes | None:
        if answer.status in MISSING:
            return None
        if answer.status == _REFUSED_RANGE:
            return b""
        first, size = _place(answer, about)
        if first not in (0, start):
            raise _wrong_range(about)
        data = b"".join(answer.part(start, end, first))
        wanted = end - start if size is None else max(min(end, size) - start, 0)
        if len(data) > wanted or (size is not None and len(data) < wanted):
            raise _wrong_range(about)
        return data

    return client.ask(
        "GET",
        url,
        about,
        take,
        headers={"Range": f"bytes={start}-{end - 1}"},
        allowed=(*MISSING, _REFUSED_RANGE),
    )


def _place(answer: Answer, about: About) -> tuple[int, int | None]:
    """Where in the data an answer begins, and how large the data is as a whole."""
    if answer.status != 206:
        return 0, answer.size
    part = ContentRange.of(answer.headers)
    announced = answer.size
    if part is None or answer.encoding or announced not in (None, part.end - part.start):
        raise _wrong_range(about)
    return part.start, part.size


def _wrong_range(about: About) -> CorruptValueError:
    return CorruptValueError(
        f"{about.operation}: the server answered with another part of the data than it was asked "
        "for, or does not say which",
        **about._asdict(),
    )
