"""Passwords: made unreadable for keeping, and checked.

The form is that of the PHC string format (https://github.com/P-H-C/phc-string-format) as passlib
writes it for scrypt (RFC 7914), so that hashes can be made and checked by other programs too::

    $scrypt$ln=14,r=8,p=5$SALT$HASH

Nothing here keeps, prints or raises a password. ``authorizing`` imports this module.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from dataclasses import dataclass

_SALT_BYTES = 16
_HASH_BYTES = 32
_FORM = re.compile(
    r"\$scrypt\$ln=(?P<ln>[0-9]{1,2}),r=(?P<r>[0-9]{1,3}),p=(?P<p>[0-9]{1,3})"
    r"\$(?P<salt>[A-Za-z0-9+/]{1,128})\$(?P<digest>[A-Za-z0-9+/]{43})"
)


@dataclass(frozen=True, slots=True, repr=False)
class PasswordHash:
    """A password that can be checked and not be read.

    Attributes
    ----------
    ln, r, p : int
        What scrypt calls log2 N, r and p; checking takes 128 r N bytes and time for p times that.
    salt, digest : bytes
    """

    ln: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """Read what `hash_password` returned; ValueError, without it, for anything else."""
        match = _FORM.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError("a password is given as the string that hash_password returns for it")
        ln, r, p = (int(match[name]) for name in ("ln", "r", "p"))
        return cls(ln, r, p, _decode(match["salt"]), _decode(match["digest"]))

    @property
    def cost(self) -> int:
        """How much work checking is, in some unit."""
        return (1 << self.ln) * self.r * self.p

    def fits(self, password: str) -> bool:
        """Whether this is the password; takes the same time for any."""
        found = _scrypt(password, self.salt, self.ln, self.r, self.p)
        return hmac.compare_digest(found, self.digest) and "\0" not in password


def hash_password(password: str, *, ln: int = 14, r: int = 8, p: int = 5) -> str:
    """Return a form of a password that can be kept: it checks the password and does not tell it.

    Parameters
    ----------
    password : str
    ln, r, p : int, optional
        The cost, as scrypt (RFC 7914) has it: N = 2**ln. Checking takes ``128 * r * N`` bytes of
        memory, 16 MiB by default, and some tenths of a second.

    Returns
    -------
    str
        The cost, a random salt, and the hash: ``"$scrypt$ln=14,r=8,p=5$...$..."``. Another one at
        each call.

    Examples
    --------
    >>> from encore.storage.api import hash_password
    >>> hash_password("correct horse")
    '$scrypt$ln=14,r=8,p=5$...$...'
    """
    if not isinstance(password, str):
        raise TypeError(f"a password is a str, not {type(password).__name__}")
    if "\0" in password:
        raise ValueError("a password contains no NUL; choose another one")
    salt = os.urandom(_SALT_BYTES)
    digest = _scrypt(password, salt, ln, r, p)
    return f"$scrypt$ln={ln},r={r},p={p}${_encode(salt)}${_encode(digest)}"


def nobody(cost_of: list[PasswordHash]) -> PasswordHash:
    """A hash that no password fits, as much work to check as the dearest of others."""
    like = max(cost_of, key=lambda known: known.cost, default=None)
    ln, r, p = (14, 8, 5) if like is None else (like.ln, like.r, like.p)
    return PasswordHash(ln, r, p, os.urandom(_SALT_BYTES), os.urandom(_HASH_BYTES))


def _scrypt(password: str, salt: bytes, ln: int, r: int, p: int) -> bytes:
    # Lone surrogates too are bytes here: the error about them would show the password.
    secret = password.encode("utf-8", "surrogatepass")
    room = 128 * r * ((1 << ln) + p + 2)  # bytes; what OpenSSL asks for besides is within it
    return hashlib.scrypt(
        secret, salt=salt, n=1 << ln, r=r, p=p, maxmem=room + (1 << 20), dklen=_HASH_BYTES
    )


def _encode(data: bytes) -> str:
    return base64.b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
