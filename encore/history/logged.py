"""Records of a log as they are read: whoever gave us the store may have written them.

Checksums tell damage, not malice, so what a record says is looked at before anybody acts on it.
Only ``journal`` imports this module.
"""

from __future__ import annotations

import json
from typing import Any

from encore.errors import CorruptValueError
from encore.keys.rules import check_key
from encore.storage.metadata import decode_metadata


def decoded(record: bytes) -> dict[str, Any]:
    """Return what a record says; see ``journal`` for the form.

    Raises
    ------
    CorruptValueError
        It makes no sense.
    """
    try:
        found: dict[str, Any] = json.loads(record)
        _check(found)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise CorruptValueError(
            "the log of the history is damaged: a record makes no sense; move the history away "
            "(in a directory, .encore/history) to begin a new one"
        ) from error
    return found


def _check(found: dict[str, Any]) -> None:
    _number(found.get("format", 1))
    for summary in found.get("put", ()):
        step, time, label, verb, origin, meta, merge_key, count, size = summary
        _number(step, count, size)
        _time(time)
        _text(label, verb)
        _text_or_none(origin, merge_key)
        meta.items()
    for step in found.get("drop", ()):
        _number(step)
    if "state" in found:
        undone, base, saved, *others = found["state"]
        _number(undone, base, 0 if saved is None else saved, *others)
    for number, images in found.get("images", {}).items():
        int(number)
        for key, image in images.items():
            check_key(key)
            if image is not None:
                _check_image(*image)
    for key, (before, after) in found.get("changed", {}).items():
        check_key(key)
        _text_or_none(before, after)


def _check_image(expect: Any, held: Any, skipped: Any, *record: Any) -> None:
    _text_or_none(expect)
    _number(held, skipped)
    if record:
        kept, text, size, created, modified, token = record
        _text(kept, text, token)
        decode_metadata(text)
        _number(size)
        _time(created)
        _time(modified)


def _number(*values: Any) -> None:
    for value in values:
        if not isinstance(value, int) or not 0 <= value < 1 << 63:
            raise ValueError("this is no number of a step, of keys or of bytes")


def _time(value: Any) -> None:
    if not isinstance(value, float | int):
        raise TypeError("this is no time")


def _text(*values: Any) -> None:
    for value in values:
        if not isinstance(value, str):
            raise TypeError("this is no text")


def _text_or_none(*values: Any) -> None:
    _text(*(value for value in values if value is not None))
