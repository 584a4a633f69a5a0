"""A configuration as it was written: read from YAML, TOML or JSON, or given as a mapping.

What comes out is the same whatever the format: mappings with names, lists, text, numbers, true and
false. A document knows where its parts stand, so that every complaint can name the place. Files are
not trusted: size, depth and number of values are limited, and nothing in one makes an object. The
rest of ``config`` imports this module.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from encore.errors import ConfigError

__all__ = ["MAX_DEPTH", "Document", "Place", "place_text", "read_document"]

#: Limits of a file, in bytes, levels and values: far beyond what people write, and harmless.
MAX_BYTES = 65536
MAX_DEPTH = 50
MAX_VALUES = 5000

SUFFIXES = (".yaml", ".yml", ".toml", ".json")

#: The names and positions that lead to a part of a document.
Place = tuple[str | int, ...]

_PLAIN_NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration, not yet understood.

    Attributes
    ----------
    content : dict
    path : str or None
        The file, as it was named; None for a mapping.
    lines : dict
        For some places the line of the file, counted from 1.
    """

    content: dict[str, Any] = field(repr=False)
    path: str | None = None
    lines: Mapping[Place, int] = field(default_factory=dict, repr=False)

    @property
    def folder(self) -> str | None:
        """Where relative paths begin; None: in the current directory."""
        return None if self.path is None else os.path.dirname(os.path.abspath(self.path))

    def error(self, place: Place, problem: str) -> ConfigError:
        """Return the error that says what is wrong, and where."""
        where = [] if self.path is None else [self.path]
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                where.append(f"line {self.lines[place[:length]]}")
                break
        if place:
            where.append(place_text(place))
        return ConfigError(f"{', '.join(where)}: {problem}" if where else problem)


def place_text(place: Place) -> str:
    """Return ``stores.cache.base[0]``."""
    text = ""
    for part in place:
        if isinstance(part, str) and _PLAIN_NAME.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{part!r}]"
    return text


def read_document(source: str | os.PathLike[str] | Mapping[str, Any]) -> Document:
    """Read a configuration.

    Raises
    ------
    ConfigError
        The file is not there, is too large, or is not what its name says.
    """
    if isinstance(source, Mapping):
        document = Document({})
        return Document(_checked(source, document, (), _Count(), from_file=False))
    path = os.path.expanduser(os.fspath(source))
    if not isinstance(path, str):
        raise ConfigError(f"a configuration is a path or a mapping, not {type(path).__name__}")
    text = _read_text(path)
    content, lines = _parse(path, text)
    document = Document({}, path, lines)
    if content is None:
        raise document.error((), "there is nothing in the file; it wants 'main' and 'stores'")
    if not isinstance(content, dict):
        raise document.error((), "the file is no mapping; it wants 'main' and 'stores'")
    return Document(_checked(content, document, (), _Count(), from_file=True), path, lines)


def _read_text(path: str) -> str:
    if not path.lower().endswith(SUFFIXES):
        raise ConfigError(
            f"{path}: the name of a configuration ends in {', '.join(SUFFIXES[:-1])} or "
            f"{SUFFIXES[-1]}, which says how to read it"
        )
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: the configuration cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: the file is larger than {MAX_BYTES:,} bytes, the limit")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: the file is not UTF-8") from None


def _parse(path: str, text: str) -> tuple[Any, dict[Place, int]]:
    suffix = Path(path).suffix.lower()
    try:
        if suffix == ".json":
            return _parse_json(path, text), {}
        if suffix == ".toml":
            import tomllib

            # Python 3.11 to 3.13 alike say "(at line 3, column 5)", and quote no values.
            return tomllib.loads(text), {}
        from encore.config.yaml_documents import parse_yaml

        return parse_yaml(path, text)
    except RecursionError:
        raise ConfigError(f"{path}: the values are nested too deep") from None
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{path}: the file is no {suffix[1:].upper()}: {error}") from None


def _parse_json(path: str, text: str) -> Any:
    if not text.strip():
        return None

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise ConfigError(f"{path}: {name!r} is there twice in the same mapping")
            found[name] = value
        return found

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}, line {error.lineno}, column {error.colno}: the file is no JSON: {error.msg}"
        ) from None


class _Count:
    """How many values there have been."""

    def __init__(self) -> None:
        self.values = 0


def _checked(
    value: Any, document: Document, place: Place, count: _Count, *, from_file: bool
) -> Any:
    """Return a copy that consists of what a configuration may consist of."""
    count.values += 1
    if len(place) > MAX_DEPTH or count.values > MAX_VALUES:
        raise document.error(
            place[:3], f"there are more than {MAX_VALUES:,} values here, or {MAX_DEPTH} levels"
        )
    if isinstance(value, Mapping):
        found = {}
        for name, part in value.items():
            if not isinstance(name, str):
                raise document.error(place, f"a name is text, and one here is {name!r}")
            found[name] = _checked(part, document, (*place, name), count, from_file=from_file)
        return found
    if isinstance(value, list | tuple):
        return [
            _checked(part, document, (*place, index), count, from_file=from_file)
            for index, part in enumerate(value)
        ]
    if from_file and not (value is None or isinstance(value, str | int | float)):
        raise document.error(
            place, f"a {type(value).__name__} has no place in a configuration; write it as text"
        )
    return value
