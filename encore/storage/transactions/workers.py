"""Who is writing to a store that could not tell by a lock of its own.

Composed stores import this module.
"""

from __future__ import annotations

import threading
from typing import Any

from encore.errors import TransactionError


class Workers:
    """The open transactions of a store, and their threads.

    *Threads*: any.
    """

    def __init__(self) -> None:
        self._threads: dict[object, threading.Thread] = {}

    def come(self, context: object) -> None:
        """A transaction begins. Look whether the store is open afterwards, not before."""
        self._threads[context] = threading.current_thread()

    def leave(self, context: object) -> None:
        """It has ended, or could not begin."""
        self._threads.pop(context, None)

    def clear(self) -> None:
        """Forget them: they are of another process."""
        self._threads.clear()

    def refuse_to_close(self, store: Any) -> None:
        """Raise if a living thread has a transaction open."""
        for context, thread in [*self._threads.items()]:
            if thread.is_alive():
                raise TransactionError(
                    f"{store!r} cannot be closed: thread {thread.name!r} has {context!r} open",
                    store=store,
                    operation="close",
                )
