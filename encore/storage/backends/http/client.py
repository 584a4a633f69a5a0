"""The careful client: redirects, repetitions, and to whom credentials go.

Theory of operation. A request goes to one address. The headers and credentials that the store was
given go with it, and stay with it over redirects as long as scheme, host and port stay the same;
once it has gone elsewhere they are gone for good. Only reading follows redirects. What can be
repeated without harm is repeated a few times where the server could not be reached or says that
it will be better soon. Answers that mean "not there" are for the caller to see; other refusals
become errors here.

The stores of this package import this module.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from encore.errors import RequestError
from encore.storage.backends.http.answers import Answer
from encore.storage.backends.http.failures import About, Unreachable, failure, refusal
from encore.storage.backends.http.headers import seconds_to_wait
from encore.storage.backends.http.policy import Patience
from encore.storage.backends.http.transport import Transport
from encore.storage.backends.http.urls import Url, redirect_target

__all__ = ["MISSING", "HttpClient"]

_T = TypeVar("_T")
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_HARMLESS = frozenset(("GET", "HEAD", "PUT", "DELETE"))
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_NAMED = {"User-Agent": "encore"}
_AS_IT_IS = {"Accept-Encoding": "identity"}  # ranges and sizes count bytes of the data itself

#: Answers that mean that there is nothing of the kind.
MISSING = (404, 410)


class _Request(NamedTuple):
    method: str
    url: Url
    about: About
    headers: Mapping[str, str]
    body: Any = None
    allowed: tuple[int, ...] = ()
    harmless: bool = False


class HttpClient:
    """Asks servers, for one store.

    Parameters
    ----------
    headers : mapping of str to str, optional
        Sent with every request to the server it is meant for.
    auth : (str, str) or callable, optional
        User and password, or what `requests` takes.
    patience : Patience, optional
    verify : bool or str, optional
        Whether certificates are checked, or a file of those they are checked against.

    Notes
    -----
    *Threads*: any.
    """

    def __init__(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        auth: Any = None,
        patience: Patience | None = None,
        verify: bool | str = True,
    ) -> None:
        self._headers = _checked(headers or {})
        self._auth = auth
        self._patience = Patience() if patience is None else patience
        self._transport = Transport(self._patience.timeouts, verify)

    @property
    def spool_limit(self) -> int:
        """Bytes: the most that is taken of a body whose end is not announced."""
        return self._patience.spool_limit

    def ask(
        self,
        method: str,
        url: Url,
        about: About,
        take: Callable[[Answer], _T],
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        allowed: tuple[int, ...] = (),
        harmless: bool = False,
    ) -> _T:
        """Send a request and return what ``take`` makes of the answer, which is closed then.

        Parameters
        ----------
        method : str
        url : Url
        about : About
            What for, if there is an error to be told.
        take : callable
            ``take(answer)``; called again if the body breaks off and the request is repeated.
        headers : mapping of str to str, optional
            For this request.
        body : bytes, or callable, optional
            A callable returns the body as a file-like, anew for each attempt.
        allowed : tuple of int, optional
            Statuses outside of 200 to 299 that are answers, not errors.
        harmless : bool, optional
            Whether this one may be repeated although its method says nothing of the kind.

        Raises
        ------
        RequestError, AuthorizationError, ConflictError, StoreFullError, CorruptValueError
        """

        def whole(answer: Answer) -> _T:
            with contextlib.closing(answer):
                result = take(answer)
                answer.finish()
                return result

        request = _Request(method, url, about, headers or {}, body, allowed, harmless)
        return self._attempts(request, whole)

    def open(
        self,
        url: Url,
        about: About,
        *,
        headers: Mapping[str, str] | None = None,
        allowed: tuple[int, ...] = (),
    ) -> Answer:
        """GET, and return the answer with its body still to be read; the caller closes it."""
        request = _Request("GET", url, about, headers or {}, None, allowed)
        return self._attempts(request, lambda answer: answer)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._transport.close()

    def renewed(self, auth: Any = None) -> HttpClient:
        """A client like this one that shares no connection with it: for a forked child.

        Parameters
        ----------
        auth : (str, str) or callable, optional
            Other credentials.
        """
        client = object.__new__(HttpClient)
        client.__dict__.update(self.__dict__)
        client._transport = self._transport.renewed()
        client._auth = self._auth if auth is None else auth
        return client

    # -- the inside -------------------------------------------------------------------------------

    def _attempts(self, request: _Request, take: Callable[[Answer], _T]) -> _T:
        method, url, about, *_ = request
        retries = self._patience.retries
        may_repeat = request.harmless or method in _HARMLESS
        sent = False
        for attempt in range(retries.times + 1):
            is_last = attempt == retries.times
            asked: float | None = None
            try:
                answer = self._follow(request, sent)
                if _is_answer(request, answer.status):
                    return take(answer)
                if is_last or not may_repeat or not retries.is_passing(answer.status):
                    with answer:
                        raise refusal(answer.refused(), method, url, about)
                asked = seconds_to_wait(answer.headers)
                answer.finish()
                sent = True
            except Unreachable as error:
                if is_last or (error.sent and not may_repeat):
                    raise failure(error, method, url, about, sent=sent) from error.root
                sent = sent or error.sent
            except RequestError as error:  # a body that broke off while it was taken
                if is_last or not may_repeat or error.status is not None:
                    raise
                sent = True
            retries.wait(attempt, asked)
        raise AssertionError("the last attempt returns or raises")

    def _follow(self, request: _Request, sent: bool) -> Answer:
        """One attempt: the request, and where redirects lead."""
        method, url, about, headers, body, *_ = request
        here, ours = url, True
        for _ in range(self._patience.max_redirects + 1):
            given = {**_NAMED, **(self._headers if ours else {}), **headers, **_AS_IT_IS}
            auth = self._auth if ours else None
            made = body() if callable(body) else body
            raw = self._transport.send(method, here, given, auth, made)
            answer = Answer(
                raw, method, here, about, spool_limit=self.spool_limit, is_repetition=sent
            )
            if answer.status not in _REDIRECTS or method not in ("GET", "HEAD"):
                return answer
            goal = self._goal(answer, method, here, about)
            ours = ours and goal.origin == url.origin
            here = goal
        raise RequestError(
            f"{about.operation}: {method} {url} was redirected more than "
            f"{self._patience.max_redirects} times",
            answer.status,
            None,
            **about._asdict(),
        )

    def _goal(self, answer: Answer, method: str, here: Url, about: About) -> Url:
        location = answer.headers.get("Location")
        try:
            if location is None:
                raise ValueError("the answer does not say where to")
            return redirect_target(here, location)
        except ValueError as error:
            raise RequestError(
                f"{about.operation}: {method} {here} was redirected, and that is not followed: "
                f"{error}",
                answer.status,
                None,
                **about._asdict(),
            ) from None
        finally:
            answer.finish()


def _is_answer(request: _Request, status: int) -> bool:
    """Whether a status is one that the caller expects."""
    if status in request.allowed:
        return True
    if request.method in ("GET", "HEAD"):
        # A part that was not asked for is no answer, and neither is the promise of one.
        return status in (200, 203, 204) or (status == 206 and "Range" in request.headers)
    return 200 <= status < 300


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    """Refuse headers that would be more than one; their values may be secrets."""
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError("headers are str, names and values")
        if not name or _CONTROL.search(name + value) or not (name + value).isascii():
            raise ValueError("a header is printable ASCII, on one line")
    return dict(headers)
