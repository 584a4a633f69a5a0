"""The events of stores.

::

    StoreEvent
    ├── StoreTransactionEvent
    │   ├── StoreTransactionStartEvent
    │   └── StoreTransactionEndEvent          state: "done" or "failed"
    └── StoreKeyEvent                         key, metadata, action, origin, transaction_id
        ├── StoreModificationEvent
        │   ├── StoreSetEvent                 a key that was not there
        │   ├── StoreUpdateEvent              a key that was
        │   └── StoreDeleteEvent
        └── StoreProgressEvent                also a ProgressEvent
            ├── StoreProgressStartEvent
            ├── StoreProgressStepEvent
            └── StoreProgressEndEvent

Listen to a class and you hear its subclasses. Anybody may import this module.
"""

from __future__ import annotations

from typing import Any

from encore.events.abstract_event_manager import BaseEvent
from encore.events.progress_events import (
    ProgressEndEvent,
    ProgressEvent,
    ProgressStartEvent,
    ProgressStepEvent,
)
from encore.storage.metadata import EMPTY, decode_metadata


class StoreEvent(BaseEvent):
    """Something happened in the store ``source``."""


class StoreTransactionEvent(StoreEvent):
    """An outermost transaction began or ended.

    Attributes
    ----------
    notes : str
        What the transaction was called.
    transaction_id : str
    """

    def __init__(self, source: Any, notes: str, transaction_id: str) -> None:
        super().__init__(source)
        self.notes = notes
        self.transaction_id = transaction_id


class StoreTransactionStartEvent(StoreTransactionEvent):
    """An outermost transaction is about to begin."""


class StoreTransactionEndEvent(StoreTransactionEvent):
    """An outermost transaction ended; key events follow if it was committed.

    Attributes
    ----------
    state : str
        ``"done"`` (committed) or ``"failed"`` (rolled back).
    """

    def __init__(self, source: Any, notes: str, transaction_id: str, state: str) -> None:
        super().__init__(source, notes, transaction_id)
        self.state = state


class StoreKeyEvent(StoreEvent):
    """Something happened to a key.

    Attributes
    ----------
    key : str
    metadata : dict
        The metadata of the key, after the change; before it for a delete. Decoded on first use.
    action : str
        ``"set"``, ``"update"``, ``"delete"`` or ``"progress"``.
    origin : str or None
        Why: None for an ordinary change, ``"undo"``, ``"redo"``...
    transaction_id : str or None
        The transaction that made the change; None for a lone write.
    """

    action = ""

    def __init__(
        self,
        source: Any,
        key: str,
        metadata: str = EMPTY,
        origin: str | None = None,
        transaction_id: str | None = None,
    ) -> None:
        super().__init__(source)
        self.key = key
        self._metadata: str | dict[str, Any] = metadata
        self.origin = origin
        self.transaction_id = transaction_id

    @property
    def metadata(self) -> dict[str, Any]:
        if isinstance(self._metadata, str):
            self._metadata = decode_metadata(self._metadata)
        return self._metadata

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.key!r})"


class StoreModificationEvent(StoreKeyEvent):
    """A key changed, and the change is committed."""


class StoreSetEvent(StoreModificationEvent):
    """A key that was not there has been set."""

    action = "set"


class StoreUpdateEvent(StoreModificationEvent):
    """A key that was there has new data, new metadata, or both."""

    action = "update"


class StoreDeleteEvent(StoreModificationEvent):
    """A key has been removed."""

    action = "delete"


class StoreProgressEvent(ProgressEvent, StoreKeyEvent):
    """Something that takes long is going on in a store."""

    action = "progress"
    key = ""
    origin = None
    transaction_id = None
    metadata: dict[str, Any] = {}  # noqa: RUF012  replaced by whoever has some


class StoreProgressStartEvent(ProgressStartEvent, StoreProgressEvent):
    """It begins."""


class StoreProgressStepEvent(ProgressStepEvent, StoreProgressEvent):
    """It goes on."""


class StoreProgressEndEvent(ProgressEndEvent, StoreProgressEvent):
    """It has ended."""
