"""What may be shown of a configuration: neither secrets nor what came from variables.

A secret is told by the name of its parameter. The modules that build and describe stores import
this one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from encore.config.variables import Substituted

__all__ = ["MASK", "hide_login", "is_secret_name", "quoted", "repeats", "secrets_in", "shown"]

MASK = "***"

_SECRET_NAME = re.compile(
    r"secret|passw|passphrase|pwd|token|credential|authorization|cookie|signature|private"
    r"|^(?:auth|users?|headers|login|pin|key)$|(?:^|_)(?:api|access|account|encryption|signing|shared)"
    r"_?key|_key$",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"(?<=//)[^/@\s]*@")
_QUERY = re.compile(r"\?.*", re.DOTALL)

# Shorter words are in every message.
_TELLING = 4


def is_secret_name(name: str) -> bool:
    """Whether what has this name is to be hidden."""
    return _SECRET_NAME.search(name.replace("-", "_")) is not None


def hide_login(text: str) -> str:
    """Return an address or URL without user, password and query."""
    if "//" not in text and ":" not in text:
        return text
    return _QUERY.sub(f"?{MASK}", _LOGIN.sub(f"{MASK}@", text))


def shown(name: str, value: Any) -> Any:
    """Return what may be shown of a parameter: JSON, as the configuration has it."""
    if is_secret_name(name) and not (value is None or isinstance(value, bool)):
        return MASK
    if isinstance(value, Substituted):
        return hide_login(value.written)
    if isinstance(value, str):
        return hide_login(value) if "://" in value else value
    if isinstance(value, dict):
        return {inner: shown(inner, part) for inner, part in value.items()}
    if isinstance(value, list):
        return [shown("", part) for part in value]
    if value is None or isinstance(value, int | float):
        return value
    return f"<{type(value).__name__}>"


def quoted(value: Any) -> str:
    """Return a text of the configuration for a message: in quotes, and never from a variable."""
    return repr(hide_login(value.written if isinstance(value, Substituted) else str(value)))


def secrets_in(name: str, value: Any) -> Iterator[str]:
    """Yield what no message may repeat of a parameter."""
    if isinstance(value, Substituted):
        yield from value.values
        if is_secret_name(name):
            yield value.text
    elif isinstance(value, dict):
        for inner, part in value.items():
            yield from secrets_in(name if is_secret_name(name) else inner, part)
    elif isinstance(value, list):
        for part in value:
            yield from secrets_in(name, part)
    elif isinstance(value, bool):
        return
    elif is_secret_name(name) and isinstance(value, str | int | float):
        yield str(value)
    elif isinstance(value, str) and "://" in value:
        yield from (match[0][:-1] for match in _LOGIN.finditer(value))
        yield from (match[0][1:] for match in _QUERY.finditer(value))


def repeats(error: BaseException, secrets: Iterable[str]) -> bool:
    """Whether an exception, or one that it came from, says something of a secret."""
    text = "\n".join(_texts(error)).casefold()
    for secret in secrets:
        whole = secret.casefold()
        pieces = [piece for piece in re.split(r"[\W_]+", whole) if len(piece) >= _TELLING]
        if any(piece in text for piece in pieces):
            return True
        if whole.strip() and re.search(rf"(?<!\w){re.escape(whole)}(?!\w)", text):
            return True
    return False


def _texts(error: BaseException | None) -> Iterator[str]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield f"{found} {found!r} {' '.join(getattr(found, '__notes__', ()))}"
        waiting += [found.__cause__, found.__context__]
