"""Laws of events: the committed truth, in order, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from encore.events.abstract_event_manager import BaseEvent
from encore.storage.abstract_store import AbstractStore
from encore.storage.events import (
    StoreDeleteEvent,
    StoreEvent,
    StoreModificationEvent,
    StoreSetEvent,
    StoreTransactionEvent,
    StoreUpdateEvent,
)
from encore.testing.laws import Laws, heard, told
from encore.testing.sources import pattern
from encore.testing.transactions import Oops

_Write = Callable[[AbstractStore], object]

#: Lone writes, with the events that they are told by where "old" and "older" are there before.
_LONE: dict[str, tuple[_Write, list[tuple[str, str]]]] = {
    "put new": (lambda s: s.put("new", b"1"), [("set", "new")]),
    "put old": (lambda s: s.put("old", b"1"), [("update", "old")]),
    "put large": (lambda s: s.put("new", pattern(100000)), [("set", "new")]),
    "set": (lambda s: s.set("old", b"1"), [("update", "old")]),
    "set_data": (lambda s: s.set_data("old", b"1"), [("update", "old")]),
    "set_metadata": (lambda s: s.set_metadata("old", {}), [("update", "old")]),
    "set_metadata new": (lambda s: s.set_metadata("new", {}), [("set", "new")]),
    "update_metadata": (lambda s: s.update_metadata("old", {}), [("update", "old")]),
    "delete": (lambda s: s.delete("old"), [("delete", "old")]),
    "delete nothing": (lambda s: s.delete("new", missing_ok=True), []),
    "copy": (lambda s: s.copy("old", "new"), [("set", "new")]),
    "copy over": (lambda s: s.copy("old", "older"), [("update", "older")]),
    "copy onto itself": (lambda s: s.copy("old", "old"), []),
    "clear": (lambda s: s.clear("old"), [("delete", "old"), ("delete", "older")]),
    "multiset": (
        lambda s: s.multiset(["new", "old", "a"], [b"", b"", b""]),
        [("set", "new"), ("update", "old"), ("set", "a")],
    ),
    "import": (lambda s: s.import_values([("new", s.get("old"))]), [("set", "new")]),
}


def _fill(store: AbstractStore) -> None:
    store.put("old", b"0", {"old": 1})
    store.put("older", b"0", {"old": 2})


class EventLaws(Laws):
    """What is told, and how it looks."""

    @pytest.mark.parametrize(("write", "expected"), _LONE.values(), ids=_LONE)
    def test_every_change_is_told(
        self, store: AbstractStore, write: _Write, expected: list[tuple[str, str]]
    ) -> None:
        _fill(store)
        with heard(store, StoreModificationEvent) as events:
            write(store)
        assert told(events) == expected

    @pytest.mark.parametrize("name", [name for name in _LONE if name.split()[0] in (
        "put", "set", "set_data", "set_metadata", "update_metadata", "delete",
    )])  # fmt: skip
    def test_a_lone_write_tells_no_start_and_no_end(self, store: AbstractStore, name: str) -> None:
        _fill(store)
        with heard(store, StoreTransactionEvent) as events:
            _LONE[name][0](store)
        assert events == []

    def test_an_event_says_what_happened_to_what(self, store: AbstractStore) -> None:
        with heard(store, StoreModificationEvent) as events:
            store.put("a", b"1", {"x": [1]})
            store.update_metadata("a", {"y": 2})
            store.delete("a")
        assert [type(event) for event in events] == [
            StoreSetEvent, StoreUpdateEvent, StoreDeleteEvent,
        ]  # fmt: skip
        assert [event.metadata for event in events] == [
            {"x": [1]}, {"x": [1], "y": 2}, {"x": [1], "y": 2},
        ]  # fmt: skip
        assert all(event.source is store for event in events)
        assert all(event.origin is None for event in events)
        assert all(event.transaction_id is None for event in events)

    def test_an_event_is_told_when_the_change_can_be_read(self, store: AbstractStore) -> None:
        found: list[Any] = []

        def look(event: Any) -> None:
            found.append(store.read(event.key) if event.key in store else None)

        with store.event_manager.listening(StoreModificationEvent, look, filter={"source": store}):
            store.put("a", b"1")
            store.multiset({"a": b"2", "b": b"3"})
            store.delete("a")
        assert found == [b"1", b"2", b"3", None]

    def test_another_door_hears_nothing_of_this_one(self, store: AbstractStore) -> None:
        other = self.reopen(store)
        if other is None:
            pytest.skip("there is no other door")
        with heard(other) as events:
            store.put("a", b"1")
        other.close()
        assert events == []

    def test_a_listener_that_raises_is_logged_and_harms_nobody(
        self, store: AbstractStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(event: Any) -> None:
            raise Oops("in a listener")

        manager = store.event_manager
        with manager.listening(StoreEvent, fail), heard(store, StoreModificationEvent) as events:
            store.put("a", b"1")
            with store.transaction():
                store.put("b", b"2")
        assert told(events) == [("set", "a"), ("set", "b")]
        assert "in a listener" in caplog.text
        assert self.contents(store) == {"a": (b"1", {}), "b": (b"2", {})}

    def test_a_listener_that_is_interrupted_does_not_undo_the_change(
        self, store: AbstractStore
    ) -> None:
        def interrupt(event: Any) -> None:
            raise KeyboardInterrupt

        manager = store.event_manager
        with (
            heard(store, StoreModificationEvent) as events,
            manager.listening(StoreSetEvent, interrupt, priority=1),
            pytest.raises(KeyboardInterrupt),
        ):
            store.multiset({"a": b"1", "b": b"2"})
        assert told(events) == [("set", "a"), ("set", "b")]
        assert [*self.contents(store)] == ["a", "b"]
        store.put("c", b"usable")

    @pytest.mark.parametrize("write", [name for name in _LONE if "nothing" not in name])
    def test_nobody_listening_builds_no_event(self, store: AbstractStore, write: str) -> None:
        _fill(store)
        built: list[str] = []

        def watch(frame: Any, kind: str, _: Any) -> None:
            if kind == "call" and frame.f_code.co_name == "__init__":
                made = frame.f_locals.get("self")
                if isinstance(made, BaseEvent):
                    built.append(type(made).__name__)

        sys.setprofile(watch)
        try:
            StoreSetEvent(store, "the trap works")
            _LONE[write][0](store)
        finally:
            sys.setprofile(None)
        assert set(built) == {"StoreSetEvent"}
        assert len(built) <= 2, "__init__ of the class, and of its base"

    @pytest.mark.parametrize("listening", [True, False])
    @pytest.mark.parametrize("write", _LONE)
    def test_being_heard_or_not_makes_no_difference_to_the_data(
        self, store: AbstractStore, write: str, listening: bool
    ) -> None:
        """Run with and without listeners, since accelerated paths are taken without."""
        _fill(store)
        if listening:
            with heard(store):
                _LONE[write][0](store)
        else:
            _LONE[write][0](store)
        expected = {"old", "older"} | {key for act, key in _LONE[write][1] if act != "delete"}
        expected -= {key for act, key in _LONE[write][1] if act == "delete"}
        assert {*self.contents(store)} == expected
