"""What a transaction changed: one net change per key, in first-touch order.

Coalescing needs two facts only, whether the key was there before the transaction and whether it
is there now:

====== ====== ============
before now    event
====== ====== ============
no     yes    set
yes    yes    update
yes    no     delete
no     no     none
====== ====== ============

Stores and transaction contexts import this module.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from encore.storage.events import (
    StoreDeleteEvent,
    StoreModificationEvent,
    StoreSetEvent,
    StoreUpdateEvent,
)

_EVENTS: dict[tuple[bool, bool], type[StoreModificationEvent]] = {
    (False, True): StoreSetEvent,
    (True, True): StoreUpdateEvent,
    (True, False): StoreDeleteEvent,
}


@dataclass(frozen=True, slots=True)
class Change:
    """The net effect on one key.

    Attributes
    ----------
    key : str
    existed, exists : bool
        Whether the key was there before, and is there after.
    metadata : str
        JSON text: the metadata after the change, before it for a removal.
    """

    key: str
    existed: bool
    exists: bool
    metadata: str

    @property
    def event_class(self) -> type[StoreModificationEvent] | None:
        """The event that tells this change; None if it is none."""
        return _EVENTS.get((self.existed, self.exists))


class ChangeSet:
    """The net changes of one level of a transaction.

    *Threads*: belongs to the owner of the transaction.
    """

    __slots__ = ("_changes",)

    def __init__(self) -> None:
        self._changes: dict[str, Change] = {}

    def __len__(self) -> int:
        return len(self._changes)

    def note(self, key: str, existed: bool, exists: bool, metadata: str) -> None:
        """Add a change of ``key``; only the first one's ``existed`` counts."""
        first = self._changes.get(key)
        if first is not None:
            existed = first.existed
        self._changes[key] = Change(key, existed, exists, metadata)

    def absorb(self, inner: ChangeSet) -> None:
        """Take over what an inner block changed."""
        for change in inner._changes.values():
            self.note(change.key, change.existed, change.exists, change.metadata)

    def net(self) -> list[Change]:
        """The changes that are any, in first-touch order."""
        return [change for change in self._changes.values() if change.event_class is not None]


def key_events(
    source: Any, changes: Iterable[Change], origin: str | None, transaction_id: str | None
) -> list[StoreModificationEvent]:
    """Return the events by which ``source`` tells the changes."""
    events = []
    for change in changes:
        cls = change.event_class
        if cls is not None:
            events.append(cls(source, change.key, change.metadata, origin, transaction_id))
    return events
