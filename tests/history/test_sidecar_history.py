"""A history beside a store that cannot keep one itself."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from stores import STORES, StoreUnderTest

import encore
from encore.errors import CorruptValueError, HistoryError, StoreError, UnsupportedError
from encore.history import History
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.hashdir import HashdirStore
from encore.storage.backends.memory import DictStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.backends.zip import ZipStore
from encore.storage.wrappers.keymaps import PrefixStore

MAINS = [entry for entry in STORES if entry.name in ("zip", "dynamic-url", "bucket", "filesystem")]
SIDES = {
    "sqlite": lambda path: SqliteStore(path / "side.db"),
    "filesystem": lambda path: FilesystemStore(path / "side"),
    "zip": lambda path: ZipStore(path / "side.zip"),
    "prefix": lambda path: PrefixStore(SqliteStore(path / "side.db"), "undo of this/"),
}


@pytest.fixture(params=MAINS, ids=str)
def main(request: pytest.FixtureRequest) -> StoreUnderTest:
    entry: StoreUnderTest = request.param
    if entry.needs:
        request.getfixturevalue(entry.needs)
    return entry


def kept(side: Any) -> list[str]:
    return list(side.keys("0/kept/"))


def test_an_edit_goes_back_and_forth_on_every_store(main: StoreUnderTest, tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    store, side = main.open(tmp_path / "main"), SqliteStore(tmp_path / "side.db")
    history = History(store, persistent=side)
    store.put("a", b"1" * 100_000, {"n": 1})
    token = store.get("a").token
    with store.transaction("Change"):
        store.put("a", b"2")
        store.put("b", b"new")
        store.set_metadata("b", {"x": 1})
    store.set_metadata("a", {"n": 2})
    store.delete("b")
    history.mark_saved()
    history.undo(3)
    assert (store.read("a"), store.get("a").token, list(store)) == (b"1" * 100_000, token, ["a"])
    history.close()
    store.close()

    store = main.open(tmp_path / "main")
    history = History(store, persistent=side)
    assert [(s.label, s.is_done) for s in history.steps] == [
        ("Set a", True),
        ("Change", False),
        ("Set a", False),
        ("Delete b", False),
    ]
    assert (history.verify(), history.is_saved, history.is_persistent) == ([], False, True)
    history.redo(2)
    assert (store.read("a"), store.get_metadata("a")) == (b"2", {"n": 2})
    assert (store.read("b"), store.get_metadata("b")) == (b"new", {"x": 1})
    assert history.at(1).read("a") == b"1" * 100_000
    history.redo()
    assert history.is_saved
    history.go_to(0)
    assert list(store) == []
    assert history.verify() == []
    history.clear()
    assert kept(side) == []
    history.close()
    store.close()
    side.close()


@pytest.mark.parametrize("kind", SIDES)
def test_any_store_can_be_the_side_car(kind: str, tmp_path: Path) -> None:
    store, side = ZipStore(tmp_path / "a.zip"), SIDES[kind](tmp_path)
    with History(store, persistent=side) as history:
        for number in range(5):
            store.put("a", b"%d" % number * 1000)
        history.undo(2)
        assert history.verify() == []
    side.close()
    side = SIDES[kind](tmp_path)
    with History(store, persistent=side) as history:
        assert history.index == 3
        history.redo()
        assert store.read("a") == b"3" * 1000
        history.pack()
        assert history.verify() == []
        assert len(kept(side)) == 4
    store.close()
    side.close()


def test_without_a_side_car_it_lasts_as_long_as_the_history(tmp_path: Path) -> None:
    store = ZipStore(tmp_path / "a.zip")
    history = History(store)
    assert not history.is_persistent
    store.put("a", b"1" * 100_000)
    store.put("a", b"2")
    history.undo()
    assert store.read("a") == b"1" * 100_000
    history.close()
    assert History(store).steps == ()
    store.close()


def test_a_large_value_is_copied_in_pieces(tmp_path: Path) -> None:
    store = ZipStore(tmp_path / "a.zip", compression="stored")
    side = SqliteStore(tmp_path / "side.db")
    path = tmp_path / "large"
    with open(path, "wb") as stream:
        stream.truncate(64 << 20)
    store.from_file("a", path)
    history = History(store, persistent=side)
    tracemalloc.start()
    try:
        store.put("a", b"small")
        history.undo()
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert store.get("a").size == 64 << 20
    history.close()
    side.close()
    store.close()


def test_what_cannot_be_kept_as_asked_for_is_refused(tmp_path: Path) -> None:
    archive, database = ZipStore(tmp_path / "a.zip"), SqliteStore(tmp_path / "a.db")
    for store in (archive, DictStore()):
        with pytest.raises(UnsupportedError, match="give 'persistent' a store"):
            History(store, persistent=True)
    for own in (database, HashdirStore(tmp_path / "hashed")):
        with pytest.raises(UnsupportedError, match="leave 'persistent' out"):
            History(own, persistent=False)
    with pytest.raises(HistoryError, match="itself"):
        History(archive, persistent=PrefixStore(archive, "undo/"))
    archive.close()
    database.close()


def test_stores_with_one_history_are_kept_apart_in_the_side_car(tmp_path: Path) -> None:
    images, notes = ZipStore(tmp_path / "a.zip"), ZipStore(tmp_path / "b.zip")
    side = SqliteStore(tmp_path / "side.db")
    with History([images, notes], persistent=side):
        with encore.transaction(images, notes, notes="Both"):
            images.put("a", b"image")
            notes.put("a", b"note")
        images.put("a", b"image 2")
        notes.put("a", b"note 2")
    with History([images, notes], persistent=side) as history:
        assert [step.label for step in history.steps] == ["Both", "Set a", "Set a"]
        assert history.verify() == []
        history.undo(2)
        assert (images.read("a"), notes.read("a")) == (b"image", b"note")
        history.undo()
        assert (list(images), list(notes)) == ([], [])
    for store in (images, notes, side):
        store.close()


def test_a_commit_that_fails_leaves_nothing_in_the_side_car(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, side = ZipStore(tmp_path / "a.zip"), SqliteStore(tmp_path / "side.db")
    history = History(store, persistent=side)
    store.put("a", b"1")

    def fail(_batch: Any) -> None:
        raise StoreError("no")

    with monkeypatch.context() as patch:
        patch.setattr(store, "_apply", fail)
        with pytest.raises(StoreError):
            store.put("a", b"2")
        with pytest.raises(StoreError):
            history.undo()
    assert (history.index, history.verify(), kept(side)) == (1, [], [])
    store.put("a", b"3")
    history.close()
    history = History(store, persistent=side)
    assert (history.index, history.verify()) == (2, [])
    history.undo()
    assert store.read("a") == b"1"
    history.close()
    store.close()
    side.close()


def test_a_side_car_that_refuses_refuses_the_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, side = ZipStore(tmp_path / "a.zip"), SqliteStore(tmp_path / "side.db")
    history = History(store, persistent=side)
    store.put("a", b"1")

    def fail(*_arguments: Any, **_options: Any) -> None:
        raise StoreError("full")

    with monkeypatch.context() as patch:
        patch.setattr(side, "put", fail)
        with pytest.raises(StoreError, match="full"):
            store.put("a", b"2")
    assert (store.read("a"), history.index, side._context()) == (b"1", 1, None)
    store.put("a", b"3")
    history.undo()
    assert (store.read("a"), history.verify()) == (b"1", [])
    history.close()
    store.close()
    side.close()


def test_a_version_that_is_lost_is_missed(tmp_path: Path) -> None:
    store, side = ZipStore(tmp_path / "a.zip"), SqliteStore(tmp_path / "side.db")
    history = History(store, persistent=side)
    store.put("a", b"1")
    store.put("a", b"2")
    (name,) = kept(side)
    side.delete(name)
    assert history.verify() == ["step 2 has lost data of 'a'"]
    with pytest.raises(CorruptValueError, match="is missing"):
        history.undo()
    assert store.read("a") == b"2"
    history.forget("a")
    assert history.verify() == []
    history.close()
    store.close()
    side.close()


_DYING = """
import os, sys
from encore.history import History
from encore.storage.api import SqliteStore, ZipStore
path, where, act = sys.argv[1:]
store, side = ZipStore(path + "/a.zip"), SqliteStore(path + "/side.db")
history = History(store, persistent=side)
apply, put = store._apply, side.put
def die(*_arguments, **_options):
    os.kill(os.getpid(), 9)
