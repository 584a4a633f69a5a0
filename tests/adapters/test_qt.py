"""Qt follows: calls in its thread, menu entries, progress bars, the list of steps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic

import pytest

try:
    from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QObject, Qt, QTimer
    from PySide6.QtGui import QKeySequence
    from PySide6.QtWidgets import (
        QApplication,
        QListView,
        QProgressBar,
        QProgressDialog,
        QPushButton,
    )
except ImportError as error:
    pytest.skip(f"Qt cannot be loaded here: {error}", allow_module_level=True)

from encore.adapters.qt import (
    HistoryListModel,
    QtDispatch,
    bind_progress_bar,
    bind_progress_dialog,
    make_action,
)
from encore.errors import HistoryBusy, OperationCancelled
from encore.events.api import EventManager, ProgressEvent, ProgressManager, ProgressModel
from encore.examples.lab_notebook.document import Document
from encore.history import History
from encore.history.actions import RedoAction, UndoAction
from encore.storage.api import DictStore
from encore.storage.events import StoreModificationEvent

pytestmark = pytest.mark.usefixtures("application")
_SECONDS = 30


@pytest.fixture(scope="module")
def application():
    before = os.environ.get("QT_QPA_PLATFORM")
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    yield QApplication.instance() or QApplication([])
    if before is None:
        del os.environ["QT_QPA_PLATFORM"]
    else:
        os.environ["QT_QPA_PLATFORM"] = before


@pytest.fixture
def manager():
    return EventManager()


@pytest.fixture
def dispatch():
    return QtDispatch()


@pytest.fixture
def store(manager):
    with DictStore(event_manager=manager) as store:
        yield store


@pytest.fixture
def history(store):
    with History(store) as history:
        yield history


def turn_until(condition):
    """Let the loop turn until something has happened."""
    end = monotonic() + _SECONDS
    while not condition():
        assert monotonic() < end, "it did not happen"
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 50)


def turn():
    """Let the loop do what is waiting."""
    QCoreApplication.processEvents()


def destroy(thing):
    thing.deleteLater()
    QCoreApplication.sendPostedEvents(thing, QEvent.Type.DeferredDelete)


# -- dispatch -------------------------------------------------------------------------------------


def test_calls_run_in_the_thread_of_the_loop_in_their_order(dispatch):
    ran = []

    def work():
        for number in range(3):
            dispatch(lambda number=number: ran.append((number, threading.current_thread())))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == []
    turn_until(lambda: len(ran) == 3)
    assert ran == [(number, threading.main_thread()) for number in range(3)]


def test_calls_of_the_loop_itself_run_later_too(dispatch):
    ran = []
    dispatch(lambda: ran.append(1))
    assert ran == []
    turn()
    assert ran == [1]


def test_changes_of_a_worker_are_heard_in_the_loop(store, dispatch):
    heard = []
    store.event_manager.connect(
        StoreModificationEvent,
        lambda event: heard.append((event.key, threading.current_thread())),
        dispatch=dispatch,
    )
    thread = threading.Thread(target=store.put, args=("a", b"1"))
    thread.start()
    thread.join()
    turn_until(lambda: heard)
    assert heard == [("a", threading.main_thread())]


def test_a_dispatch_that_qt_has_deleted_drops_calls():
    window = QObject()
    dispatch = QtDispatch(window)
    destroy(window)
    dispatch(lambda: pytest.fail("it ran"))
    turn()


# -- menu entries ---------------------------------------------------------------------------------


def test_entries_follow_the_history(store, history, dispatch):
    undo = make_action(UndoAction(history, dispatch=dispatch), shortcut="Ctrl+Z")
    redo = make_action(
        RedoAction(history, dispatch=dispatch), shortcut=QKeySequence.StandardKey.Redo
    )
    assert (undo.text(), undo.isEnabled(), redo.isEnabled()) == ("Undo", False, False)
    assert undo.shortcut().toString() == "Ctrl+Z"
    assert not redo.shortcut().isEmpty()
    with store.transaction("Crop & scale"):
        store.put("a", b"1")
    turn_until(undo.isEnabled)
    assert undo.text() == "Undo Crop && scale"
    undo.trigger()
    assert "a" not in store
    turn_until(redo.isEnabled)
    assert (undo.text(), redo.text()) == ("Undo", "Redo Crop && scale")
    redo.trigger()
    assert store.read("a") == b"1"


def test_a_refused_undo_is_shown(store, history, dispatch):
    shown = []
    undo = make_action(UndoAction(history, dispatch=dispatch), on_error=shown.append)
    store.put("a", b"1")
    turn_until(undo.isEnabled)
    with store.transaction():
        undo.trigger()
    assert [type(error) for error in shown] == [HistoryBusy]


def test_an_entry_that_is_deleted_follows_no_more(store, history, dispatch, caplog):
    parent = QObject()
    make_action(UndoAction(history, dispatch=dispatch), parent)
    store.put("a", b"1")
    turn()
    destroy(parent)
    store.put("b", b"1")
    turn()
    assert caplog.records == []


# -- progress -------------------------------------------------------------------------------------


def working(manager, **options):
    return ProgressManager(manager, interval_seconds=0, **options)


def test_a_bar_shows_how_much_is_done(manager, dispatch):
    bar = QProgressBar()
    bind_progress_bar(bar, ProgressModel(manager, dispatch=dispatch))
    assert (bar.minimum(), bar.value()) == (0, 0)
    with working(manager, steps=4 << 40) as progress:  # more than Qt could count
        progress(1 << 40)
        turn()
        assert bar.value() / bar.maximum() == 0.25
        progress(4 << 40)
        turn()
    assert bar.value() == bar.maximum()


def test_a_bar_moves_to_and_fro_while_the_end_is_unknown(manager, dispatch):
    bar = QProgressBar()
    bind_progress_bar(bar, ProgressModel(manager, dispatch=dispatch))
    with working(manager):
        turn()
        assert (bar.minimum(), bar.maximum()) == (0, 0)
    turn()
    assert bar.maximum() > 0


def test_the_button_of_a_dialog_stops_a_worker(manager, dispatch):
    dialog = QProgressDialog("", "Cancel", 0, 100)
    dialog.setMinimumDuration(0)
    model = ProgressModel(manager, dispatch=dispatch)
    bind_progress_dialog(dialog, model)
    outcome = []

    def work():
        try:
            with working(manager, message="Copying", steps=10) as progress:
                progress(3)
                progress.cancel_token.wait(_SECONDS)
                progress(4)
        except OperationCancelled as error:
            outcome.append(str(error))

    for _ in range(2):  # a second time, after the button was pressed once
        outcome.clear()
        thread = threading.Thread(target=work)
        thread.start()
        turn_until(lambda: dialog.isVisible() and dialog.value() == 300)
        assert dialog.labelText() == "Copying"
        assert not dialog.wasCanceled()
        dialog.findChild(QPushButton).click()
        turn_until(lambda: not model.is_running)
        thread.join()
        assert outcome == ["the operation was cancelled: stopped by the user"]
        assert not dialog.isVisible()


def test_a_dialog_stays_away_while_nothing_is_running(manager, dispatch):
    dialog = QProgressDialog("", "Cancel", 0, 100)
    bind_progress_dialog(dialog, ProgressModel(manager, dispatch=dispatch))
    assert not [timer for timer in dialog.findChildren(QTimer) if timer.isActive()]
    with working(manager, steps=2) as progress:
        progress(2)
        turn()
    turn()
    assert not dialog.isVisible()


def test_widgets_that_are_deleted_follow_no_more(manager, dispatch, caplog):
    model = ProgressModel(manager, dispatch=dispatch)
    bar, dialog = QProgressBar(), QProgressDialog()
    bind_progress_bar(bar, model)
    bind_progress_dialog(dialog, model)
    destroy(bar)
    destroy(dialog)
    with working(manager):
        turn()
    turn()
    assert caplog.records == []
    model.close()
    assert not manager.wants(ProgressEvent)


# -- the list of steps ----------------------------------------------------------------------------


def rows(model):
    return [model.data(model.index(row)) for row in range(model.rowCount())]


def test_the_list_shows_steps_and_where_the_history_stands(store, history, dispatch):
    model = HistoryListModel(history, dispatch, beginning="New document")
    view = QListView()
    view.setModel(model)
    assert rows(model) == ["New document"]
    for name in "abc":
        with store.transaction(f"Add {name}"):
            store.put(name, b"")
    turn_until(lambda: model.rowCount() == 4)
    assert rows(model) == ["New document", "Add a", "Add b", "Add c"]
    model.go_to(model.index(1))
    assert list(store) == ["a"]
    turn_until(lambda: model.current_row == 1)

    def role(name):
        return [model.data(model.index(row), name) for row in range(4)]

    fonts, inks = role(Qt.ItemDataRole.FontRole), role(Qt.ItemDataRole.ForegroundRole)
    assert [font is not None and font.bold() for font in fonts] == [False, True, False, False]
    assert [ink is not None for ink in inks] == [False, False, True, True]
    assert [tip is not None for tip in role(Qt.ItemDataRole.ToolTipRole)] == [False] + 3 * [True]
    assert role(Qt.ItemDataRole.UserRole) == [None, *history.steps]
    view.clicked.connect(model.go_to)
    view.clicked.emit(model.index(3))
    assert list(store) == ["a", "b", "c"]
    assert model.rowCount(model.index(0)) == 0  # rows have no rows


# -- as the documentation shows it ----------------------------------------------------------------


def test_the_example_of_the_documentation(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "howto" / "desktop-application.md"
    (example,) = re.findall(
        r"<!-- not run: needs Qt and a window -->\n```python\n(.*?)```", page.read_text(), re.S
    )
    with Document(tmp_path / "alloys.db") as document:
        names = {"document": document}
        exec(example, names)
        document.new_sample()
        undo, redo = names["edit"].actions()
        turn_until(undo.isEnabled)
        assert (undo.text(), redo.text()) == ("Undo New Sample 1", "Redo")
        assert names["model"].rowCount() == 2
        undo.trigger()
        assert list(document.samples) == []
        destroy(names["window"])


# -- without PySide6 ------------------------------------------------------------------------------


def test_without_pyside_the_error_says_how_to_get_it():
    program = (
        "import sys\n"
        "sys.modules['PySide6'] = None\n"  # as if it were not installed
        "try:\n"
        "    import encore.adapters.qt\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert 'pip install "encore[qt]"' in done.stdout, done.stderr
