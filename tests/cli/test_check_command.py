"""``encore check``: what is wrong is said, and mended when that is asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_runs import Run

from encore.history import History
from encore.storage.api import FilesystemStore, SqliteStore, ZipStore
from encore.testing.sources import pattern

DECIDE = """
import os, signal, sys
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.filesystem.journal import Journal
Journal._apply = lambda self, acts: os.kill(os.getpid(), signal.SIGKILL)
with FilesystemStore(sys.argv[1]) as store:
    store.multiset({"a": b"new", "b": (b"new", {"n": 3})})
"""


def test_a_good_store_has_no_problems(run: Run, place: Path) -> None:
    with SqliteStore(place / "a.db") as store, History(store):
        store.put("a", pattern(100_000))
    assert run("check", "a.db").text == "no problems\n"
    assert run("check", "a.db", "--quiet").text == ""
    assert run("check", "a.db", "--json", "--repair").text == ""


def test_what_a_dead_program_left_is_mended(run: Run, place: Path) -> None:
    with FilesystemStore(place / "d") as store:
        store.put("a", b"old", {"n": 1})
    done = subprocess.run([sys.executable, "-c", DECIDE, str(place / "d")], check=False)
    assert done.returncode == -9
    found = run("check", "d", code=1)
    assert found.text.startswith("unfinished: ")
    assert "of which --repair mends" in found.err
    assert (place / "d/a").read_bytes() == b"old"
    mended = run("check", "d", "--repair")
    assert mended.err == ""
    assert mended.text.endswith("(repaired)\n")
    assert (place / "d/a").read_bytes() == b"new"
    assert run("check", "d").text == "no problems\n"


def test_what_cannot_be_mended_is_said_and_kept(run: Run, place: Path) -> None:
    with ZipStore(place / "a.zip", "stored") as store:
        store.put("x\x1b[31m", b"data of a")
    path = place / "a.zip"
    data = path.read_bytes().replace(b"data of a", b"dada of a")
    path.write_bytes(data)
    found = run("check", "zip:a.zip", "--repair", code=1)
    assert "\x1b" not in found.text
    assert "1 problem in zip:a.zip" in found.err
    (problem,) = map(json.loads, run("check", "zip:a.zip", "--json", code=1).text.splitlines())
    assert (problem["what"], problem["key"]) == ("damage", "x\x1b[31m")
    assert problem["can_repair"] is problem["is_repaired"] is False
    path.write_bytes(data[:-10])
    found = run("check", "zip:a.zip", code=1)
    assert found.text.partition(":")[0] == "damage"
    assert path.read_bytes() == data[:-10]


@pytest.mark.parametrize("kind", [SqliteStore, FilesystemStore])
def test_a_history_that_does_not_fit_is_told(
    kind: type[SqliteStore | FilesystemStore], run: Run, place: Path
) -> None:
    path = place / "a.db"
    with kind(path) as store:
        with History(store):
            store.put("a", b"1")
            store.put("a", b"2")
        store.put("a", b"3")
    found = run("check", "a.db", code=1)
    assert found.text.partition(":")[0] == "history"
    if kind is FilesystemStore:
        log = path / ".encore/history/log"
        data = bytearray(log.read_bytes())
        data[20] ^= 4
        log.write_bytes(data)
        found = run("check", "a.db", "--repair", code=1)
        assert found.text.startswith("history: the log of the history is damaged")
        assert log.read_bytes() == data


def test_a_store_that_is_not_there(run: Run, place: Path) -> None:
    run("check", "sqlite:none.db", code=1)
    assert not (place / "none.db").exists()
