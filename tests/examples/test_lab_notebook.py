"""The lab notebook, used with keys and mouse on a display of its own."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic

import pytest

from encore.storage.api import SqliteStore
from encore.storage.events import StoreProgressStepEvent, StoreSetEvent, StoreUpdateEvent

_SECONDS = 30


@pytest.fixture
def measurements(tmp_path: Path) -> Path:
    """A directory with curves, and something else in it."""
    directory = tmp_path / "alloys"
    directory.mkdir()
    for number in range(1, 6):
        rows = [f"{x},{math.sin(x * number / 20):.4f}" for x in range(200)]
        text = "\n".join(["Time (s),Signal (mV)", *rows])
        (directory / f"alloy-{number}.csv").write_text(text, encoding="utf-8")
    (directory / "README.txt").write_text("not a measurement", encoding="utf-8")
    return directory


@pytest.fixture
def sample(desk):
    """A project with one sample, which is selected."""
    desk.press("Control-n")
    assert desk.window.table.selected == "Sample 1"
    return desk


# -- typing and undo ------------------------------------------------------------------------------


def test_a_note_that_is_typed_is_one_step(sample):
    sample.type("lid was open", into=sample.window.editor.notes)
    assert sample.document.fields("Sample 1")["notes"] == "lid was open"
    assert sample.window.table.tree.set("Sample 1", "notes") == "lid was open"
    assert sample.steps == [("New Sample 1", "done"), ("Edit notes of Sample 1", "present")]
    assert sample.undo_entry == ("Undo Edit notes of Sample 1", True)


def test_keys_undo_and_redo(sample):
    notes = sample.window.editor.notes
    sample.type("first", into=notes)
    sample.press("Control-z", into=notes)
    assert sample.notes == ""
    assert sample.document.fields("Sample 1")["notes"] == ""
    assert sample.steps == [("New Sample 1", "present"), ("Edit notes of Sample 1", "undone")]
    assert sample.undo_entry == ("Undo New Sample 1", True)
    sample.press("Control-Z", into=notes)
    assert sample.notes == "first"
    sample.press("Control-z", into=notes)
    sample.root.clipboard_append("which Tk would paste")
    sample.press("Control-y", into=notes)
    assert sample.notes == "first"
    sample.press("Control-z", "Control-z", into=notes)
    assert sample.rows == []
    assert sample.undo_entry == ("Undo", False)
    sample.press("Control-z", into=notes)


def test_fields_are_steps_of_their_own(sample):
    entries = sample.window.editor.entries
    sample.type("Al", into=entries["material"])
    sample.type("Ada", into=entries["operator"])
    sample.type("7075", into=entries["material"])
    assert sample.document.fields("Sample 1") == {
        "material": "Al7075", "operator": "Ada", "temperature": "", "notes": "",
    }  # fmt: skip
    assert len(sample.document.history.steps) == 4
    sample.press("Control-z")
    assert entries["material"].get() == "Al"


def test_what_is_typed_after_coming_back_is_another_step(sample):
    notes = sample.window.editor.notes
    sample.type("first", into=notes)
    sample.type("", into=sample.window.editor.entries["operator"])
    sample.type(" second", into=notes)
    sample.press("Control-z", into=notes)
    assert sample.notes == "first"
    assert sample.document.fields("Sample 1")["notes"] == "first"


def test_what_undo_changed_is_selected(sample):
    sample.type("x", into=sample.window.editor.notes)
    sample.press("Control-n")
    assert sample.window.table.selected == "Sample 2"
    sample.press("Control-z", "Control-z")
    assert (sample.window.table.selected, sample.notes) == ("Sample 1", "")


def test_buttons_undo_and_redo(sample):
    toolbar = {b["text"]: b for b in sample.root.winfo_children()[1].winfo_children()}
    sample.click(toolbar["Undo"])
    assert sample.rows == []
    assert str(toolbar["Undo"]["state"]) == "disabled"
    sample.click(toolbar["Redo"])
    assert sample.rows == ["Sample 1"]


# -- history --------------------------------------------------------------------------------------


def test_a_click_in_the_history_goes_there(sample):
    for _ in range(3):
        sample.press("Control-n")
    tree = sample.window.history_panel.tree
    before = tree.get_children()
    sample.click(tree, before[2])
    assert sample.rows == ["Sample 1", "Sample 2"]
    assert [look for _, look in sample.steps] == ["done", "present", "undone", "undone"]
    sample.click(tree, before[0])
    assert sample.rows == []
    sample.click(tree, before[4])
    assert len(sample.rows) == 4
    sample.click(tree, before[1])
    sample.type("another way", into=sample.window.editor.notes)
    assert [label for label, _ in sample.steps] == ["New Sample 1", "Edit notes of Sample 1"]


def test_the_title_has_a_star_while_there_are_changes(sample):
    assert sample.title.startswith("*project.db")
    sample.press("Control-s")
    assert sample.title.startswith("project.db")
    sample.press("Control-n")
    assert sample.title.startswith("*")
    sample.press("Control-z")
    assert sample.title.startswith("project.db")
    assert sample.status == "Samples: 1 – saved"


def test_undo_is_there_after_closing_and_opening(sample):
    sample.type("kept", into=sample.window.editor.notes)
    sample.press("Control-s")
    sample.leave()
    sample.sit_down()
    assert sample.rows == ["Sample 1"]
    assert sample.title.startswith("project.db")
    assert sample.undo_entry == ("Undo Edit notes of Sample 1", True)
    sample.press("Control-z")
    assert sample.document.fields("Sample 1")["notes"] == ""
    assert sample.title.startswith("*")


# -- samples --------------------------------------------------------------------------------------


def test_return_in_the_name_renames(sample):
    name = sample.window.editor.name
    sample.press("F2")
    assert sample.root.focus_get() is name
    name.delete(0, "end")
    sample.type("blank", into=name)
    sample.press("Return", into=name)
    assert sample.rows == ["blank"]
    assert sample.window.table.selected == "blank"
    sample.press("Control-z")
    assert sample.rows == ["Sample 1"]
    assert name.get() == "Sample 1"


def test_a_name_that_is_taken_is_refused(sample):
    sample.press("Control-n")
    before = sample.content()
    name = sample.window.editor.name
    name.delete(0, "end")
    sample.type("Sample 1", into=name)
    sample.press("Return", into=name)
    assert sample.status == "There is a sample called Sample 1 already."
    assert sample.content() == before
    assert len(sample.document.history.steps) == 2


def test_a_sample_is_deleted_and_its_neighbour_selected(sample):
    sample.press("Control-n")
    sample.click(sample.window.table.tree, "Sample 1")
    sample.type("notes stay", into=sample.window.editor.notes)
    before = sample.content()
    sample.press("Control-Delete")
    assert sample.rows == ["Sample 2"]
    assert sample.window.table.selected == "Sample 2"
    sample.press("Control-z")
    assert sample.content() == before
    assert sample.notes == "notes stay"
    sample.press("Control-z", "Control-z", "Control-z")
    assert str(sample.window.editor.notes["state"]) == "disabled"


def test_what_others_write_is_shown(sample):
    samples = sample.document.samples

    def work():
        samples.put("from a thread", b"1,2\n3,4\n", {"notes": "hello"})
        samples.update_metadata("Sample 1", {"notes": "from a thread"})

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    sample.settle()
    assert sample.rows == ["Sample 1", "from a thread"]
    assert sample.window.table.tree.set("Sample 1", "notes") == "from a thread"
    assert sample.window.table.selected == "Sample 1"  # where somebody may be typing
    sample.click(sample.window.table.tree, "from a thread")
    assert sample.window.plot.find_withtag("curve")


@pytest.mark.parametrize("count", [1, 30])
def test_the_table_believes_the_store_more_than_a_late_event(desk, count):
    desk.document.is_shared = True
    samples, table = desk.document.samples, desk.window.table.tree
    names = [f"{number:02}" for number in range(count)]
    for name in names:
        samples.put(name, b"", {"notes": "now"})
    desk.until(lambda: not desk.window.table._doubtful)
    for name in names:
        late = StoreUpdateEvent(samples, name, '{"notes":"before"}')
        samples.event_manager.emit(late)
        samples.event_manager.emit(StoreSetEvent(samples, f"gone {name}"))
    desk.settle()
    desk.until(lambda: not desk.window.table._doubtful)
    assert desk.rows == names
    assert {table.set(name, "notes") for name in names} == {"now"}


@pytest.mark.parametrize("name", ["007", "-5 °C", "a {b", "x\\y", "[exit]", "$HOME", '"', "e/f g"])
def test_any_name_can_be_shown(sample, name):
    sample.document.rename("Sample 1", name)
    sample.settle()
    assert sample.window.table.selected == name
    assert sample.window.editor.name.get() == name
    sample.type("noted", into=sample.window.editor.notes)
    assert sample.document.fields(name)["notes"] == "noted"
    sample.press("Control-Delete")
    assert sample.rows == []


def test_a_name_being_typed_survives_changes_of_fields(sample):
    name = sample.window.editor.name
    name.delete(0, "end")
    sample.type("not yet", into=name)
    sample.document.set_field("Sample 1", "notes", "by somebody else")
    sample.settle()
    assert (name.get(), sample.notes) == ("not yet", "by somebody else")


def test_what_is_shown_is_not_written_back(sample):
    """Somebody else's change between two looks at the store would be undone by that."""
    document = sample.document
    document.set_field("Sample 1", "operator", "Ada")
    document.set_field("Sample 1", "notes", "first")
    sample.settle()
    fields = document.fields

    def fields_and_then_a_change(name):
        found = fields(name)
        document.fields = fields
        document.samples.update_metadata(name, {"operator": "Grace", "notes": "second"})
        return found

    document.set_field("Sample 1", "operator", "Lise")
    document.set_field("Sample 1", "notes", "third")
    document.fields = fields_and_then_a_change
    sample.settle()
    assert fields("Sample 1")["operator"] == "Grace"
    assert fields("Sample 1")["notes"] == sample.notes == "second"


