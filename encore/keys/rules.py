"""What a key is, and what a prefix is.

The one idea: every store accepts the same keys, so the question is answered here and only here. A
key is any ``str`` of 1 to 1024 UTF-8 bytes without NUL and without lone surrogates; keys are
compared code point by code point, which is also the order of their UTF-8 bytes. Stores call
`check_key` at every door, so its first line is the one that ordinary keys never get past.

Anybody may import this module.
"""

from __future__ import annotations

import reprlib
import sys
from typing import Any

from encore.errors import InvalidKeyError

__all__ = ["MAX_KEY_BYTES", "check_key", "check_prefix", "prefix_end"]

#: The longest legal key, in bytes of its UTF-8 form.
MAX_KEY_BYTES = 1024

_LEGAL = f"a key is a str of 1 to {MAX_KEY_BYTES} UTF-8 bytes without NUL or lone surrogates"
_SURROGATES_BEGIN = 0xD800
_SURROGATES_END = 0xE000  # exclusive

_shortener = reprlib.Repr()
_shortener.maxstring = 80
_shortener.maxother = 80


def check_key(key: Any) -> None:
    """Return if `key` is legal, raise if it is not.

    Parameters
    ----------
    key : str
        The candidate. Instances of subclasses of ``str`` are accepted.

    Raises
    ------
    InvalidKeyError
        If `key` is not a ``str``, is empty, is longer than 1024 UTF-8 bytes, or contains NUL or a
        lone surrogate.
    """
    if type(key) is str and key.isascii() and 0 < len(key) <= MAX_KEY_BYTES and "\0" not in key:
        return
    complaint = _complaint(key)
    if complaint is not None:
        raise InvalidKeyError(
            f"{_shortener.repr(key)} is not a legal key: {complaint}; {_LEGAL}",
            key=key if isinstance(key, str) else None,
        )


def check_prefix(prefix: Any) -> None:
    """Return if `prefix` could begin a key, or is empty; raise if not.

    Parameters
    ----------
    prefix : str
        The candidate, of any length: one that is longer than any key merely begins none.

    Raises
    ------
    TypeError
        If `prefix` is not a ``str``.
    InvalidKeyError
        If `prefix` contains NUL or a lone surrogate.
    """
    if not isinstance(prefix, str):
        raise TypeError(f"a prefix of keys is a str, not {type(prefix).__name__}")
    if prefix.isascii() and "\0" not in prefix:
        return
    complaint = _bad_characters(prefix)
    if complaint is not None:
        raise InvalidKeyError(f"{_shortener.repr(prefix)} begins no legal key: {complaint}")


def prefix_end(prefix: str) -> str | None:
    """Return the least string greater than every string that begins with `prefix`.

    The keys that begin with `prefix` are those with ``prefix <= key < prefix_end(prefix)``, which
    is how an ordered engine finds them.

    Parameters
    ----------
    prefix : str
        See `check_prefix`.

    Returns
    -------
    str or None
        The end, exclusive, in code point order and always encodable; None where there is no end
        (`prefix` is empty, or all of it is the last code point).
    """
    head = prefix.rstrip(chr(sys.maxunicode))
    if not head:
        return None
    following = ord(head[-1]) + 1
    if following == _SURROGATES_BEGIN:
        # No legal string contains a surrogate, so nothing lies between here and there.
        following = _SURROGATES_END
    return head[:-1] + chr(following)


def _complaint(key: object) -> str | None:
    if not isinstance(key, str):
        return f"it is of type {type(key).__name__}"
    if not key:
        return "it is empty"
    complaint = _bad_characters(key)
    if complaint is not None:
        return complaint
    size = len(key.encode())
    return f"it has {size} bytes" if size > MAX_KEY_BYTES else None


def _bad_characters(text: str) -> str | None:
    if "\0" in text:
        return "it contains NUL"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"it has a lone surrogate at position {error.start}"
    return None
