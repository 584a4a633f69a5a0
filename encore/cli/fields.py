"""``NAME=VALUE``: fields of metadata on the command line.

A value is JSON if it reads as JSON, and text otherwise: ``n=3`` is a number, ``n='"3"'`` and
``n=three`` are strings. What `format_field` writes, `parse_fields` reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from encore.cli.arguments import UsageError
from encore.cli.output import printable
from encore.storage.metadata import encode_metadata


def parse_fields(texts: Iterable[str]) -> dict[str, Any]:
    """Return a metadata dictionary; the last value of a name counts.

    Raises
    ------
    UsageError
        A text is no ``NAME=VALUE``, or the value has no place in metadata.
    """
    fields = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{text!r} is not NAME=VALUE")
        fields[name] = _parse_value(value)
    try:
        encode_metadata(fields)
    except TypeError as error:
        raise UsageError(str(error)) from error
    return fields


def format_field(name: str, value: Any) -> str:
    """Return ``NAME=VALUE`` on one line."""
    if isinstance(value, str) and value.isprintable() and _parse_value(value) is value:
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False)
        text = "".join(char if char.isprintable() else _json_escape(char) for char in text)
    return f"{printable(name)}={text}"


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")  # nor a number here: NaN is a name
