"""`Client`: connections to an object service. The face of the package exports it."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from encore.service.client.asking import Connection, TokenSource
from encore.service.client.session import Session
from encore.service.client.usecases import Usecase
from encore.service.places import Place, scopes_of
from encore.storage.backends.http.client import HttpClient
from encore.storage.backends.http.keyed import base_of
from encore.storage.backends.http.policy import Patience, Retries
from encore.storage.wrappers.metrics import MetricsBackend, NoOpMetricsBackend

__all__ = ["Client"]

_TIMEOUTS = (10.0, 60.0)
_OPTIONS = {"headers", "timeout", "verify"}


class Client:
    """An object service, and the connections to it.

    Parameters
    ----------
    base_url : str
        ``http://`` or ``https://``, host, port, and a path if the service is below one.
    metrics_backend : MetricsBackend, optional
        Is told how long operations take and how much they move.
    propagate_traces : bool, optional
        Send the trace along that ``sentry_sdk`` is in, if the program uses it.
    retries : int or Retries, optional
        How often a request that changes nothing by being repeated is repeated, with pauses of
        random length; default: 2.
    timeout_ms : float, optional
        Milliseconds to wait for a connection, and for the next bytes on it; default: 10 and 60
        seconds.
    connection_kwargs : mapping, optional
        ``headers``, sent with every request; ``verify``, a file of certificates to trust;
        ``timeout``, in seconds, to connect and to read.
    token : str or TokenSource, optional
        Proves who asks: a token, or a `SecretKey` that makes them.

    Raises
    ------
    ValueError
        The address or an option is none.

    Notes
    -----
    The environment is not asked for proxies or credentials, and the token goes to this service
    only.

    *Threads*: any.
    """

    def __init__(
        self,
        base_url: str,
        metrics_backend: MetricsBackend | None = None,
        propagate_traces: bool = False,
        retries: int | Retries | None = None,
        timeout_ms: float | None = None,
        connection_kwargs: Mapping[str, Any] | None = None,
        *,
        token: str | TokenSource | None = None,
    ) -> None:
        base, user = base_of(base_url)
        options = dict(connection_kwargs or {})
        if not options.keys() <= _OPTIONS:
            raise ValueError(f"connection_kwargs are {', '.join(sorted(_OPTIONS))}")
        timeout = options.get("timeout", _TIMEOUTS if timeout_ms is None else timeout_ms / 1000)

        def made(times: int | Retries) -> HttpClient:
            patience = Patience(timeout, Retries.of(times), max_redirects=0)
            headers, verify = options.get("headers"), options.get("verify", True)
            return HttpClient(headers=headers, auth=user, patience=patience, verify=verify)

        self._connection = Connection(
            base, made(2 if retries is None else retries), made(0), token, propagate_traces
        )
        self._metrics = NoOpMetricsBackend() if metrics_backend is None else metrics_backend

    def __repr__(self) -> str:
        return f"<Client {str(self._connection.base)!r}>"

    def session(self, usecase: Usecase | str, **scopes: str | int | bool) -> Session:
        """Return the objects of a usecase.

        Parameters
        ----------
        usecase : Usecase or str
        **scopes
            Whose objects they are. Their order counts; names and values are not empty, and of
            ``A-Za-z0-9_-()$!+*'``.

        Raises
        ------
        ValueError
            The usecase or a scope cannot be.
        """
        chosen = Usecase(usecase) if isinstance(usecase, str) else usecase
        return self.session_at(chosen, Place(chosen.name, scopes_of(dict(scopes))))

    def session_at(self, usecase: Usecase, place: Place) -> Session:
        """Return the objects of a place, whose scopes may be called what no argument can be."""
        return Session(self._connection, usecase, place, self._metrics)

    def close(self) -> None:
        """Close the connections that nobody uses; the next request makes new ones."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
