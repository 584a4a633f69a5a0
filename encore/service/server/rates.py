"""How many requests a client has a second: a bucket for each, which fills as time passes.

``application`` asks it before anything else is done.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from encore.service.server.exchange import Request

__all__ = ["Rates"]

_MOST_CLIENTS = 10_000


class Rates:
    """Counts requests by the address they come from: tokens have not been looked at yet.

    Parameters
    ----------
    rate : float
        Requests a second; a second's worth may come at once.
    clock : callable, optional
        Seconds, monotonic.

    Notes
    -----
    *Threads*: one.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._most = max(rate, 1.0)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, request: Request) -> float:
        """Count a request; return 0, or after how many seconds the client may come again."""
        who, now = request.peer, self._clock()
        left, then = self._left.pop(who, (self._most, now))
        left = min(self._most, left + (now - then) * self._rate)
        wait = 0.0 if left >= 1 else (1 - left) / self._rate
        self._left[who] = (left - 1 if left >= 1 else left), now
        if len(self._left) > _MOST_CLIENTS:
            self._left.popitem(last=False)
        return wait
