"""Who hears what a store does: the store itself, and every wrapper alive over it.

Each of them is a *face* of the same data and announces a change with its own source and its own
key, inner ones first. Whether anybody listens is asked at every write, so the answer is kept until
the event manager's epoch changes. ``template`` imports this module.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

from encore.events.abstract_event_manager import BaseEventManager
from encore.events.package_globals import get_event_manager
from encore.storage.events import (
    StoreDeleteEvent,
    StoreEvent,
    StoreSetEvent,
    StoreTransactionEndEvent,
    StoreTransactionStartEvent,
    StoreUpdateEvent,
)
from encore.storage.transactions.changes import Change, ChangeSet, key_events
from encore.storage.transactions.contexts import SimpleTransactionContext

_KEY_EVENTS = (StoreSetEvent, StoreUpdateEvent, StoreDeleteEvent)
_TRANSACTION_EVENTS = (StoreTransactionStartEvent, StoreTransactionEndEvent)

_adding = threading.Lock()

Batches = dict[BaseEventManager, list[StoreEvent]]


class Announcer:
    """The part of a store that tells its listeners.

    Parameters
    ----------
    event_manager : BaseEventManager, optional
        Default: the process-wide one.
    """

    def __init__(self, event_manager: BaseEventManager | None = None) -> None:
        self._events = get_event_manager() if event_manager is None else event_manager
        self._face_references: tuple[weakref.ref[Any], ...] = ()
        self._heard_epoch: object = None
        self._times_forgotten = 0
        self._keys_heard = self._transactions_heard = False

    @property
    def event_manager(self) -> BaseEventManager:
        """Who tells listeners of this store's events."""
        return self._events

    # -- faces ------------------------------------------------------------------------------------

    def _add_face(self, face: Announcer) -> None:
        """Have a wrapper announce what changes here, as long as it lives."""
        with _adding:
            alive = tuple(weakref.ref(known) for known in self._faces())
            self._face_references = (*alive, weakref.ref(face))
        self._forget_listeners()

    def _faces(self) -> list[Any]:
        """The wrappers that are alive, in the order in which they were made."""
        found = (reference() for reference in self._face_references)
        return [face for face in found if face is not None]

    def _forget_listeners(self) -> None:
        """Ask again, at the next write, who listens."""
        self._times_forgotten += 1
        self._heard_epoch = None

    def _translate(self, changes: list[Change]) -> list[Change]:
        """The changes of the store beneath as they look through this one."""
        return changes

    # -- whether anybody hears --------------------------------------------------------------------

    def _heard(self) -> bool:
        """Whether anybody could hear of a change of a key; asked at every write, so kept."""
        if self._events.epoch is not self._heard_epoch:
            self._listen()
        return self._keys_heard

    def _listen(self) -> None:
        """Find out, and keep until it changes, what anybody could hear."""
        epoch, times_forgotten = self._events.epoch, self._times_forgotten
        self._keys_heard = self._wants_any(_KEY_EVENTS)
        self._transactions_heard = self._wants_any(_TRANSACTION_EVENTS)
        if times_forgotten == self._times_forgotten:  # else a wrapper has come meanwhile
            self._heard_epoch = epoch

    def _wants_any(self, classes: tuple[type[StoreEvent], ...]) -> bool:
        """Whether there are listeners for any of the classes, here or at a face."""
        if any(self._events.wants(cls, self) for cls in classes):
            return True
        # The epoch of another manager than ours is not watched: take it that somebody listens.
        return any(
            face._events is not self._events or face._wants_any(classes) for face in self._faces()
        )

    # -- telling ----------------------------------------------------------------------------------

    def _announce_start(self, context: SimpleTransactionContext) -> None:
        if self._heard():
            self._events.check_cascade()
        if self._transactions_heard and not context.quiet:
            self._tell_start(context)

    def _tell_start(self, context: SimpleTransactionContext) -> None:
        """Announce a start here, then at the faces."""
        if self._events.wants(StoreTransactionStartEvent, self):
            self._events.emit(
                StoreTransactionStartEvent(self, context.notes, context.transaction_id or "")
            )
        for face in self._faces():
            face._hear_start(context)

    def _hear_start(self, context: SimpleTransactionContext) -> None:
        """A store beneath this face has begun a transaction."""
        self._tell_start(context)

    def _announce_end(self, context: SimpleTransactionContext, changes: ChangeSet | None) -> None:
        """Tell the committed truth, this store first and then each wrapper alive over it."""
        if not self._heard() and not self._transactions_heard:
            return
        batches: Batches = {}
        self._collect(context, [] if changes is None else changes.net(), batches)
        # One batch, so that what a listener writes comes after all of it.
        for manager, events in batches.items():
            manager.emit_all(events)

    def _collect(
        self, context: SimpleTransactionContext, changes: list[Change], batches: Batches
    ) -> None:
        """Add the events by which this face, and those over it, tell the end of a transaction."""
        events = batches.setdefault(self._events, [])
        if not context.quiet and self._events.wants(StoreTransactionEndEvent, self):
            events.append(
                StoreTransactionEndEvent(
                    self, context.notes, context.transaction_id or "", context.state
                )
            )
        if changes and any(self._events.wants(cls, self) for cls in _KEY_EVENTS):
            events += key_events(self, changes, context.origin, context.transaction_id)
        for face in self._faces():
            face._hear(self, context, changes, batches)

    def _hear(
        self,
        base: Announcer,
        context: SimpleTransactionContext,
        changes: list[Change],
        batches: Batches,
    ) -> None:
        """A store beneath this face has ended a transaction."""
        self._collect(context, self._translate(changes), batches)
