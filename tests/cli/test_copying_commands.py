"""Laws of copy and sync."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from pathlib import Path

import pytest
from command_runs import Run, contents, filled, run_process

from encore.storage.api import SqliteStore

THREE = {"a/1": b"one", "a/2": b"twotwo", "b": b"\0\n\xff"}


def test_copy_says_how_much_in_what_time(run: Run, store: Path, place: Path) -> None:
    text = run("copy", store, "sqlite:t.db").text
    assert re.fullmatch(r"copied 3 keys, 12 B, in \d+\.\d s \([\d.,]+ k?B/s\)\n", text)
    assert contents(place / "t.db") == THREE


def test_copy_keeps_metadata_and_times(run: Run, place: Path) -> None:
    with SqliteStore(place / "s.db") as source:
        source.put("k", b"data", {"n": [1, "é"]})
    run("copy", "s.db", "t.db", "--verify", "--durability", "power")
    with SqliteStore(place / "s.db") as source, SqliteStore(place / "t.db") as target:
        ours, theirs = source.get("k"), target.get("k")
        assert ours.metadata == theirs.metadata
        assert (ours.created, ours.modified) == (theirs.created, theirs.modified)


def test_json_is_an_object_of_numbers(run: Run, store: Path) -> None:
    found = json.loads(run("copy", store, "t.db", "--json").text)
    assert found.pop("seconds") >= 0
    assert found == {"keys": 3, "bytes": 12, "skipped": 0, "deleted": 0, "dry_run": False}


def test_quiet_is_silent(run: Run, store: Path) -> None:
    outcome = run("copy", store, "t.db", "--quiet")
    assert (outcome.out, outcome.err) == (b"", "")


def test_overwriting_and_skipping(run: Run, store: Path, place: Path) -> None:
    filled(place / "t.db", {"b": b"mine", "c": b"kept"})
    assert "skipped 1" in run("copy", store, "t.db", "--skip").text
    assert contents(place / "t.db") == {**THREE, "b": b"mine", "c": b"kept"}
    run("copy", store, "t.db", "--overwrite")
    assert contents(place / "t.db") == {**THREE, "c": b"kept"}


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_batches_copy_everything(batch: int, run: Run, store: Path, place: Path) -> None:
    run("copy", store, "t.db", "--batch", batch)
    assert contents(place / "t.db") == THREE


def test_only_the_prefix_is_copied(run: Run, store: Path, place: Path) -> None:
    run("copy", store, "t.db", "--prefix", "a/")
    assert sorted(contents(place / "t.db")) == ["a/1", "a/2"]


def test_a_dry_run_counts_and_makes_nothing(run: Run, store: Path, place: Path) -> None:
    assert run("copy", store, "sqlite:t.db", "-n").text == "would have copied 3 keys, 12 B\n"
    assert not (place / "t.db").exists()
    filled(place / "t.db", {"b": b"mine"})
    assert run("copy", store, "t.db", "-n", "--skip").text == (
        "would have copied 2 keys, 9 B, skipped 1\n"
    )
    assert run("sync", store, "t.db", "-n", "--delete").text == "would have synced 3 keys, 12 B\n"
    assert contents(place / "t.db") == {"b": b"mine"}


def test_sync_copies_what_differs(run: Run, store: Path, place: Path) -> None:
    run("copy", store, "t.db")
    with SqliteStore(store) as source:
        source.put("b", b"xyz")
    filled(place / "t.db", {"z": b"extra"})
    assert run("sync", store, "t.db", "--compare", "size").text.startswith("synced 0 keys")
    assert run("sync", store, "t.db", "--compare", "digest").text.startswith("synced 1 key, 3 B")
    assert "unchanged 3" in run("sync", store, "t.db", "--compare", "digest").text
    assert contents(place / "t.db") == {**THREE, "b": b"xyz", "z": b"extra"}
    assert "deleted 1" in run("sync", store, "t.db", "--delete").text
    assert contents(place / "t.db") == {**THREE, "b": b"xyz"}


def test_a_source_that_is_not_there_is_not_made(run: Run, place: Path) -> None:
    assert "there is no file 'typo.db'" in run("copy", "typo.db", "sqlite:t.db", code=1).err
    assert "there is no directory 'typo'" in run("copy", "dir:typo", "sqlite:t.db", code=1).err
    assert not list(place.iterdir())


def test_a_store_is_not_copied_onto_itself(run: Run, store: Path, place: Path) -> None:
    (place / "link.db").symlink_to(store)
    os.link(store, place / "hard.db")
    for other in ("s.db", "sqlite:./s.db", store, "link.db", "hard.db"):
        assert "same store" in run("copy", store, other, code=2).err
    assert contents(store) == THREE


def test_a_failing_source_leaves_the_target_as_it_was(run: Run, place: Path) -> None:
    filled(place / "s.db", {"a": b"1", "b": b"x" * 300000})
    with sqlite3.connect(place / "s.db") as database:
        database.execute("DELETE FROM chunk")  # b has lost its data
    database.close()
    err = run("copy", "s.db", "sqlite:t.db", code=1).err
    assert err.endswith("; sqlite:t.db is as it was\n")
    assert not (place / "t.db").exists()
    filled(place / "t.db", {"a": b"old"})
    run("copy", "s.db", "sqlite:t.db", code=1)
    assert contents(place / "t.db") == {"a": b"old"}


def test_bars_are_drawn_when_asked_for_and_never_when_quiet(place: Path) -> None:
    filled(place / "s.db", {"big": b"x" * 3000000})
    shown = {"env": {"ENCORE_PROGRESS": "on"}}
    assert "Copying" in run_process("copy", "s.db", "t.db", **shown).err
    assert "Reading" in run_process("get", "s.db", "big", **shown).err
    assert "Reading" in run_process("get", "s.db", "big", "-o", "out", **shown).err
    assert "Writing" in run_process("put", "s.db", "k", "-", data=b"x" * 3000000, **shown).err
    assert run_process("copy", "s.db", "u.db", "--quiet", **shown).err == ""
    assert run_process("get", "s.db", "big", "-q", **shown).err == ""
    assert run_process("copy", "s.db", "v.db").err == ""
