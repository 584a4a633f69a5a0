"""Stores that call somebody after each write, and stores that write a log."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from encore.errors import ConflictError, KeyNotFoundError, OperationCancelled
from encore.events.event_manager import EventManager
from encore.storage.backends.memory import DictStore
from encore.storage.events import StoreModificationEvent, StoreProgressEvent
from encore.storage.template import Store
from encore.storage.wrappers.guards import ReadonlyStore
from encore.storage.wrappers.keymaps import PrefixStore
from encore.storage.wrappers.observers import DELETE, PUT, LoggingStore, NotifyingStore
from encore.testing.laws import heard, told
from encore.testing.sources import Failing, SourceBroke, Trickle, pattern

Calls = list[tuple[str, str, type[BaseException] | None]]


@pytest.fixture
def store() -> NotifyingStore:
    return NotifyingStore(DictStore(event_manager=EventManager()))


@pytest.fixture
def calls(store: NotifyingStore) -> Calls:
    """What a handler of changes is told, errors by their type."""
    found: Calls = []

    def handler(source: Any, action: str, key: str, error: BaseException | None) -> None:
        assert source is store
        found.append((action, key, None if error is None else type(error)))

    store.on_change(handler)
    return found


_WRITES: dict[str, tuple[Callable[[Store], object], list[tuple[str, str]]]] = {
    "put": (lambda s: s.put("n", b""), [("put", "n")]),
    "put a stream": (lambda s: s.put("n", Trickle(pattern(3 << 20))), [("put", "n")]),
    "put if absent": (lambda s: s.put("n", b"", if_absent=True), [("put", "n")]),
    "set": (lambda s: s.set("n", b""), [("put", "n")]),
    "set_data": (lambda s: s.set_data("a", b""), [("put", "a")]),
    "set_metadata": (lambda s: s.set_metadata("a", {}), [("put", "a")]),
    "update_metadata": (lambda s: s.update_metadata("a", {}), [("put", "a")]),
    "from_bytes": (lambda s: s.from_bytes("a", b""), [("put", "a")]),
    "mapping": (lambda s: s.mapping().update({"a": b"", "n": b""}), [("put", "a"), ("put", "n")]),
    "delete": (lambda s: s.delete("a"), [("delete", "a")]),
    "delete nothing": (lambda s: s.delete("n", missing_ok=True), [("delete", "n")]),
    "copy": (lambda s: s.copy("a", "n"), [("put", "n")]),
    "move": (lambda s: s.move("a", "n"), [("put", "n"), ("delete", "a")]),
    "copy onto itself": (lambda s: s.copy("a", "a"), []),
    "clear": (lambda s: s.clear(), [("delete", "a"), ("delete", "b")]),
    "multiset": (lambda s: s.multiset({"n": b"", "a": b""}), [("put", "n"), ("put", "a")]),
    "multiset_metadata": (lambda s: s.multiset_metadata({"a": {}}), [("put", "a")]),
    "import": (lambda s: s.import_values([("n", s.get("a"))]), [("put", "n")]),
    "read": (lambda s: (s.read("a"), s.get("b"), [*s.items()], "x" in s), []),
}


@pytest.mark.parametrize("is_heard", [False, True], ids=["unheard", "heard"])
@pytest.mark.parametrize("through", [False, True], ids=["directly", "through another wrapper"])
@pytest.mark.parametrize(("write", "expected"), _WRITES.values(), ids=_WRITES)
def test_every_write_is_told_once(
    store: NotifyingStore,
    calls: Calls,
    write: Callable[[Store], object],
    expected: list[tuple[str, str]],
    through: bool,
    is_heard: bool,
) -> None:
    if is_heard:  # then no acceleration is taken
        store.event_manager.connect(StoreModificationEvent, lambda event: None)
    store.base.multiset({"p/a": b"1", "p/b": b"2"} if through else {"a": b"1", "b": b"2"})
    write(PrefixStore(store, "p/") if through else store)
    if through:
        expected = [(action, f"p/{key}") for action, key in expected]
    assert calls == [(action, key, None) for action, key in expected]


def test_a_handler_is_called_when_the_write_can_be_read(store: NotifyingStore) -> None:
    found: list[bytes | None] = []

    def look(source: Any, key: str, error: Any) -> None:
        found.append(source.read(key) if key in source else None)

    store.on_put(look)
    store.on_delete(look)
    store.put("a", b"1")
    store.move("a", "b")
    store.delete("b")
    assert found == [b"1", b"1", None, None]


def test_handlers_hear_of_failures_which_are_raised_all_the_same(
    store: NotifyingStore, calls: Calls
) -> None:
    store.put("a", b"1")
    with pytest.raises(KeyNotFoundError):
        store.delete("n")
    with pytest.raises(KeyNotFoundError):
        store.move("n", "a")
    with pytest.raises(ConflictError):
        store.put("a", b"2", if_absent=True)
    with pytest.raises(SourceBroke):
        store.put("a", Failing(pattern(70000)))
    with pytest.raises(KeyboardInterrupt):
        store.put("a", Failing(b"", KeyboardInterrupt()))
    assert calls == [
        (PUT, "a", None),
        (DELETE, "n", KeyNotFoundError),
        (PUT, "a", KeyNotFoundError),
        (DELETE, "n", KeyNotFoundError),
        (PUT, "a", ConflictError),
        (PUT, "a", SourceBroke),
        (PUT, "a", KeyboardInterrupt),
    ]
    assert store.read("a") == b"1"


def test_what_is_refused_for_its_arguments_is_no_call(store: NotifyingStore, calls: Calls) -> None:
    for refused in (
        lambda: store.put("", b""),
        lambda: store.put("a", b"", {"x": object()}),
        lambda: store.delete("a\0"),
    ):
        with pytest.raises((ValueError, TypeError)):
            refused()
    assert calls == []


def test_calls_in_a_transaction_are_told_as_they_are_made_and_events_are_not(
    store: NotifyingStore, calls: Calls
) -> None:
    with heard(store, StoreModificationEvent) as events:
        with suppress(RuntimeError), store.transaction():
            store.put("a", b"1")
            assert calls == [(PUT, "a", None)]
            raise RuntimeError
        store.base.put("beside", b"")
    assert calls == [(PUT, "a", None)], "of another door the handlers hear nothing"
    assert told(events) == [("set", "beside")], "and listeners nothing of what was undone"


def test_handlers_are_called_in_the_order_in_which_they_were_given(store: NotifyingStore) -> None:
    calls: list[int] = []
    store.on_put(lambda store, key, error: calls.append(1))
    store.on_change(lambda store, action, key, error: calls.append(2))
    store.on_delete(lambda store, key, error: calls.append(3))
    store.on_put(lambda store, key, error: calls.append(4))
    store.put("a", b"")
    store.delete("a")
    assert calls == [1, 2, 4, 2, 3]


def test_a_handler_can_be_removed_also_from_within(store: NotifyingStore) -> None:
    calls: list[str] = []

    def once(source: Any, key: str, error: Any) -> None:
        calls.append(key)
        remove()

    remove = store.on_put(once)
    twice = [store.on_put(lambda *_: calls.append("again")) for _ in range(2)]
    store.put("a", b"")
    remove()
    twice[0]()
    store.put("b", b"")
    assert calls == ["a", "again", "again", "again"]


def test_a_handler_that_raises_is_logged_and_harms_nobody(
    store: NotifyingStore, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[Any] = []

    def fail(*_: Any) -> None:
        raise RuntimeError("in a handler")

    store.on_put(fail)
    store.on_put(lambda source, key, error: calls.append(error))
    store.put("a", b"1")
    with pytest.raises(ConflictError):
        store.put("a", b"2", if_absent=True)
    assert calls[0] is None
    assert isinstance(calls[1], ConflictError)
    assert store.read("a") == b"1"
    assert caplog.text.count("RuntimeError: in a handler") == 2


def test_a_failure_leaves_no_cycle_behind(store: NotifyingStore) -> None:
    store.on_put(lambda store, key, error: None)
    store.put("a", b"")
    gc.collect()
    before = _conflicts()  # those that earlier tests have left
    gc.disable()
    try:
        with suppress(ConflictError):
            store.put("a", b"", if_absent=True)
        assert _conflicts() == before
    finally:
        gc.enable()


def _conflicts() -> set[int]:
    return {id(thing) for thing in gc.get_objects() if isinstance(thing, ConflictError)}


# -- logs -----------------------------------------------------------------------------------------


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What has been logged since the last look."""
    caplog.set_level(logging.INFO, "encore.storage")

    def look() -> list[str]:
        lines = [record.getMessage() for record in caplog.records]
        assert {record.levelname for record in caplog.records} <= {"INFO"}
        caplog.clear()
        return lines

    return look


