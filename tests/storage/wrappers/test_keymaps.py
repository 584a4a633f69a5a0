"""Stores that give keys other names: what is visible, who is asked, and who announces what."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import suppress

import pytest

from encore.errors import ConflictError, InvalidKeyError, KeyNotFoundError
from encore.events.event_manager import EventManager
from encore.storage.backends.memory import DictStore
from encore.storage.events import StoreModificationEvent
from encore.storage.template import Store
from encore.storage.wrappers.guards import RegexValidatingStore
from encore.storage.wrappers.keymaps import (
    HashPrefixStore,
    KeyMapStore,
    PrefixStore,
    UrlEncodingStore,
)
from encore.testing.laws import heard, told

WRAPPERS = {
    "prefix": lambda base: PrefixStore(base, "p/"),
    "hash-prefix": HashPrefixStore,
    "url-encoding": UrlEncodingStore,
    "validating": lambda base: RegexValidatingStore(base, "k.*"),
}
#: For each, a name in the base that is nobody's.
FOREIGN = {"prefix": "q/k1", "hash-prefix": "00000000/k1", "url-encoding": "é", "validating": "x"}


class WatchedStore(DictStore):
    """Knows what has been listed, and how often the short way was taken."""

    def __init__(self) -> None:
        super().__init__(event_manager=EventManager())
        self.asked: list[str] = []
        self.listed: list[str] = []
        self.plain = 0

    def _scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        self.asked.append(prefix)
        for key in super()._scan(prefix, start_after):
            self.listed.append(key)
            yield key

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        done = super()._put_plain(key, data, text)
        self.plain += done
        return done


@pytest.fixture
def base() -> WatchedStore:
    return WatchedStore()


@pytest.mark.parametrize("name", WRAPPERS)
def test_keys_of_others_are_invisible_and_untouched(base: WatchedStore, name: str) -> None:
    foreign = FOREIGN[name]
    base.put(foreign, b"theirs", {"kind": 1})
    store = WRAPPERS[name](base)
    store.put("k1", b"ours", {"kind": 1})
    assert [*store] == [key for key, _ in store.items()] == [*store.query_keys(kind=1)] == ["k1"]
    assert len(store) == 1
    assert store.totals() == (1, 4)
    assert [entry.key for entry in store.entries()] == ["k1"]
    store.clear()
    assert [*base] == [foreign]
    assert base.read(foreign) == b"theirs"


def test_the_bare_prefix_is_no_key(base: WatchedStore) -> None:
    base.put("p/", b"theirs")
    store = PrefixStore(base, "p/")
    assert [*store] == []
    assert len(store) == 0
    assert [*store.query_keys()] == []
    with heard(store, StoreModificationEvent) as events:
        base.put("p/", b"new")
        store.clear()
    assert events == []
    assert base.read("p/") == b"new"


def test_listings_ask_the_base_for_no_more_than_they_show(base: WatchedStore) -> None:
    base.multiset({f"{folder}/{number}": b"" for folder in "opq" for number in range(100)})
    store = PrefixStore(base, "p/")
    base.asked.clear()
    assert len([*store.keys("1")]) == 11
    assert base.asked == ["p/1"]
    assert len(base.listed) == 11
    base.listed.clear()
    assert [*store.keys(start_after="97", limit=1)] == ["98"]
    assert base.listed == ["p/98"]


@pytest.mark.parametrize(
    ("name", "longest"), [("prefix", 1022), ("hash-prefix", 1015), ("url-encoding", 341)]
)
def test_too_long_a_key_is_refused_in_the_words_of_the_wrapper(
    base: WatchedStore, name: str, longest: int
) -> None:
    store = WRAPPERS[name](base)
    assert store.info()["key_bytes"] == longest
    unit = "%" if name == "url-encoding" else "x"
    store.put(unit * longest, b"fits")
    for attempt in (
        lambda key: store.put(key, b""),
        lambda key: store.get(key),
        lambda key: store.copy(unit, key),
        lambda key: store.multiset({key: b""}),
    ):
        store.put(unit, b"")
        with pytest.raises(InvalidKeyError, match=type(store).__name__) as caught:
            attempt(unit * (longest + 1))
        assert caught.value.key == unit * (longest + 1)
        assert caught.value.store is store
    assert sorted(store) == [unit, unit * longest]


@pytest.mark.parametrize("verb", ["get", "read", "get_metadata", "delete", "copy", "move"])
def test_errors_name_the_key_as_the_caller_knows_it(base: WatchedStore, verb: str) -> None:
    store = PrefixStore(base, "secret/")
    arguments = ("gone", "new") if verb in ("copy", "move") else ("gone",)
    with pytest.raises(KeyNotFoundError) as caught:
        getattr(store, verb)(*arguments)
    assert (caught.value.key, caught.value.store, caught.value.operation) == ("gone", store, verb)


def test_conflicts_name_the_key_as_the_caller_knows_it(base: WatchedStore) -> None:
    store = PrefixStore(base, "secret/")
    store.put("a", b"")
    with pytest.raises(ConflictError) as caught:
        store.put("a", b"", if_absent=True)
    assert (caught.value.key, caught.value.store) == ("a", store)


def test_two_wrappers_and_their_base_share_a_transaction(base: WatchedStore) -> None:
    one, other = PrefixStore(base, "1/"), PrefixStore(base, "2/")
    with one.transaction("outer") as outer:
        one.put("a", b"1")
        with suppress(InterruptedError), other.transaction() as inner:
            assert inner is outer
            other.put("a", b"2")
            base.put("b", b"3")
            raise InterruptedError
        base.put("c", b"4")
        assert base.read("1/a") == one.read("a") == b"1"
    assert [*base] == ["1/a", "c"]


def test_each_face_announces_with_its_own_key(base: WatchedStore) -> None:
    outer = PrefixStore(base, "a/")
    inner = PrefixStore(outer, "b/")
    other = PrefixStore(base, "x/")
    faces: list[Store] = [base, outer, inner, other]
    events: list[tuple[int, str, str]] = []

    def tell(event: StoreModificationEvent) -> None:
        events.append((faces.index(event.source), event.action, event.key))

    with base.event_manager.listening(StoreModificationEvent, tell):
        inner.put("k", b"1")
        base.delete("a/b/k")
        base.put("a/c", b"2")
    assert events == [
        (0, "set", "a/b/k"), (1, "set", "b/k"), (2, "set", "k"),
        (0, "delete", "a/b/k"), (1, "delete", "b/k"), (2, "delete", "k"),
        (0, "set", "a/c"), (1, "set", "c"),
    ]  # fmt: skip


def test_a_face_that_died_is_silent(base: WatchedStore) -> None:
    face = PrefixStore(base, "a/")
    events: list[StoreModificationEvent] = []
    with base.event_manager.listening(StoreModificationEvent, events.append):
        base.put("a/k", b"")
        assert len(events) == 2
        events.clear()
        del face, events[:]
        gc.collect()
        base.put("a/k", b"")
    assert [(event.source, event.key) for event in events] == [(base, "a/k")]


def test_where_nobody_listens_the_base_takes_its_short_way(base: WatchedStore) -> None:
    store: KeyMapStore = PrefixStore(PrefixStore(base, "a/"), "b/")
    store.put("k", b"1")
    assert base.plain == 1
    with heard(store) as events:
        store.put("k", b"2")
    assert base.plain == 1
    assert told([event for event in events if hasattr(event, "key")]) == [("update", "k")]
    store.put("k", b"3")
    assert base.plain == 2