# -- importing ------------------------------------------------------------------------------------


def test_an_import_is_one_step(sample, measurements):
    before = sample.content()
    sample.window.import_directory(str(measurements))
    sample.until(lambda: sample.window._import is None)
    sample.settle()
    assert sample.rows == ["Sample 1", *(f"alloy-{number}" for number in range(1, 6))]
    assert sample.steps == [("New Sample 1", "done"), ("Import alloys", "present")]
    assert sample.status == "Samples imported: 5; there already: 0."
    sample.press("Control-z")
    assert sample.content() == before
    sample.press("Control-Z")
    assert len(sample.rows) == 6


def test_an_import_leaves_samples_that_are_there(desk, measurements):
    desk.window.import_directory(str(measurements))
    desk.until(lambda: desk.window._import is None)
    desk.type("checked", into=desk.window.editor.notes)
    (measurements / "alloy-0.csv").write_text("1,2\n3,4\n")
    desk.window.import_directory(str(measurements))
    desk.until(lambda: desk.window._import is None)
    assert desk.status == "Samples imported: 1; there already: 5."
    assert desk.document.fields("alloy-5")["notes"] == "checked"


@pytest.fixture
def slow(desk):
    """The bar of an import that stops after the first file until it is cancelled."""
    reached = threading.Event()

    def wait(event):
        reached.set()
        event.cancel_token.wait(_SECONDS)

    samples = desk.document.samples
    # After the others: they are to hear of the step first.
    samples.event_manager.connect(
        StoreProgressStepEvent, wait, filter={"source": samples}, priority=-1
    )
    yield reached
    samples.event_manager.disconnect(StoreProgressStepEvent, wait)


