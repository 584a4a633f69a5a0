"""What callers of a session say, as the service wants to have it said. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from encore.service.durations import format_duration

__all__ = ["end_of", "named"]


def end_of(
    at: datetime | None, from_creation: timedelta | None, from_now: timedelta | None
) -> dict[str, str]:
    """Return the new end of a life; ValueError unless it is said in exactly one way."""
    if sum(one is not None for one in (at, from_creation, from_now)) != 1:
        raise ValueError("give one of at, from_creation and from_now")
    if at is not None:
        if at.tzinfo is None:
            raise ValueError("at has a time zone: datetime(..., tzinfo=UTC)")
        return {"at": at.isoformat()}
    duration = from_now if from_creation is None else from_creation
    assert duration is not None
    if duration.total_seconds() < 1:
        raise ValueError("an object lives for a second or longer")
    text = format_duration(duration.total_seconds())
    return {"after": text, "from": "now" if from_creation is None else "creation"}


def named(key: str) -> str:
    """Return a key; ValueError if it is empty."""
    if not key:
        raise ValueError("an object has a key, and not an empty one")
    return key