_LINES: dict[str, tuple[Callable[[Store], object], list[str]]] = {
    "put": (lambda s: s.put("a", b"secret", {"secret": 1}), ["store put 'a'"]),
    "put if absent": (lambda s: s.put("n", b"", if_absent=True), ["store put 'n'"]),
    "a stream": (lambda s: s.put("n", Trickle(pattern(3 << 20))), ["store put 'n'"]),
    "get": (lambda s: s.get("a"), ["store get 'a'"]),
    "read": (lambda s: s.read("a"), ["store get 'a'"]),
    "range": (lambda s: s.get_data_range("a", 0, 1), ["store get 'a'"]),
    "metadata": (lambda s: s.get_metadata("a"), ["store get 'a'"]),
    "exists": (lambda s: "a" in s, ["store exists 'a'"]),
    "set_metadata": (lambda s: s.update_metadata("a", {}), ["store set_metadata 'a'"]),
    "delete": (lambda s: s.delete("a"), ["store delete 'a'"]),
    "copy": (lambda s: s.copy("a", "b"), ["store copy 'a' to 'b'"]),
    "move": (lambda s: s.move("a", "b"), ["store move 'a' to 'b'"]),
    "keys": (lambda s: s.keys("a"), ["store keys 'a'"]),
    "query": (lambda s: s.query(secret=1), ["store query"]),
    "multiset": (lambda s: s.multiset({"x": b"", "y": b""}), ["store put 'x'", "store put 'y'"]),
    "clear": (lambda s: s.clear("a"), ["store keys 'a'", "store delete 'a'"]),
    "odd key": (
        lambda s: s.put("a\n\x1b[31m\u202e\r'é", b""),
        ['store put "a\\n\\x1b[31m\\u202e\\r\'é"'],
    ),
}


