"""One history of several stores, histories through wrappers, threads and processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import encore
from encore.errors import HistoryBusy, UndoConflict, UnsupportedError
from encore.history import History
from encore.storage.api import DictStore, GzipStore, HashdirStore, PrefixStore, SqliteStore
from encore.testing.laws import PATIENCE_SECONDS, seen
from encore.testing.sources import MIB, pattern

# -- several stores -------------------------------------------------------------------------------


@pytest.fixture
def images(directory: Path) -> Iterator[SqliteStore]:
    with SqliteStore(directory / "images.db") as store:
        yield store


@pytest.fixture
def notes() -> DictStore:
    return DictStore()


@pytest.fixture
def both(images: SqliteStore, notes: DictStore) -> Iterator[History]:
    with History([images, notes]) as history:
        yield history


def test_a_transaction_over_two_stores_is_one_step(
    images: SqliteStore, notes: DictStore, both: History
) -> None:
    with encore.transaction(images, notes, notes="Import"):
        images.put("scan", pattern(70000))
        notes.put("about", b"first")
    notes.put("about", b"second")
    assert [(step.label, sorted(step.keys)) for step in both.steps] == [
        ("Import", ["about", "scan"]),
        ("Set about", ["about"]),
    ]
    both.undo(2)
    assert (list(images), list(notes)) == ([], [])
    both.redo(2)
    assert (images.read("scan"), notes.read("about")) == (pattern(70000), b"second")


def test_a_step_in_one_store_drops_what_could_be_redone_in_the_other(
    images: SqliteStore, notes: DictStore, both: History
) -> None:
    images.put("a", b"1")
    notes.put("a", b"1")
    both.undo()
    images.put("b", b"1")
    assert [step.label for step in both.steps] == ["Set a", "Set b"]
    assert not both.can_redo
    both.undo(5)
    assert (list(images), list(notes)) == ([], [])
    both.redo(5)
    assert (list(images), list(notes)) == (["a", "b"], [])


@pytest.mark.parametrize("first", [0, 1])
def test_a_group_and_a_drag_may_go_from_store_to_store(
    images: SqliteStore, notes: DictStore, both: History, first: int
) -> None:
    stores: list[Any] = [images, notes] if first == 0 else [notes, images]
    with both.group("Group"):
        for store in (*stores, *stores):
            store.put(f"a {len(store)}", b"1")
    for store in stores:
        with store.transaction("Drag", merge_key="drag"):
            store.put("b", b"2")
    assert [sorted(step.keys) for step in both.steps] == [["a 0", "a 0", "a 1", "a 1"], ["b", "b"]]
    assert both.verify() == []
    both.undo(2)
    assert (list(images), list(notes)) == ([], [])
    both.redo(2)
    assert list(images) == list(notes) == ["a 0", "a 1", "b"]


def test_a_conflict_in_one_store_leaves_both_alone(
    images: SqliteStore, notes: DictStore, both: History
) -> None:
    with encore.transaction(images, notes, notes="Both"):
        images.put("a", b"1")
        notes.put("b", b"1")
    with both.suspended():
        notes.put("b", b"theirs")
    with pytest.raises(UndoConflict) as refusal:
        both.undo()
    assert refusal.value.keys == ("b",)
    assert (images.read("a"), notes.read("b")) == (b"1", b"theirs")


def test_several_stores_have_no_one_past(both: History) -> None:
    with pytest.raises(UnsupportedError):
        both.at(0)


# -- wrappers -------------------------------------------------------------------------------------


def test_keys_and_labels_are_those_of_the_store_that_was_given(images: SqliteStore) -> None:
    store = PrefixStore(images, "project/")
    with History(store) as history:
        store.put("a", b"1")
        images.put("other", b"unseen")
        assert [(step.label, step.keys) for step in history.steps] == [("Set a", ("a",))]
        with history.suspended():
            store.put("a", b"2")
        assert history.check(history.steps[0]) == ["a"]
        with pytest.raises(UndoConflict) as refusal:
            history.undo()
        assert refusal.value.keys == ("a",)
        history.undo(on_conflict="force")
        assert seen(images) == {"other": (b"unseen", {})}


def test_the_past_is_decoded_as_the_present_is(images: SqliteStore) -> None:
    store = GzipStore(images)
    with History(store) as history:
        store.put("a", pattern(5000))
        store.put("a", b"2")
        assert history.at(1).read("a") == pattern(5000)
        (change,) = history.diff(history.steps[1])
        assert change.before is not None
        assert change.before.read() == pattern(5000)
        change.before.close()
        with history.suspended():
            store.put("a", b"3")

        def longer(before: Any, after: Any, current: Any) -> bytes:
            with before as mine, current as theirs:
                return max(mine.read(), theirs.read(), key=len)  # type: ignore[no-any-return]

        history.undo(on_conflict=longer)
        assert store.read("a") == pattern(5000)


# -- busy, and threads ----------------------------------------------------------------------------


def test_the_history_cannot_be_changed_inside_something(store: Any, history: History) -> None:
    store.put("a", b"1")
    acts = [history.undo, history.redo, history.mark_saved, history.clear, history.barrier]
    acts += [lambda: history.go_to(0), lambda: history.forget("a")]

    def refused() -> None:
        for act in acts:
            with pytest.raises(HistoryBusy):
                act()

    with store.transaction() as transaction:
        transaction.before_commit(refused)
        store.put("a", b"2")
        refused()
    with history.group("Group"):
        refused()
    assert store.read("a") == b"2"
    assert history.index == 2


def test_one_thread_undoes_while_others_write(store: Any, history: History) -> None:
    failures: list[BaseException] = []
    over = threading.Event()

    def write(name: str) -> None:
        try:
            for n in range(15):
                with store.transaction(f"{name} {n}"):
                    store.put(name, pattern(n * 300, n))
                    store.put(f"{name} too", b"%d" % n)
        except BaseException as error:
            failures.append(error)

    def travel() -> None:
        try:
            while not over.is_set():
                history.undo()
                history.redo()
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
    traveller = threading.Thread(target=travel)
    for thread in (*writers, traveller):
        thread.start()
    for thread in writers:
        thread.join(PATIENCE_SECONDS)
    over.set()
    traveller.join(PATIENCE_SECONDS)
    assert failures == []
    assert history.verify() == []
    last = seen(store) if not history.can_redo else None
    history.go_to(0)
    assert list(store) == []
    history.go_to(len(history.steps))
    assert last in (None, seen(store))
    for name in ("a", "b"):
        assert (name in store) is (f"{name} too" in store), "half of a transaction"


def test_each_thread_suspends_for_itself(store: Any, history: History) -> None:
    with history.suspended():
        other = threading.Thread(target=store.put, args=("theirs", b"1"))
        other.start()
        other.join(PATIENCE_SECONDS)
        store.put("mine", b"1")
    assert [step.keys for step in history.steps] == [("theirs",)]


# -- processes ------------------------------------------------------------------------------------

_EDIT = """
import sys
from encore.errors import UndoConflict
from encore.history import History
from encore.storage.api import SqliteStore
path, name = sys.argv[1:]
with SqliteStore(path, timeout=60) as store, History(store) as history:
    for n in range(40):
        with store.transaction(f"{name} {n}"):
            store.put(name, str(n).encode() * (n * 60))
            store.put("common", f"{name} {n}".encode())
        if n % 5 == 4:
            history.undo(2)
            history.redo()
