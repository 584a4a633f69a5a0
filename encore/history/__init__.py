"""Undo and redo for stores: the names people import.

======================  ============================================================================
`History`               what has been done in a store, and the way back
`Step`, `StepChange`    one undoable change, and what it did to one key
`HistoryChangedEvent`   menus follow it
======================  ============================================================================
"""

from encore.history.events import HistoryChangedEvent
from encore.history.history import History
from encore.history.steps import Step, StepChange

__all__ = ["History", "HistoryChangedEvent", "Step", "StepChange"]
