"""Laws of listeners that write in answer to an event."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from encore.errors import StoreError
from encore.storage.abstract_store import AbstractStore
from encore.storage.events import (
    StoreModificationEvent,
    StoreSetEvent,
    StoreTransactionEndEvent,
)
from encore.testing.laws import Laws, heard, needs_transactions, told


class AnswerLaws(Laws):
    """Listeners that write."""

    def test_the_events_of_an_answer_wait_behind_the_batch(self, store: AbstractStore) -> None:
        def answer(event: Any) -> None:
            if event.key in "ab":
                store.put("answer to " + event.key, b"")

        manager = store.event_manager
        with (
            manager.listening(StoreSetEvent, answer, filter={"source": store}, priority=1),
            heard(store, StoreModificationEvent) as events,
        ):
            store.multiset({"a": b"", "b": b""})
        assert [key for _, key in told(events)] == ["a", "b", "answer to a", "answer to b"]

    @needs_transactions
    def test_the_answer_to_the_end_is_told_after_the_changes(self, store: AbstractStore) -> None:
        def answer(event: Any) -> None:
            store.put("answer", b"")

        manager = store.event_manager
        with (
            manager.listening(StoreTransactionEndEvent, answer, filter={"source": store}),
            heard(store, StoreModificationEvent) as events,
            store.transaction(),
        ):
            store.put("a", b"")
        assert told(events) == [("set", "a"), ("set", "answer")]

    @pytest.mark.parametrize("how", ["put", "transaction", "copy", "multiset", "delete"])
    def test_a_runaway_cascade_ends_with_an_error_that_is_logged(
        self, store: AbstractStore, caplog: pytest.LogCaptureFixture, how: str
    ) -> None:
        store.put("a", b"0")
        calls = 0

        def answer(event: Any) -> None:
            nonlocal calls
            calls += 1
            if calls > 1000:
                manager.disconnect(StoreModificationEvent, answer)
                return
            if how == "put":
                store.put("b", b"")
            elif how == "delete":
                store.delete("b") if "b" in store else store.put("b", b"")
            elif how == "copy":
                store.copy("a", "b")
            elif how == "multiset":
                store.multiset({"b": b""})
            else:
                with store.transaction():
                    store.put("b", b"")

        manager = store.event_manager
        with manager.listening(StoreModificationEvent, answer, filter={"source": store}):
            store.put("a", b"1")
        assert calls <= 1000, "nothing ended the cascade"
        assert "EventCascadeError" in caplog.text
        store.put("a", b"fine")
        assert store.read("a") == b"fine"
        with suppress(StoreError):
            store.delete("b", missing_ok=True)
        assert self.contents(store) == {"a": (b"fine", {})}
