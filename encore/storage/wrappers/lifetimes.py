"""How long a key lives: the policies, and the moment that a policy sets.

Immutable objects that know no store. ``expiring`` imports this module; ``storage.api`` shows what
is public here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


def as_seconds(duration: float | timedelta) -> float:
    """A duration in seconds; ValueError unless it is a time to come."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"a duration is in seconds, or a timedelta, not {type(seconds).__name__}")
    if not 0 < seconds < math.inf:
        raise ValueError(f"a duration is longer than nothing and comes to an end, not {seconds}")
    return float(seconds)


@dataclass(frozen=True, slots=True, init=False)
class Lifetime:
    """What `TimeToLive` and `TimeToIdle` have in common."""

    seconds: float

    def __init__(self, seconds: float | timedelta) -> None:
        object.__setattr__(self, "seconds", as_seconds(seconds))


class TimeToLive(Lifetime):
    """So long after it was written a key is gone.

    Parameters
    ----------
    seconds : float or timedelta
    """

    __slots__ = ()


class TimeToIdle(Lifetime):
    """So long after it was last written or read a key is gone.

    Parameters
    ----------
    seconds : float or timedelta
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a key is gone, and why.

    Attributes
    ----------
    at : float
        Seconds since the epoch, UTC.
    policy : TimeToLive or TimeToIdle
    """

    at: float
    policy: TimeToLive | TimeToIdle

    @classmethod
    def of(cls, policy: TimeToLive | TimeToIdle, now: float) -> Expiry:
        """What a policy means for what is written now."""
        return cls(now + policy.seconds, policy)

    @property
    def is_idle(self) -> bool:
        """Whether use puts it off."""
        return isinstance(self.policy, TimeToIdle)

    def not_before(self, at: float) -> Expiry:
        """The same, or if it is later this moment."""
        return self if at <= self.at else Expiry(at, self.policy)

    def after_use(self, now: float) -> Expiry:
        """What becomes of it when the key is used."""
        return self.not_before(now + self.policy.seconds) if self.is_idle else self

    def as_json(self) -> dict[str, float]:
        """The form in which it is kept."""
        return {"at": self.at, "idle" if self.is_idle else "live": self.policy.seconds}

    @classmethod
    def from_json(cls, kept: Any) -> Expiry | None:
        """What `as_json` gave; None for anything else."""
        try:
            at = kept["at"]
            if "idle" in kept:
                policy: TimeToLive | TimeToIdle = TimeToIdle(kept["idle"])
            else:
                policy = TimeToLive(kept["live"])
        except (KeyError, TypeError, ValueError):
            return None
        return cls(at, policy) if isinstance(at, (int, float)) else None