"""


def test_two_processes_share_the_history_of_a_file(directory: Path) -> None:
    path = directory / "store.db"
    SqliteStore(path).close()
    processes = [subprocess.Popen([sys.executable, "-c", _EDIT, path, name]) for name in "ab"]
    try:
        assert [process.wait(60) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    with SqliteStore(path) as store, History(store) as history:
        assert history.verify() == []
        ids = [step.id for step in history.steps]
        assert ids == sorted(set(ids))
        history.go_to(len(history.steps))
        for step in reversed(history.steps):
            assert store.read("common").decode() == step.label
            history.undo()
        assert list(store) == []


def test_a_history_sees_the_steps_of_another_process(directory: Path) -> None:
    path = directory / "store.db"
    with SqliteStore(path) as store, History(store) as history:
        store.put("a", b"1")
        with SqliteStore(path) as other, History(other) as theirs:
            assert [step.label for step in theirs.steps] == ["Set a"]
            other.put("b", b"2")
            assert history.undo_label == "Set b"
            history.undo()
            assert theirs.redo_label == "Set b"
            assert list(other) == ["a"]
            theirs.redo()
            assert history.index == 2
            assert history.verify() == theirs.verify() == []


# -- plain files under hashed directories ---------------------------------------------------------


def put_plain(root: Path, key: str, data: bytes) -> Path:
    """Do what a program does that knows the layout only."""
    digest = sha256(key.encode()).hexdigest()
    path = root / digest[:2] / digest[2:4] / digest[4:6] / digest[6:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_replacing_moving_and_removing_plain_files_is_undone(directory: Path) -> None:
    data = {"adopted": b"adopted", "replaced": pattern(70000), "removed": pattern(3 * MIB)}
    paths = {key: put_plain(directory, key, content) for key, content in data.items()}
    with HashdirStore(directory) as store, History(store) as history:
        store.adopt(["adopted"])
        history.clear()
        store.put("replaced", b"new", {"x": 1})
        store.delete("removed")
        store.set_metadata("adopted", {"x": 1})
        store.move("adopted", "moved")
        assert history.verify() == []
        history.go_to(0)
        assert {key: store.read(key) for key in data} == data
        assert "moved" not in store
        assert store.get_metadata("adopted") == {}
        history.go_to(4)
        assert (store.read("replaced"), store.read("moved")) == (b"new", b"adopted")
        assert sorted(store) == ["moved", "replaced"]
        assert not store.exists("removed")
        assert not paths["removed"].exists()
        assert history.verify() == []
