"""encore in Qt: calls handed to the event loop, menu entries, progress bars, a list of steps.

Needs PySide6, the ``qt`` extra; only here is it imported. Everything in this module belongs to the
thread of the GUI, but for `QtDispatch`, which is called from any. Applications import it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

try:
    from PySide6.QtCore import (
        QAbstractListModel,
        QModelIndex,
        QObject,
        QPersistentModelIndex,
        Qt,
        Signal,
    )
    from PySide6.QtGui import QAction, QFont, QGuiApplication, QKeySequence, QPalette
    from PySide6.QtWidgets import QProgressBar, QProgressDialog
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'encore.adapters.qt needs PySide6, which is not installed: pip install "encore[qt]"',
        name=error.name,
    ) from error

from encore.errors import EncoreError
from encore.events.abstract_event_manager import Dispatch
from encore.events.progress_model import ProgressModel
from encore.history.actions import HistoryAction
from encore.history.events import HistoryChangedEvent
from encore.history.history import History
from encore.history.steps import Step

__all__ = [
    "HistoryListModel",
    "QtDispatch",
    "bind_progress_bar",
    "bind_progress_dialog",
    "make_action",
]

# Of a bar whose end is known. Qt counts in 32 bits, which the bytes of a copy may not fit.
_WHOLE = 1000


class QtDispatch(QObject):
    """Hands calls to the event loop of the thread that made it.

    A ``dispatch`` for `BaseEventManager.connect`. Calls run later, in the order in which they were
    handed over, also when they come from the thread of the loop itself. When the object is gone
    they are dropped.

    Parameters
    ----------
    parent : QObject, optional
        Owns it; the window, for example.
    """

    _handed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._handed.connect(self._run, Qt.ConnectionType.QueuedConnection)

    def __call__(self, call: Callable[[], None]) -> None:
        try:
            self._handed.emit(call)
        except RuntimeError:  # its C++ half has been deleted: the window was closed
            return

    def _run(self, call: Callable[[], None]) -> None:
        call()


def make_action(
    action: HistoryAction,
    parent: QObject | None = None,
    *,
    shortcut: QKeySequence | QKeySequence.StandardKey | str | None = None,
    on_error: Callable[[EncoreError], object] | None = None,
) -> QAction:
    """Return a menu entry that follows an undo or redo action.

    Parameters
    ----------
    action : UndoAction or RedoAction
        Made with a `QtDispatch` as its ``dispatch``.
    parent : QObject, optional
        Owns the entry.
    shortcut : key sequence, optional
        ``QKeySequence.StandardKey.Undo``, for example.
    on_error : callable, optional
        Shown the error (`UndoConflict`, for example) when choosing the entry fails. Without it the
        error is raised in the slot.

    Returns
    -------
    QAction
    """
    entry = QAction(parent)
    if shortcut is not None:
        entry.setShortcut(QKeySequence(shortcut))

    def refresh() -> None:
        entry.setText(action.label.replace("&", "&&"))  # or it would underline what follows
        entry.setEnabled(action.is_enabled)

    def trigger() -> None:
        try:
            action.trigger()
        except EncoreError as error:
            if on_error is None:
                raise
            on_error(error)

    refresh()
    entry.triggered.connect(trigger)
    _until_destroyed(entry, action.on_change(refresh))
    return entry


def bind_progress_bar(bar: QProgressBar, model: ProgressModel) -> None:
    """Have a bar show a model, until the bar is destroyed.

    It moves to and fro while the end is unknown, and is empty before the first operation.

    Parameters
    ----------
    bar : QProgressBar
    model : ProgressModel
        Made with a `QtDispatch` as its ``dispatch``.
    """

    def refresh() -> None:
        fraction = model.fraction
        unknown = model.is_running and fraction is None
        bar.setRange(0, 0 if unknown else _WHOLE)
        if not unknown:
            bar.setValue(round((fraction or 0.0) * _WHOLE))

    refresh()
    _until_destroyed(bar, model.on_change(refresh))


def bind_progress_dialog(dialog: QProgressDialog, model: ProgressModel) -> None:
    """Have a dialog show a model while it is running, until the dialog is destroyed.

    It appears when an operation takes longer than its ``minimumDuration`` and goes when the
    operation has ended. Its button asks the operation to stop.

    Parameters
    ----------
    dialog : QProgressDialog
    model : ProgressModel
        Made with a `QtDispatch` as its ``dispatch``.
    """
    dialog.setAutoReset(False)  # it would go at 100 %, before the commit

    def refresh() -> None:
        if not model.is_running:
            dialog.reset()  # hides it, and forgets that the button was pressed
            return
        if dialog.wasCanceled():
            return  # or it would come back until the operation has stopped
        fraction = model.fraction
        dialog.setLabelText(model.message)
        dialog.setRange(0, 0 if fraction is None else _WHOLE)
        dialog.setValue(round((fraction or 0.0) * _WHOLE))

    refresh()
    dialog.canceled.connect(lambda: model.cancel("stopped by the user"))
    _until_destroyed(dialog, model.on_change(refresh))


class HistoryListModel(QAbstractListModel):
    """The steps of a history for a list view, oldest first.

    Row 0 is the state before the first step, row ``n`` the state after ``n`` steps. The row of the
    present state is bold; what has been undone is in the colour of disabled text.

    Parameters
    ----------
    history : History
    dispatch : QtDispatch
    parent : QObject, optional
    beginning : str, optional
        What row 0 says.
    """

    def __init__(
        self,
        history: History,
        dispatch: Dispatch,
        parent: QObject | None = None,
        *,
        beginning: str = "Beginning",
    ) -> None:
        super().__init__(parent)
        self._history = history
        self._beginning = beginning
        self._steps = history.steps
        manager = history.event_manager
        manager.connect(
            HistoryChangedEvent, self._refresh, filter={"source": history}, dispatch=dispatch
        )

    @property
    def current_row(self) -> int:
        """The row of the present state."""
        return sum(step.is_done for step in self._steps)

    def go_to(self, index: QModelIndex) -> tuple[Step, ...]:
        """Undo or redo until the state is that of a row: for ``view.clicked.connect``.

        Raises
        ------
        UndoConflict, HistoryBusy
            See `History.go_to`.
        """
        return self._history.go_to(index.row())

    def rowCount(  # noqa: N802  a name of Qt
        self,
        parent: QModelIndex | QPersistentModelIndex = QModelIndex(),  # noqa: B008  immutable
    ) -> int:
        return 0 if parent.isValid() else len(self._steps) + 1

    def data(
        self,
        index: QModelIndex | QPersistentModelIndex,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        row = index.row()
        step = self._steps[row - 1] if row else None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._beginning if step is None else step.label
        if role == Qt.ItemDataRole.UserRole:
            return step
        if role == Qt.ItemDataRole.ToolTipRole and step is not None:
            return f"{datetime.fromtimestamp(step.time):%x %X}"
        if role == Qt.ItemDataRole.FontRole and row == self.current_row:
            font = QFont()
            font.setBold(True)
            return font
        if role == Qt.ItemDataRole.ForegroundRole and step is not None and not step.is_done:
            palette = QGuiApplication.palette()
            return palette.brush(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Text)
        return None

    def _refresh(self, event: HistoryChangedEvent) -> None:
        self.beginResetModel()
        self._steps = self._history.steps
        self.endResetModel()


def _until_destroyed(widget: QObject, disconnect: Callable[[], None]) -> None:
    widget.destroyed.connect(lambda: disconnect())