def apply_and_die(batch):
    apply(batch)
    die()
if where == "keeping":
    side.put = die
else:
    store._apply = die if where == "before" else apply_and_die
history.undo() if act == "undo" else store.put("a", b"3")
"""


@pytest.mark.parametrize("act", ["put", "undo"])
@pytest.mark.parametrize("where", ["keeping", "before", "after"])
def test_a_crash_leaves_the_change_and_its_step_or_neither(
    where: str, act: str, tmp_path: Path
) -> None:
    with (
        ZipStore(tmp_path / "a.zip") as store,
        SqliteStore(tmp_path / "side.db") as side,
        History(store, persistent=side),
    ):
        store.put("a", b"1")
        store.put("a", b"2")
    for _ in range(2):  # two deaths in a row
        command = [sys.executable, "-c", _DYING, str(tmp_path), where, act]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert not done.stderr
        if where == "after":
            break
    with (
        ZipStore(tmp_path / "a.zip") as store,
        SqliteStore(tmp_path / "side.db") as side,
        History(store, persistent=side) as history,
    ):
        if where != "after":
            expected = (b"2", 2, 2)
        elif act == "undo":
            expected = (b"1", 1, 2)
        else:
            expected = (b"3", 3, 3)
        assert (store.read("a"), history.index, len(history.steps)) == expected
        assert history.verify() == []
        assert len(kept(side)) == len(history.steps) - 1  # before the first step it was not there
        history.go_to(0)
        history.go_to(2)
        assert store.read("a") == b"2"
        assert history.verify() == []
