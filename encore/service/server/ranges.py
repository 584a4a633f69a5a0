"""Which part of an object a ``Range`` header asks for. Pure; ``objects`` imports it."""

from __future__ import annotations

import re

from encore.service.server.exchange import Refused

__all__ = ["wanted_range"]

_ONE = re.compile(r"\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII)


def wanted_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the bytes that are asked for, the end exclusive; None for all of them.

    Several ranges in one request are answered with the whole, as RFC 9110 allows.

    Raises
    ------
    Refused
        It is no range of bytes (400), or none that the object has (416).
    """
    if header is None:
        return None
    unit, equals, ranges = header.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        raise Refused(400, "a Range is like bytes=0-99")
    if "," in ranges:
        return None
    found = _ONE.fullmatch(ranges)
    if found is None or not (found[1] or found[2]):
        raise Refused(400, "a Range is like bytes=0-99, bytes=100- or bytes=-100")
    if found[1]:
        start, end = int(found[1]), int(found[2]) + 1 if found[2] else size
        if end <= start and found[2]:
            raise Refused(400, "a Range ends where it begins or later")
        end = min(end, size)
    else:
        start, end = max(size - int(found[2]), 0), size
    if start >= end:
        raise Refused(416, headers=[("content-range", f"bytes */{size}")])
    return start, end
