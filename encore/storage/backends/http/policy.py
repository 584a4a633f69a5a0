"""How patient a store is: time limits, repetitions, and how much is taken on trust.

Immutable values that are passed in. The other modules of this package import it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Patience", "Retries"]

Timeout = float | tuple[float, float]

#: Answers that may be another one a little later.
_PASSING = frozenset((429, 500, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a request that changes nothing when it is repeated is repeated.

    Parameters
    ----------
    times : int, optional
        Repetitions after the first attempt.
    first_seconds : float, optional
        The longest wait before the first repetition; it doubles with each. How long it is
        within that is left to chance, so that many clients do not come back together.
    most_seconds : float, optional
        No wait is longer, whatever the server asks for.
    sleep : callable, optional
        Waits for so many seconds.
    """

    times: int = 2
    first_seconds: float = 0.2
    most_seconds: float = 5.0
    sleep: Callable[[float], object] = time.sleep

    def __post_init__(self) -> None:
        if self.times < 0:
            raise ValueError(f"a request is repeated 0 times or more, not {self.times}")

    @classmethod
    def of(cls, retries: int | Retries) -> Retries:
        """What a caller may give: a policy, or how often."""
        return retries if isinstance(retries, Retries) else cls(retries)

    def is_passing(self, status: int) -> bool:
        """Whether an answer is worth another attempt."""
        return status in _PASSING

    def wait(self, attempt: int, asked_seconds: float | None) -> None:
        """Wait before the repetition that follows ``attempt``, counted from 0."""
        longest = min(self.first_seconds * 2**attempt, self.most_seconds)
        seconds = random.uniform(longest / 2, longest)
        if asked_seconds is not None:
            seconds = min(max(seconds, asked_seconds), self.most_seconds)
        self.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Patience:
    """What a client puts up with.

    Parameters
    ----------
    timeout : float or (float, float), optional
        Seconds to wait for a connection, and for the next bytes on it.
    retries : Retries, optional
    max_redirects : int, optional
        How many redirects are followed in a row.
    spool_limit : int, optional
        Bytes: the most that is taken of a body whose length is not announced, or which the server
        has compressed.
    """

    timeout: Timeout = (10.0, 30.0)
    retries: Retries = Retries()
    max_redirects: int = 5
    spool_limit: int = 1 << 30

    def __post_init__(self) -> None:
        both = self.timeout if isinstance(self.timeout, tuple) else (self.timeout, self.timeout)
        if len(both) != 2 or not all(seconds > 0 for seconds in both):
            raise ValueError(
                "a timeout is a number of seconds above 0, or two of them: to connect, to read"
            )
        if self.max_redirects < 0 or self.spool_limit < 0:
            raise ValueError("max_redirects and spool_limit are 0 or more")

    @property
    def timeouts(self) -> tuple[float, float]:
        """Seconds to connect, and to read."""
        return self.timeout if isinstance(self.timeout, tuple) else (self.timeout, self.timeout)
