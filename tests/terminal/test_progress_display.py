# ruff: noqa: PT012  the blocks that an error leaves are what is under test
"""Bars drawn from progress events, on a file and on a real terminal."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import threading

import pytest

from encore.errors import OperationCancelled
from encore.events.api import EventManager, ProgressEvent, ProgressManager
from encore.terminal import ProgressDisplay


@pytest.fixture(autouse=True)
def _no_wish_of_the_environment(monkeypatch):
    monkeypatch.delenv("ENCORE_PROGRESS", raising=False)


@pytest.fixture
def manager():
    return EventManager()


def lines_of(file):
    """What remains on the screen: the cursor goes back at CR, up at ESC [A."""
    screen, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[A|\r|\n|[^\x1b\r\n]+", file.getvalue()):
        if part == "\r":
            column = 0
        elif part == "\n":
            row, column = row + 1, 0
        elif part == "\x1b[A":
            row -= 1
        else:
            screen += [""] * (row + 1 - len(screen))
            line = screen[row].ljust(column)
            screen[row] = line[:column] + part + line[column + len(part) :]
            column += len(part)
    return [line.strip() for line in screen if line.strip()]


def test_finished_bar_stays_with_its_total(manager):
    file = io.StringIO()
    with (
        ProgressDisplay(manager, mode="on", file=file),
        ProgressManager(manager, message="Sorting", steps=3) as progress,
    ):
        for _ in range(3):
            progress()
    (line,) = lines_of(file)
    assert line.startswith("Sorting: 100%")
    assert "3.00/3.00" in line


def test_bytes_are_shown_in_binary_units_with_rate(manager):
    file = io.StringIO()
    with (
        ProgressDisplay(manager, mode="on", file=file),
        ProgressManager(manager, message="Copying", steps=4 << 20, unit="B") as progress,
    ):
        progress(1 << 20)
        progress(4 << 20)
    assert "1.00M/4.00M" in file.getvalue()
    assert "B/s" in file.getvalue()


def test_unknown_total_is_counted(manager):
    file = io.StringIO()
    with (
        ProgressDisplay(manager, mode="on", file=file),
        ProgressManager(manager, message="Scanning") as progress,
    ):
        progress(17)
    (line,) = lines_of(file)
    assert "17.0it" in line
    assert "%" not in line


@pytest.mark.parametrize(
    ("error", "word"), [(OperationCancelled, "cancelled"), (ValueError, "exception")]
)
def test_bar_of_a_broken_operation_stays_with_the_word(manager, error, word):
    file = io.StringIO()
    with (
        ProgressDisplay(manager, mode="on", file=file),
        pytest.raises(error),
        ProgressManager(manager, message="Copying", steps=9) as progress,
    ):
        progress(4)
        raise error
    (line,) = lines_of(file)
    assert line.startswith("Copying:  44%")
    assert word in line


def test_parts_are_drawn_below_the_whole_and_vanish(manager):
    file = io.StringIO()
    with (
        ProgressDisplay(manager, mode="on", file=file),
        ProgressManager(manager, message="All", steps=2) as whole,
    ):
        for name in "ab":
            with ProgressManager(manager, message=f"Part {name}", steps=5) as part:
                part(2)
                middle = lines_of(file)
            whole()
    assert [line.split(":")[0] for line in middle] == ["All", "Part b"]
    assert "\n\r  Part b" in file.getvalue()
    (line,) = lines_of(file)
    assert line.startswith("All: 100%")


def test_operations_of_several_threads_have_bars_of_their_own(manager):
    file = io.StringIO()
    barrier = threading.Barrier(4)

    def work(number):
        with ProgressManager(manager, message=f"Thread {number}", steps=50) as progress:
            barrier.wait()
            for _ in range(50):
                progress()
            barrier.wait()

    with ProgressDisplay(manager, mode="on", file=file) as display:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not display._operations
    for number in range(4):
        assert f"Thread {number}: 100%" in file.getvalue()


@pytest.mark.parametrize(
    ("mode", "wish", "draws"),
    [
        (None, None, False),
        (None, "auto", False),
        (None, "on", True),
        (None, "ON", True),
        (None, "rubbish", False),
        (None, "off", False),
        ("auto", "on", False),
        ("on", "off", True),
        ("off", "on", False),
    ],
)
def test_file_that_is_no_terminal_is_drawn_on_only_if_asked(
    manager, monkeypatch, mode, wish, draws
):
    if wish is not None:
        monkeypatch.setenv("ENCORE_PROGRESS", wish)
    file = io.StringIO()
    with ProgressDisplay(manager, mode=mode, file=file):
        # Silent means that not even events are built.
        assert manager.wants(ProgressEvent) is draws
        with ProgressManager(manager) as progress:
            progress()
    assert bool(file.getvalue()) is draws


def test_unknown_mode_is_refused(manager):
    with pytest.raises(ValueError, match="loud"):
        ProgressDisplay(manager, mode="loud")


def test_listeners_are_gone_when_the_display_is_left(manager):
    file = io.StringIO()
    with ProgressDisplay(manager, mode="on", file=file):
        open_still = ProgressManager(manager, message="Open")
        open_still.start()
        open_still()
    assert manager.get_listeners(ProgressEvent) == []
    drawn = file.getvalue()
    open_still.end()
    assert file.getvalue() == drawn
    assert lines_of(file) == []


class Broken(io.StringIO):
    """A file that breaks after some writes, in a way that tqdm does not foresee."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left = writes

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("broken screen")
        return super().write(text)


@pytest.mark.parametrize("writes", [0, 1, 2, 5, 9])
def test_drawing_errors_never_disturb_the_work(manager, writes, caplog):
    file, done = Broken(writes), []

    def work():
        with ProgressManager(manager, message="Copying", steps=5, interval_seconds=0) as progress:
            for _ in range(5):
                progress()
        done.append(True)

    with ProgressDisplay(manager, mode="on", file=file):
        work()
    # A lock left behind by the failed drawing would hold the bars of other threads for ever.
    with ProgressDisplay(manager, mode="on", file=io.StringIO()):
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(30)
        assert done == [True, True]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_closed_file_does_not_disturb_the_work(manager):
    file = io.StringIO()
    with (
        ProgressDisplay(manager, mode="on", file=file),
        ProgressManager(manager, interval_seconds=0) as progress,
    ):
        progress()
        file.close()
        progress()


def test_no_thread_is_left_behind():
    program = (
        "import io, threading\n"
        "from encore.events.api import ProgressManager\n"
        "from encore.terminal import ProgressDisplay\n"
        "with ProgressDisplay(mode='on', file=io.StringIO()), ProgressManager() as progress:\n"
        "    progress()\n"
        "assert threading.enumerate() == [threading.main_thread()]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_tqdm_is_loaded_only_when_the_first_bar_is_drawn():
    program = (
        "import sys\n"
        "from encore.events.api import ProgressManager\n"
        "from encore.terminal import ProgressDisplay\n"
        "with ProgressDisplay(mode='on'):\n"
        "    assert 'tqdm' not in sys.modules\n"
        "    with ProgressManager():\n"
        "        assert 'tqdm' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stderr=subprocess.DEVNULL)
