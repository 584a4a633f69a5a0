"""The blocks of a transaction: what each changed, and what is to be called at its end.

``contexts`` imports this module.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from encore.storage.transactions.changes import ChangeSet

_log = logging.getLogger("encore.storage")

Hook = Callable[[], object]


class Hooks:
    """What is to be called at the end of a block."""

    __slots__ = ("before_commit", "on_commit", "on_rollback")

    def __init__(self) -> None:
        self.before_commit: list[Hook] = []
        self.on_commit: list[Hook] = []
        self.on_rollback: list[Hook] = []


class Level:
    """One block of a transaction. Most blocks have no hooks, and many no changes to tell."""

    __slots__ = ("changes", "hooks", "notes")

    def __init__(self, notes: str) -> None:
        self.notes = notes
        self.changes: ChangeSet | None = None
        self.hooks: Hooks | None = None

    def absorb(self, inner: Level) -> None:
        if inner.changes is not None:
            if self.changes is None:
                self.changes = inner.changes
            else:
                self.changes.absorb(inner.changes)
        if inner.hooks is not None:
            mine = self.wanted_hooks()
            mine.before_commit += inner.hooks.before_commit
            mine.on_commit += inner.hooks.on_commit
            mine.on_rollback += inner.hooks.on_rollback

    def wanted_hooks(self) -> Hooks:
        if self.hooks is None:
            self.hooks = Hooks()
        return self.hooks


def run_logged(hooks: list[Hook]) -> None:
    """Run hooks whose transaction has ended: what they raise cannot change that."""
    for hook in hooks:
        try:
            hook()
        except Exception:
            _log.exception("a transaction hook failed after the transaction had ended")
