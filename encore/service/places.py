"""Where an object is: a usecase, an ordered list of scopes, and a key.

Pure text, the same for client and server. A place has a prefix in the store that is served, made of
characters among which there is no slash but those between the parts, so that no key and no scope
can reach out of it. The other modules of this package import this one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

__all__ = ["Place", "check_usecase", "decode_piece", "encode_piece", "parse_scopes", "scopes_of"]

_USECASE = re.compile(r"[A-Za-z0-9_-]{3,64}")
_SCOPE = re.compile(r"[A-Za-z0-9_\-()$!+*']+")
_NO_SCOPES = "_"
# What RFC 3986 leaves alone in a path, but for the percent sign itself.
_AS_IT_IS = "/:@!$&'()*+,;="

Scopes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A usecase and scopes: what a session is bound to.

    Attributes
    ----------
    usecase : str
    scopes : tuple of (str, str)
        In an order that counts.
    """

    usecase: str
    scopes: Scopes = ()

    @property
    def scopes_text(self) -> str:
        """The scopes as paths have them: ``"org=1;project=2"``, and ``"_"`` for none."""
        return ";".join(f"{name}={value}" for name, value in self.scopes) or _NO_SCOPES

    @property
    def path(self) -> str:
        """The part of a path that names this place, as it goes over the wire."""
        return f"{self.usecase}/{encode_piece(self.scopes_text)}"

    @property
    def prefix(self) -> str:
        """What the keys of the objects here begin with in the store that is served."""
        return f"{self.usecase}/{self.scopes_text}/"


def check_usecase(name: str) -> str:
    """Return the name of a usecase; ValueError unless it is 3 to 64 letters, digits, ``_-``."""
    if not isinstance(name, str) or _USECASE.fullmatch(name) is None:
        raise ValueError(f"a usecase is 3 to 64 of A-Za-z0-9_-, not {name!r}")
    return name


def scopes_of(given: dict[str, object]) -> Scopes:
    """Return scopes that a program gave by name, their values as text.

    Raises
    ------
    ValueError
        A name or value is empty, or has a character other than ``A-Za-z0-9_-()$!+*'``.
    """
    found = []
    for name, value in given.items():
        text = "" if value is None else str(value)
        for part in (name, text):
            if _SCOPE.fullmatch(part) is None:
                raise ValueError(
                    f"names and values of scopes are of A-Za-z0-9_-()$!+*', and not {part!r}"
                )
        found.append((name, text))
    return tuple(found)


def parse_scopes(text: str) -> Scopes:
    """Return the scopes that a path names; ValueError if these are none."""
    if text == _NO_SCOPES:
        return ()
    found = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if not equals or name in found:
            raise ValueError("scopes are name=value;name=value, each name once, or _ for none")
        found[name] = value
    return scopes_of(dict(found))


def encode_piece(text: str) -> str:
    """Return a piece of a path as it goes over the wire."""
    return quote(text, safe=_AS_IT_IS)


def decode_piece(text: str) -> str:
    """Undo `encode_piece`, once; ValueError for what is no UTF-8."""
    return unquote_to_bytes(text).decode("utf-8")
