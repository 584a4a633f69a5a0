"""Dates as zip has them: local time in steps of two seconds, and exact ones in an extra field.

Only this subpackage imports this module.
"""

from __future__ import annotations

import time
from functools import lru_cache

from encore.storage.backends.zip.headers import MOST16, fields, pack_field

_UNIX_TIME = b"UT"


@lru_cache(maxsize=16)  # many entries are written within a second
def to_stamp(seconds: int) -> int:
    """The local time as DOS has it: from 1980 to 2107, in steps of two seconds."""
    try:
        year, month, day, hour, minute, second, *_ = time.localtime(seconds)
    except (OverflowError, ValueError, OSError):
        year = 0
    if not 1980 <= year <= 2107:
        return 0x210000  # the first day there is
    return (year - 1980) << 25 | month << 21 | day << 16 | hour << 11 | minute << 5 | second // 2


def from_stamp(stamp: int, extra: bytes) -> float:
    """Seconds since the epoch; exact where an extra field of Info-ZIP has them."""
    for kind, field in fields(extra):
        if kind == _UNIX_TIME and len(field) >= 5 and field[0] & 1:
            return float(int.from_bytes(field[1:5], "little", signed=True))
    date, clock = stamp >> 16, stamp & MOST16
    parts = (
        (date >> 9) + 1980, date >> 5 & 15, date & 31, clock >> 11, clock >> 5 & 63,
        (clock & 31) * 2, 0, 0, -1,
    )  # fmt: skip
    try:
        return time.mktime(parts)
    except (OverflowError, ValueError):
        return 0.0


@lru_cache(maxsize=16)
def time_field(seconds: int) -> bytes:
    """The extra field with the time in UTC; empty where it has no room for it."""
    if not -(1 << 31) <= seconds < 1 << 31:
        return b""
    return pack_field(_UNIX_TIME, b"\1" + seconds.to_bytes(4, "little", signed=True))
