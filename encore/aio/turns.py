"""Whose turn it is to write: tasks wait here, in the order in which they came, and block nobody.

A store has one writer at a time and makes the others wait for its lock. Tasks must not wait there,
since each of them would occupy a thread. Only this room imports this module.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections import deque
from typing import Any

from encore.errors import LockTimeoutError
from encore.storage.transactions.locks import held_message


class _Waiter:
    """A task that waits; its loop may be another than that of the one before."""

    __slots__ = ("future", "is_next", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_next = False

    def wake(self) -> None:
        loop = self.future.get_loop()
        if asyncio._get_running_loop() is loop:
            self._set()
        else:
            loop.call_soon_threadsafe(self._set)

    def _set(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class Turn:
    """Who writes to one store, and who comes next.

    *Threads*: any; loops may be several.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[_Waiter] = deque()
        self._holder: str | None = None
        self._since = 0.0

    async def take(self, name: str, timeout: float, what: object) -> None:
        """Wait for the turn.

        Parameters
        ----------
        name : str
            Of the task, for others who wait.
        timeout : float
            Seconds.
        what : object
            What is to be written, for messages.

        Raises
        ------
        LockTimeoutError
            Others wrote all the time; the message names the one who does now.
        """
        with self._lock:
            if self._holder is None:
                self._holder, self._since = name, time.monotonic()
                return
            waiter = _Waiter(name)
            self._waiting.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter.future
        except TimeoutError:
            if self._is_out_of_line(waiter):
                raise self._timed_out(what, timeout) from None
        except BaseException:
            if not self._is_out_of_line(waiter):
                self.give_back()
            raise

    def give_back(self) -> None:
        """Let the next one write."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._holder = None
                    return
                waiter = self._waiting.popleft()
                waiter.is_next = True
                self._holder, self._since = waiter.name, time.monotonic()
            try:
                waiter.wake()
            except RuntimeError:  # its loop has been closed
                continue
            return

    def _is_out_of_line(self, waiter: _Waiter) -> bool:
        """Whether one who waits no longer had not got the turn yet; takes it out of the line."""
        with self._lock:
            if waiter.is_next:
                return False
            self._waiting.remove(waiter)
            return True

    def _timed_out(self, what: object, timeout: float) -> LockTimeoutError:
        waited = time.monotonic() - self._since
        return LockTimeoutError(
            held_message(repr(what), f"task {self._holder!r}", waited, timeout), store=what
        )


_turns: weakref.WeakKeyDictionary[Any, Turn] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def turn_of(engine: Any) -> Turn:
    """The turn of a store that others may be wrapped around: one for all faces of it."""
    with _making:
        turn = _turns.get(engine)
        if turn is None:
            turn = _turns[engine] = Turn()
        return turn