@pytest.mark.parametrize(("act", "lines"), _LINES.values(), ids=_LINES)
def test_one_line_is_logged_for_each_operation(
    act: Callable[[Store], object], lines: list[str], log: Callable[[], list[str]]
) -> None:
    store = LoggingStore(DictStore(event_manager=EventManager()))
    store.base.put("a", b"1")
    act(store)
    assert log() == lines


def test_the_line_comes_before_the_operation(log: Callable[[], list[str]]) -> None:
    store = LoggingStore(ReadonlyStore(DictStore(event_manager=EventManager())), "archive")
    with pytest.raises(PermissionError):
        store.put("a", b"")
    assert log() == ["archive put 'a'"]


def test_a_logger_of_ones_own_gets_the_lines() -> None:
    lines: list[logging.LogRecord] = []
    logger = logging.Logger("of its own")
    handler = logging.Handler()
    handler.emit = lines.append  # type: ignore[method-assign]
    logger.addHandler(handler)
    store = LoggingStore(DictStore(event_manager=EventManager()), "mine", logger)
    store.read("a") if "a" in store else store.put("a", b"")
    assert [line.getMessage() for line in lines] == ["mine exists 'a'", "mine put 'a'"]
    assert {line.name for line in lines} == {"of its own"}


def test_cancelling_reaches_through_a_store_that_looks_on(store: NotifyingStore) -> None:
    calls: list[Any] = []
    store.on_put(lambda source, key, error: calls.append(type(error)))
    watched = LoggingStore(store)
    with (
        store.event_manager.listening(StoreProgressEvent, lambda event: event.cancel()),
        pytest.raises(OperationCancelled),
    ):
        watched.put("a", pattern(3 << 20))
    assert calls == [], "the outer store took the stream in, so this one was not asked yet"
    with (
        store.event_manager.listening(StoreProgressEvent, lambda event: event.cancel()),
        pytest.raises(OperationCancelled),
    ):
        store.put("a", pattern(3 << 20))
    assert calls == [OperationCancelled]
