"""Being told to stop: Ctrl-C, SIGTERM, a closed terminal.

The first signal raises ``KeyboardInterrupt`` where the program is, and every transaction that this
passes is rolled back. Should the exception be lost on its way (Python drops what is raised inside
a finalizer), the token stops the operation at its next step. The second signal is ignored, so that
it does not disturb the rollback. The third ends the process like a crash, from which stores
recover when they are opened next.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any, Self

from encore.events.cancel import CancelToken

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupts:
    """Turns signals into ``KeyboardInterrupt`` as long as it is entered.

    Outside the main thread, where Python allows no handlers, it does nothing; a signal that the
    process was started to ignore (``nohup``) stays ignored.

    Attributes
    ----------
    token : CancelToken
        Cancelled by the first signal.
    """

    def __init__(self) -> None:
        self.token = CancelToken()
        self._count = 0
        self._number: int = signal.SIGINT
        self._before: dict[int, Any] = {}

    @property
    def exit_code(self) -> int:
        """What the shell expects of a program that a signal ended: 130 for Ctrl-C."""
        return 128 + self._number

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count == 1:
            self._number = number
            self.token.cancel("a signal arrived")
            raise KeyboardInterrupt
        if self._count > 2:
            os._exit(128 + number)
