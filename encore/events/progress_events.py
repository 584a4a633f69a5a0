"""Telling how far a long operation has come, and letting a listener stop it.

An operation is one start event, steps at most some ten times a second, and one end event, all with
the same ``operation_id``::

    with ProgressManager(source=store, message="Copying", steps=3) as progress:
                                    ProgressStartEvent(steps=3)
        progress()                  ProgressStepEvent(step=1)       the first is always sent
        progress()                  (too soon)
        progress()                  ProgressStepEvent(step=3)       all done: sent
                                    ProgressEndEvent(step=3, exit_state="normal")

Anybody may import this module.
"""

from __future__ import annotations

import itertools
import os
import time
import weakref
from collections.abc import Callable
from typing import Any, ClassVar, Self

from encore.errors import OperationCancelled
from encore.events.abstract_event_manager import BaseEvent, BaseEventManager
from encore.events.cancel import CancelToken
from encore.events.nesting import enter, innermost, leave, tokens_for
from encore.events.package_globals import get_event_manager

__all__ = [
    "CancelToken",
    "ProgressEndEvent",
    "ProgressEvent",
    "ProgressManager",
    "ProgressStartEvent",
    "ProgressStepEvent",
]

EXIT_STATES = ("normal", "warning", "error", "exception", "cancelled")
_numbers = itertools.count(1)


class ProgressEvent(BaseEvent):
    """Something happened to an operation that takes long.

    Attributes
    ----------
    operation_id : str
        The same for all events of an operation, and for no other.
    parent_id : str or None
        The operation that this one is a part of.
    message : str
        What is being done.
    cancel_token : CancelToken or None
    """

    operation_id: str = ""
    parent_id: str | None = None
    message: str = ""
    cancel_token: CancelToken | None = None

    def __init__(self, source: Any = None, **kwargs: Any) -> None:
        # Not super(): mixed with another family of events, whose own arguments are not asked for.
        BaseEvent.__init__(self, source, **kwargs)

    def cancel(self, reason: str | None = None) -> None:
        """Ask the operation to stop; it does so at its next step, by `OperationCancelled`."""
        if self.cancel_token is not None:
            self.cancel_token.cancel(reason)


class ProgressStartEvent(ProgressEvent):
    """An operation has begun.

    Attributes
    ----------
    steps : int
        How many steps there are; -1 if unknown.
    unit : str
        What a step is: ``"B"`` for bytes, ``"it"`` for anything else.
    """

    steps: int = -1
    unit: str = "it"


class ProgressStepEvent(ProgressEvent):
    """An operation has come further.

    Attributes
    ----------
    step : int
        Steps done since the start.
    """

    step: int = 0


class ProgressEndEvent(ProgressEvent):
    """An operation is over.

    Attributes
    ----------
    exit_state : str
        ``"normal"``, ``"warning"``, ``"error"``, ``"exception"`` or ``"cancelled"``.
    step : int
        Steps done in all.
    """

    exit_state: str = "normal"
    step: int = 0


