"""One request, one response, over `requests`: the only module that touches it.

It uses the adapter of `requests`, not its sessions: those take credentials and proxies from the
environment, keep cookies, and read what redirects carry to its end. Here nothing is sent that was
not passed in. Only ``client`` imports this module.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from encore.storage.backends.http.failures import Unreachable
from encore.storage.backends.http.urls import Url

if TYPE_CHECKING:
    from requests import Response
    from requests.adapters import HTTPAdapter

__all__ = ["RawResponse", "Transport"]

_CONNECTIONS = 16


class RawResponse:
    """A response as it comes: status, headers, and the bytes of the body as they were sent.

    *Threads*: one at a time.
    """

    def __init__(self, response: Response) -> None:
        self._response = response
        self.status = response.status_code
        self.reason = response.reason or ""
        self.headers: Mapping[str, str] = response.headers

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield the body, up to ``size`` bytes at a time, never an empty piece.

        Raises
        ------
        Unreachable
            It broke off.
        """
        while True:
            try:
                chunk = self._response.raw.read(size, decode_content=False)
            except Exception as error:
                found = _explained(error)
            else:
                if not chunk:
                    return
                yield chunk
                continue
            raise found

    def close(self) -> None:
        """Give the connection back; one whose body was not read to its end is closed."""
        self._response.close()


class Transport:
    """Connections to servers, kept open for the next request.

    Parameters
    ----------
    timeouts : (float, float)
        Seconds to wait for a connection, and for the next bytes on it.
    verify : bool or str
        Whether the certificate of a server is checked, or the file of those that it is checked
        against.

    Notes
    -----
    *Threads*: any.
    """

    def __init__(self, timeouts: tuple[float, float], verify: bool | str) -> None:
        self._timeouts = timeouts
        self._verify = verify
        self._adapter: HTTPAdapter | None = None
        self._making = threading.Lock()

    def send(
        self, method: str, url: Url, headers: Mapping[str, str], auth: Any, body: Any
    ) -> RawResponse:
        """Send a request and return the response, whose body is still to be read.

        Parameters
        ----------
        method : str
        url : Url
        headers : mapping of str to str
        auth : (str, str) or callable, optional
            As `requests` takes it.
        body : bytes or file-like, optional

        Raises
        ------
        Unreachable
            There is no answer.
        """
        from requests import PreparedRequest
        from requests.hooks import dispatch_hook

        request = PreparedRequest()
        try:
            request.prepare(
                method=method, url=url.origin, headers=dict(headers), data=body, hooks={}
            )
            # `requests` would take out dot segments and decode what it takes for needless.
            request.url = (request.url or "").rstrip("/") + url.target
            if auth is not None:
                request.prepare_auth(auth, request.url)
            options: Any = {
                "stream": True,
                "timeout": self._timeouts,
                "verify": self._verify,
                "cert": None,
                "proxies": {},
            }
            response = self._connections().send(request, **options)
            hooked: Any = dispatch_hook  # typed only by some versions
            response = hooked("response", request.hooks, response, **options)
        except Exception as error:
            found = _explained(error)
        else:
            return RawResponse(response)
        # Out here, so that the error of the transport, which shows the address, is no part of it.
        raise found

    def _connections(self) -> HTTPAdapter:
        with self._making:
            if self._adapter is None:
                from requests.adapters import HTTPAdapter

                self._adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS)
            return self._adapter

    def renewed(self) -> Transport:
        """A transport like this one without its connections."""
        return Transport(self._timeouts, self._verify)

    def close(self) -> None:
        """Close the connections that nobody uses; the next request makes new ones."""
        with self._making:
            adapter, self._adapter = self._adapter, None
        if adapter is not None:
            # Left to itself it waits until nobody knows of a response any more, and an error that
            # somebody keeps knows of one.
            pools = adapter.poolmanager.pools
            for pool in filter(None, [pools.get(key) for key in [*pools.keys()]]):
                pool.close()
            adapter.close()


def _explained(error: Exception) -> Unreachable:
    """Say what a failure of the transport was, without what it says itself."""
    from requests import exceptions

    root = _root_of(error)
    if isinstance(error, exceptions.ConnectTimeout):
        return Unreachable("no connection within the time allowed", sent=False)
    names = {type(part).__name__ for part in _parts_of(error)}
    if "NewConnectionError" in names or "NameResolutionError" in names:
        return Unreachable(_text_of(root, "no connection could be made"), root, sent=False)
    if isinstance(error, exceptions.SSLError) or "SSLError" in names:
        return Unreachable("no secure connection could be made", root, sent=False)
    if isinstance(error, exceptions.Timeout) or "ReadTimeoutError" in names:
        return Unreachable("the server did not answer within the time allowed", root)
    if isinstance(error, (exceptions.InvalidURL, exceptions.InvalidHeader, UnicodeError)):
        return Unreachable("the address or a header is not one that can be sent", sent=False)
    known = isinstance(error, (exceptions.RequestException, OSError))
    if known or type(error).__module__.startswith(("urllib3", "http.")):
        return Unreachable(_text_of(root, "the connection broke off"), root)
    raise error  # not of the transport: what a caller passed in has failed


def _parts_of(error: BaseException) -> Iterator[BaseException]:
    """An error and those it was made of; they hand each other on as arguments."""
    todo: list[Any] = [error]
    known: set[int] = set()
    while todo:
        part = todo.pop()
        if isinstance(part, BaseException) and id(part) not in known:
            known.add(id(part))
            yield part
            todo += [*part.args, getattr(part, "reason", None), part.__cause__, part.__context__]


def _root_of(error: BaseException) -> OSError | None:
    """The error of the system beneath; it knows nothing of the address."""
    for part in _parts_of(error):
        plain = type(part).__module__ in ("builtins", "socket", "ssl")
        if isinstance(part, OSError) and plain and part.errno is not None:
            return part
    return None


def _text_of(root: OSError | None, otherwise: str) -> str:
    return otherwise if root is None or not root.strerror else f"{otherwise} ({root.strerror})"