def test_the_button_stops_an_import(sample, slow, measurements):
    before = sample.content()
    sample.window.import_directory(str(measurements))
    sample.until(slow.is_set)
    dialog = sample.window._import
    sample.until(lambda: float(dialog.bar["value"]) > 0)
    assert dialog.grab_current() is dialog
    assert sample.rows == ["Sample 1"]
    sample.click(dialog.button)
    sample.until(lambda: sample.window._import is None)
    assert sample.status == "The import was cancelled; nothing has been changed."
    assert sample.content() == before
    assert sample.rows == ["Sample 1"]
    assert sample.steps == [("New Sample 1", "present")]


def test_closing_the_window_stops_an_import(sample, slow, measurements):
    sample.window.import_directory(str(measurements))
    sample.until(slow.is_set)
    window = sample.window
    sample.root.tk.eval(sample.root.protocol("WM_DELETE_WINDOW"))
    sample.until(lambda: window._import is None)
    sample._is_open = False
    assert list(sample.document.samples) == ["Sample 1"]
    sample.document.close()


def test_a_directory_that_cannot_be_read_is_reported(sample, tmp_path):
    before = sample.content()
    (tmp_path / "file").write_text("")
    sample.window.import_directory(str(tmp_path / "file"))
    sample.until(lambda: sample.window._import is None)
    assert sample.status.startswith("The import failed: ")
    assert sample.content() == before


