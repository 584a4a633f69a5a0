"""One transaction over several stores, and over wrappers of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import encore
from encore.errors import CannotBeAtomicError, StoreError, TransactionClosedError
from encore.events.event_manager import EventManager
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.memory import DictStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.events import StoreModificationEvent, StoreTransactionStartEvent
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.wrappers.caching import CachingStore
from encore.storage.wrappers.codecs import GzipStore
from encore.storage.wrappers.keymaps import PrefixStore
from encore.testing.laws import heard, told


class Refusing(SqliteStore):
    """A store that does not commit when it is told so."""

    refuses = False

    def _commit_transaction(self, context: SimpleTransactionContext) -> None:
        if self.refuses:
            raise StoreError("refused", store=self)
        super()._commit_transaction(context)


class Ungrouped(DictStore):
    """A store that has no transactions."""

    transactions = "none"


def put_together(*stores: Any, data: bytes) -> None:
    with encore.transaction(*stores):
        for store in stores:
            store.put("a", data)


@pytest.fixture
def stores(directory: Path) -> Iterator[list[Any]]:
    """A store in memory, one of files, and one that can only commit at once."""
    events = EventManager()
    found = [
        DictStore(event_manager=events),
        FilesystemStore(directory / "files", event_manager=events),
        Refusing(directory / "store.db", event_manager=events),
    ]
    yield found
    for store in found:
        assert store._context() is None
        store.close()


def test_all_or_none(stores: list[Any]) -> None:
    put_together(*stores, data=b"1")
    stores[2].refuses = True
    with pytest.raises(StoreError, match="refused"):
        put_together(*stores, data=b"2")
    assert [store.read("a") for store in stores] == [b"1"] * 3


def test_a_wrapper_and_its_base_are_one(stores: list[Any]) -> None:
    for base in stores:
        wrapper = GzipStore(PrefixStore(base, "p/"))
        with (
            heard(base, StoreTransactionStartEvent) as starts,
            heard(wrapper, StoreModificationEvent) as events,
            encore.transaction(wrapper, base, wrapper),
        ):
            wrapper.put("a", b"1")
            base.put("b", b"2")
            assert base._context().depth == 1
        assert len(starts) == 1
        assert told(events) == [("set", "a")]
        assert sorted(base) == ["b", "p/a"]


def test_wrappers_alone_take_their_bases_along(stores: list[Any]) -> None:
    memory, files, database = stores
    several = encore.transaction(PrefixStore(memory, "p/"), GzipStore(files), database)
    with several:
        assert all(store._context() is not None for store in stores)
        PrefixStore(memory, "p/").put("a", b"1")
    assert list(memory) == ["p/a"]
    with pytest.raises(TransactionClosedError), several:
        pass


def test_two_wrappers_of_what_can_only_commit_at_once_are_no_two_such_stores(
    stores: list[Any],
) -> None:
    database = stores[2]
    with encore.transaction(PrefixStore(database, "1/"), PrefixStore(database, "2/"), stores[0]):
        database.put("1/a", b"")


def test_a_cached_store_takes_part_as_its_main_store(stores: list[Any]) -> None:
    memory, files, database = stores
    cached = CachingStore(files, memory, validate="never")
    files.put("a", b"old")
    cached.read("a")
    database.refuses = True
    with pytest.raises(StoreError, match="refused"):
        put_together(cached, files, database, data=b"new")
    assert cached.read("a") == files.read("a") == b"old"


def test_two_that_can_only_commit_at_once_are_refused(stores: list[Any], directory: Path) -> None:
    with SqliteStore(directory / "other.db") as other, pytest.raises(CannotBeAtomicError):
        encore.transaction(stores[2], PrefixStore(other, "p/"))


def test_a_wrapper_of_a_store_without_transactions_is_refused(stores: list[Any]) -> None:
    with pytest.raises(CannotBeAtomicError, match="no transactions"):
        encore.transaction(stores[0], PrefixStore(Ungrouped(), "p/"))


def test_a_transaction_open_through_a_wrapper_counts(stores: list[Any]) -> None:
    memory, files, _ = stores
    with PrefixStore(memory, "p/").transaction(), pytest.raises(CannotBeAtomicError):
        encore.transaction(memory, files)
