"""What is told when steps are made, undone and redone."""

from __future__ import annotations

from typing import Any

import pytest

from encore.history import History, HistoryChangedEvent
from encore.storage.events import StoreModificationEvent


@pytest.fixture
def told(store: Any, history: History) -> list[tuple[Any, ...]]:
    """What menus hear."""
    found: list[tuple[Any, ...]] = []

    def hear(event: HistoryChangedEvent) -> None:
        found.append((event.index, event.undo_label, event.redo_label, event.is_saved))
        assert (event.can_undo, event.can_redo) == (history.can_undo, history.can_redo)

    store.event_manager.connect(HistoryChangedEvent, hear, filter={"source": history})
    return found


@pytest.fixture
def heard(store: Any) -> list[tuple[Any, ...]]:
    """What happens to keys."""
    found: list[tuple[Any, ...]] = []

    def hear(event: Any) -> None:
        found.append((event.action, event.key, event.origin))

    store.event_manager.connect(StoreModificationEvent, hear, filter={"source": store})
    return found


def test_each_change_is_told_once(
    store: Any, history: History, told: list[tuple[Any, ...]]
) -> None:
    with store.transaction("One"):
        store.put("a", b"1")
        store.put("b", b"1")
    history.mark_saved()
    with store.transaction("Two"):
        store.put("a", b"2")
    history.undo()
    history.go_to(0)
    history.go_to(2)
    history.clear()
    assert told == [
        (1, "One", "", False),
        (1, "One", "", True),
        (2, "Two", "", False),
        (1, "One", "Two", True),
        (0, "", "One", False),
        (2, "Two", "", False),
        (0, "", "", False),
    ]


def test_what_changes_nothing_is_not_told(
    store: Any, history: History, told: list[tuple[Any, ...]]
) -> None:
    history.undo()
    store.put("a", b"1")
    told.clear()
    store.put("a", b"1")
    history.redo()
    with history.group("Empty"):
        pass
    assert told == []


def test_a_group_is_told_when_it_ends(
    store: Any, history: History, told: list[tuple[Any, ...]]
) -> None:
    with history.group("Import"):
        store.put("a", b"1")
        store.put("b", b"1")
        assert told == []
    assert told == [(1, "Import", "", False)]


def test_key_events_tell_of_undo_and_redo(
    store: Any, history: History, heard: list[tuple[Any, ...]]
) -> None:
    store.put("a", b"1", {"x": 1})
    with store.transaction():
        store.put("a", b"2", {"x": 2})
        store.put("b", b"2")
    store.delete("b")
    heard.clear()
    history.undo()
    history.undo()
    history.redo(2)
    assert sorted(heard[:1]) == [("set", "b", "undo")]
    assert sorted(heard[1:3]) == [("delete", "b", "undo"), ("update", "a", "undo")]
    assert heard[3:] == [("update", "a", "redo")]  # b is there in between only


def test_a_listener_sees_what_the_menus_say(store: Any, history: History) -> None:
    seen = []
    store.event_manager.connect(
        HistoryChangedEvent,
        lambda event: seen.append((store.read("a"), history.undo_label)),
        filter={"source": history},
    )
    store.put("a", b"1")
    with store.transaction("Edit"):
        store.put("a", b"2")
    history.undo()
    assert seen == [(b"1", "Set a"), (b"2", "Edit"), (b"1", "Set a")]


def test_a_listener_may_undo(store: Any, history: History) -> None:
    def undo(event: HistoryChangedEvent) -> None:
        if event.undo_label == "Forbidden":
            history.undo()

    store.event_manager.connect(HistoryChangedEvent, undo, filter={"source": history})
    with store.transaction("Forbidden"):
        store.put("a", b"1")
    assert "a" not in store
    assert history.can_redo


def test_what_a_listener_of_an_undo_writes_is_recorded(store: Any, history: History) -> None:
    def derive(event: Any) -> None:
        if event.key == "a" and event.origin == "undo":
            store.put("derived", b"of a")

    store.put("a", b"1")
    history.mark_saved()
    store.put("a", b"2")
    store.event_manager.connect(StoreModificationEvent, derive, filter={"source": store})
    history.undo()
    assert [step.keys for step in history.steps] == [("a",), ("derived",)]
    assert not history.is_saved
    history.undo()
    assert list(store) == ["a"]
    assert history.is_saved
