"""The event of a history. Anybody may import this module."""

from __future__ import annotations

from typing import Any

from encore.events.abstract_event_manager import BaseEvent


class HistoryChangedEvent(BaseEvent):
    """There is a new step, or the history stands elsewhere: menus may want to follow.

    Attributes
    ----------
    source : History
    index : int
        How many steps are done.
    can_undo, can_redo : bool
    undo_label, redo_label : str
        What would be undone or done again; empty if nothing can be.
    is_saved : bool
    """

    def __init__(
        self,
        source: Any,
        *,
        index: int,
        can_undo: bool,
        can_redo: bool,
        undo_label: str,
        redo_label: str,
        is_saved: bool,
    ) -> None:
        super().__init__(source)
        self.index = index
        self.can_undo = can_undo
        self.can_redo = can_redo
        self.undo_label = undo_label
        self.redo_label = redo_label
        self.is_saved = is_saved
