"""Going back and forth: what is brought back, and what goes for it."""

from __future__ import annotations

from typing import Any

import pytest

from encore.errors import HistoryError
from encore.history import History
from encore.testing.sources import MIB, Trickle, pattern

SIZES = [0, 30, 1025, 70000, 3 * MIB]


def versions(store: Any) -> dict[str, Any]:
    """Everything that is told of every key."""
    found = {}
    for key in store:
        value = store.get(key)
        about = (value.metadata, value.created, value.modified, value.token)
        found[key] = (value.read(), *about)
        value.close()
    return found


@pytest.mark.parametrize("size", SIZES)
def test_undo_brings_back_data_metadata_times_and_token(
    store: Any, history: History, size: int
) -> None:
    store.put("a", pattern(size), {"x": 1})
    first = versions(store)
    store.put("a", Trickle(pattern(size + 7, 1)), {"x": 2})
    second = versions(store)
    history.undo()
    assert versions(store) == first
    history.redo()
    assert versions(store) == second


def test_undo_of_a_new_key_removes_it_and_of_a_removal_brings_it_back(
    store: Any, history: History
) -> None:
    store.put("a", b"1")
    store.delete("a")
    history.undo()
    assert store.read("a") == b"1"
    history.undo()
    assert "a" not in store
    history.redo(2)
    assert "a" not in store


@pytest.mark.parametrize("size", SIZES)
def test_a_change_of_metadata_is_undone_with_the_data_left_alone(
    store: Any, history: History, size: int
) -> None:
    store.put("a", pattern(size), {"x": 1})
    before = versions(store)
    store.set_metadata("a", {"x": 2})
    history.undo()
    assert versions(store) == before
    history.redo()
    assert store.get_metadata("a") == {"x": 2}
    assert store.read("a") == pattern(size)


def test_moves_copies_and_clearing_are_undone(store: Any, history: History) -> None:
    store.put("a", pattern(70000), {"x": 1})
    store.put("b", b"b")
    seen = [versions(store)]
    for act in (
        lambda: store.move("a", "c"),
        lambda: store.copy("c", "b"),
        lambda: store.clear(),
    ):
        act()
        seen.append(versions(store))
    for before in reversed(seen[:-1]):
        history.undo()
        assert versions(store) == before
    for after in seen[1:]:
        history.redo()
        assert versions(store) == after


def test_a_transaction_is_one_step_whatever_is_nested_in_it(store: Any, history: History) -> None:
    with store.transaction("Whole"):
        store.put("a", b"1")
        with store.transaction("Part"):
            store.put("b", b"2")
        with pytest.raises(ZeroDivisionError), store.transaction("Failing"):  # noqa: PT012
            store.put("c", b"3")
            raise ZeroDivisionError
    assert [step.keys for step in history.steps] == [("a", "b")]
    history.undo()
    assert list(store) == []


def test_what_is_rolled_back_leaves_no_step(store: Any, history: History) -> None:
    store.put("a", b"1")
    history.undo()
    with pytest.raises(ZeroDivisionError), store.transaction():  # noqa: PT012
        store.put("b", pattern(70000))
        raise ZeroDivisionError
    assert history.can_redo
    assert [step.keys for step in history.steps] == [("a",)]


@pytest.mark.parametrize("size", SIZES[:-1])
def test_writing_what_is_there_already_is_no_step(store: Any, history: History, size: int) -> None:
    store.put("a", pattern(size), {"x": 1})
    store.put("b", b"b")
    history.undo()
    store.put("a", pattern(size), {"x": 1})
    assert history.can_redo
    history.redo()
    history.undo(2)
    assert list(store) == []


def test_a_key_that_is_made_and_removed_is_no_step(store: Any, history: History) -> None:
    with store.transaction():
        store.put("a", pattern(70000))
        store.delete("a")
    assert history.steps == ()


def test_a_new_step_drops_what_could_be_redone(store: Any, history: History) -> None:
    for n in range(3):
        store.put("a", b"%d" % n)
    history.undo(2)
    store.put("b", b"new")
    assert not history.can_redo
    assert history.index == len(history.steps) == 2
    history.undo(2)
    assert list(store) == []


