"""`SecretKey`: makes tokens and signed addresses, without asking the service.

The face of the package exports it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from encore.service.durations import format_moment
from encore.service.ed25519 import read_key, sign, sign_token
from encore.service.places import Place
from encore.service.signed_urls import LONGEST_SECONDS, SIGNATURE, canonical

__all__ = ["SecretKey"]

_ALL = ("object.read", "object.write", "object.delete")


class SecretKey:
    """A private key whose public half the service knows.

    Parameters
    ----------
    kid : str
        What the service calls it.
    pem : str
        An Ed25519 key in PEM.
    expiry_seconds : int, optional
        How long its tokens are valid.
    permissions : iterable of str, optional
        What they allow: of ``"object.read"``, ``"object.write"``, ``"object.delete"``.

    Raises
    ------
    ValueError
        It is no such key, or there is no such permission.

    Notes
    -----
    *Threads*: any.
    """

    def __init__(
        self,
        kid: str,
        pem: str,
        expiry_seconds: int = 60,
        permissions: Iterable[str] = _ALL,
    ) -> None:
        self._key = read_key(pem)
        self._made: dict[Place, tuple[str, float]] = {}
        self.kid = kid
        self.expiry_seconds = expiry_seconds
        self.permissions = tuple(permissions)
        if not {*self.permissions} <= {*_ALL}:
            raise ValueError(f"permissions are {', '.join(_ALL)}")

    def __repr__(self) -> str:
        return f"<SecretKey {self.kid!r}>"

    def token(self, place: Place) -> str:
        """A token for a place: a new one, or one that is good for half of its time yet."""
        now = time.time()
        known = self._made.get(place)
        if known is not None and now < known[1]:
            return known[0]
        claims = {
            "aud": "objectstore",
            "exp": int(now) + self.expiry_seconds,
            "permissions": [*self.permissions],
            "res": {"os:usecase": place.usecase, **dict(place.scopes)},
        }
        token = sign_token(self._key, self.kid, claims)
        if len(self._made) > 1000:
            self._made.clear()
        self._made[place] = token, now + self.expiry_seconds / 2
        return token

    def signed(self, path: str, seconds: int) -> str:
        """The query that opens a path for a while, to be read only.

        Parameters
        ----------
        path : str
            As it goes over the wire.
        seconds : int
            At most seven days.
        """
        if not 0 < seconds <= LONGEST_SECONDS:
            raise ValueError(f"a signed address is valid for 1 to {LONGEST_SECONDS} seconds")
        moment = format_moment(int(time.time())).replace(".000000", "")
        query = f"os_kid={self.kid}&os_timestamp={moment}&os_duration={seconds}"
        return f"{query}&{SIGNATURE}={sign(self._key, canonical(path, query))}"
