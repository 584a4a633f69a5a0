"""Batches of events that belong together, and the chains in which one batch causes the next.

Each thread has its own queue. A batch remembers the event that caused it and the batch of that
event, so that a runaway cascade can be shown link by link. Private to the events room.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

_SHOWN = 5
"""Events of a chain shown at either end."""


class Batch:
    """Events to be delivered one after another, and what caused them.

    Parameters
    ----------
    events : iterable of BaseEvent
        Read at once.
    causing_event : BaseEvent or None
        The event in whose delivery the batch came about.
    cause : Batch or None
        The batch of that event.

    Attributes
    ----------
    pending : iterator of BaseEvent
        What has not been delivered; survives an interrupted delivery.
    generation : int
        Length of the chain of causes; 0 where there is none.
    """

    __slots__ = ("cause", "causing_event", "generation", "pending")

    def __init__(self, events: Iterable[Any], causing_event: Any, cause: Batch | None) -> None:
        self.pending: Iterator[Any] = iter(tuple(events))
        self.causing_event = causing_event
        self.cause = cause
        self.generation: int = 0 if cause is None else cause.generation + 1


class Delivery:
    """What one thread is delivering: the batch, the event, and the batches that wait."""

    __slots__ = ("batch", "event", "queue")

    def __init__(self) -> None:
        self.batch: Batch | None = None
        self.event: Any = None
        self.queue: deque[Batch] = deque()


class Deliveries(threading.local):
    """The delivery of the current thread, as one attribute: each access to a local costs."""

    def __init__(self) -> None:
        self.current = Delivery()


def describe_chain(event: Any, batch: Batch) -> str:
    """The events that led to ``event`` of ``batch``, first cause first, the middle left out."""
    chain = [event]
    link: Batch | None = batch
    while link is not None and link.cause is not None:
        chain.append(link.causing_event)
        link = link.cause
    names = [_describe(found) for found in reversed(chain)]
    hidden = len(names) - 2 * _SHOWN
    if hidden > 0:
        names[_SHOWN:-_SHOWN] = [f"... {hidden} more ..."]
    return " -> ".join(names)


def _describe(event: Any) -> str:
    # Not repr: an event class is free to show its data there.
    key = getattr(event, "key", None)
    return f"{type(event).__name__}({'' if key is None else repr(key)})"
