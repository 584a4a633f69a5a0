"""Laws of writes that fail: data and metadata stay exactly as they were."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from encore.errors import OperationCancelled, StoreError
from encore.events.progress_events import ProgressManager
from encore.storage.abstract_store import AbstractStore
from encore.storage.events import (
    StoreEvent,
    StoreModificationEvent,
    StoreProgressEndEvent,
    StoreProgressEvent,
    StoreProgressStartEvent,
    StoreProgressStepEvent,
)
from encore.storage.values import Value
from encore.testing.laws import Laws, heard, needs_transactions, seen, state_of
from encore.testing.sources import MIB, Failing, Generated, SourceBroke, Trickle, pattern

#: How much of the data comes before the failure, in bytes.
_POINTS = {"first byte": 0, "early": 10, "middle": 70000, "late": MIB + 1, "much later": 5 * MIB}

_WRITES: dict[str, Callable[[AbstractStore, str, Any], object]] = {
    "put": lambda s, key, source: s.put(key, source, {"new": 1}),
    "set": lambda s, key, source: s.set(key, (source, {"new": 1})),
    "set a value": lambda s, key, source: s.set(key, Value(source, {"new": 1})),
    "set_data": lambda s, key, source: s.set_data(key, source),
    "multiset": lambda s, key, source: s.multiset(["x", key], [b"1", (source, {"new": 1})]),
    "small buffer": lambda s, key, source: s.put(key, source, buffer_size=1000),
}

_POINT = pytest.mark.parametrize("point", _POINTS.values(), ids=_POINTS)
_WRITE = pytest.mark.parametrize("write", _WRITES.values(), ids=_WRITES)


class FailingSourceLaws(Laws):
    """The stream that is being written raises."""

    @_POINT
    @_WRITE
    def test_a_source_that_fails_leaves_everything_as_it_was(
        self, store: AbstractStore, write: Callable[..., object], point: int, request: Any
    ) -> None:
        if "multiset" in request.node.name and store.info()["transactions"] == "none":
            pytest.skip("several writes are one act only where there are transactions")
        store.put("small", b"old", {"old": 1})
        store.put("large", pattern(100000, 9), {"old": 2})
        before = {key: state_of(store, key) for key in ("small", "large", "absent", "x")}
        for key in ("small", "large", "absent"):
            with pytest.raises(SourceBroke):
                write(store, key, Failing(pattern(point)))
        assert {key: state_of(store, key) for key in before} == before
        assert [*self.contents(store)] == ["large", "small"]
        store.put("small", b"usable")
        assert store.read("small") == b"usable"

    @needs_transactions
    @_POINT
    @_WRITE
    def test_a_source_that_fails_in_a_transaction_undoes_its_own_write_only(
        self, store: AbstractStore, write: Callable[..., object], point: int
    ) -> None:
        store.put("committed", pattern(70000, 8), {"old": 1})
        with store.transaction():
            store.put("mine", pattern(70000, 9), {"mine": 1})
            before = seen(store)
            for key in ("committed", "mine", "absent"):
                with pytest.raises(SourceBroke):
                    write(store, key, Failing(pattern(point)))
            assert seen(store) == before
        assert self.contents(store) == before

    @pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, SystemExit])
    @_POINT
    def test_an_interrupted_write_leaves_everything_as_it_was(
        self, store: AbstractStore, error: type[BaseException], point: int
    ) -> None:
        store.put("a", b"old", {"old": 1})
        before = state_of(store, "a")
        with pytest.raises(error):
            store.put("a", Failing(pattern(point), error()))
        assert state_of(store, "a") == before
        assert self.contents(store) == {"a": (b"old", {"old": 1})}

    @_POINT
    def test_a_failed_write_announces_no_change(self, store: AbstractStore, point: int) -> None:
        with heard(store, StoreModificationEvent) as events, suppress(SourceBroke):
            store.put("a", Failing(pattern(point)))
        assert events == []

    def test_an_import_that_fails_writes_nothing(self, store: AbstractStore) -> None:
        if store.info()["transactions"] == "none":
            pytest.skip("several writes are one act only where there are transactions")
        items = [("a", Value(b"1")), ("b", Value(Failing(pattern(2 * MIB))))]
        with pytest.raises(SourceBroke):
            store.import_values(items)
        assert self.contents(store) == {}

    def test_a_source_that_gives_text_later_on_is_refused(self, store: AbstractStore) -> None:
        class TurnsToText(Failing):
            def read(self, size: int = -1) -> Any:
                return super().read(size) if self.position < 2 * MIB else "text"

        store.put("a", b"old")
        with pytest.raises(TypeError):
            store.put("a", TurnsToText(pattern(2 * MIB)))
        assert self.contents(store) == {"a": (b"old", {})}


_SIZES = {
    "some buffers": (300000, 65536),
    "over a MiB": (3 * MIB, 65536),
    "default": (5 * MIB, MIB),
}


class CancelLaws(Laws):
    """A listener of progress events asks for the write to stop."""

    @pytest.mark.parametrize(("size", "buffer_size"), _SIZES.values(), ids=_SIZES)
    @pytest.mark.parametrize("kind", [bytes, Trickle], ids=["bytes", "stream"])
    @pytest.mark.parametrize("cls", [StoreProgressStartEvent, StoreProgressStepEvent])
    def test_a_cancelled_write_leaves_everything_as_it_was(
        self, store: AbstractStore, cls: type, kind: Any, size: int, buffer_size: int
    ) -> None:
        store.put("a", b"old", {"old": 1})
        before = state_of(store, "a")

        def cancel(event: Any) -> None:
            event.cancel("enough")

        for key in ("a", "absent"):
            with (
                store.event_manager.listening(cls, cancel, filter={"source": store}),
                pytest.raises(OperationCancelled) as caught,
            ):
                store.put(key, kind(pattern(size)), {"new": 1}, buffer_size=buffer_size)
            assert not isinstance(caught.value, StoreError)
        assert state_of(store, "a") == before
        assert self.contents(store) == {"a": (b"old", {"old": 1})}

    @needs_transactions
    def test_cancelling_in_a_transaction_that_goes_on_undoes_that_write_only(
        self, store: AbstractStore
    ) -> None:
        with store.transaction():
            store.put("a", pattern(100000, 1))
            with (
                store.event_manager.listening(StoreProgressEvent, lambda event: event.cancel()),
                pytest.raises(OperationCancelled),
            ):
                store.put("a", pattern(3 * MIB, 2), buffer_size=65536)
            store.put("b", b"2")
        assert self.contents(store) == {"a": (pattern(100000, 1), {}), "b": (b"2", {})}

    @needs_transactions
    def test_cancelling_one_of_several_undoes_them_all(self, store: AbstractStore) -> None:
        def cancel(event: Any) -> None:
            if event.key == "b":
                event.cancel()

        with (
            store.event_manager.listening(StoreProgressEvent, cancel),
            pytest.raises(OperationCancelled),
        ):
            store.multiset({key: Generated(2 * MIB) for key in "ab"})
        assert self.contents(store) == {}

    def test_an_enclosing_operation_that_is_cancelled_stops_the_write(
        self, store: AbstractStore
    ) -> None:
        with ProgressManager(store.event_manager, message="around") as progress:
            progress.cancel_token.cancel()
            with pytest.raises(OperationCancelled):
                store.put("a", pattern(3 * MIB))
        assert self.contents(store) == {}

    @pytest.mark.parametrize("kind", ["bytes", "stream"])
    def test_a_long_write_tells_how_far_it_is(self, store: AbstractStore, kind: str) -> None:
        size = 3 * MIB
        with heard(store, StoreProgressEvent) as events:
            store.put("a", pattern(size) if kind == "bytes" else Generated(size))
        first, *steps, last = events
        assert isinstance(first, StoreProgressStartEvent)
        assert isinstance(last, StoreProgressEndEvent)
        assert last.exit_state == "normal"
        assert steps[-1].step == last.step == size
        assert first.steps in ((size,) if kind == "bytes" else (-1, size))
        assert {event.key for event in events} == {"a"}
        assert len({event.operation_id for event in events}) == 1
        assert all(event.action == "progress" for event in events)

    def test_a_write_of_one_buffer_tells_no_progress(self, store: AbstractStore) -> None:
        with heard(store, StoreProgressEvent) as events:
            store.put("a", pattern(100000))
            store.put("b", Generated(100000))
        assert events == []

    def test_progress_of_a_write_that_fails_ends_with_the_exception(
        self, store: AbstractStore
    ) -> None:
        with heard(store, StoreProgressEndEvent) as events, suppress(SourceBroke):
            store.put("a", Failing(pattern(3 * MIB)))
        assert [event.exit_state for event in events] == ["exception"]

    def test_whoever_listens_for_progress_gets_no_change_before_its_time(
        self, store: AbstractStore
    ) -> None:
        with heard(store, StoreEvent) as events:
            store.put("a", pattern(3 * MIB))
        assert [event.action for event in events][-1] == "set"
