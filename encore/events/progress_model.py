"""What a progress bar shows, without the bar: for windows of any toolkit.

`ProgressModel` listens to progress events and remembers how far the operation has come; a widget
asks to be called when that changes, and looks. Anybody may import this module.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from encore.events.abstract_event_manager import BaseEventManager, Dispatch, Filter
from encore.events.connections import log_failure
from encore.events.package_globals import get_event_manager
from encore.events.progress_events import (
    ProgressEndEvent,
    ProgressEvent,
    ProgressStartEvent,
    ProgressStepEvent,
)

__all__ = ["ProgressModel"]


@dataclass(frozen=True, slots=True)
class _Shown:
    """One moment of an operation, replaced as a whole."""

    message: str = ""
    steps: int = -1
    step: int = 0
    event: ProgressEvent | None = None
    exit_state: str = ""


class ProgressModel:
    """The state of a progress bar.

    Of several operations that run at once the one that began first is shown, which is the whole
    where the others are its parts. Operations that began before the model are not.

    Parameters
    ----------
    event_manager : BaseEventManager, optional
        The process-wide one by default.
    filter : mapping, optional
        Which operations, as for `BaseEventManager.connect`: ``{"source": store}`` for those of a
        store, ``{"operation_id": manager.operation_id}`` for a single one. All by default.
    dispatch : callable, optional
        Brings events, and with them the calls of `on_change`, to the loop of a GUI; see
        `BaseEventManager.connect`.

    Notes
    -----
    The model stops listening when it is closed, or nobody holds it any more.

    *Threads*: everything may be used from any thread. Without ``dispatch``, `on_change` is called
    in the thread of the operation.
    """

    def __init__(
        self,
        event_manager: BaseEventManager | None = None,
        *,
        filter: Filter | None = None,  # noqa: A002  as in connect
        dispatch: Dispatch | None = None,
    ) -> None:
        self.event_manager = get_event_manager() if event_manager is None else event_manager
        self._lock = threading.Lock()
        self._running: dict[str, _Shown] = {}  # in the order in which they began
        self._last = _Shown()
        self._callbacks: dict[object, Callable[[], object]] = {}
        self.event_manager.connect(ProgressEvent, self._hear, filter, dispatch=dispatch)

    # -- what is to be seen -----------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether an operation is under way."""
        return bool(self._running)

    @property
    def message(self) -> str:
        """What is being done; when it is over, how it ended."""
        return self._shown().message

    @property
    def fraction(self) -> float | None:
        """How much is done, from 0.0 to 1.0; None where that is unknown."""
        shown = self._shown()
        return min(shown.step / shown.steps, 1.0) if shown.steps > 0 else None

    @property
    def exit_state(self) -> str:
        """``""`` while it is running, then the ``exit_state`` of `ProgressEndEvent`."""
        return self._shown().exit_state

    # -- what a person can do ---------------------------------------------------------------------

    def cancel(self, reason: str | None = None) -> None:
        """Ask the operation that is shown to stop; nothing happens if none is running."""
        event = self._shown().event
        if event is not None:
            event.cancel(reason)

    def on_change(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call ``callback()`` whenever something has changed.

        Parameters
        ----------
        callback : callable
            Held strongly. What it raises is logged.

        Returns
        -------
        disconnect : callable
            Ends it.
        """
        ticket = object()
        with self._lock:
            self._callbacks[ticket] = callback

        def disconnect() -> None:
            with self._lock:
                self._callbacks.pop(ticket, None)

        return disconnect

    def close(self) -> None:
        """Stop listening. Closing twice is fine."""
        self.event_manager.disconnect(ProgressEvent, self._hear)

    # -- the inside -------------------------------------------------------------------------------

    def _shown(self) -> _Shown:
        with self._lock:
            return next(iter(self._running.values()), self._last)

    def _hear(self, event: Any) -> None:
        with self._lock:
            if not self._follow(event):
                return
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            try:
                callback()
            except Exception:
                log_failure(callback, event)

    def _follow(self, event: Any) -> bool:
        """Take in an event; return whether something else is to be seen now."""
        known = self._running.get(event.operation_id)
        if isinstance(event, ProgressStartEvent):
            now = _Shown(event.message, event.steps, 0, event)
            self._running[event.operation_id] = now
        elif known is None:
            return False
        elif isinstance(event, ProgressStepEvent):
            now = _Shown(event.message, known.steps, event.step, event)
            self._running[event.operation_id] = now
        elif isinstance(event, ProgressEndEvent):
            del self._running[event.operation_id]
            now = _Shown(event.message, known.steps, event.step, None, event.exit_state)
            if not self._running:
                self._last = now
            return True
        return next(iter(self._running.values())) is now
