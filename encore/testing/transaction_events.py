"""Laws of the events of a transaction: order, coalescing, and silence about what was undone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from encore.storage.abstract_store import AbstractStore
from encore.storage.events import (
    StoreDeleteEvent,
    StoreEvent,
    StoreModificationEvent,
    StoreSetEvent,
    StoreTransactionEndEvent,
    StoreTransactionStartEvent,
)
from encore.testing.laws import Laws, heard, in_thread, needs_transactions, told
from encore.testing.sources import pattern
from encore.testing.transactions import Oops

_Write = Callable[[AbstractStore], object]

_ACTS: dict[str, _Write] = {
    "set": lambda s: s.put("k", b"set"),
    "large": lambda s: s.put("k", pattern(70000)),
    "meta": lambda s: s.update_metadata("k", {"x": 1}),
    "delete": lambda s: s.delete("k", missing_ok=True),
}

#: key there before?, acts, what is told
_COALESCING: list[tuple[bool, str, list[str]]] = [
    (False, "set", ["set"]),
    (False, "set large meta", ["set"]),
    (False, "set delete", []),
    (False, "large delete", []),
    (False, "set delete set", ["set"]),
    (False, "delete", []),
    (True, "set", ["update"]),
    (True, "meta set large", ["update"]),
    (True, "delete", ["delete"]),
    (True, "set delete", ["delete"]),
    (True, "delete set", ["update"]),
    (True, "delete large delete", ["delete"]),
    (True, "delete set meta delete set", ["update"]),
]


@needs_transactions
class TransactionEventLaws(Laws):
    """Order, coalescing, and silence about what did not happen."""

    def test_start_and_end_come_before_the_changes(self, store: AbstractStore) -> None:
        with heard(store) as events:
            with store.transaction("Crop") as txn:
                assert [type(event) for event in events] == [StoreTransactionStartEvent]
                store.put("b", b"1")
                with store.transaction("a block"):
                    store.put("a", b"1")
                assert len(events) == 1, "changes wait for the commit"
            number = txn.transaction_id
        start, end, *changes = events
        assert isinstance(end, StoreTransactionEndEvent)
        assert (start.notes, end.notes, end.state) == ("Crop", "Crop", "done")
        assert told(changes) == [("set", "b"), ("set", "a")]
        assert number
        assert {event.transaction_id for event in events} == {number}

    def test_two_transactions_have_different_ids(self, store: AbstractStore) -> None:
        with heard(store) as events:
            for _ in range(2):
                with store.transaction():
                    store.put("a", b"1")
        assert len({event.transaction_id for event in events}) == 2

    def test_a_transaction_that_fails_tells_start_and_end_only(self, store: AbstractStore) -> None:
        with heard(store) as events, suppress(Oops), store.transaction("Crop"):
            store.put("a", b"1")
            with store.transaction():
                store.put("b", b"1")
            raise Oops
        assert [type(event) for event in events] == [
            StoreTransactionStartEvent, StoreTransactionEndEvent,
        ]  # fmt: skip
        assert events[1].state == "failed"
        assert events[0].transaction_id == events[1].transaction_id

    def test_changes_are_told_in_the_order_of_their_first_touch(self, store: AbstractStore) -> None:
        store.multiset({"c": b"", "d": b""})
        with heard(store, StoreModificationEvent) as events, store.transaction():
            store.put("z", b"")
            with store.transaction():
                store.delete("d")
                store.put("z", b"again")
                store.put("m", b"")
            store.put("a", b"")
            store.update_metadata("c", {})
            store.put("d", b"back")
        assert told(events) == [
            ("set", "z"), ("update", "d"), ("set", "m"), ("set", "a"), ("update", "c"),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("before", "acts", "expected"),
        _COALESCING,
        ids=[f"{'there' if before else 'new'}: {acts}" for before, acts, _ in _COALESCING],
    )
    @pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
    def test_changes_of_a_key_are_told_as_one(
        self, store: AbstractStore, before: bool, acts: str, expected: list[str], nested: bool
    ) -> None:
        if before:
            store.put("k", pattern(70000, 3))
        with heard(store, StoreModificationEvent) as events, store.transaction() as txn:
            for act in acts.split():
                if nested:
                    txn.begin()
                _ACTS[act](store)
                if nested:
                    txn.commit()
        assert [event.action for event in events] == expected

    def test_an_inner_failure_drops_only_inner_events(self, store: AbstractStore) -> None:
        store.put("old", b"")
        with heard(store, StoreModificationEvent) as events, store.transaction():
            store.put("a", b"1")
            with suppress(Oops), store.transaction():
                store.put("b", b"1")
                store.delete("a")
                store.delete("old")
                with store.transaction():
                    store.put("c", b"1")
                raise Oops
            store.put("d", b"1")
        assert told(events) == [("set", "a"), ("set", "d")]

    def test_an_event_carries_the_metadata_that_was_committed(self, store: AbstractStore) -> None:
        store.put("deleted", b"", {"v": "committed"})
        with heard(store, StoreModificationEvent) as events, store.transaction():
            store.put("a", b"", {"v": 1})
            with suppress(Oops), store.transaction():
                store.put("a", b"", {"v": 2})
                raise Oops
            store.update_metadata("a", {"w": 3})
            store.delete("deleted")
        assert [event.metadata for event in events] == [{"v": 1, "w": 3}, {"v": "committed"}]

    def test_a_delete_tells_the_metadata_that_was_last_committed(
        self, store: AbstractStore
    ) -> None:
        store.put("a", b"", {"v": "committed"})
        with heard(store, StoreDeleteEvent) as events, store.transaction():
            store.put("a", b"", {"v": "seen by nobody"})
            store.delete("a")
        assert [event.metadata for event in events] == [{"v": "committed"}]

    def test_no_lock_is_held_while_events_are_told(self, store: AbstractStore) -> None:
        done: list[str] = []

        def answer(event: Any) -> None:
            name = type(event).__name__

            def write() -> None:
                with store.transaction(timeout=1):
                    store.put("other", name.encode())
                done.append(name)

            if not name.startswith("StoreProgress"):
                in_thread(write)

        manager = store.event_manager

        def listener(event: Any) -> None:
            if getattr(event, "key", "") != "other" and event.source is store:
                manager.disconnect(StoreEvent, listener)
                try:
                    answer(event)
                finally:
                    manager.connect(StoreEvent, listener)

        manager.connect(StoreEvent, listener)
        try:
            store.put("lone", b"1")
            store.delete("lone")
            with store.transaction():
                store.put("a", b"1")
            with suppress(Oops), store.transaction():
                store.put("b", b"1")
                raise Oops
        finally:
            manager.disconnect(StoreEvent, listener)
        assert done == [
            "StoreSetEvent", "StoreDeleteEvent",
            "StoreTransactionStartEvent", "StoreTransactionEndEvent", "StoreSetEvent",
            "StoreTransactionStartEvent", "StoreTransactionEndEvent",
        ]  # fmt: skip

    def test_who_begins_inside_a_listener_begins_a_transaction_of_its_own(
        self, store: AbstractStore
    ) -> None:
        depths: list[int] = []

        def look(event: Any) -> None:
            if event.key == "a":
                with store.transaction() as txn:
                    depths.append(txn.depth)
                    store.put("b", b"")

        with (
            store.event_manager.listening(StoreSetEvent, look, filter={"source": store}),
            heard(store, StoreModificationEvent) as events,
            store.transaction(),
        ):
            store.put("a", b"")
        assert depths == [1]
        assert told(events) == [("set", "a"), ("set", "b")]
