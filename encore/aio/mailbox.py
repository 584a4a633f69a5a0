"""From threads to a loop: what has happened there is told here, many things at a time.

Waking a loop costs more than most reads of a store, so whoever comes while the loop is being woken
adds to what it will find. Only this room imports this module.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Mailbox:
    """Calls that threads want a loop to make.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop

    Notes
    -----
    *Threads*: `put` from any, everything else from that of the loop.
    """

    __slots__ = ("_calls", "_is_announced", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._calls: deque[Callable[[], object]] = deque()
        self._is_announced = False

    def put(self, call: Callable[[], object]) -> bool:
        """Have the loop make a call soon. False: the loop has been closed, and will not."""
        self._calls.append(call)
        # Whoever reads the flag before `_deliver` lowers it has appended before that, too, and is
        # found by the loop below.
        if not self._is_announced:
            self._is_announced = True
            try:
                self.loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                self._calls.clear()
                return False
        return True

    def _deliver(self) -> None:
        self._is_announced = False
        calls = self._calls
        while calls:
            calls.popleft()()
