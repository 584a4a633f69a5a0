"""Lab notebooks on one project that ``encore serve`` publishes, each in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from two_windows import Seat, served_file

from encore.config import open_store
from encore.storage.api import SqliteStore

_SECONDS = 30


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A served project."""
    pytest.importorskip("uvicorn", reason="the extra 'server' is not installed")
    with served_file(tmp_path / "project.db") as (_, url):
        yield f"service:{url}/notebook/lab=7"


@pytest.fixture
def seats(address: str, display: str, other_display: str) -> Iterator[list[Seat]]:
    """Two windows on it, of two people."""
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    found: list[Seat] = []
    try:
        for one in (display, other_display):
            found.append(Seat(address, one))  # noqa: PERF401  each is closed, whatever comes
        yield found
        assert [seat.leave() for seat in found] == [0, 0]
    finally:
        for seat in found:
            if seat._process.poll() is None:
                seat.leave()


def content(address: str) -> dict[str, Any]:
    """The samples as they are at the service."""
    with open_store(address, follow=False) as store:
        return {key.removeprefix("samples/"): metadata for key, metadata in store.query()}


def measurements(tmp_path: Path) -> Path:
    """A directory with three curves."""
    directory = tmp_path / "alloys"
    directory.mkdir()
    for number in range(3):
        (directory / f"alloy-{number}.csv").write_text("1,2\n3,4\n", encoding="utf-8")
    return directory


def test_an_edit_in_one_window_shows_in_the_other(seats: list[Seat]) -> None:
    one, other = seats
    one.do("press", "Control-n")
    one.do("type", "lid was open", "notes")
    seen = other.sees(lambda seen: seen["rows"].get("Sample 1", {}).get("notes") == "lid was open")
    assert seen["selected"] is None  # nobody takes the fields from whoever sits there
    assert seen["status"] == "Samples: 1 – shared, saved"
    assert seen["undo"] == ["Undo", False]
    assert not seen["title"].startswith("*")

    other.do("select", "Sample 1")
    other.do("type", "Ada", "operator")
    seen = one.sees(lambda seen: seen["operator"] == "Ada")
    assert seen["rows"]["Sample 1"]["operator"] == "Ada"
    assert seen["notes"] == "lid was open"
    assert seen["status"] == "Samples: 1 – shared, changed here since it was saved"


def test_undo_in_one_window_shows_in_the_other(seats: list[Seat]) -> None:
    one, other = seats
    one.do("press", "Control-n")
    one.do("type", "first", "notes")
    other.sees(lambda seen: seen["rows"].get("Sample 1", {}).get("notes") == "first")
    one.do("press", "Control-z")
    other.sees(lambda seen: seen["rows"]["Sample 1"]["notes"] == "")
    one.do("press", "Control-Z")
    other.sees(lambda seen: seen["rows"]["Sample 1"]["notes"] == "first")
    one.do("press", "Control-z", "Control-z")
    seen = other.sees(lambda seen: not seen["rows"])
    assert seen["status"] == "Samples: 0 – shared, saved"


def test_undo_of_what_somebody_else_has_changed_loses_nothing(
    seats: list[Seat], address: str
) -> None:
    one, other = seats
    one.do("press", "Control-n")
    one.do("type", "mine", "notes")
    other.sees(lambda seen: "Sample 1" in seen["rows"])
    other.do("select", "Sample 1")
    other.do("type", "Ada", "operator")
    one.sees(lambda seen: seen["operator"] == "Ada")

    one.do("press", "Control-z")
    said = (
        "Somebody else has changed Sample 1 since: nothing has been undone or redone. "
        "“Undo what can be undone” in the menu leaves that as it is."
    )
    seen = one.look()
    assert (seen["status"], seen["notes"], seen["operator"]) == (said, "mine", "Ada")
    assert content(address) == {"Sample 1": {"notes": "mine", "operator": "Ada"}}
    other.do("press", "Control-n")  # does not take the sentence away
    assert one.sees(lambda seen: "Sample 2" in seen["rows"])["status"] == said

    other.do("press", "Control-z", "Control-z")  # what they did goes, and so the conflict
    one.sees(lambda seen: seen["operator"] == "" and "Sample 2" not in seen["rows"])
    one.do("press", "Control-z")
    other.sees(lambda seen: seen["rows"]["Sample 1"]["notes"] == "")


