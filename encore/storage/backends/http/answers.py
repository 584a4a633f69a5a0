"""An answer, its body checked while it is read: never short, never long, never a bomb.

``client`` makes them; the stores read them.
"""

from __future__ import annotations

from collections.abc import Iterator

from encore.errors import CorruptValueError
from encore.storage.backends.http.decoding import BadEncoding, decoded
from encore.storage.backends.http.failures import About, FailedResponse, Unreachable, failure
from encore.storage.backends.http.headers import length_of
from encore.storage.backends.http.transport import RawResponse
from encore.storage.backends.http.urls import Url

__all__ = ["Answer"]

_BUFFER = 65536
# What is read of a body that nobody wants, so that its connection can be used again.
_DRAINED = 65536
_KEPT_OF_REFUSALS = 4096


class Answer:
    """The answer of a server; whoever gets one closes it.

    Attributes
    ----------
    status : int
    headers : mapping of str to str
        Whatever their case.
    is_repetition : bool
        Whether the request had been sent before, without an answer.

    Notes
    -----
    *Threads*: one at a time.
    """

    def __init__(
        self,
        raw: RawResponse,
        method: str,
        url: Url,
        about: About,
        *,
        spool_limit: int,
        is_repetition: bool = False,
    ) -> None:
        self._raw = raw
        self._request = method, url, about
        self._limit = spool_limit
        self._begun = False
        self.status = raw.status
        self.headers = raw.headers
        self.is_repetition = is_repetition

    @property
    def encoding(self) -> str:
        """How the body is compressed; ``""`` for not at all."""
        name = self.headers.get("Content-Encoding", "").strip().lower()
        return "" if name == "identity" else name

    @property
    def size(self) -> int | None:
        """The size of the data in bytes, as announced; None where that cannot be known.

        Raises
        ------
        CorruptValueError
            The announcement makes no sense.
        """
        announced = self._announced()
        return None if self.encoding else announced

    def chunks(self, size: int = _BUFFER) -> Iterator[bytes]:
        """Yield the data, up to ``size`` bytes at a time, never an empty piece.

        Raises
        ------
        RequestError
            The body broke off.
        CorruptValueError
            It is damaged, or there is more of it than is taken.
        """
        self._begun = True
        try:
            if self.encoding:
                yield from decoded(self._wire(size), self.encoding, self._limit)
            else:
                yield from self._wire(size)
        except Unreachable as error:
            method, url, about = self._request
            raise failure(error, method, url, about) from error.root
        except BadEncoding as error:
            raise self._corrupt(str(error)) from error.__cause__

    def read(self, limit: int | None = None) -> bytes:
        """Return all of the data; `CorruptValueError` if it is more than ``limit`` bytes."""
        pieces = []
        done = 0
        for chunk in self.chunks():
            pieces.append(chunk)
            done += len(chunk)
            if limit is not None and done > limit:
                raise self._corrupt(f"it is more than {limit} bytes")
        return b"".join(pieces)

    def part(self, start: int, end: int, first: int = 0) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to ``end`` of data of which this begins with ``first``.

        Closes the answer at the end of the part.
        """
        position = first
        with self:
            for chunk in self.chunks():
                piece = chunk[max(start - position, 0) : max(end - position, 0)]
                position += len(chunk)
                if piece:
                    yield piece
                if position >= end:
                    return

    def _wire(self, size: int) -> Iterator[bytes]:
        """The body as it was sent."""
        announced = self._announced()
        done = 0
        for chunk in self._raw.chunks(size):
            done += len(chunk)
            if announced is None and done > self._limit:
                raise BadEncoding(f"it has no announced end, and is more than {self._limit} bytes")
            yield chunk
        # Old transports take a body that is cut off for one that has ended.
        if announced is not None and done != announced:
            raise Unreachable(f"the connection broke off after {done} of {announced} bytes")

    def _announced(self) -> int | None:
        try:
            return length_of(self.headers)
        except ValueError as error:
            raise self._corrupt(str(error)) from None

    def refused(self) -> FailedResponse:
        """What is kept of an answer that is an error."""
        body = b""
        try:
            for chunk in self._raw.chunks(_KEPT_OF_REFUSALS):
                body = (body + chunk)[:_KEPT_OF_REFUSALS]
                if len(body) == _KEPT_OF_REFUSALS:
                    break
        except Unreachable:
            pass  # what was asked for failed anyway
        hidden = ("set-cookie", "location")
        headers = {k: v for k, v in self.headers.items() if k.lower() not in hidden}
        return FailedResponse(self.status, self._raw.reason, headers, body)

    def finish(self) -> None:
        """Close it; the connection is kept if little of the body is left."""
        method, _, _ = self._request
        left = _DRAINED
        try:
            if not self._begun and (method == "HEAD" or (self._announced() or 0) <= left):
                for chunk in self._raw.chunks(left):
                    left -= len(chunk)
                    if left <= 0:
                        break
        except (Unreachable, CorruptValueError):
            pass  # nobody wants it
        finally:
            self.close()

    def close(self) -> None:
        """Close it, and its connection too unless the body was read to its end."""
        self._raw.close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _corrupt(self, problem: str) -> CorruptValueError:
        method, url, about = self._request
        return CorruptValueError(
            f"{about.operation}: the answer to {method} {url} cannot be taken: {problem}",
            **about._asdict(),
        )
