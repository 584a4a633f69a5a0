"""Ed25519: tokens (RFC 7519, ``EdDSA``) and signatures, made and verified.

The only module that imports PyJWT, which comes with the extra ``server``. It knows neither requests
nor places.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from encore.errors import UnsupportedError

try:
    import jwt
    from jwt.algorithms import OKPAlgorithm
except ImportError as error:
    raise UnsupportedError(
        "signed tokens need PyJWT and cryptography, which are not installed: "
        'pip install "encore[server]"'
    ) from error

__all__ = [
    "BadToken",
    "Key",
    "claimed_key",
    "read_key",
    "sign",
    "sign_token",
    "verify",
    "verify_token",
]

_ALGORITHM = "EdDSA"
_MOST_BYTES = 16384

Key = Any  # of the library cryptography


class BadToken(ValueError):  # noqa: N818  what it is
    """A token is none, is damaged, or has expired; the message does not repeat it."""


def read_key(pem: str) -> Key:
    """Read a private or public key in PEM; ValueError if it is none of Ed25519."""
    try:
        key = OKPAlgorithm().prepare_key(pem)
    except Exception:  # the library's errors may show what they were given
        raise ValueError("the key is no Ed25519 key in PEM") from None
    if "25519" not in type(key).__name__:
        raise ValueError("the key is no Ed25519 key in PEM")
    return key


def sign_token(key: Key, kid: str, claims: Mapping[str, Any]) -> str:
    """Return a token."""
    return jwt.encode(dict(claims), key, algorithm=_ALGORITHM, headers={"kid": kid})


def claimed_key(token: str) -> str | None:
    """The name of the key that a token says it is signed with; None if it is no signed token."""
    if token.count(".") != 2 or len(token) > _MOST_BYTES:
        return None
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        return None
    return kid if isinstance(kid, str) else None


def verify_token(token: str, key: Key, *, audience: str, leeway_seconds: float) -> dict[str, Any]:
    """Return the claims of a token.

    Raises
    ------
    BadToken
        It is not signed with this key, has expired or never does, or is for somebody else.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            leeway=leeway_seconds,
            options={"require": ["exp"], "verify_aud": False},
        )
    except jwt.ExpiredSignatureError:
        raise BadToken("the token has expired") from None
    except jwt.PyJWTError:
        raise BadToken("the token is not valid") from None
    said = claims.get("aud", audience)
    if audience not in ([said] if isinstance(said, str) else said or ()):
        raise BadToken("the token is for somebody else")
    return claims


def sign(key: Key, message: bytes) -> str:
    """Return a signature, in base64url without padding."""
    return base64.urlsafe_b64encode(OKPAlgorithm().sign(message, key)).rstrip(b"=").decode()


def verify(key: Key, message: bytes, signature: str) -> bool:
    """Whether a signature is of this message and key."""
    try:
        raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    except (ValueError, binascii.Error):
        return False
    return bool(OKPAlgorithm().verify(message, key, raw))
