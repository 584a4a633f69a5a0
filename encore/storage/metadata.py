"""Metadata: JSON objects kept as text, and what it means for one to match a query.

Metadata travels through encore as compact JSON text. Encoding once at the door proves that it is
JSON, copies it, and makes it immutable; decoding on demand hands out a copy that the caller may
change. Everybody in ``storage`` may import this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from encore.errors import CorruptValueError

EMPTY = "{}"

# One encoder for the process: ``json.dumps`` with options builds a new one at each call.
# The cycle check stays on: it is what turns a metadata dictionary that contains itself into an
# error rather than a crash of the C encoder.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_decode = json.JSONDecoder().decode
_SCALARS = frozenset((str, int, float, bool, type(None)))


def encode_metadata(metadata: Mapping[str, Any] | None) -> str:
    """Turn a metadata dictionary into canonical JSON text.

    Parameters
    ----------
    metadata : mapping of str to JSON, or None
        None means no metadata: ``{}``.

    Returns
    -------
    str
        Compact JSON, fields in the order given.

    Raises
    ------
    TypeError
        The metadata is not a JSON object: another type, a name that is no ``str``, NaN, a
        lone surrogate, a value that JSON does not know.
    """
    if metadata is None:
        return EMPTY
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a dictionary, not {type(metadata).__name__}")
    if not metadata:
        return EMPTY
    try:
        for name, value in metadata.items():
            if type(name) is not str or type(value) not in _SCALARS:
                _check_names(metadata)
                break
        text = _encode(metadata if type(metadata) is dict else dict(metadata))
        if not text.isascii():
            text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"metadata must be JSON: {error}") from error
    return text


def _check_names(node: Any) -> None:
    """Refuse names that ``json`` would turn into strings behind the caller's back."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            if not isinstance(name, str):
                raise TypeError(f"the name {name!r} is not a str")
            _check_names(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _check_names(value)


def decode_metadata(text: str) -> dict[str, Any]:
    """Return a new dictionary for text that `encode_metadata` made.

    Raises
    ------
    CorruptValueError
        It is something else: the text was damaged, or another program wrote it.
    """
    if text == EMPTY:
        return {}
    try:
        found = _decode(text)
    except (ValueError, RecursionError) as error:
        raise CorruptValueError(f"the metadata is damaged: it is no JSON ({error})") from error
    if type(found) is not dict:
        raise CorruptValueError("the metadata is damaged: it is no JSON object")
    return found


def merge_metadata(text: str, update: Mapping[str, Any]) -> str:
    """Return the text of the metadata with the fields of ``update`` put over it."""
    encoded = encode_metadata(update)
    if text == EMPTY:
        return encoded
    return _encode(decode_metadata(text) | decode_metadata(encoded))


def select_metadata(metadata: dict[str, Any], select: Any) -> dict[str, Any]:
    """Return only the fields named in ``select`` that are there; all of them for None."""
    if select is None:
        return metadata
    return {name: metadata[name] for name in select if name in metadata}


def same_json(a: Any, b: Any) -> bool:
    """Whether two decoded JSON values are equal, types distinguished as JSON does.

    ``1`` equals ``1.0`` (both are numbers), ``True`` does not equal ``1``.
    """
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)):
        return isinstance(b, (int, float)) and a == b
    if isinstance(a, dict):
        return (
            isinstance(b, dict)
            and a.keys() == b.keys()
            and all(same_json(value, b[name]) for name, value in a.items())
        )
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same_json, a, b))
    return type(a) is type(b) and bool(a == b)


def as_json(value: Any) -> Any:
    """Return ``value`` as it would come back from metadata; TypeError if it is not JSON."""
    return decode_metadata(encode_metadata({"": value}))[""]


def matches(metadata: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """Whether every field of ``where`` is there and has the same JSON value."""
    return all(
        name in metadata and same_json(metadata[name], value) for name, value in where.items()
    )
