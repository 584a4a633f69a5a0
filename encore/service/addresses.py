"""Stores from addresses: ``service:http://HOST:PORT/USECASE/SCOPES``.

Tokens never stand in an address, because addresses are shown, kept in shells and in files: they
come from the environment, or as an option. ``config``, which is a floor below, reaches this module
by its name.
"""

from __future__ import annotations

import os

from encore.errors import ConfigError
from encore.events.abstract_event_manager import BaseEventManager
from encore.service.client.asking import TokenSource
from encore.service.client.client import Client
from encore.service.client.usecases import Usecase
from encore.service.places import Place, check_usecase, decode_piece, parse_scopes
from encore.service.store import ServiceStore

__all__ = ["FORM", "TOKEN_VARIABLE", "open_service"]

#: What such an address looks like.
FORM = "service:http://HOST:PORT/USECASE/SCOPES"
#: The environment variable that a token is taken from.
TOKEN_VARIABLE = "ENCORE_SERVICE_TOKEN"

_SCHEME = "service:"


def open_service(
    url: str,
    *,
    token: str | TokenSource | None = None,
    follow: bool = True,
    event_manager: BaseEventManager | None = None,
    timeout: float = 5.0,
) -> ServiceStore:
    """Return the objects of a usecase and scopes as a store; its connections are closed with it.

    Parameters
    ----------
    url : str
        ``http://`` or ``https://``, host, port, usecase, and scopes as the protocol has them:
        ``name=value;name=value``, or ``_`` for none. ``service:`` may stand before it.
    token : str or TokenSource, optional
        Default: what `TOKEN_VARIABLE` says, if it is set.
    follow, event_manager, timeout
        See `ServiceStore`.

    Raises
    ------
    ConfigError
        The address is none, or the token cannot be sent. Neither is repeated where it may hold a
        secret.
    """
    base, place = _split(url.removeprefix(_SCHEME))
    if token is None:
        token = os.environ.get(TOKEN_VARIABLE) or None
    if isinstance(token, str) and not (token.isascii() and token.isprintable() and token.strip()):
        raise ConfigError(
            f"the token for a service, from {TOKEN_VARIABLE} or as an option, is one line of "
            "printable ASCII"
        )
    try:
        client = Client(base, token=token)
    except ValueError as error:
        raise ConfigError(f"the address of a service is {FORM}: {error}") from error
    session = client.session_at(Usecase(place.usecase), place)
    return ServiceStore(session, follow=follow, event_manager=event_manager, timeout=timeout)


def _split(url: str) -> tuple[str, Place]:
    """Return the address of the service, and the place in it."""
    if any(mark in url for mark in "@?#"):
        # It may be a password or a token: it is not repeated.
        raise ConfigError(
            f"an address {FORM} has neither a password nor a token nor a query: a token comes from "
            f"the environment variable {TOKEN_VARIABLE}, or as the option 'token'"
        )
    base, _, rest = url.rpartition("/")
    base, _, name = base.rpartition("/")
    if not base.partition("//")[2]:
        raise ConfigError(f"the address of a service is {FORM}, and SCOPES is _ for none")
    try:
        usecase, scopes = check_usecase(decode_piece(name)), parse_scopes(decode_piece(rest))
    except ValueError as error:
        raise ConfigError(f"the address of a service is {FORM}: {error}") from error
    return base, Place(usecase, scopes)
