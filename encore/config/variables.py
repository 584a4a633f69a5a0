"""``${NAME}`` and ``${NAME:-default}`` in the texts of a configuration.

What a variable held is never shown: a text that took something from one is a `Substituted`, which
prints as it is written in the file, and remembers what must not be repeated. The modules that build
stores import this one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from encore.config.documents import Document, Place

__all__ = ["Substituted", "plain", "substitute", "written"]

# A dollar that begins none of these is a dollar: regular expressions end in one.
_DOLLARS = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|(?P<odd>\{))"
)


@dataclass(frozen=True, slots=True, repr=False)
class Substituted:
    """A text that took something from variables.

    Attributes
    ----------
    written : str
        As it stands in the configuration.
    text : str
        What it became.
    values : tuple of str
        What was taken from variables.
    """

    written: str
    text: str
    values: tuple[str, ...]

    def __repr__(self) -> str:
        return repr(self.written)


def substitute(value: Any, document: Document, place: Place, environ: Mapping[str, str]) -> Any:
    """Return the value with variables put in, in mappings and lists too; names stay as they are.

    Raises
    ------
    ConfigError
        A variable is not set and has no default, or ``${`` begins nothing that is understood.
    """
    if isinstance(value, dict):
        return {
            name: substitute(part, document, (*place, name), environ)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [
            substitute(part, document, (*place, index), environ) for index, part in enumerate(value)
        ]
    if not isinstance(value, str) or "$" not in value:
        return value
    taken: list[str] = []

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        if match["dollar"]:
            return "$"
        if name is None:
            raise document.error(
                place,
                "'${' begins the name of a variable here: ${NAME} or ${NAME:-default}; "
                "'$${' is how the characters themselves are written",
            )
        if name in environ:  # an empty variable is set
            taken.append(environ[name])
            return environ[name]
        if match["default"] is None:
            raise document.error(
                place,
                f"the environment variable {name!r} is not set; set it, or give a default: "
                f"${{{name}:-default}}",
            )
        return match["default"]

    text = _DOLLARS.sub(replace, value)
    return Substituted(value, text, tuple(taken)) if "${" in value else text


def plain(value: Any) -> Any:
    """Return the value with every `Substituted` as the text it became."""
    if isinstance(value, Substituted):
        return value.text
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value


def written(value: Any) -> Any:
    """Return the value as the configuration has it."""
    return value.written if isinstance(value, Substituted) else value
