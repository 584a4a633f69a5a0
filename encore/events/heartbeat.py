"""An event at regular intervals, for what must be looked at again and again.

The schedule is fixed by the first beat: a beat that comes late does not delay the next. Anybody
may import this module.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from encore.events.abstract_event_manager import BaseEvent, BaseEventManager
from encore.events.package_globals import get_event_manager


class HeartbeatEvent(BaseEvent):
    """Another interval has passed.

    Parameters
    ----------
    source : Heartbeat
    frame : int
        Intervals passed since the start, from 1; jumps where beats were skipped.
    interval : float
        Seconds.
    """

    def __init__(self, source: Any, frame: int, interval: float) -> None:
        super().__init__(source)
        self.frame = frame
        self.interval = interval


class Heartbeat:
    """Emits a `HeartbeatEvent` every ``interval`` seconds from a daemon thread until stopped.

    Parameters
    ----------
    interval : float, optional
        Seconds between beats.
    event_manager : BaseEventManager, optional
        The process-wide one by default.
    clock : callable, optional
        Monotonic seconds.

    Notes
    -----
    *Threads*: listeners run in the thread of the heartbeat. `start` and `stop` may be called from
    any thread, `stop` from a listener too.
    """

    def __init__(
        self,
        interval: float = 1.0,
        event_manager: BaseEventManager | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not interval > 0:
            raise ValueError(f"the interval of a heartbeat must be above 0 seconds, not {interval}")
        self.interval = interval
        self.event_manager = get_event_manager() if event_manager is None else event_manager
        self._clock = clock
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    @property
    def is_running(self) -> bool:
        """Whether beats are to be expected."""
        return self._thread is not None

    def start(self) -> None:
        """Begin to beat, one interval from now; nothing happens if it does already."""
        with self._lock:
            if self._thread is None:
                # One event per run, so that a stop never ends the run after it.
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop,), name="encore-heartbeat", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """Beat no more; waits for listeners that are being called, unless called by one."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def __enter__(self) -> Heartbeat:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self, stop: threading.Event) -> None:
        start = self._clock()
        frame = 0
        while True:
            frame = next_frame(frame, self.interval, self._clock() - start)
            if stop.wait(max(0.0, start + frame * self.interval - self._clock())):
                return
            if self.event_manager.wants(HeartbeatEvent, self):
                self.event_manager.emit(HeartbeatEvent(self, frame, self.interval))


def next_frame(frame: int, interval: float, elapsed: float) -> int:
    """The beat to wait for after ``frame``: the next one, or the last that is due already.

    Beats missed because a listener took long are skipped, not sent in a burst.

    Parameters
    ----------
    frame : int
        The last beat.
    interval, elapsed : float
        Seconds between beats, and since the start.
    """
    return max(frame + 1, int(elapsed / interval))
