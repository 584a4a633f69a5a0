"""Functions that refuse keys: further rules for one store, on top of the common ones.

The one idea: a validator is any callable that takes a key and raises `InvalidKeyError`, so two of
them are combined by calling one after the other.

Anybody may import this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from encore.errors import InvalidKeyError

__all__ = ["Validator", "is_http_url", "matches"]

Validator = Callable[[str], None]


def matches(pattern: str | re.Pattern[str]) -> Validator:
    """Return a validator for keys that match a regular expression from beginning to end.

    Parameters
    ----------
    pattern : str or re.Pattern
        The expression that the whole key has to match.

    Returns
    -------
    callable
        Takes a key; raises `InvalidKeyError` if it does not match.
    """
    return _Matches(re.compile(pattern))


@dataclass(frozen=True, slots=True)
class _Matches:
    """A class rather than a function within a function: equal, and printed, by its pattern."""

    expression: re.Pattern[str]

    def __call__(self, key: str) -> None:
        if self.expression.fullmatch(key) is None:
            pattern = self.expression.pattern
            raise InvalidKeyError(
                f"the key {key!r} does not match {pattern!r}, which this store requires", key=key
            )

    def __repr__(self) -> str:
        return f"matches({self.expression.pattern!r})"


def is_http_url(key: str) -> None:
    """Refuse everything but an absolute ``http`` or ``https`` URL with a host.

    Parameters
    ----------
    key : str
        The key to look at.

    Raises
    ------
    InvalidKeyError
        If it is something else. The message does not show the key: URLs carry secrets.
    """
    # Looked at before urlsplit, which silently drops tabs, newlines and surrounding blanks.
    if any(character <= " " or character == "\x7f" for character in key):
        raise _not_a_url(key, "it contains a blank or a control character")
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(key)
        parts.port  # noqa: B018  raises when it is not a number that fits
    except ValueError:
        raise _not_a_url(key, "its host or port is malformed") from None
    if parts.scheme not in ("http", "https"):
        raise _not_a_url(key, "it does not begin with http:// or https://")
    if not parts.hostname:
        raise _not_a_url(key, "it names no host")


def _not_a_url(key: str, reason: str) -> InvalidKeyError:
    return InvalidKeyError(
        f"the key is not a URL: {reason}; this store takes absolute http and https URLs", key=key
    )
