"""JSON that a server sent: judged before it is believed.

The stores of this package import this module.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from encore.errors import InvalidKeyError
from encore.keys.rules import check_key
from encore.storage.metadata import encode_metadata

__all__ = ["BadDocument", "as_key", "as_metadata", "as_number", "as_size", "lines_of", "parse_json"]

#: Bytes: the longest line that is read, which is the longest record.
MOST_BYTES = 1 << 26


class BadDocument(ValueError):  # noqa: N818  reads better in its place
    """A document is not what it should be. The message does not repeat it."""


def parse_json(text: bytes) -> Any:
    """Decode a document: UTF-8, no name twice in an object, numbers that JSON knows."""
    try:
        return json.loads(text.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except BadDocument:
        raise
    except (ValueError, RecursionError) as error:
        raise BadDocument("it is not JSON") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadDocument("a name stands twice in an object")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise BadDocument("it has a number that JSON does not know")


def as_key(key: Any) -> str:
    """Return a key, or raise."""
    try:
        check_key(key)
    except InvalidKeyError as error:
        raise BadDocument("it names something that is no key") from error
    return key  # type: ignore[no-any-return]


def as_metadata(metadata: Any) -> str:
    """Return metadata as text, or raise."""
    if not isinstance(metadata, dict):
        raise BadDocument("the metadata of a key is no JSON object")
    try:
        return encode_metadata(metadata)
    except TypeError as error:
        raise BadDocument("the metadata of a key is no JSON object") from error


def as_size(size: Any) -> int:
    """Return a number of bytes, or raise."""
    if type(size) is not int or size < 0:
        raise BadDocument("a size is a number of bytes")
    return size


def as_number(seconds: Any) -> float:
    """Return seconds, or raise."""
    if type(seconds) not in (int, float) or not math.isfinite(seconds):
        raise BadDocument("a time is a number of seconds")
    return float(seconds)


def as_text(text: Any) -> str:
    """Return a text, or raise."""
    if not isinstance(text, str):
        raise BadDocument("a token is a string")
    return text


def lines_of(chunks: Iterable[bytes], count: int | None = None) -> Iterator[bytes]:
    """Cut chunks into lines, without their ends.

    Parameters
    ----------
    chunks : iterable of bytes
    count : int, optional
        So many lines at most; then, as the last item, what has been read of the rest. If there
        are fewer, the last item is the last of them, or is empty.

    Raises
    ------
    BadDocument
        A line is longer than any that is meant.
    """
    left = iter(chunks)
    pieces: list[bytes] = []
    size = 0
    for chunk in left:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0 and count != 0:
            yield b"".join((*pieces, chunk[start:end]))
            pieces, size, start = [], 0, end + 1
            count = None if count is None else count - 1
        pieces.append(chunk[start:])
        if count == 0:
            break
        size += len(pieces[-1])
        if size > MOST_BYTES:
            raise BadDocument("a record is longer than any that is meant")
    if count is not None or any(pieces):
        yield b"".join(pieces)
