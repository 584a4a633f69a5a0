"""A lock for writers that knows who holds it.

Staged stores import this module.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from encore.errors import LockTimeoutError

# How often a waiter looks whether the holder is still alive, in seconds.
_LOOK_SECONDS = 0.25


def held_message(what: str, holder: str, seconds: float, timeout: float) -> str:
    """Say who is in the way, and what can be done."""
    return (
        f"{what} is being written by {holder}, which has held it for {seconds:.1f} s; gave up "
        f"after {timeout:g} s. Try again, or give the transaction a longer timeout"
    )


class WriterLock:
    """Exclusive access for one writing thread, with a time limit and a name.

    Parameters
    ----------
    what : str
        What is locked, for messages.
    on_abandoned : callable
        Called without arguments when the holding thread has died, before the lock goes to
        somebody else: undo what it left.

    Attributes
    ----------
    lock : threading.Lock
        For writes so short that nobody needs to know who makes them.

    Notes
    -----
    *Threads*: that is what it is for. Not reentrant: a thread that asks again while it holds the
    lock (another asyncio task of it) is refused at once, since waiting could not help.
    """

    def __init__(self, what: str, on_abandoned: Callable[[], None]) -> None:
        self._what = what
        self._on_abandoned = on_abandoned
        self.lock = threading.Lock()
        self._holder: threading.Thread | None = None
        self._since = 0.0

    def acquire(self, timeout: float) -> None:
        """Take the lock.

        Parameters
        ----------
        timeout : float
            Seconds to wait at most.

        Raises
        ------
        LockTimeoutError
            Somebody else held it all the time.
        """
        if not self.lock.acquire(blocking=False):
            self._wait(timeout)
        self._holder = threading.current_thread()
        self._since = time.monotonic()

    def release(self) -> None:
        """Give the lock back."""
        self._holder = None
        self.lock.release()

    def _wait(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while True:
            holder = self._holder
            left = deadline - time.monotonic()
            if holder is threading.current_thread():
                left = 0
            elif holder is not None and not holder.is_alive() and self._holder is holder:
                self._on_abandoned()
                self._holder = threading.current_thread()
                return
            if left <= 0:
                break
            if self.lock.acquire(timeout=min(left, _LOOK_SECONDS)):
                return
        name = "a single write" if holder is None else f"thread {holder.name!r}"
        raise LockTimeoutError(
            held_message(self._what, name, time.monotonic() - self._since, timeout)
        )