# -- the curve ------------------------------------------------------------------------------------


def test_the_curve_of_the_selected_sample_is_drawn(desk, measurements):
    desk.window.import_directory(str(measurements))
    desk.until(lambda: desk.window._import is None)
    plot = desk.window.plot
    desk.click(desk.window.table.tree, "alloy-1")
    (curve,) = plot.find_withtag("curve")
    places = plot.coords(curve)
    assert len(places) == 2 * 200
    xs, ys = places[::2], places[1::2]
    assert xs == sorted(xs)
    assert 0 < min(xs) < max(xs) < plot.winfo_width()
    # sin(x / 20) has its first maximum at 31, and up is less on a canvas.
    assert min(range(63), key=ys.__getitem__) == 31
    texts = [plot.itemcget(item, "text") for item in plot.find_all() if plot.type(item) == "text"]
    assert {"Time (s)", "Signal (mV)"} <= set(texts)
    desk.click(desk.window.table.tree, "alloy-2")
    (other,) = plot.find_withtag("curve")
    assert plot.coords(other) != places


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0, 6], [0, 1, 2, 3, 4, 5, 6]),
        ([20, 620], [0, 100, 200, 300, 400, 500, 600, 700]),
        ([-0.3, 0.9], [-0.4, -0.2, 0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ([5, 5], [4, 4.5, 5, 5.5, 6]),
        ([1e-9, 3e-9], [1e-9, 1.5e-9, 2e-9, 2.5e-9, 3e-9]),
    ],
)
def test_ticks_are_round_and_enclose_the_numbers(numbers, expected):
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    from encore.examples.lab_notebook.plot import ticks

    assert ticks(numbers) == pytest.approx(expected)


# -- as a program ---------------------------------------------------------------------------------


def test_the_program_with_real_keys(display, tmp_path):
    """In a process of its own, with keys from the X server, looked at through another door."""
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    xdotool = shutil.which("xdotool")
    if xdotool is None:
        pytest.skip("xdotool is not installed, so nobody can press keys")
    path = tmp_path / "real.db"
    environment = {**os.environ, "DISPLAY": display}
    command = [sys.executable, "-m", "encore.examples.lab_notebook", str(path)]
    program = subprocess.Popen(command, env=environment)

    def do(*words):
        done = subprocess.run(
            [xdotool, *words], env=environment, capture_output=True, text=True, timeout=_SECONDS
        )
        return done.stdout.strip()

    def wait_for(condition):
        end = monotonic() + _SECONDS
        while not condition():  # asking takes a process, so this is no busy loop
            assert monotonic() < end, "it did not happen"

    try:
        window = do("search", "--sync", "--onlyvisible", "--name", "Lab notebook").split()[-1]
        do("windowfocus", "--sync", window)
        do("key", "ctrl+n")
        wait_for(lambda: do("getwindowname", window).startswith("*real.db"))
        with SqliteStore(path, readonly=True) as store:
            assert list(store.keys("samples/")) == ["samples/Sample 1"]
            do("key", "ctrl+s")
            wait_for(lambda: do("getwindowname", window).startswith("real.db"))
            do("key", "ctrl+z")
            wait_for(lambda: do("getwindowname", window).startswith("*"))
            assert list(store.keys("samples/")) == []
        do("key", "ctrl+q")
        assert program.wait(_SECONDS) == 0
    finally:
        program.kill()
        program.wait()
