"""Who owns a transaction: a thread, and an asyncio task where a loop runs.

Also what must not survive a fork. Stores and transaction contexts import this module.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import weakref
from typing import Any, Protocol


def current_task() -> object | None:
    """The running asyncio task of this thread, or None. Never imports asyncio itself."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        task: object | None = asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return None
    return task


class _Tokens:
    """Identifiers that no other process, thread or moment gives out: random start, then a count."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.next = itertools.count(int.from_bytes(os.urandom(8)) >> 1).__next__


_tokens = _Tokens()


def new_token() -> str:
    """Return a token for a version, unlike any other."""
    return f"{_tokens.next():x}"


class ForkAware(Protocol):
    def _after_fork(self) -> None:
        """Let go, in a forked child, of what belongs to the parent."""


_aware: weakref.WeakSet[Any] = weakref.WeakSet()


def watch_forks(store: ForkAware) -> None:
    """Have ``store._after_fork()`` called in every forked child, as long as the store lives."""
    _aware.add(store)


def _in_child() -> None:
    _tokens.restart()
    for store in list(_aware):
        store._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class OwnerState(threading.local):
    """What a store knows of the calling thread; every thread sees its own."""

    context: Any = None