def test_several_steps_are_one_transaction_and_undo_returns_them_latest_first(
    store: Any, history: History
) -> None:
    for n in range(4):
        with store.transaction(f"Step {n}", meta={"selection": [n]}):
            store.put("a", b"%d" % n)
    undone = history.undo(3)
    assert [step.label for step in undone] == ["Step 3", "Step 2", "Step 1"]
    assert [step.meta for step in undone] == [{"selection": [n]} for n in (3, 2, 1)]
    assert store.read("a") == b"0"
    assert [step.label for step in history.redo(2)] == ["Step 1", "Step 2"]
    assert store.read("a") == b"2"


def test_there_is_no_more_to_undo_than_there_is(store: Any, history: History) -> None:
    assert history.undo() == history.redo() == ()
    store.put("a", b"1")
    assert len(history.undo(5)) == 1
    assert len(history.redo(5)) == 1
    assert history.undo(0) == ()


def test_go_to_goes_both_ways(store: Any, history: History) -> None:
    for n in range(5):
        store.put("a", b"%d" % n)
    for index in (2, 5, 0, 3, 3):
        history.go_to(index)
        assert history.index == index
        assert (store.read("a") if index else b"none") == (
            b"%d" % (index - 1) if index else b"none"
        )
    for index in (-1, 6):
        with pytest.raises(IndexError):
            history.go_to(index)


def test_what_lies_before_a_barrier_cannot_be_undone(store: Any, history: History) -> None:
    store.put("a", b"1")
    history.barrier()
    assert not history.can_undo
    assert history.undo_label == ""
    store.put("a", b"2")
    assert len(history.undo(5)) == 1
    assert store.read("a") == b"1"
    with pytest.raises(HistoryError, match="barrier"):
        history.go_to(0)
    with pytest.raises(HistoryError, match="barrier"):
        history.undo(step=history.steps[0])


def test_an_older_step_is_undone_as_a_step_of_its_own(store: Any, history: History) -> None:
    store.put("a", pattern(70000), {"x": 1})
    first = versions(store)["a"]
    with store.transaction("Change a"):
        store.put("a", b"2")
    store.put("b", b"b")
    (undone,) = history.undo(step=history.steps[1])
    assert undone.label == "Change a"
    assert versions(store)["a"] == first
    assert history.steps[-1].label == history.undo_label == "Undo Change a"
    assert history.steps[-1].origin == "undo"
    history.undo()
    assert store.read("a") == b"2"


def test_an_older_step_can_be_undone_again_when_the_later_one_has_been(
    store: Any, history: History
) -> None:
    store.put("a", b"1")
    store.put("a", b"2")
    store.put("b", b"b")
    history.undo(step=history.steps[1])
    history.undo(step=history.steps[0])
    assert list(store) == ["b"]
    history.go_to(0)
    assert list(store) == []
    history.go_to(5)
    assert list(store) == ["b"]


def test_a_rewrite_after_an_older_step_was_undone_is_in_nobodys_way(
    store: Any, history: History
) -> None:
    store.put("a", b"1")
    store.put("a", b"2")
    store.put("b", b"b")
    history.undo(step=history.steps[1])
    store.put("a", b"1")  # nothing but a new token
    history.undo(3)
    assert store.read("a") == b"1"
    history.undo()
    assert list(store) == []


def test_a_step_that_is_not_done_cannot_be_undone(store: Any, history: History) -> None:
    store.put("a", b"1")
    step = history.steps[0]
    history.undo()
    with pytest.raises(HistoryError):
        history.undo(step=step)
    store.put("b", b"2")
    with pytest.raises(HistoryError):
        history.undo(step=step)


def test_ids_are_never_used_again(store: Any, history: History) -> None:
    store.put("a", b"1")
    (step,) = history.steps
    history.forget("a")
    store.put("b", b"2")
    assert history.steps[0].id > step.id
    with pytest.raises(HistoryError):
        history.undo(step=step)
    assert store.read("b") == b"2"
