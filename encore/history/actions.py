"""Undo and redo as a menu has them: a label, whether they can be chosen, and choosing them.

For windows of any toolkit: a widget asks to be called when the label or the state may have
changed, and looks. Anybody may import this module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from encore.events.abstract_event_manager import Dispatch
from encore.history.events import HistoryChangedEvent
from encore.history.history import History
from encore.history.steps import Step

__all__ = ["HistoryAction", "RedoAction", "UndoAction"]


class HistoryAction(ABC):
    """A command of a menu that follows a history: see `UndoAction` and `RedoAction`.

    Parameters
    ----------
    history : History
    dispatch : callable, optional
        Brings the calls of `on_change` to the loop of a GUI; see `BaseEventManager.connect`.

    Notes
    -----
    The label and the state are those of the history at this moment, never remembered.

    *Threads*: as `History`; without ``dispatch``, `on_change` is called in the thread that changed
    the history.
    """

    verb: ClassVar[str]

    def __init__(self, history: History, *, dispatch: Dispatch | None = None) -> None:
        self.history = history
        self.dispatch = dispatch

    @property
    def label(self) -> str:
        """What the menu entry says: ``"Undo Crop image"``, or ``"Undo"`` if there is nothing."""
        return f"{self.verb} {self._step_label()}".rstrip()

    @property
    @abstractmethod
    def is_enabled(self) -> bool:
        """Whether there is something to do."""

    @abstractmethod
    def trigger(self) -> tuple[Step, ...]:
        """Do it.

        Returns
        -------
        tuple of Step
            What has been undone or redone; empty if there was nothing.

        Raises
        ------
        UndoConflict, HistoryBusy
            See `History.undo`.
        """

    @abstractmethod
    def _step_label(self) -> str: ...

    def on_change(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call ``callback()`` whenever the label or the state may have changed.

        Parameters
        ----------
        callback : callable
            Held strongly. What it raises is logged.

        Returns
        -------
        disconnect : callable
            Ends it.
        """
        history = self.history
        manager = history.event_manager

        def changed(event: HistoryChangedEvent) -> None:
            callback()

        manager.connect(
            HistoryChangedEvent, changed, filter={"source": history}, dispatch=self.dispatch
        )
        return lambda: manager.disconnect(HistoryChangedEvent, changed)


class UndoAction(HistoryAction):
    """Takes back the last step: ``Undo Crop image``."""

    verb = "Undo"

    @property
    def is_enabled(self) -> bool:
        return self.history.can_undo

    def trigger(self) -> tuple[Step, ...]:
        return self.history.undo()

    def _step_label(self) -> str:
        return self.history.undo_label


class RedoAction(HistoryAction):
    """Does the next step again: ``Redo Crop image``."""

    verb = "Redo"

    @property
    def is_enabled(self) -> bool:
        return self.history.can_redo

    def trigger(self) -> tuple[Step, ...]:
        return self.history.redo()

    def _step_label(self) -> str:
        return self.history.redo_label
