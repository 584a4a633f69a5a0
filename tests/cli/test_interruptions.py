"""Laws of being told to stop: the target is as it was, the exit code says why, no traceback."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from command_runs import Outcome, Run, contents, filled, start

import encore.cli.listing
from encore.storage.api import SqliteStore

SCRIPT = (str(Path(__file__).with_name("interrupted_copy.py")),)
MIB = 1 << 20

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")


def interrupted(*words: Any, number: int = signal.SIGINT, how: str = "") -> Outcome:
    """Run a copy into its middle, send it a signal, and wait for its end."""
    with start("copy", f"blocking:{how or '-'}", *words, program=SCRIPT) as process:
        assert process.stderr.readline() == b"ready\n"
        process.send_signal(number)
        if how == "deaf":
            process.stdin.close()
            process.stdin = None
        out, err = process.communicate(timeout=60)
        return Outcome(process.returncode, out, err.decode())


def raw(path: Path) -> dict[str, int]:
    """How many rows each table of the file has, and that the file is sound.

    Tables without rows are left out, and the row that says where a history stands: they are made
    for a history that has no steps.
    """
    database = sqlite3.connect(path)
    try:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        names = database.execute("SELECT name FROM sqlite_schema WHERE type='table'").fetchall()
        counts = {
            name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for (name,) in names
            if name != "history_state"
        }
        return {name: count for name, count in counts.items() if count}
    finally:
        database.close()


@pytest.mark.parametrize(("scheme", "how"), [("once", ""), ("once", "deaf"), ("twice", "")])
def test_a_copy_that_is_cancelled_leaves_its_target_as_it_was(
    scheme: str, how: str, place: Path
) -> None:
    filled(place / "t.db", {"a": b"old", "z": b"kept"})
    before = raw(place / "t.db")
    outcome = interrupted(f"{scheme}:t.db", how=how)
    assert outcome == Outcome(130, b"", f"encore: cancelled; {scheme}:t.db is as it was\n")
    assert [path.name for path in place.iterdir()] == ["t.db"]
    assert raw(place / "t.db") == before
    assert contents(place / "t.db") == {"a": b"old", "z": b"kept"}


def test_a_target_that_was_not_there_is_not_there_again(place: Path) -> None:
    outcome = interrupted("sqlite:t.db")
    assert outcome == Outcome(130, b"", "encore: cancelled; sqlite:t.db is as it was\n")
    assert not list(place.iterdir())


def test_a_third_signal_ends_at_once_and_the_target_recovers(place: Path) -> None:
    filled(place / "t.db", {"a": b"old"})
    before = raw(place / "t.db")
    assert interrupted("thrice:t.db") == Outcome(130, b"", "")
    assert contents(place / "t.db") == {"a": b"old"}
    assert raw(place / "t.db") == before


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_the_exit_code_says_which_signal_it_was(number: int, code: int, place: Path) -> None:
    filled(place / "t.db", {"a": b"old"})
    outcome = interrupted("t.db", number=number)
    assert outcome == Outcome(code, b"", "encore: cancelled; sqlite:t.db is as it was\n")
    assert contents(place / "t.db") == {"a": b"old"}


def test_batches_that_were_complete_are_kept_and_that_is_said(place: Path) -> None:
    outcome = interrupted("sqlite:t.db", "--batch", "1")
    assert outcome.code == 130
    assert outcome.err == ("encore: cancelled; sqlite:t.db keeps the batches that were complete\n")
    assert contents(place / "t.db") == {"a": b"from the source", "b": b"x" * 3000000}


def test_a_put_that_is_cancelled_leaves_nothing(place: Path) -> None:
    filled(place / "t.db", {"k": b"old"})
    before = raw(place / "t.db")
    with start("put", "t.db", "k", env={"ENCORE_PROGRESS": "on"}) as process:
        process.stdin.write(b"x" * 20 * MIB)  # more than is taken in before some is committed
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].endswith(b"encore: cancelled; sqlite:t.db is as it was")
    assert contents(place / "t.db") == {"k": b"old"}
    assert raw(place / "t.db") == before
    assert [path.name for path in place.iterdir()] == ["t.db"]


def test_a_get_that_is_cancelled_says_so_in_a_line(place: Path) -> None:
    filled(place / "t.db", {"k": b"x" * 8 * MIB})
    with start("get", "t.db", "k") as process:
        assert process.stdout.read(1) == b"x"  # and now the pipe is full
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == b"encore: cancelled\n"


def test_a_real_copy_is_cancelled_while_its_bar_moves(place: Path) -> None:
    with SqliteStore(place / "s.db") as source:
        for number in range(150):
            source.put(f"{number:03}", b"x" * MIB)
    filled(place / "t.db", {"000": b"old"})
    before = raw(place / "t.db")
    shown = {"ENCORE_PROGRESS": "on"}
    with start("copy", "s.db", "t.db", "--verify", env=shown) as process:
        seen = b""
        while b"Copying" not in seen:
            seen += process.stderr.read1()
            assert process.poll() is None or seen
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (seen + rest).endswith(b"encore: cancelled; sqlite:t.db is as it was\n")
    assert b"Traceback" not in seen + rest
    assert contents(place / "t.db") == {"000": b"old"}
    assert raw(place / "t.db") == before


def test_a_signal_that_was_ignored_from_the_start_stays_ignored(place: Path) -> None:
    filled(place / "t.db", {})

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with start("put", "t.db", "k", preexec_fn=ignore) as process:
        process.stdin.write(b"x" * 2 * MIB)
        process.stdin.flush()
        process.send_signal(signal.SIGHUP)
        process.communicate(b"y", timeout=60)
    assert process.returncode == 0
    assert contents(place / "t.db") == {"k": b"x" * 2 * MIB + b"y"}


def test_the_handlers_of_the_caller_are_put_back(run: Run, store: Path) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    run("ls", store)
    run("ls", "missing.db", code=1)
    after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert before == after


def test_an_interruption_in_the_same_process_is_reported(
    run: Run, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(encore.cli.listing, "write_key", pressed)
    assert run("ls", store, code=130).err == "encore: cancelled\n"
