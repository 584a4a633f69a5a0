"""The same values in several stores: written to all, read from any, mended when one has missed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from encore.errors import ConflictError, KeyNotFoundError, StoreError
from encore.events.event_manager import EventManager
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.memory import DictStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.events import StoreModificationEvent
from encore.storage.template import Entry, Store
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.staging import Batch
from encore.storage.wrappers.codecs import GzipStore
from encore.storage.wrappers.guards import ReadonlyStore
from encore.storage.wrappers.mirroring import MirroringStore
from encore.testing.laws import heard, told
from encore.testing.sources import MIB, Failing, SourceBroke, Trickle, pattern


class Unreliable(SqliteStore):
    """A store whose commits fail when it is told so."""

    fails = False

    def _commit_transaction(self, context: SimpleTransactionContext) -> None:
        if self.fails and context.depth == 1:
            raise StoreError("the disk is gone", store=self)
        super()._commit_transaction(context)


class Forgetful(DictStore):
    """A store that has said that it can commit, and cannot."""

    fails = False

    def _apply(self, batch: Batch) -> None:
        if self.fails:
            raise StoreError("out of memory", store=self)
        super()._apply(batch)


@pytest.fixture
def parts() -> list[DictStore]:
    events = EventManager()
    return [DictStore(event_manager=events) for _ in range(3)]


@pytest.fixture
def databases(directory: Path) -> Iterator[list[Unreliable]]:
    events = EventManager()
    found = [Unreliable(directory / f"{name}.db", event_manager=events) for name in "ba"]
    yield found
    for database in found:
        database.close()


def contents(store: Store) -> dict[str, bytes]:
    return {key: store.read(key) for key in store}


# -- writing --------------------------------------------------------------------------------------


def test_every_verb_writes_the_same_to_all(parts: list[DictStore]) -> None:
    mirror = MirroringStore(parts)
    mirror.put("a", b"1", {"n": 1})
    mirror.set("b", (b"2", {"n": 2}))
    mirror.set_data("b", b"3")
    mirror.update_metadata("a", {"m": 1})
    mirror.set_metadata("new", {"n": 3})
    mirror.multiset({"c": b"4", "d": b"5", "e": b"6"})
    mirror.copy("a", "f")
    mirror.move("c", "g")
    mirror.delete("d")
    assert contents(mirror) == {
        "a": b"1",
        "b": b"3",
        "e": b"6",
        "f": b"1",
        "g": b"4",
        "new": b"",
    }
    for part in parts[1:]:
        assert contents(part) == contents(parts[0])
        assert dict(part.query()) == dict(parts[0].query())
    assert list(mirror.differences()) == []


def test_a_value_is_the_same_version_in_all(parts: list[DictStore]) -> None:
    MirroringStore(parts).put("a", b"1")
    values = [part.get("a") for part in parts]
    assert len({(value.token, value.created, value.modified) for value in values}) == 1


def test_a_part_that_refuses_keeps_all_from_writing(parts: list[DictStore]) -> None:
    one, other, _ = parts
    for part in parts:
        part.put("a", b"old", {"n": 1})
    mirror = MirroringStore([one, ReadonlyStore(other)])
    writes = [
        lambda: mirror.put("a", b"new"),
        lambda: mirror.put("a", Trickle(pattern(3 * MIB))),
        lambda: mirror.set_data("a", b"new"),
        lambda: mirror.set_metadata("a", {}),
        lambda: mirror.delete("a"),
        lambda: mirror.copy("a", "b"),
    ]
    for write in writes:
        with pytest.raises(StoreError):
            write()
    with one.transaction():
        pass  # nothing is left open
    with mirror.transaction():
        for write in writes:
            with pytest.raises(StoreError):
                write()
    assert contents(one) == contents(other) == {"a": b"old"}
    assert one.get_metadata("a") == {"n": 1}


def test_guards_ask_once_for_all(parts: list[DictStore]) -> None:
    mirror = MirroringStore(parts)
    mirror.put("a", b"1", if_absent=True)
    token = mirror.get("a").token
    with pytest.raises(ConflictError):
        mirror.put("a", b"2", if_absent=True)
    mirror.put("a", b"2", if_token=token)
    with pytest.raises(ConflictError):
        mirror.put("a", b"3", if_token=token)
    assert [part.read("a") for part in parts] == [b"2"] * 3


def test_large_streams_arrive_in_all_and_are_read_once(
    parts: list[DictStore], directory: Path, databases: list[Unreliable]
) -> None:
    files = FilesystemStore(directory / "files", event_manager=EventManager())
    coded = GzipStore(databases[0])
    with files:
        mirror = MirroringStore([files, coded, parts[0]])
        data = pattern(5 * MIB)
        mirror.put("a", Trickle(data), {"n": 1})
        assert files.read("a") == coded.read("a") == parts[0].read("a") == data
        assert databases[0].get("a").size != len(data)
        assert list(mirror.differences()) == []
        with pytest.raises(SourceBroke):
            mirror.put("a", Failing(pattern(3 * MIB)))
        assert mirror.read("a") == coded.read("a") == data


def test_a_coded_store_may_come_first(parts: list[DictStore]) -> None:
    mirror = MirroringStore([GzipStore(parts[0]), parts[1]])
    data = pattern(5 * MIB)
    mirror.put("a", Trickle(data))
    assert mirror.read("a") == parts[1].read("a") == data
    assert list(mirror.differences()) == []


@pytest.mark.parametrize("lacking", [0, 1])
@pytest.mark.parametrize("move", [False, True])
def test_what_one_part_lacks_it_gets_from_another(
    parts: list[DictStore], lacking: int, move: bool
) -> None:
    pair = parts[:2]
    mirror = MirroringStore(pair)
    mirror.multiset({"a": (b"1", {"n": 1}), "b": (b"2", {"n": 2})})
    pair[lacking].delete("a")
    pair[lacking].delete("b")
    mirror.update_metadata("b", {"m": 1})
    (mirror.move if move else mirror.copy)("a", "c")
    for part in pair:
        assert (part.read("b"), part.get_metadata("b")) == (b"2", {"n": 2, "m": 1})
        assert (part.read("c"), part.get_metadata("c")) == (b"1", {"n": 1})
    assert ("a" in mirror) is not move


# -- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [0, 1])
def test_a_store_that_fails_is_passed_over(
    parts: list[DictStore], failing: int, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = MirroringStore(parts)
    mirror.multiset({"a": (b"1", {"n": 1}), "b": (b"2", {"n": 2})})
    parts[failing].close()
    assert mirror.read("a") == b"1"
    assert mirror.get("a").metadata == {"n": 1}
    assert mirror.get_data_range("a", 0, 1).read() == b"1"
    assert "a" in mirror
    assert list(mirror) == ["a", "b"]
    assert [key for key, _ in mirror.items()] == ["a", "b"]
    assert [entry.size for entry in mirror.entries()] == [1, 1]
    assert mirror.totals() == (2, 2)
    assert list(mirror.query_keys(n=2)) == ["b"]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings
    assert all("passed over" in record.getMessage() for record in warnings)
    with pytest.raises(StoreError):  # it may be there, in the one that does not answer
        mirror.get("c")
    with pytest.raises(StoreError, match="closed"):
        mirror.put("a", b"2")
    assert mirror.read("a") == b"1"


def test_when_all_fail_so_does_the_mirror(parts: list[DictStore]) -> None:
    mirror = MirroringStore(parts)
    mirror.put("a", b"")
    for part in parts:
        part.close()
    for read in (lambda: mirror.get("a"), lambda: list(mirror), lambda: "a" in mirror):
        with pytest.raises(StoreError, match="closed"):
            read()


def test_missing_everywhere_is_missing(parts: list[DictStore]) -> None:
    with pytest.raises(KeyNotFoundError):
        MirroringStore(parts).get("a")


# -- a commit that one of them misses -------------------------------------------------------------


def test_a_missed_commit_is_told_and_mended(
    databases: list[Unreliable], caplog: pytest.LogCaptureFixture
) -> None:
    mirror = MirroringStore(databases)
    mirror.multiset({"a": b"old", "gone": b""})
    second = databases[1]
    second.fails = True
    with heard(mirror, StoreModificationEvent) as events, mirror.transaction():
        mirror.put("a", b"new", {"n": 1})
        mirror.delete("gone")
        mirror.put("b", pattern(3 * MIB))
    assert told(events) == [("update", "a"), ("delete", "gone"), ("set", "b")]
    assert mirror.diverged == {second: "a commit failed: the disk is gone"}
    assert mirror.info()["diverged"] == [repr(second)]
    assert any(
        "missed a commit" in record.getMessage()
        for record in caplog.records
        if record.levelno == logging.ERROR
    )
    assert second.read("a") == b"old"
    assert mirror.read("a") == b"new"
    assert sorted(key for part, key in mirror.differences() if part is second) == [
        "a",
        "b",
        "gone",
    ]
    second.fails = False
    assert mirror.repair() == 3
    assert list(mirror.differences()) == []
    assert mirror.info()["diverged"] == []
    assert contents(second) == {"a": b"new", "b": pattern(3 * MIB)}
    assert second.get("a").token == databases[0].get("a").token
    assert mirror.repair() == 0


def test_the_first_store_is_mended_if_it_is_the_one_that_missed(
    databases: list[Unreliable],
) -> None:
    first = Forgetful(event_manager=databases[0].event_manager)
    mirror = MirroringStore([first, databases[0]])  # the second can only commit at once: it decides
    mirror.multiset({"a": b"old", "gone": b""})
    first.fails = True
    with heard(mirror, StoreModificationEvent) as events:
        mirror.put("a", b"new")
        mirror.delete("gone")
    assert told(events) == [("update", "a"), ("delete", "gone")]
    assert list(mirror.diverged) == [first]
    assert mirror.read("a") == b"new"
    assert [value.read() for _, value in mirror.items()] == [b"new"]
    assert "gone" not in mirror
    first.fails = False
    assert mirror.repair() == 2
    assert contents(first) == contents(mirror) == {"a": b"new"}
    assert mirror.stores == (first, databases[0])
    assert mirror.diverged == {}


def test_a_first_commit_that_fails_is_a_failure_of_all(databases: list[Unreliable]) -> None:
    mirror = MirroringStore(databases)
    mirror.put("a", b"old")
    databases[0].fails = True
    with heard(mirror, StoreModificationEvent) as events, pytest.raises(StoreError, match="gone"):
        mirror.put("a", b"new")
    assert events == []
    assert [database.read("a") for database in databases] == [b"old", b"old"]
    assert mirror.diverged == {}


def test_a_repair_that_fails_leaves_the_store_diverged(databases: list[Unreliable]) -> None:
    mirror = MirroringStore(databases)
    databases[1].fails = True
    mirror.put("a", b"")
    with pytest.raises(StoreError, match="gone"):
        mirror.repair()
    assert list(mirror.diverged) == [databases[1]]


def test_differences_compare_data_only_where_it_may_differ(parts: list[DictStore]) -> None:
    one, other, _ = parts
    mirror = MirroringStore([one, other])
    for part in (one, other):
        part.put("same", b"1", {"n": 1})  # two versions, alike
        part.put("data", b"1")
        part.put("metadata", b"1")
        part.put("size", b"1")
    other.put("data", b"2")
    other.put("metadata", b"1", {"n": 1})
    other.put("size", b"12")
    one.put("missing", b"")
    other.put("surplus", b"")
    found = list(mirror.differences())
    assert [key for _, key in found] == ["data", "metadata", "missing", "size", "surplus"]
    assert {part for part, _ in found} == {other}
    assert mirror.repair() == 5
    assert contents(other) == contents(one)


def test_content_staged_for_a_write_that_is_refused_is_discarded(directory: Path) -> None:
    events = EventManager()
    with FilesystemStore(directory / "files", event_manager=events) as files:
        mirror = MirroringStore([files, ReadonlyStore(DictStore(event_manager=events))])
        files.put("a", b"old")

        def on_disk() -> list[Path]:
            return [
                path
                for path in directory.rglob("*")
                if path.is_file() and path.stat().st_size > MIB
            ]

        with pytest.raises(StoreError):
            mirror.put("a", Trickle(pattern(3 * MIB)))
        content = files._take_stream("a", iter([pattern(3 * MIB)]))
        assert on_disk()
        with pytest.raises(StoreError):
            mirror._write_content(Entry("a", None, "{}"), content)
        assert on_disk() == []
        assert files.read("a") == b"old"
