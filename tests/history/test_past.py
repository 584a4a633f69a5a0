"""Looking at the past, forgetting it, and checking that it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from history_stores import HistoryUnderTest

from encore.errors import HistoryError, KeyNotFoundError, ReadOnlyError
from encore.history import History
from encore.testing.laws import seen
from encore.testing.sources import pattern


@pytest.fixture
def contents(store: Any, history: History) -> list[dict[str, Any]]:
    """What was there after 0, 1, ... steps."""
    found = [seen(store)]
    for act in (
        lambda: store.put("a", pattern(70000), {"x": 1}),
        lambda: store.multiset(["b", "c"], [(b"b", {}), (b"", {"y": 1})]),
        lambda: store.put("a", b"small"),
        lambda: store.move("b", "a/b"),
        lambda: store.delete("c"),
        lambda: store.set_metadata("a", {"x": 2}),
    ):
        act()
        found.append(seen(store))
    return found


@pytest.mark.parametrize("index", [0, 3, 6])
def test_the_past_and_the_undone_future_can_be_read(
    store: Any, history: History, contents: list[dict[str, Any]], index: int
) -> None:
    history.go_to(index)
    for when, wanted in enumerate(contents):
        past = history.at(when)
        assert seen(past) == wanted
        assert len(past) == len(wanted)
        assert [*past.keys("a")] == [key for key in sorted(wanted) if key.startswith("a")]
    assert seen(history.at(history.steps[2])) == contents[3]


def test_the_past_cannot_be_changed(history: History, contents: list[dict[str, Any]]) -> None:
    past = history.at(2)
    assert past.info()["readonly"]
    for act in (
        lambda: past.put("a", b""),
        lambda: past.delete("a"),
        lambda: past.set_metadata("a", {}),
        lambda: past.clear(),
        lambda: past.transaction().begin(),
    ):
        with pytest.raises(ReadOnlyError):
            act()
    with pytest.raises(KeyNotFoundError):
        past.read("none")


def test_there_is_no_past_before_the_first_step(store: Any, history: History) -> None:
    store.put("a", b"1")
    step = history.steps[0]
    for index in (-1, 2):
        with pytest.raises(IndexError):
            history.at(index)
    history.clear()
    with pytest.raises(HistoryError):
        history.at(step)
    with pytest.raises(HistoryError):
        history.diff(step)


def test_diff_tells_before_and_after(history: History, contents: list[dict[str, Any]]) -> None:
    for index in (6, 0, 4):
        history.go_to(index)
        for n, step in enumerate(history.steps):
            for change in history.diff(step):
                for value, content in (
                    (change.before, contents[n]),
                    (change.after, contents[n + 1]),
                ):
                    assert (value is None) is (change.key not in content)
                    if value is not None:
                        assert (value.read(), value.metadata) == content[change.key]
                        value.close()


def test_forgetting_a_key_removes_it_from_every_step(store: Any, history: History) -> None:
    store.put("secret", pattern(70000))
    with store.transaction("Both"):
        store.put("secret", pattern(70000, 1))
        store.put("a", b"1")
    size = history.size
    history.forget("secret")
    assert [step.keys for step in history.steps] == [("a",)]
    assert history.size < size
    assert history.verify() == []
    history.undo()
    assert store.read("secret") == pattern(70000, 1)
    assert list(store) == ["secret"]


def test_what_was_forgotten_is_not_on_the_disk(
    entry: HistoryUnderTest, store: Any, history: History, directory: Path
) -> None:
    secret = b"the secret of this test " * 4
    store.put("a", secret)
    store.put("a", b"nothing")
    history.forget("a")
    history.pack()
    history.close()
    store.close()
    for path in directory.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path


def test_all_is_well_after_packing(history: History, contents: list[dict[str, Any]]) -> None:
    history.pack()
    assert history.verify() == []
    history.go_to(0)
    history.go_to(6)
    assert history.verify() == []


def test_steps_are_there_again(
    entry: HistoryUnderTest, store: Any, history: History, contents: list[dict[str, Any]]
) -> None:
    assert history.is_persistent is entry.persistent
    if not entry.persistent:
        return
    history.go_to(4)
    history.mark_saved()
    told = [(step.id, step.label, step.time, step.is_done, step.keys) for step in history.steps]
    history.close()
    store.close()
    store.connect()
    with entry.open_history((store,)) as again:
        assert again.is_saved
        found = [(step.id, step.label, step.time, step.is_done, step.keys) for step in again.steps]
        assert found == told
        for index in (6, 0, 3):
            again.go_to(index)
            assert seen(store) == contents[index]


def test_a_store_has_one_history_at_a_time(
    entry: HistoryUnderTest, store: Any, history: History
) -> None:
    with pytest.raises(HistoryError, match="already"):
        History(store)
    history.close()
    history.close()
    store.put("a", b"1")
    with pytest.raises(HistoryError, match="closed"):
        history.undo()
