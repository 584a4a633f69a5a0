"""Static tokens: the simple case, a secret for each program.

Only digests are held, and all of them are compared at every request, so that neither memory nor
time tells anything. ``files`` and applications make a verifier of these.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from encore.service.server.exchange import Request
from encore.service.server.permissions import Grant

__all__ = ["StaticTokens"]

_LEAST = 16


class StaticTokens:
    """Knows tokens, and what each allows.

    Parameters
    ----------
    tokens : iterable of (str, Grant)

    Raises
    ------
    ValueError
        A token is shorter than 16 characters: ``secrets.token_urlsafe()`` makes good ones.
    """

    def __init__(self, tokens: Iterable[tuple[str, Grant]]) -> None:
        self._grants: list[tuple[bytes, Grant]] = []
        for token, grant in tokens:
            if len(token) < _LEAST:
                raise ValueError(f"the token of {grant.who!r} has fewer than {_LEAST} characters")
            self._grants.append((_digest(token), grant))

    def __repr__(self) -> str:
        return f"<StaticTokens of {len(self._grants)}>"

    def grant_of_token(self, token: str) -> Grant | None:
        given, found = _digest(token), None
        for digest, grant in self._grants:
            if hmac.compare_digest(digest, given):
                found = grant
        return found

    def grant_of_signature(self, request: Request) -> Grant | None:
        return None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
