"""Which keys a history follows, and what they are called through the store that it was given.

A history follows the store that commits, the *engine*; it may have been given a wrapper over it.
``history`` and ``recorder`` import this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from encore.storage.announcements import Announcer
from encore.storage.metadata import EMPTY
from encore.storage.transactions.changes import Change
from encore.storage.wrappers.base import WrapperStore


class Scope:
    """The keys of one engine that a history follows.

    Parameters
    ----------
    store : Store
        Through which it is seen: the one given to the history, or where that is made of several
        stores, the engine.
    owner : Store
        The one given to the history.
    prefixes : iterable of str
        Of the keys that are followed, as ``store`` has them.

    Attributes
    ----------
    store, owner : Store
    """

    def __init__(self, store: Any, owner: Any, prefixes: Iterable[str]) -> None:
        self.store = store
        self.owner = owner
        self._prefixes = tuple(prefixes)
        chain = []
        while isinstance(store, WrapperStore):
            chain.append(store)
            store = store.base
        # Most wrappers have the keys of their base.
        self._maps = [face for face in reversed(chain) if _translates(face)]

    def name(self, key: str) -> str | None:
        """What a key of the engine is called; None if it is not seen or not followed."""
        changes = [Change(key, EMPTY, EMPTY)]
        for face in self._maps:
            changes = face._translate(changes)
        if not changes or not changes[0].key.startswith(self._prefixes):
            return None
        return changes[0].key

    @property
    def follows(self) -> Callable[[str], str | None] | None:
        """Whether a key of the engine is followed; None if every key is."""
        if not self._maps and "" in self._prefixes:
            return None
        return self.name


def _translates(face: Any) -> bool:
    return type(face)._translate is not Announcer._translate
