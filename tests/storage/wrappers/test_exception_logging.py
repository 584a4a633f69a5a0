"""Stores that write failures into a log, and on demand keep them from the caller."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from encore.errors import (
    InvalidKeyError,
    KeyNotFoundError,
    OperationCancelled,
    ReadOnlyError,
    StoreError,
)
from encore.events.event_manager import EventManager
from encore.storage.backends.memory import DictStore
from encore.storage.events import StoreProgressEvent
from encore.storage.template import Store
from encore.storage.values import Value
from encore.storage.wrappers.base import WrapperStore
from encore.storage.wrappers.exception_logging import ExceptionLoggingStore
from encore.storage.wrappers.guards import ReadonlyStore
from encore.testing.sources import Failing, pattern


class FailsAfterTwo(WrapperStore):
    """Listings fail on their way."""

    def _scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        for number, key in enumerate(super()._scan(prefix, start_after)):
            if number == 2:
                raise StoreError("the medium broke")
            yield key

    _find_all = Store._find_all
    _search = Store._search
    _search_keys = Store._search_keys
    _survey = Store._survey


def base() -> Store:
    store = DictStore(event_manager=EventManager())
    store.multiset({key: (b"secret", {"secret": True}) for key in "abcd"})
    return store


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    def look() -> list[str]:
        for record in caplog.records:
            assert record.levelno == logging.ERROR
            assert record.exc_info is not None
            assert record.exc_info[2] is not None, "with a traceback"
        lines = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return lines

    return look


_MISSING: dict[str, tuple[Callable[[Store], object], str, Any]] = {
    "get": (lambda s: s.get("n"), "store get 'n' failed", None),
    "get by name": (lambda s: s.get(key="n"), "store get 'n' failed", None),
    "get_data": (lambda s: s.get_data("n"), "store get_data 'n' failed", None),
    "range": (lambda s: s.get_data_range("n", 0, 1), "store get_data_range 'n' failed", None),
    "metadata": (lambda s: s.get_metadata("n"), "store get_metadata 'n' failed", None),
    "read": (lambda s: s.read("n"), "store read 'n' failed", None),
    "to_bytes": (lambda s: s.to_bytes("n"), "store to_bytes 'n' failed", None),
    "mapping": (lambda s: s.mapping()["n"], "store read 'n' failed", None),
    "to_file": (lambda s: s.to_file("n", "never"), "store to_file 'n' failed", None),
    "delete": (lambda s: s.delete("n"), "store delete 'n' failed", False),
    "copy": (lambda s: s.copy("n", "m"), "store copy 'n' to 'm' failed", None),
    "move": (lambda s: s.move("n", target="m"), "store move 'n' to 'm' failed", None),
    "move onto itself": (lambda s: s.move("n", "n"), "store move 'n' to 'n' failed", None),
    "multiget": (lambda s: [v.read() for v in s.multiget("an")], "store multiget failed", None),
}
_FAILING: dict[str, tuple[Callable[[Store], object], str, Any]] = {
    "exists": (lambda s: s.exists(""), "store exists '' failed", False),
    "in": (lambda s: "" in s, "store contains '' failed", False),
    "put": (lambda s: s.put("a", Failing(b"")), "store put 'a' failed", None),
    "put text": (lambda s: s.put("a", "secret"), "store put 'a' failed", None),
    "set": (lambda s: s.set("a", Failing(pattern(70000))), "store set 'a' failed", None),
    "bad metadata": (
        lambda s: s.set_metadata("a", {1: "secret"}), "store set_metadata 'a' failed", None
    ),
    "from_file": (lambda s: s.from_file("a", "/nowhere"), "store from_file 'a' failed", None),
    "clear": (lambda s: s.clear("\0"), "store clear '\\x00' failed", None),
    "multiset": (lambda s: s.multiset({"x": b"", "": b""}), "store multiset failed", None),
    "import": (lambda s: s.import_values([("", Value(b""))]), "store import_values failed", None),
    "totals": (lambda s: s.totals("\0"), "store totals '\\x00' failed", (0, 0)),
    "keys": (lambda s: [*s.keys("\0")], "store keys '\\x00' failed", []),
    "list": (lambda s: [*s.list("a", 0)], "store list 'a' failed", []),
    "query": (lambda s: [*s.query(x=b"secret")], "store query failed", []),
}  # fmt: skip


@pytest.mark.parametrize(
    "case", [*_MISSING.values(), *_FAILING.values()], ids=[*_MISSING, *_FAILING]
)
def test_every_failure_is_logged_once_and_raised(
    case: tuple[Callable[[Store], object], str, Any],
    log: Callable[[], list[str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    act, line, _ = case
    store = ExceptionLoggingStore(base())
    expected: Any = KeyNotFoundError if case in _MISSING.values() else Exception
    with pytest.raises(expected):
        act(store)
    assert "secret" not in "".join(record.getMessage() for record in caplog.records)
    assert log() == [line]


@pytest.mark.parametrize(
    "case", [*_MISSING.values(), *_FAILING.values()], ids=[*_MISSING, *_FAILING]
)
def test_what_is_swallowed_gives_something_instead(
    case: tuple[Callable[[Store], object], str, Any], log: Callable[[], list[str]]
) -> None:
    act, line, instead = case
    store = ExceptionLoggingStore(base(), swallow=True)
    found = act(store)
    if line == "store multiget failed":
        instead = [b"secret"]
    assert found == instead
    assert log() == [line]
    assert [*store.keys()] == ["a", "b", "c", "d"], "a verb that fails does nothing"


_LISTINGS: dict[str, Callable[[Store], Iterator[Any]]] = {
    "keys": lambda s: s.keys(),
    "iter": iter,
    "list": lambda s: s.list(page_size=1),
    "items": lambda s: s.items(),
    "entries": lambda s: s.entries(),
    "glob": lambda s: s.glob("*"),
    "query": lambda s: s.query(),
    "query_keys": lambda s: s.query_keys(secret=True),
}


@pytest.mark.parametrize("listing", _LISTINGS.values(), ids=_LISTINGS)
def test_a_listing_that_fails_on_its_way_is_logged(
    listing: Callable[[Store], Iterator[Any]], log: Callable[[], list[str]]
) -> None:
    found = listing(ExceptionLoggingStore(FailsAfterTwo(base())))
    assert len([next(found), next(found)]) == 2
    with pytest.raises(StoreError, match="the medium broke"):
        next(found)
    assert len(log()) == 1

    assert len([*listing(ExceptionLoggingStore(FailsAfterTwo(base()), swallow=True))]) == 2
    assert len(log()) == 1


def test_cancelling_and_interrupting_are_neither_logged_nor_swallowed(
    log: Callable[[], list[str]],
) -> None:
    store = ExceptionLoggingStore(base(), swallow=True)
    with (
        store.event_manager.listening(StoreProgressEvent, lambda event: event.cancel()),
        pytest.raises(OperationCancelled),
    ):
        store.put("a", pattern(3 << 20))
    with pytest.raises(KeyboardInterrupt):
        store.put("a", Failing(b"", KeyboardInterrupt()))
    assert log() == []
    assert store.read("a") == b"secret"


def test_a_verb_of_several_is_undone_as_a_whole_though_it_is_swallowed(
    log: Callable[[], list[str]],
) -> None:
    store = ExceptionLoggingStore(base(), swallow=True)
    store.multiset_data(["a", "b"], [b"new", Failing(b"")])
    assert store.read("a") == b"secret"
    assert log() == ["store multiset_data failed"]


def test_after_a_failure_the_next_one_is_logged_too(log: Callable[[], list[str]]) -> None:
    store = ExceptionLoggingStore(ReadonlyStore(base()), "archive")
    for _ in range(2):
        with pytest.raises(ReadOnlyError):
            store.delete("a")
    assert log() == ["archive delete 'a' failed"] * 2
    assert store.read("a") == b"secret"
    assert store.to_file("a", "/dev/null") is None
    assert log() == []


def test_control_characters_in_keys_are_escaped(log: Callable[[], list[str]]) -> None:
    store = ExceptionLoggingStore(base(), swallow=True)
    store.read("a\nb\x1b[2J")
    assert log() == ["store read 'a\\nb\\x1b[2J' failed"]


def test_a_logger_of_ones_own_gets_the_lines(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("of.its.own")
    store = ExceptionLoggingStore(base(), "mine", logger)
    with pytest.raises(InvalidKeyError):
        store.get("")
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("of.its.own", "mine get '' failed")
    ]


def test_nothing_is_written_by_reading_into_a_file_that_fails(tmp_path: Path) -> None:
    store = ExceptionLoggingStore(base(), swallow=True)
    store.to_file("n", tmp_path / "file")
    assert [*tmp_path.iterdir()] == []
