"""How events reach the loop of Tk from any thread."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from queue import SimpleQueue

_PAUSE = 20  # milliseconds


class Loop:
    """Runs calls in the thread of the window, in order: a ``dispatch`` for `connect`.

    Tk would take calls from other threads itself (``root.after``), but makes these threads wait
    until the loop has time for them. A queue that the loop looks into makes nobody wait.

    Parameters
    ----------
    root : tkinter.Tk
    """

    def __init__(self, root: tk.Misc) -> None:
        self._root = root
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._look()

    def __call__(self, call: Callable[[], object]) -> None:
        self._calls.put(call)

    def _look(self) -> None:
        self._next = self._root.after(_PAUSE, self._look)
        while not self._calls.empty():
            self._calls.get()()

    def stop(self) -> None:
        """Look no more; what is in the queue is dropped."""
        self._root.after_cancel(self._next)
