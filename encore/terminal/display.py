"""Progress bars drawn from progress events.

Listens while it is entered and draws one bar for each operation that begins meanwhile. Drawing is
a courtesy: if it fails, the display falls silent and the work goes on.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from encore.events.api import (
    BaseEventManager,
    ProgressEndEvent,
    ProgressEvent,
    ProgressStartEvent,
    ProgressStepEvent,
    get_event_manager,
)
from encore.terminal.bars import make_bar
from encore.terminal.visibility import is_visible

logger = logging.getLogger("encore.terminal")


@dataclass(slots=True)
class _Operation:
    depth: int
    slot: int
    bar: Any


class ProgressDisplay:
    """Draws a bar for each running operation, parts indented below the whole.

    Bytes are shown with rate and time left. When an operation ends, its bar stays if the
    operation is part of no other, with a word where it did not end normally; bars of parts vanish.

    Parameters
    ----------
    event_manager : BaseEventManager, optional
        The process-wide one by default.
    mode : str, optional
        ``"auto"`` draws on terminals and in notebooks only, ``"on"`` always, ``"off"`` never. By
        default the environment variable ``ENCORE_PROGRESS`` decides, and else ``"auto"``.
    file : text file, optional
        Standard error by default.

    Notes
    -----
    *Threads*: operations of several threads are drawn at once; one lock keeps their bars apart.
    """

    def __init__(
        self,
        event_manager: BaseEventManager | None = None,
        *,
        mode: str | None = None,
        file: Any = None,
    ) -> None:
        self.event_manager = get_event_manager() if event_manager is None else event_manager
        self.is_visible = is_visible(mode, file)
        self._file = file
        self._lock = threading.RLock()
        self._operations: dict[str, _Operation] = {}
        self._listening = False

    def __enter__(self) -> ProgressDisplay:
        if self.is_visible:
            self._listening = True
            self.event_manager.connect(ProgressEvent, self._on_progress)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._stop_listening()
            for operation in self._operations.values():
                operation.bar.leave = False
                self._quietly(operation.bar.close)
            self._operations.clear()

    def _on_progress(self, event: ProgressEvent) -> None:
        with self._lock:
            # Delivery in another thread may have begun before listening stopped.
            if not self._listening:
                return
            if isinstance(event, ProgressStartEvent):
                drawn = self._quietly(self._begin, event)
            elif isinstance(event, ProgressStepEvent):
                drawn = self._quietly(self._advance, event)
            elif isinstance(event, ProgressEndEvent):
                drawn = self._quietly(self._finish, event)
            else:
                return
            if not drawn:
                self._stop_listening()

    def _begin(self, event: ProgressStartEvent) -> None:
        parent = self._operations.get(event.parent_id or "")
        depth = 0 if parent is None else parent.depth + 1
        slot = self._free_slot()
        bar = make_bar(
            "  " * depth + event.message,
            steps=event.steps,
            unit=event.unit,
            slot=slot,
            leave=depth == 0,
            file=self._file,
        )
        self._operations[event.operation_id] = _Operation(depth, slot, bar)

    def _advance(self, event: ProgressStepEvent) -> None:
        operation = self._operations.get(event.operation_id)
        if operation is not None:
            self._show(operation, event)

    def _finish(self, event: ProgressEndEvent) -> None:
        operation = self._operations.pop(event.operation_id, None)
        if operation is None:
            return
        try:
            if event.exit_state != "normal":
                operation.bar.set_postfix_str(event.exit_state, refresh=False)
            self._show(operation, event)
        finally:
            operation.bar.close()

    def _show(self, operation: _Operation, event: ProgressStepEvent | ProgressEndEvent) -> None:
        operation.bar.set_description("  " * operation.depth + event.message, refresh=False)
        operation.bar.update(event.step - operation.bar.n)

    def _free_slot(self) -> int:
        taken = {operation.slot for operation in self._operations.values()}
        return next(slot for slot in range(len(taken) + 1) if slot not in taken)

    def _stop_listening(self) -> None:
        if self._listening:
            self._listening = False
            self.event_manager.disconnect(ProgressEvent, self._on_progress)

    def _quietly(self, draw: Any, *arguments: Any) -> bool:
        try:
            draw(*arguments)
        except Exception:
            logger.debug("Progress bars could not be drawn", exc_info=True)
            return False
        return True
