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
from encore.storage.metadata import EMPTY

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
    before, after : str or None
        The metadata as JSON text, before and after the change; None where the key is not there.
    """

    key: str
    before: str | None
    after: str | None

    @property
    def event_class(self) -> type[StoreModificationEvent] | None:
        """The event that tells this change; None if it is none."""
        return _EVENTS.get((self.before is not None, self.after is not None))


class ChangeSet:
    """The net changes of one level of a transaction.

    *Threads*: belongs to the owner of the transaction.
    """

    __slots__ = ("_changes",)

    def __init__(self) -> None:
        self._changes: dict[str, Change] = {}

    def __len__(self) -> int:
        return len(self._changes)

    def note(self, key: str, before: str | None, after: str | None) -> None:
        """Add a change of ``key``; only the first one's ``before`` counts."""
        first = self._changes.get(key)
        self._changes[key] = Change(key, before if first is None else first.before, after)

    def keys(self) -> list[str]:
        """The keys that were touched, in first-touch order."""
        return [*self._changes]

    def absorb(self, inner: ChangeSet) -> None:
        """Take over what an inner block changed."""
        for change in inner._changes.values():
            self.note(change.key, change.before, change.after)

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
            metadata = change.before if change.after is None else change.after
            events.append(cls(source, change.key, metadata or EMPTY, origin, transaction_id))
    return events
