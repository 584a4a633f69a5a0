"""Who owns a transaction: a thread, and an asyncio task where a loop runs.

Also what must not survive a fork. Stores and transaction contexts import this module.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Protocol


def current_task() -> object | None:
    """The running asyncio task of this thread, or None. Never imports asyncio itself."""
    asyncio = sys.modules.get("asyncio")
    # Asking for the loop first: asking for the task where no loop runs raises, which costs more
    # than the rest of beginning a transaction.
    if asyncio is None or asyncio._get_running_loop() is None:
        return None
    task: object | None = asyncio.current_task()
    return task


def _start_counting() -> Iterator[int]:
    return itertools.count(int.from_bytes(os.urandom(8)) >> 1)


_numbers = _start_counting()


def next_number() -> Any:
    """Return a number for a version, unlike any other that any process gives out.

    A random start, then a count: a few dozen times cheaper than a random number each time.
    """
    return next(_numbers)


def token_text(number: int) -> str:
    """The token of a version with this number."""
    return "%x" % number  # noqa: UP031  half the time of an f-string with a format


def new_token() -> str:
    """Return a token for a version, unlike any other."""
    return "%x" % next(_numbers)  # noqa: UP031


class ForkAware(Protocol):
    def _after_fork(self) -> None:
        """Let go, in a forked child, of what belongs to the parent."""


_aware: weakref.WeakSet[Any] = weakref.WeakSet()


def watch_forks(store: ForkAware) -> None:
    """Have ``store._after_fork()`` called in every forked child, as long as the store lives."""
    _aware.add(store)


def _in_child() -> None:
    global _numbers
    _numbers = _start_counting()
    for store in list(_aware):
        store._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class OwnerState(threading.local):
    """What a store knows of the calling thread; every thread sees its own."""

    context: Any = None
