"""A thread that calls a method from time to time, and ends with the object or before.

``static`` imports this module.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

__all__ = ["Poller"]


class Poller:
    """Calls a bound method every ``seconds`` seconds from a daemon thread, until it is stopped.

    Unlike a heartbeat it is not waited for when it stops: a server that does not answer would hold
    up whoever closes. A call that is under way then has to see by itself that nobody wants it.

    Parameters
    ----------
    work : bound method
        Held weakly. It does not raise.
    seconds : float
        From the end of a call to the next one.
    """

    def __init__(self, work: Any, seconds: float) -> None:
        self._stop = threading.Event()
        found: weakref.WeakMethod[Any] = weakref.WeakMethod(work)
        weakref.finalize(work.__self__, self._stop.set)
        threading.Thread(
            target=_run, args=(found, self._stop, seconds), name="encore-poll", daemon=True
        ).start()

    def stop(self) -> None:
        """Have no more calls begin."""
        self._stop.set()


def _run(found: weakref.WeakMethod[Any], stop: threading.Event, seconds: float) -> None:
    while not stop.wait(seconds):
        work = found()
        if work is None:
            return
        work()
        del work  # not to be what keeps the object