@pytest.mark.slow
def test_undo_leaves_what_somebody_else_has_changed_if_told_to(
    seats: list[Seat], address: str, tmp_path: Path
) -> None:
    one, other = seats
    one.do("import", str(measurements(tmp_path)))
    other.sees(lambda seen: len(seen["rows"]) == 3)
    other.do("select", "alloy-1")
    other.do("type", "Ada", "operator")
    one.sees(lambda seen: seen["rows"]["alloy-1"]["operator"] == "Ada")
    one.do("press", "Control-z")
    assert "alloy-1 since" in one.look()["status"]
    assert len(content(address)) == 3
    one.do("choose", "Undo what can be undone")
    assert content(address) == {"alloy-1": {"operator": "Ada"}}
    for seat in seats:
        seat.sees(lambda seen: [*seen["rows"]] == ["alloy-1"])
    one.do("press", "Control-Z")
    assert [*content(address)] == ["alloy-0", "alloy-1", "alloy-2"]
    other.sees(lambda seen: seen["rows"].get("alloy-1", {}).get("operator") == "Ada")


@pytest.mark.slow
def test_two_people_type_into_one_sample_at_once(seats: list[Seat], address: str) -> None:
    one, other = seats
    one.do("press", "Control-n")
    other.sees(lambda seen: "Sample 1" in seen["rows"])
    other.do("select", "Sample 1")
    notes, operator = "abcdefgh" * 4, "zyxwvuts" * 4
    one.ask("type", notes, "notes")
    other.ask("type", operator, "operator")
    one.answer()
    other.answer()
    assert content(address) == {"Sample 1": {"notes": notes, "operator": operator}}
    for seat in seats:
        seat.sees(lambda seen: (seen["notes"], seen["operator"]) == (notes, operator))
        seat.sees(lambda seen: seen["rows"]["Sample 1"]["notes"] == notes)
        seat.sees(lambda seen: seen["rows"]["Sample 1"]["operator"] == operator)


@pytest.mark.slow
def test_an_import_shows_in_the_other_window(seats: list[Seat], tmp_path: Path) -> None:
    one, other = seats
    one.do("import", str(measurements(tmp_path)))
    assert one.look()["status"] == "Samples imported: 3; there already: 0."
    other.sees(lambda seen: [*seen["rows"]] == ["alloy-0", "alloy-1", "alloy-2"])


@pytest.mark.slow
def test_a_service_that_is_gone_is_said_until_it_is_back(tmp_path: Path, display: str) -> None:
    pytest.importorskip("uvicorn", reason="the extra 'server' is not installed")
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    path = tmp_path / "project.db"
    with served_file(path) as (process, url):
        seat = Seat(f"service:{url}/notebook/_", display)
        try:
            seat.do("press", "Control-n")
            process.kill()
            process.wait(_SECONDS)
            seat.do("type", "x", "notes")
            seen = seat.look()
            assert seen["status"].startswith("The service cannot be reached")
            assert seen["notes"] == "x"
            with served_file(path, url.rpartition(":")[2]):
                seat.do("type", "y", "notes")
                assert seat.look()["rows"]["Sample 1"]["notes"] == "xy"
        finally:
            assert seat.leave() == 0
    with SqliteStore(path) as store:
        assert store.get_metadata("notebook/_/samples/Sample 1") == {"notes": "xy"}


def test_the_program_opens_what_is_served(address: str, display: str) -> None:
    """As people start it, with keys from the X server."""
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    xdotool = shutil.which("xdotool")
    if xdotool is None:
        pytest.skip("xdotool is not installed, so nobody can press keys")
    environment = {**os.environ, "DISPLAY": display}
    command = [sys.executable, "-m", "encore.examples.lab_notebook", address]
    program = subprocess.Popen(command, env=environment)

    def do(*words: str) -> str:
        done = subprocess.run(
            [xdotool, *words], env=environment, capture_output=True, text=True, timeout=_SECONDS
        )
        return done.stdout.strip()

    try:
        window = do("search", "--sync", "--onlyvisible", "--name", "Lab notebook").split()[-1]
        name = address.removeprefix("service:http://")
        assert do("getwindowname", window) == f"{name} – Lab notebook"
        do("windowfocus", "--sync", window)
        do("key", "ctrl+n")
        end = monotonic() + _SECONDS
        while not do("getwindowname", window).startswith("*"):  # asking takes a process
            assert monotonic() < end
        assert content(address) == {"Sample 1": {}}
        do("key", "ctrl+q")
        assert program.wait(_SECONDS) == 0
    finally:
        program.kill()
        program.wait()


@pytest.mark.parametrize("address", ["service:http://127.0.0.1:1/notebook/_", "service:nonsense"])
def test_a_project_that_cannot_be_opened_is_a_line_and_no_window(address: str) -> None:
    command = [sys.executable, "-m", "encore.examples.lab_notebook", address]
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    assert done.returncode == 1
    assert done.stderr.startswith("python -m encore.examples.lab_notebook: ")
    assert done.stderr.count("\n") == 1
