"""Who may do what: grants, and how a request proves that it has one.

A request brings a token, in ``x-os-auth``, ``authorization`` or the query, or it is signed. A
`Verifier` makes grants of it; an `Authority` asks all verifiers there are. Without an authority
everybody may do everything, which is for loopback only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from encore.service.places import Place
from encore.service.server.exchange import Refused, Request

__all__ = ["DELETE", "READ", "WRITE", "Authority", "Grant", "Verifier", "token_of"]

READ, WRITE, DELETE = "object.read", "object.write", "object.delete"

#: How a browser is told that it takes a token.
_ASK = [("www-authenticate", 'Bearer realm="objects"')]
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: a usecase, exactly these scopes, and some permissions.

    A scope that the token names and the path does not, or the other way round, is no match: a
    token for one project of an organisation opens nothing of the organisation itself.

    Attributes
    ----------
    who : str
        For figures and limits; no secret.
    usecase : str
        ``"*"`` for any.
    scopes : tuple of (str, str), or None
        In any order; the value ``"*"`` stands for any. None: any scopes.
    permissions : frozenset of str
    """

    who: str
    usecase: str
    scopes: tuple[tuple[str, str], ...] | None
    permissions: frozenset[str]

    def covers(self, place: Place, permission: str) -> bool:
        """Whether it allows something at a place."""
        if permission not in self.permissions or self.usecase not in (_ANY, place.usecase):
            return False
        if self.scopes is None:
            return True
        mine, theirs = dict(self.scopes), dict(place.scopes)
        if mine.keys() != theirs.keys():
            return False
        return all(value in (_ANY, theirs[name]) for name, value in mine.items())


class Verifier(Protocol):
    """Knows one kind of proof."""

    def grant_of_token(self, token: str) -> Grant | None:
        """What a token allows; None if it is of another kind. Raises ``Refused`` (401)."""

    def grant_of_signature(self, request: Request) -> Grant | None:
        """What a signed address allows; None if it is not signed so. Raises ``Refused``."""


class Authority:
    """Decides about requests.

    Parameters
    ----------
    verifiers : sequence of Verifier
    """

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        if not verifiers:
            raise ValueError("an authority knows at least one kind of proof")
        self._verifiers = tuple(verifiers)

    def check(self, request: Request, place: Place, permission: str) -> str:
        """Return who asks.

        Raises
        ------
        Refused
            There is no proof, or none that is valid (401), or it does not allow this (403).
        """
        grant = self.grant(request)
        if not grant.covers(place, permission):
            raise Refused(403, f"the token does not allow {permission} here")
        return grant.who

    def grant(self, request: Request) -> Grant:
        """Return what the proof that a request brings allows; raise `Refused` (401) for none."""
        token = token_of(request)
        if token is not None:
            found = (verifier.grant_of_token(token) for verifier in self._verifiers)
        else:
            found = (verifier.grant_of_signature(request) for verifier in self._verifiers)
        for grant in found:
            if grant is not None:
                return grant
        if token is None:
            raise Refused(401, "a token is needed: x-os-auth: Bearer TOKEN", headers=_ASK)
        raise Refused(401, "the token is not known here", headers=_ASK)


def token_of(request: Request) -> str | None:
    """The token that a request brings."""
    for name in ("x-os-auth", "authorization"):
        value = request.header(name)
        if value is not None:
            kind, _, token = value.strip().partition(" ")
            if kind.lower() != "bearer" or not token.strip():
                raise Refused(401, f"{name} is Bearer TOKEN", headers=_ASK)
            return token.strip()
    return request.parameters.get("os_auth")
