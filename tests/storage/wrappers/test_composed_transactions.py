"""Transactions over the parts of a store: all of them or none, and the truth on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import encore
from encore.errors import CannotBeAtomicError, LockTimeoutError, StoreError
from encore.events.event_manager import EventManager
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.memory import DictStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.events import (
    StoreEvent,
    StoreModificationEvent,
    StoreTransactionEndEvent,
    StoreTransactionStartEvent,
)
from encore.storage.template import Store
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.wrappers.guards import ReadonlyStore
from encore.storage.wrappers.joining import JoinedStore, MountedStore, RoutingStore
from encore.storage.wrappers.keymaps import PrefixStore
from encore.storage.wrappers.mirroring import MirroringStore
from encore.testing.laws import heard, in_thread, told


class Refusing(SqliteStore):
    """A store that refuses when it is told to."""

    refuses = ""

    def _begin_transaction(self, context: SimpleTransactionContext) -> None:
        self._refuse("begin", context)
        super()._begin_transaction(context)

    def _commit_transaction(self, context: SimpleTransactionContext) -> None:
        self._refuse("commit" if context.depth == 1 else "commit of a block", context)
        super()._commit_transaction(context)

    def _refuse(self, act: str, context: SimpleTransactionContext) -> None:
        if self.refuses == act:
            raise StoreError(f"{act} refused", store=self)


class Unprepared(DictStore):
    """A store in memory that can prepare, and refuses to."""

    refuses = False

    def _prepare_transaction(self, context: SimpleTransactionContext) -> None:
        if self.refuses:
            raise StoreError("prepare refused", store=self)


class Parts:
    """A store in memory, one of files, and one in a database, and what is in them on disk."""

    def __init__(self, directory: Path) -> None:
        events = EventManager()
        (directory / "files").mkdir()
        self._directory = directory
        self.memory = Unprepared(event_manager=events)
        self.files = FilesystemStore(directory / "files", event_manager=events)
        self.database = Refusing(directory / "store.db", event_manager=events)
        self.all = [self.memory, self.files, self.database]

    def truth(self) -> list[dict[str, bytes]]:
        """What is in each, the last two as somebody else finds them."""
        doors = [self.memory]
        doors += [FilesystemStore(self._directory / "files")]
        doors += [SqliteStore(self._directory / "store.db")]
        found = [{key: door.read(key) for key in door} for door in doors]
        for door in doors[1:]:
            door.close()
        return found


@pytest.fixture
def parts(directory: Path) -> Iterator[Parts]:
    parts = Parts(directory)
    yield parts
    for part in parts.all:
        assert part._context() is None
        part.close()


@pytest.fixture
def whole(parts: Parts) -> Iterator[RoutingStore]:
    whole = RoutingStore(list(zip("mfd", parts.all, strict=True)))
    yield whole
    whole.close()


OLD = {"m": b"old", "f": b"old", "d": b"old"}
NEW = {"m": b"new", "f": b"new", "d": b"new"}


def each(data: bytes) -> list[dict[str, bytes]]:
    return [{"m": data}, {"f": data}, {"d": data}]


def test_all_parts_commit(parts: Parts, whole: RoutingStore) -> None:
    with heard(whole) as events:
        whole.multiset(OLD)
    assert parts.truth() == each(b"old")
    assert [type(event) for event in events[:2]] == [
        StoreTransactionStartEvent,
        StoreTransactionEndEvent,
    ]
    assert told(events[2:]) == [("set", "m"), ("set", "f"), ("set", "d")]


def _begin(parts: Parts) -> None:
    parts.database.refuses = "begin"


def _commit(parts: Parts) -> None:
    parts.database.refuses = "commit"


def _prepare(parts: Parts) -> None:
    parts.memory.refuses = True


@pytest.mark.parametrize("fail", [_begin, _commit, _prepare])
def test_a_part_that_refuses_undoes_all_of_them(
    parts: Parts, whole: RoutingStore, fail: Callable[[Parts], None]
) -> None:
    whole.multiset(OLD)
    fail(parts)
    with heard(whole) as events, pytest.raises(StoreError, match="refused"):
        whole.multiset(NEW)
    assert parts.truth() == each(b"old")
    assert [type(event) for event in events] == [
        StoreTransactionStartEvent,
        StoreTransactionEndEvent,
    ]
    assert events[1].state == "failed"
    parts.database.refuses, parts.memory.refuses = "", False
    whole.multiset(NEW)
    assert parts.truth() == each(b"new")


def test_an_exception_undoes_all_of_them(parts: Parts, whole: RoutingStore) -> None:
    whole.multiset(OLD)
    transaction = whole.transaction().begin()
    whole.multiset(NEW)
    assert whole.read("f") == b"new"
    assert in_thread(lambda: whole.read("f")) == b"old"
    transaction.rollback()
    assert parts.truth() == each(b"old")


def test_a_block_that_fails_undoes_the_block_only(parts: Parts, whole: RoutingStore) -> None:
    with heard(whole, StoreModificationEvent) as events, whole.transaction():
        whole.put("m", b"old")
        with suppress(ZeroDivisionError), whole.transaction():
            whole.multiset(NEW)
            _ = 1 / 0
        whole.put("d", b"old")
    assert parts.truth() == [{"m": b"old"}, {}, {"d": b"old"}]
    assert told(events) == [("set", "m"), ("set", "d")]


def test_a_block_that_one_part_cannot_end_dooms_the_transaction(
    parts: Parts, whole: RoutingStore
) -> None:
    whole.multiset(OLD)
    parts.database.refuses = "commit of a block"
    transaction = whole.transaction().begin()
    with pytest.raises(StoreError, match="refused"):
        whole.multiset(NEW)
    with pytest.raises(encore.errors.TransactionError, match="could not be ended"):
        transaction.commit()
    assert parts.truth() == each(b"old")


def test_hooks_of_parts_run_before_anything_is_prepared(parts: Parts, whole: RoutingStore) -> None:
    with whole.transaction(), parts.memory.transaction() as inner:
        whole.put("d", b"1")
        inner.before_commit(lambda: whole.put("f", b"hook"))
    assert parts.truth() == [{}, {"f": b"hook"}, {"d": b"1"}]
    with encore.transaction(whole), parts.memory.transaction() as inner:
        inner.before_commit(lambda: whole.put("f", b"again"))
    assert parts.truth()[1] == {"f": b"again"}


def test_a_hook_may_write_to_a_part_that_has_not_begun(parts: Parts) -> None:
    joined = JoinedStore([parts.memory, parts.files])
    parts.memory.put("a", b"")
    parts.files.put("a", b"")
    with joined.transaction(), parts.memory.transaction() as inner:
        inner.before_commit(lambda: joined.delete("a"))
    assert parts.truth()[:2] == [{}, {}]


def test_a_veto_of_a_part_undoes_all(parts: Parts, whole: RoutingStore) -> None:
    def veto() -> None:
        raise ZeroDivisionError

    transaction = whole.transaction().begin()
    whole.multiset(NEW)
    with parts.files.transaction() as inner:
        inner.before_commit(veto)
    with pytest.raises(ZeroDivisionError):
        transaction.commit()
    assert parts.truth() == [{}, {}, {}]


# -- stores that can only commit at once ----------------------------------------------------------


@pytest.fixture
def databases(directory: Path) -> Iterator[list[Refusing]]:
    events = EventManager()
    found = [Refusing(directory / f"{name}.db", event_manager=events) for name in "ba"]
    yield found
    for database in found:
        database.close()


def test_two_stores_that_cannot_prepare_are_not_written_together(
    databases: list[Refusing],
) -> None:
    one, other = databases
    whole = RoutingStore([("a", one), ("b", other)])
    whole.put("a", b"1")
    whole.put("b", b"1")
    transaction = whole.transaction().begin()
    whole.put("b", b"2")
    with pytest.raises(CannotBeAtomicError):
        whole.put("a", b"2")
    transaction.commit()
    assert (whole.read("a"), whole.read("b")) == (b"1", b"2")


def test_what_a_block_wrote_that_was_undone_does_not_count(databases: list[Refusing]) -> None:
    whole = RoutingStore([("a", databases[0]), ("b", databases[1])])
    with whole.transaction():
        block = whole.transaction().begin()
        whole.put("a", b"1")
        block.rollback()
        whole.put("b", b"2")
    assert list(whole) == ["b"]


@pytest.mark.parametrize("key", ["a", "b"])
def test_the_store_that_was_written_decides(databases: list[Refusing], key: str) -> None:
    one, other = databases
    whole = RoutingStore([("a", one), ("b", other)])
    written = one if key == "a" else other
    with heard(whole) as events:
        written.refuses = "commit"
        with pytest.raises(StoreError, match="refused"):
            whole.multiset({key: b""})
    assert list(whole) == []
    assert [event.state for event in events[1:]] == ["failed"]


def test_two_views_of_one_store_are_written_together(databases: list[Refusing]) -> None:
    base = databases[0]
    whole = RoutingStore([("a", PrefixStore(base, "1/")), ("b", PrefixStore(base, "2/"))])
    with heard(whole) as events:
        with whole.transaction(), whole.transaction():
            whole.put("a", b"")
            whole.put("b", b"")
        base.refuses = "commit"
        with pytest.raises(StoreError, match="refused"):
            whole.multiset({"a": b"new", "b": b"new"})
        base.refuses = ""
    assert list(base) == ["1/a", "2/b"]
    assert base.read("1/a") == b""
    assert [event.state for event in events if isinstance(event, StoreTransactionEndEvent)] == [
        "done",
        "failed",
    ]
    assert base._context() is None


def test_a_part_that_is_read_only_keeps_the_others_from_nothing(parts: Parts) -> None:
    for backing in (ReadonlyStore(parts.files), ReadonlyStore(parts.database)):
        mounted = MountedStore("m/", parts.memory, backing)
        with mounted.transaction():
            mounted.put("m/a", b"1")
            mounted.set_metadata("m/a", {"n": 1})
        assert mounted.get_metadata("m/a") == {"n": 1}


# -- transactions around, beside and across -------------------------------------------------------


def test_transactions_around_every_part_hold_what_the_whole_writes(
    parts: Parts, whole: RoutingStore
) -> None:
    with heard(whole, StoreModificationEvent) as events:
        outer = encore.transaction(*parts.all).__enter__()
        whole.multiset(NEW)
        assert events == []
        outer.__exit__(ZeroDivisionError, None, None)
        assert parts.truth() == [{}, {}, {}]
        with encore.transaction(*parts.all):
            whole.multiset(OLD)
    assert parts.truth() == each(b"old")
    assert sorted(told(events)) == [("set", "d"), ("set", "f"), ("set", "m")]


@pytest.mark.parametrize("kind", [RoutingStore, MirroringStore])
def test_a_transaction_around_one_part_only_is_not_mixed_with_others(
    parts: Parts, kind: type[Any]
) -> None:
    pair = [parts.memory, parts.files]
    whole = kind(pair if kind is MirroringStore else list(zip("mf", pair, strict=True)))
    with parts.memory.transaction():
        if kind is RoutingStore:
            whole.put("m", b"alone")
        with pytest.raises(CannotBeAtomicError, match=r"encore\.transaction"):
            whole.multiset({"m": b"1", "f": b"1"})
    assert parts.truth()[1] == {}
    assert parts.truth()[0] == ({"m": b"alone"} if kind is RoutingStore else {})


def test_another_task_of_the_thread_is_refused_and_disturbs_nothing(
    parts: Parts, whole: RoutingStore
) -> None:
    async def program() -> None:
        begun, refused = asyncio.Event(), asyncio.Event()

        async def one() -> None:
            with whole.transaction():
                whole.put("m", b"one")
                begun.set()
                await refused.wait()
                whole.put("f", b"one")

        async def other() -> None:
            await begun.wait()
            assert "m" not in whole
            with pytest.raises(LockTimeoutError):
                whole.multiset({"m": b"other"})
            refused.set()

        await asyncio.gather(one(), other())

    asyncio.run(program())
    assert parts.truth() == [{"m": b"one"}, {"f": b"one"}, {}]


def test_a_thread_waits_for_another_and_gives_up_in_time(parts: Parts, whole: RoutingStore) -> None:
    def write() -> None:
        with whole.transaction(timeout=0):
            raise AssertionError("it must not begin")

    with whole.transaction():
        with pytest.raises(LockTimeoutError):
            in_thread(write)
        whole.put("m", b"")
    assert parts.truth()[0] == {"m": b""}


def test_events_of_parts_are_told_once_by_the_whole(parts: Parts) -> None:
    mirror = MirroringStore([parts.memory, parts.files])
    with heard(mirror, StoreEvent) as events:
        mirror.put("a", b"1")
        with mirror.transaction():
            mirror.put("a", b"2")
            mirror.delete("a")
    assert [event.action for event in events if isinstance(event, StoreModificationEvent)] == [
        "set",
        "delete",
    ]
    assert sum(isinstance(event, StoreTransactionStartEvent) for event in events) == 1


_NAMED: dict[str, Callable[[Parts, Store], list[Any]]] = {
    "the whole and a wrapper over it": lambda parts, whole: [whole, PrefixStore(whole, "x")],
    "the whole before its parts": lambda parts, whole: [whole, parts.memory, parts.files],
    "the whole after its parts": lambda parts, whole: [parts.database, parts.memory, whole],
    "a wrapper over a part": lambda parts, whole: [PrefixStore(parts.files, "f"), whole],
}


@pytest.mark.parametrize("named", _NAMED.values(), ids=_NAMED)
def test_a_whole_and_its_parts_take_part_once(
    parts: Parts, whole: RoutingStore, named: Callable[[Parts, Store], list[Any]]
) -> None:
    stores = named(parts, whole)
    with encore.transaction(*stores):
        whole.multiset(OLD)
        parts.memory.put("beside", b"")
    assert parts.truth() == [{"m": b"old", "beside": b""}, {"f": b"old"}, {"d": b"old"}]
    parts.database.refuses = "commit"
    with pytest.raises(StoreError, match="refused"), encore.transaction(*stores):
        whole.multiset(NEW)
    assert parts.truth() == [{"m": b"old", "beside": b""}, {"f": b"old"}, {"d": b"old"}]


def test_two_wholes_with_a_part_in_common_cannot_be_ended_together(parts: Parts) -> None:
    one = MirroringStore([parts.memory, parts.files])
    other = MirroringStore([parts.memory, parts.database])
    with pytest.raises(CannotBeAtomicError, match="another of the stores"):
        encore.transaction(one, other)


def test_a_joined_store_below_which_something_cannot_prepare_decides(
    parts: Parts, directory: Path
) -> None:
    joined = JoinedStore([parts.memory, parts.database])
    with SqliteStore(directory / "other.db", event_manager=EventManager()) as other:
        with pytest.raises(CannotBeAtomicError):
            encore.transaction(joined, other)
        readonly = JoinedStore([parts.memory, ReadonlyStore(parts.database)])
        with encore.transaction(readonly, other):
            readonly.put("a", b"")
            other.put("a", b"")
        assert "a" in parts.memory
        assert "a" in other
