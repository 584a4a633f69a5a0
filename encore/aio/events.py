"""Events of a store, one after the other, in a task.

Anybody may import what is public here from the face of the room.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Self

from encore.events.abstract_event_manager import BaseEventManager, Filter

__all__ = ["AsyncEvents"]


class AsyncEvents(AsyncIterator[Any]):
    """The events that happen from now on, until the store is closed.

    Nobody waits for whoever iterates: if more than ``maxsize`` events wait, the oldest are dropped
    and counted.

    Parameters
    ----------
    manager : BaseEventManager
    cls : type
        The class of events, subclasses included.
    filter : mapping of str to object
        As in `BaseEventManager.connect`.
    maxsize : int
        How many events may wait.

    Attributes
    ----------
    lost : int
        How many have been dropped.

    Notes
    -----
    *Threads*: events come from any; iterated in one task.
    """

    def __init__(
        self,
        manager: BaseEventManager,
        cls: type,
        filter: Filter,  # noqa: A002  as in connect
        maxsize: int,
    ) -> None:
        if maxsize < 1:
            raise ValueError(f"one event has to have room: maxsize is 1 or more, not {maxsize}")
        self._manager = manager
        self._class = cls
        self._waiting: deque[Any] = deque()
        self._most = maxsize
        self._arrival: asyncio.Future[None] | None = None
        self._is_over = False
        self.lost = 0
        manager.connect(cls, self._hear, filter)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not self._waiting:
            if self._is_over:
                raise StopAsyncIteration
            arrival = asyncio.get_running_loop().create_future()
            self._arrival = arrival
            if self._waiting or self._is_over:  # before the emitter could know whom to wake
                continue
            try:
                await arrival
            finally:
                self._arrival = None
        return self._waiting.popleft()

    def end(self) -> None:
        """Hear no more; what waits can still be taken."""
        self._manager.disconnect(self._class, self._hear)
        self._is_over = True
        self._wake()

    async def aclose(self) -> None:
        """Hear no more, and drop what waits."""
        self.end()
        self._waiting.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _hear(self, event: Any) -> None:
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(event)
        self._wake()

    def _wake(self) -> None:
        arrival = self._arrival
        if arrival is not None:
            with suppress(RuntimeError):  # the loop has been closed, and with it whoever waited
                arrival.get_loop().call_soon_threadsafe(_set, arrival)


def _set(arrival: asyncio.Future[None]) -> None:
    if not arrival.done():
        arrival.set_result(None)
