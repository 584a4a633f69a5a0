"""Undo where somebody has changed a key without the history knowing."""

from __future__ import annotations

from typing import Any

import pytest

from encore.errors import UndoConflict
from encore.history import History
from encore.storage.values import Value
from encore.testing.sources import pattern

THEIRS = pattern(70000, 2)


@pytest.fixture
def changed(store: Any, history: History) -> History:
    """Two keys were set, then set again; then somebody changes one of them."""
    for n in range(2):
        with store.transaction(f"Edit {n}"):
            store.put("a", pattern(2000, n))
            store.put("b", b"%d" % n)
    with history.suspended():
        store.put("a", THEIRS)
    return history


def test_it_is_refused_and_nothing_is_changed(store: Any, changed: History) -> None:
    assert changed.check(changed.steps[1]) == ["a"]
    for act in (changed.undo, lambda: changed.undo(2), lambda: changed.go_to(0)):
        with pytest.raises(UndoConflict) as refusal:
            act()
        assert refusal.value.keys == ("a",)
    assert (store.read("a"), store.read("b"), changed.index) == (THEIRS, b"1", 2)


def test_verify_tells_of_it(changed: History) -> None:
    assert len(changed.verify()) == 1
    assert "Edit 1" in changed.verify()[0]


def test_skip_leaves_the_key_alone_both_ways(store: Any, changed: History) -> None:
    changed.undo(on_conflict="skip")
    assert (store.read("a"), store.read("b")) == (THEIRS, b"0")
    changed.redo()
    assert (store.read("a"), store.read("b")) == (THEIRS, b"1")
    assert changed.check(changed.steps[1]) == ["a"]


def test_force_overwrites_and_redo_brings_it_back(store: Any, changed: History) -> None:
    changed.undo(on_conflict="force")
    assert store.read("a") == pattern(2000)
    changed.redo()
    assert store.read("a") == THEIRS
    changed.undo(2)
    assert list(store) == []


def test_a_function_settles_it(store: Any, changed: History) -> None:
    asked = []

    def merge(before: Value | None, after: Value | None, current: Value | None) -> bytes:
        assert before is not None
        assert current is not None
        asked.append((before.read(), current.read()))
        before.close()
        current.close()
        return b"merged"

    changed.undo(on_conflict=merge)
    assert asked == [(pattern(2000), THEIRS)]
    assert (store.read("a"), store.read("b")) == (b"merged", b"0")
    changed.redo()
    assert store.read("a") == THEIRS
    changed.undo()
    assert store.read("a") == b"merged"


def test_a_function_that_raises_changes_nothing(store: Any, changed: History) -> None:
    def merge(before: Any, after: Any, current: Any) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        changed.undo(on_conflict=merge)
    assert (store.read("a"), store.read("b"), changed.index) == (THEIRS, b"1", 2)


def test_there_is_no_other_way_to_settle_it(changed: History) -> None:
    with pytest.raises(ValueError, match="perhaps"):
        changed.undo(on_conflict="perhaps")


def test_a_group_does_not_adopt_what_others_wrote_between(store: Any, history: History) -> None:
    with history.group("Group"):
        store.put("a", b"1")
        with history.suspended():
            store.put("a", b"theirs")
        store.put("b", b"2")
    with pytest.raises(UndoConflict) as refusal:
        history.undo()
    assert refusal.value.keys == ("a",)


def test_a_key_left_out_of_a_redo_is_left_out_of_undoing_that_step(
    store: Any, history: History
) -> None:
    store.put("a", b"0")
    with store.transaction("Both"):
        store.put("a", b"1")
        store.put("b", b"1")
    history.undo()
    with history.suspended():
        store.put("a", b"theirs")
    history.redo(on_conflict="skip")
    store.put("c", b"1")
    history.undo(step=history.steps[1])
    assert store.read("a") == b"theirs"
    assert list(store) == ["a", "c"]


def test_an_older_step_with_a_key_that_was_changed_later_is_in_conflict(
    store: Any, history: History
) -> None:
    store.put("a", b"1")
    with store.transaction("Both"):
        store.put("a", b"2")
        store.put("b", b"2")
    with pytest.raises(UndoConflict) as refusal:
        history.undo(step=history.steps[0])
    assert refusal.value.keys == ("a",)
    history.undo(step=history.steps[0], on_conflict="force")
    assert list(store) == ["b"]
    history.undo()
    assert store.read("a") == b"2"
