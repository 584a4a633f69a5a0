"""The read-only store over any web server: a key is the rest of an address, or a whole one.

The face of the package exports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from encore.errors import InvalidKeyError, KeyNotFoundError, UnsupportedError
from encore.events.abstract_event_manager import BaseEventManager
from encore.keys.rules import check_key
from encore.storage.backends.http.client import MISSING, HttpClient
from encore.storage.backends.http.contents import read_range
from encore.storage.backends.http.headers import metadata_of
from encore.storage.backends.http.policy import Patience, Retries, Timeout
from encore.storage.backends.http.serving import ServedStore
from encore.storage.backends.http.urls import Url, key_path, parse_url, shown_url
from encore.storage.metadata import encode_metadata
from encore.storage.values import Value

__all__ = ["HttpStore"]


class HttpStore(ServedStore):
    """What a web server offers, for reading.

    Without listings: HTTP has none. Metadata is what the headers say of the data:
    ``content_type``, ``content_language``, ``content_disposition``, ``cache_control``,
    ``expires``, ``etag`` and ``last_modified``, each as it came, where it came.

    Parameters
    ----------
    base_url : str, optional
        Keys are paths below this address. Without it keys are whole addresses.
    headers : mapping of str to str, optional
        Sent with every request to the host of the key, not to others it redirects to.
    auth : (str, str) or callable, optional
        User and password, or what `requests` takes; kept from other hosts as ``headers`` are.
        May stand in ``base_url`` as well.
    timeout : float or (float, float), optional
        Seconds to wait for a connection, and for the next bytes on it.
    retries : int or Retries, optional
        How often what failed in passing is tried again.
    max_redirects : int, optional
        How many redirects are followed in a row; 0 stays where it was told to go.
    spool_limit : int, optional
        Bytes: the most that is taken of a body that does not announce its length, or that the
        server compressed unasked.
    verify : bool or str, optional
        Whether certificates are checked, or a file of those that they are checked against.
    event_manager : BaseEventManager, optional
        See `Store`.

    Raises
    ------
    ValueError
        ``base_url`` is no http or https address, or has a query.

    Notes
    -----
    The environment is not asked for proxies or credentials. A value that has been got is one
    version: if the server replaces it before it was read, reading raises `ConflictError`.

    *Threads*: any.
    """

    def __init__(
        self,
        base_url: str | None = None,
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
        self._base: Url | None = None
        user: tuple[str, str] | None = None
        if base_url is not None:
            self._base, user = base_of(base_url)
        patience = Patience(timeout, Retries.of(retries), max_redirects, spool_limit)
        client = HttpClient(headers=headers, auth=auth or user, patience=patience, verify=verify)
        super().__init__(client, event_manager)

    def __repr__(self) -> str:
        return "<HttpStore>" if self._base is None else f"<HttpStore {str(self._base)!r}>"

    def _describe(self) -> dict[str, Any]:
        base = {} if self._base is None else {"url": str(self._base)}
        return {**super()._describe(), "listing": False, **base}

    # -- reading ----------------------------------------------------------------------------------

    def _url(self, key: str) -> Url | None:
        """The address of a key; None for a key that cannot have one."""
        check_key(key)
        self._opened()
        if self._base is not None:
            path = key_path(key)
            return None if path is None else self._base.below(path)
        try:
            url, user = parse_url(key)
        except ValueError:
            return None
        if user is not None:
            raise InvalidKeyError(
                f"{shown_url(key)} has a user or a password in it; give the store auth= instead",
                store=self,
            )
        return url

    def _find(self, key: str) -> Value | None:
        url = self._url(key)
        if url is None:
            return None
        served = self._served(url, key)
        if served is None:
            return None
        text, size = encode_metadata(metadata_of(served.headers)), served.data.size
        value = Value.of(served.data, text, size, 0.0, 0.0, served.version.token)
        value.created = value.modified = served.modified
        return value

    def _has(self, key: str) -> bool:
        url = self._url(key)
        return url is not None and self._serves(url, key)

    def _read(self, key: str) -> bytes | None:
        url = self._url(key)
        if url is None:
            return None
        return self._client.ask(
            "GET",
            url,
            self._about("read", key),
            lambda answer: None if answer.status in MISSING else answer.read(),
            allowed=MISSING,
        )

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        url = self._url(key)
        if url is None:
            return None
        if start >= end:
            return b"" if self._serves(url, key) else None
        return read_range(self._client, url, self._about("get_data_range", key), start, end)

    def _missing(self, key: Any, operation: str) -> KeyNotFoundError:
        error = super()._missing(key, operation)
        if self._base is None and "://" in key:
            # The query of a whole address is where signatures are.
            error.message = f"{operation}: there is nothing at {shown_url(key)}"
            error.args = (error.message,)
        return error

    # -- listing ----------------------------------------------------------------------------------

    def _scan(self, prefix: str, start_after: str | None) -> NoReturn:
        self._no_listing()

    def _find_all(self, prefix: str) -> NoReturn:
        self._no_listing()

    def _survey(self, prefix: str) -> NoReturn:
        self._no_listing()

    def _search(self, where: Mapping[str, Any]) -> NoReturn:
        self._no_listing()

    def _no_listing(self) -> NoReturn:
        self._opened()
        raise UnsupportedError(
            f"{self!r} cannot list its keys, because HTTP has no listings; StaticURLStore reads "
            "them from an index",
            store=self,
        )


def base_of(text: str) -> tuple[Url, tuple[str, str] | None]:
    """Return an address that keys go below, and user and password if it has some.

    Raises
    ------
    ValueError
        It is no http or https address, or has a query.
    """
    url, user = parse_url(text)
    if "?" in url.target:
        raise ValueError("an address that keys go below has no query")
    return Url(url.origin, url.target.rstrip("/") + "/"), user
