"""Signed tokens and signed addresses: the public keys of those who may make them.

Whoever has a private key makes tokens for a usecase, scopes and permissions without asking the
server; and addresses that open one object for a while, for a browser. ``files`` and applications
make a verifier of these.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from encore.service.durations import parse_moment
from encore.service.ed25519 import BadToken, claimed_key, read_key, verify, verify_token
from encore.service.server.exchange import Refused, Request
from encore.service.server.permissions import DELETE, READ, WRITE, Grant
from encore.service.signed_urls import LONGEST_SECONDS, SIGNATURE, canonical

__all__ = ["PublicKey", "SignedTokens"]

_AUDIENCE = "objectstore"
_USECASE = "os:usecase"
_LEEWAY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that tokens may be signed with.

    Parameters
    ----------
    pems : sequence of str
        Public keys in PEM; several while one takes the place of another.
    permissions : frozenset of str, optional
        The most that its tokens can allow.
    """

    pems: Sequence[str] = field(repr=False)
    permissions: frozenset[str] = frozenset((READ, WRITE, DELETE))


class SignedTokens:
    """Knows keys, and verifies what they have signed.

    Parameters
    ----------
    keys : mapping of str to PublicKey
        By the name that tokens have for them, ``kid``.
    clock : callable, optional
        Seconds since the epoch, for signed addresses.

    Raises
    ------
    ValueError
        A key is no Ed25519 key in PEM.
    """

    def __init__(
        self, keys: Mapping[str, PublicKey], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = {
            kid: ([read_key(pem) for pem in key.pems], key.permissions) for kid, key in keys.items()
        }
        self._clock = clock

    def __repr__(self) -> str:
        return f"<SignedTokens of {sorted(self._keys)}>"

    def grant_of_token(self, token: str) -> Grant | None:
        kid = claimed_key(token)
        if kid is None:
            return None
        keys, most = self._key(kid)
        problem: BadToken | None = None
        for key in keys:
            try:
                claims = verify_token(
                    token, key, audience=_AUDIENCE, leeway_seconds=_LEEWAY_SECONDS
                )
            except BadToken as error:
                problem = error
            else:
                return _grant_of(kid, claims, most)
        raise Refused(401, str(problem))

    def grant_of_signature(self, request: Request) -> Grant | None:
        given = {name.lower(): value for name, value in request.parameters.items()}
        if SIGNATURE not in given:
            return None
        if request.method not in ("GET", "HEAD"):
            raise Refused(403, "a signed address is for reading")
        self._check_time(given)
        keys, most = self._key(given.get("os_kid", ""))
        message = canonical(request.wire_path, request.query)
        if not any(verify(key, message, given[SIGNATURE]) for key in keys):
            raise Refused(401, "the signature is not valid")
        # What is signed is the path itself, so it allows whatever the path leads to.
        return Grant(given["os_kid"], "*", None, most & {READ})

    def _check_time(self, given: Mapping[str, str]) -> None:
        try:
            begin = parse_moment(given["os_timestamp"])
            text = given["os_duration"]
            seconds = int(text) if text.isascii() and text.isdigit() else LONGEST_SECONDS + 1
        except (KeyError, ValueError):
            raise Refused(400, "a signed address has os_timestamp and os_duration") from None
        if seconds > LONGEST_SECONDS:
            raise Refused(400, f"a signed address is valid for {LONGEST_SECONDS} seconds at most")
        if not begin - _LEEWAY_SECONDS <= self._clock() <= begin + seconds:
            raise Refused(401, "the signed address is not valid now")

    def _key(self, kid: str) -> tuple[list[Any], frozenset[str]]:
        found = self._keys.get(kid)
        if found is None:
            raise Refused(401, "the key that has signed this is not known here")
        return found


def _grant_of(kid: str, claims: Mapping[str, Any], most: frozenset[str]) -> Grant:
    resources, said = claims.get("res"), claims.get("permissions")
    if not isinstance(resources, dict) or not isinstance(said, list):
        raise Refused(401, "the token says neither what it is for nor what it allows")
    if not all(isinstance(value, str) for value in resources.values()):
        raise Refused(401, "the token is for something that is no text")
    scopes = tuple((name, value) for name, value in resources.items() if name != _USECASE)
    usecase = resources.get(_USECASE)
    if usecase is None:
        raise Refused(401, "the token says for no usecase")
    permissions = most & {text for text in said if isinstance(text, str)}
    return Grant(kid, usecase, scopes, permissions)