class ProgressManager:
    """Emits the progress events of one operation.

    A context manager; leaving it ends the operation with the exit state ``"normal"``, or
    ``"cancelled"`` (`OperationCancelled`, `KeyboardInterrupt`, a generator left early) or
    ``"exception"`` if it is left by one.

    Parameters
    ----------
    event_manager : BaseEventManager, optional
        The process-wide one by default.
    source, operation_id, message, steps, unit : optional
        See the events; a new ``operation_id`` is made by default.
    parent_id : str, optional
        By default the innermost operation that this thread is in.
    cancel : CancelToken, optional
        Stops the operation. One is made by default. In either case the tokens of the enclosing
        operations of this thread stop this one too.
    interval_seconds : float, optional
        Least time between two step events. The first and the last step are always sent.
    clock : callable, optional
        Monotonic seconds.
    **kwargs
        Attributes of every event.

    Attributes
    ----------
    operation_id : str
    parent_id : str or None
        Known from `start` on.
    cancel_token : CancelToken

    Notes
    -----
    *Threads*: steps may come from several threads one after the other, not at once.
    """

    StartEventType: ClassVar[type[ProgressEvent]] = ProgressStartEvent
    StepEventType: ClassVar[type[ProgressEvent]] = ProgressStepEvent
    EndEventType: ClassVar[type[ProgressEvent]] = ProgressEndEvent

    def __init__(
        self,
        event_manager: BaseEventManager | None = None,
        source: Any = None,
        operation_id: str | None = None,
        message: str = "Performing operation",
        steps: int = -1,
        *,
        unit: str = "it",
        parent_id: str | None = None,
        cancel: CancelToken | None = None,
        interval_seconds: float = 0.1,
        clock: Callable[[], float] = time.monotonic,
        **kwargs: Any,
    ) -> None:
        self.event_manager = get_event_manager() if event_manager is None else event_manager
        self.source = source
        self.operation_id = operation_id or f"{os.getpid()}-{next(_numbers)}"
        self.message = message
        self.steps = steps
        self.unit = unit
        self.parent_id = parent_id
        self._interval = interval_seconds
        self._clock = clock
        self._attributes = kwargs

        self._outer = innermost()
        self.cancel_token, self.checked_token = tokens_for(cancel, self._outer)
        self.nested_in: list[weakref.ref[ProgressManager]] = []
        self._started = False
        self._ended = False
        self._step = 0
        self._sent_step = -1
        self._due = float("-inf")
        self._extra: dict[str, Any] = {}

    def start(self) -> None:
        """Begin; nothing happens if it has begun already.

        Raises
        ------
        OperationCancelled
            The token is cancelled already. No event is sent.
        """
        if self._started:
            return
        self.checked_token.raise_if_cancelled()
        self._started = True
        if self.parent_id is None and self._outer is not None:
            self.parent_id = self._outer.operation_id
        enter(self)
        self._emit(self.StartEventType, steps=self.steps, unit=self.unit)

    def __call__(self, step: int | None = None, message: str | None = None, **extra: Any) -> None:
        """Report progress.

        Parameters
        ----------
        step : int, optional
            Steps done since the start; one more than before by default.
        message : str, optional
            What is being done from now on.
        **extra
            Attributes of the step event, if one is sent.

        Raises
        ------
        OperationCancelled
            Somebody has asked for the operation to stop, perhaps in answer to this very step.
        """
        token = self.checked_token
        if token.cancelled:
            token.raise_if_cancelled()
        self._step = step = self._step + 1 if step is None else step
        if message is not None:
            self.message = message
        if extra:
            self._extra = extra
        now = self._clock()
        if now < self._due and (step != self.steps or step == self._sent_step):
            return
        self.start()
        self._due = now + self._interval
        self._send_step()
        if token.cancelled:
            token.raise_if_cancelled()

    step = __call__

    def end(self, exit_state: str = "normal", message: str | None = None) -> None:
        """Finish; nothing happens if it never began or has finished already.

        Parameters
        ----------
        exit_state : str, optional
            ``"normal"``, ``"warning"``, ``"error"``, ``"exception"`` or ``"cancelled"``.
        message : str, optional
            How it went; the last message by default.
        """
        if exit_state not in EXIT_STATES:
            raise ValueError(f"exit state {exit_state!r} is none of {', '.join(EXIT_STATES)}")
        if self._ended or not self._started:
            return
        self._ended = True
        leave(self)
        if self._sent_step not in (-1, self._step):
            self._send_step()  # the last step, held back as too soon
        if message is not None:
            self.message = message
        self._emit(self.EndEventType, exit_state=exit_state, step=self._step)

    def raise_if_cancelled(self) -> None:
        """Stop here if somebody has asked for it, without reporting progress."""
        self.checked_token.raise_if_cancelled()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _type: object, exc: BaseException | None, _traceback: object) -> None:
        if exc is None:
            self.end()
        elif isinstance(exc, OperationCancelled | KeyboardInterrupt | GeneratorExit):
            self.end("cancelled")
        else:
            self.end("exception")

    def _send_step(self) -> None:
        self._sent_step = self._step
        self._emit(self.StepEventType, step=self._step, **self._extra)
        self._extra = {}

    def _emit(self, cls: type[ProgressEvent], **attributes: Any) -> None:
        if self.event_manager.wants(cls, self.source):
            event = cls(
                self.source,
                operation_id=self.operation_id,
                parent_id=self.parent_id,
                message=self.message,
                cancel_token=self.cancel_token,
                **{**self._attributes, **attributes},
            )
            self.event_manager.emit(event)
