"""How much a history keeps. ``recorder`` and those above it import this module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from encore.history.steps import Summary


@dataclass(slots=True)
class Policy:
    """How much is kept, and what is merged.

    Attributes
    ----------
    max_steps, max_bytes : int or None
    max_age : float or None
        Seconds.
    merge_seconds : float
    clock : callable
        Returns seconds since the epoch.
    """

    max_steps: int | None
    max_bytes: int | None
    max_age: float | None
    merge_seconds: float
    clock: Callable[[], float]

    @property
    def is_simple(self) -> bool:
        """Whether steps go by their number only."""
        return self.max_bytes is None and self.max_age is None

    def one_more(self, count: int) -> int:
        """How many of ``count`` steps go for one more, where they go by their number only.

        There may be a few more than are to be: dropping one at a time costs as much as recording.
        """
        if self.max_steps is None:
            return 0
        over = count - self.max_steps
        return 0 if over < self.max_steps // 4 else over + 1

    def superfluous(self, steps: Sequence[Summary]) -> list[int]:
        """The ids of the oldest steps that are more than is to be kept."""
        count = len(steps)
        if self.is_simple and not self.one_more(count - 1):
            return []
        size = 0 if self.max_bytes is None else sum(step.size for step in steps)
        oldest = None if self.max_age is None else self.clock() - self.max_age
        gone = []
        for step in steps:
            is_over = (
                (self.max_steps is not None and count > self.max_steps)
                or (self.max_bytes is not None and size > self.max_bytes)
                or (oldest is not None and step.time < oldest)
            )
            if not is_over:
                break
            gone.append(step.id)
            count, size = count - 1, size - step.size
        return gone
