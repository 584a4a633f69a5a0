"""Durations, moments and policies of expiry, as headers have them.

A duration is written strictly, ``"400d 1m 30s"``: days, hours, minutes and seconds, parts that are
zero left out. More is understood: ``"2weeks"``, ``"90 s"``, ``"1day 12h"``. Pure; the other modules
of this package import this one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from encore.storage.wrappers.lifetimes import TimeToIdle, TimeToLive

__all__ = [
    "Policy",
    "format_duration",
    "format_moment",
    "format_policy",
    "parse_duration",
    "parse_moment",
    "parse_policy",
]

Policy = TimeToLive | TimeToIdle

_PARTS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_UNITS = {
    1e-9: "ns nsec nanos nanosecond nanoseconds",
    1e-6: "us usec micros microsecond microseconds",
    1e-3: "ms msec millis millisecond milliseconds",
    1: "s sec secs second seconds",
    60: "m min mins minute minutes",
    3600: "h hr hrs hour hours",
    86400: "d day days",
    7 * 86400: "w wk wks week weeks",
    30.44 * 86400: "M month months",
    365.25 * 86400: "y yr yrs year years",
}
_SECONDS = {name: seconds for seconds, names in _UNITS.items() for name in names.split()}
_PART = re.compile(r"\s*([0-9]{1,15})\s*([A-Za-z]+)\s*")
_MOST_SECONDS = 1000 * 365.25 * 86400
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def format_duration(seconds: float) -> str:
    """Write a duration, whole seconds of it: ``"1d 2h"``; ``"0s"`` for less than one."""
    left, found = int(seconds), []
    for unit, size in _PARTS:
        count, left = divmod(left, size)
        if count:
            found.append(f"{count}{unit}")
    return " ".join(found) or "0s"


def parse_duration(text: str) -> float:
    """Read a duration, in seconds.

    Raises
    ------
    ValueError
        It is none, is not longer than nothing, or is longer than a thousand years.
    """
    total, position = 0.0, 0
    while position < len(text) or not position:
        part = _PART.match(text, position)
        if part is None or part[2] not in _SECONDS:
            raise ValueError("a duration is like 1d 2h 30m 15s")
        total += int(part[1]) * _SECONDS[part[2]]
        position = part.end()
    if not 0 < total <= _MOST_SECONDS:
        raise ValueError("a duration is longer than nothing, and at most a thousand years")
    return total


def format_policy(policy: Policy | None) -> str | None:
    """Write a policy: ``"ttl:1d"``, ``"tti:30m"``; None for none.

    Raises
    ------
    ValueError
        It is shorter than a second, which is the shortest that headers can say.
    """
    if policy is None:
        return None
    if policy.seconds < 1:
        raise ValueError("what goes over the wire lives a second or longer")
    kind = "tti" if isinstance(policy, TimeToIdle) else "ttl"
    return f"{kind}:{format_duration(policy.seconds)}"


def parse_policy(text: str) -> Policy | None:
    """Read a policy; None for ``manual``, and ValueError for what is none."""
    text = text.strip()
    kind, colon, duration = text.partition(":")
    if text == "manual":
        return None
    if not colon or kind not in ("ttl", "tti"):
        raise ValueError("an expiration is manual, or like ttl:1d or tti:1d")
    return (TimeToLive if kind == "ttl" else TimeToIdle)(parse_duration(duration))


def format_moment(seconds: float) -> str:
    """Write a moment as RFC 3339 has it, in UTC, to the microsecond."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{moment.microsecond:06}Z"


def parse_moment(text: str) -> float:
    """Read a moment, with an offset; ValueError for what is none."""
    if _MOMENT.fullmatch(text) is None:
        raise ValueError("a moment is like 2030-01-01T00:00:00Z")
    return datetime.fromisoformat(text.upper()).timestamp()
