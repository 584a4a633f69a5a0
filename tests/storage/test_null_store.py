"""Laws of `NullStore`: everything is accepted, nothing is kept."""

from __future__ import annotations

from typing import Any

import pytest

import encore
from encore.errors import ConflictError, InvalidKeyError, KeyNotFoundError, StoreError
from encore.events.api import EventManager
from encore.storage.backends.memory import DictStore
from encore.storage.backends.null import NullStore
from encore.storage.events import StoreModificationEvent, StoreTransactionEndEvent
from encore.testing import verbs
from encore.testing.laws import heard, seen
from encore.testing.sources import MIB, Failing, Generated, SourceBroke

_WRITING = verbs.WRITING


@pytest.fixture
def store() -> NullStore:
    return NullStore(event_manager=EventManager())


@pytest.mark.parametrize("verb", _WRITING.values(), ids=_WRITING)
def test_every_write_is_accepted_and_forgotten(store: NullStore, verb: verbs.Verb) -> None:
    with heard(store, StoreModificationEvent) as events:
        verb(store, "a")
        assert seen(store) == {}
        with store.transaction():
            verb(store, "a")
            assert seen(store) == {}
    assert events == []
    with pytest.raises(InvalidKeyError):
        verb(store, "")


@pytest.mark.parametrize("verb", (verbs.READING | verbs.REMOVING).values())
def test_every_key_is_missing(store: NullStore, verb: verbs.Verb) -> None:
    store.put("a", b"1")
    with pytest.raises(KeyNotFoundError):
        verb(store, "a")
    store.delete("a", missing_ok=True)
    with pytest.raises(ConflictError):
        store.put("a", b"1", if_token="1")


def test_sources_are_read_to_their_end(store: NullStore) -> None:
    source = Generated(5 * MIB)
    store.put("a", source)
    assert source.read(1) == b""
    with pytest.raises(SourceBroke):
        store.put("a", Failing(b"x" * 3 * MIB))


def test_transactions_begin_and_end_with_their_hooks(store: NullStore) -> None:
    done: list[Any] = []
    with heard(store, StoreTransactionEndEvent) as events:
        with store.transaction("nothing") as txn:
            txn.before_commit(lambda: done.append("before"))
            txn.on_commit(lambda: done.append("after"))
            store.put("a", b"1")
        assert done == ["before", "after"]
    assert [event.state for event in events] == ["done"]
    other = DictStore()
    with encore.transaction(store, other):
        store.put("a", b"1")
        other.put("a", b"1")
    assert other.read("a") == b"1"


def test_a_closed_store_refuses(store: NullStore) -> None:
    store.close()
    for act in (lambda: store.put("a", b""), lambda: store.read("a"), lambda: store.keys()):
        with pytest.raises(StoreError, match="closed"):
            act()
