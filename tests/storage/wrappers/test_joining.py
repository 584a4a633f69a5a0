"""Stores joined one above the other, mounted in one another, and divided by routes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from encore.errors import InvalidKeyError, KeyNotFoundError, ReadOnlyError, StoreError
from encore.events.event_manager import EventManager
from encore.storage.backends.memory import DictStore
from encore.storage.events import StoreModificationEvent
from encore.storage.template import Store
from encore.storage.wrappers.guards import ReadonlyStore
from encore.storage.wrappers.joining import JoinedStore, MountedStore, RoutingStore
from encore.storage.wrappers.keymaps import PrefixStore
from encore.storage.wrappers.mirroring import MirroringStore
from encore.testing.laws import heard, told
from encore.testing.sources import MIB, Failing, SourceBroke, Trickle, pattern


@pytest.fixture
def parts() -> tuple[DictStore, DictStore]:
    events = EventManager()
    return DictStore(event_manager=events), DictStore(event_manager=events)


def contents(store: Store) -> dict[str, bytes]:
    return {key: store.read(key) for key in store}


class PoorStore(DictStore):
    """A store with fewer abilities than others."""

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "forks": False, "listing": False}


def test_what_a_part_cannot_do_the_whole_cannot() -> None:
    for whole in (
        JoinedStore([DictStore(), PoorStore()]),
        MountedStore("a/", PoorStore(), DictStore()),
        RoutingStore([("a", DictStore()), ("", PrefixStore(PoorStore(), "b/"))]),
        MirroringStore([DictStore(), JoinedStore([PoorStore()])]),
    ):
        assert (whole.info()["forks"], whole.info()["listing"]) == (False, False)
    assert not {"forks", "listing"} & JoinedStore([DictStore(), DictStore()]).info().keys()


# -- joined ---------------------------------------------------------------------------------------


def test_settings_hide_defaults_and_leave_them_as_they_are(
    parts: tuple[DictStore, DictStore],
) -> None:
    settings, defaults = parts
    defaults.multiset({"colour": b"grey", "size": b"10"})
    joined = JoinedStore([settings, defaults])
    joined.put("colour", b"red")
    assert contents(joined) == {"colour": b"red", "size": b"10"}
    assert contents(settings) == {"colour": b"red"}
    assert contents(defaults) == {"colour": b"grey", "size": b"10"}


@pytest.mark.parametrize("data", [b"10", pattern(3 * MIB)], ids=["small", "large"])
def test_changing_metadata_brings_the_data_up(
    parts: tuple[DictStore, DictStore], data: bytes
) -> None:
    upper, lower = parts
    lower.put("size", data, {"unit": "pt", "kind": "font"})
    created = lower.get("size").created
    JoinedStore([upper, lower]).update_metadata("size", {"unit": "px"})
    assert upper.read("size") == data
    assert upper.get_metadata("size") == {"unit": "px", "kind": "font"}
    assert upper.get("size").created == created
    assert lower.get_metadata("size") == {"unit": "pt", "kind": "font"}


def test_changing_data_brings_the_metadata_up(parts: tuple[DictStore, DictStore]) -> None:
    upper, lower = parts
    lower.put("size", b"10", {"unit": "pt"})
    JoinedStore([upper, lower]).set_data("size", b"12")
    assert (upper.read("size"), upper.get_metadata("size")) == (b"12", {"unit": "pt"})


def test_a_deleted_key_does_not_come_back(parts: tuple[DictStore, DictStore]) -> None:
    for part in parts:
        part.put("a", b"")
    JoinedStore(parts).delete("a")
    assert [contents(part) for part in parts] == [{}, {}]


@pytest.mark.parametrize("is_caught_in_a_transaction", [False, True])
def test_deleting_what_a_readonly_store_has_deletes_nothing(
    parts: tuple[DictStore, DictStore], is_caught_in_a_transaction: bool
) -> None:
    upper, lower = parts
    for part in parts:
        part.put("a", b"1")
    joined = JoinedStore([upper, ReadonlyStore(lower)])
    if is_caught_in_a_transaction:
        with joined.transaction():
            joined.put("b", b"2")
            with pytest.raises(ReadOnlyError):
                joined.delete("a")
            assert joined.read("a") == b"1"
        assert upper.read("b") == b"2"
    else:
        with pytest.raises(ReadOnlyError):
            joined.delete("a")
    assert upper.read("a") == lower.read("a") == b"1"


def test_a_change_beneath_what_is_seen_tells_nothing(parts: tuple[DictStore, DictStore]) -> None:
    upper, lower = parts
    upper.put("a", b"")
    joined = JoinedStore(parts)
    with heard(joined, StoreModificationEvent) as events:
        lower.put("a", b"1")
        lower.put("b", b"2")
        lower.delete("a")
    assert told(events) == [("set", "b")]


def test_uncovering_a_lower_value_is_an_update_to_it(parts: tuple[DictStore, DictStore]) -> None:
    upper, lower = parts
    upper.put("a", b"", {"layer": 1})
    lower.put("a", b"", {"layer": 2})
    joined = JoinedStore(parts)
    with heard(joined, StoreModificationEvent) as events:
        upper.delete("a")
        upper.put("a", b"", {"layer": 3})
    assert told(events) == [("update", "a"), ("update", "a")]
    assert [event.metadata for event in events] == [{"layer": 2}, {"layer": 3}]


def test_writes_beside_a_transaction_are_told_as_one_change(
    parts: tuple[DictStore, DictStore],
) -> None:
    _upper, lower = parts
    joined = JoinedStore(parts)
    with heard(joined, StoreModificationEvent) as events, joined.transaction():
        lower.put("a", b"1")  # lower takes no part until the whole writes to it
        lower.put("a", b"2", {"n": 2})
    assert told(events) == [("set", "a")]
    assert events[0].metadata == {"n": 2}


def test_writes_beside_a_transaction_that_fails_are_told_all_the_same(
    parts: tuple[DictStore, DictStore],
) -> None:
    _upper, lower = parts
    joined = JoinedStore(parts)
    with heard(joined, StoreModificationEvent) as events:
        transaction = joined.transaction().begin()
        joined.put("mine", b"")
        lower.put("beside", b"")
        transaction.rollback()
    assert told(events) == [("set", "beside")]


def test_what_is_opened_is_closed_and_what_was_open_is_not(
    parts: tuple[DictStore, DictStore],
) -> None:
    joined = JoinedStore(parts)
    joined.put("a", b"")
    joined.close()
    with pytest.raises(StoreError, match="closed"):
        joined.keys()
    assert all(part.is_connected() for part in parts)
    parts[1].close()
    joined.connect()
    assert joined.read("a") == b""
    joined.close()
    assert [part.is_connected() for part in parts] == [True, False]


# -- mounted --------------------------------------------------------------------------------------


def test_what_is_mounted_hides_what_is_behind(parts: tuple[DictStore, DictStore]) -> None:
    session, disk = parts
    disk.multiset({"session/a": b"old", "session/b": b"behind", "other": b""})
    session.put("a", b"new")
    mounted = MountedStore("session/", session, disk)
    assert contents(mounted) == {"other": b"", "session/a": b"new", "session/b": b"behind"}
    assert list(mounted.keys(prefix="session/", start_after="session/a")) == ["session/b"]


def test_writes_under_the_mount_point_go_to_the_mounted_store(
    parts: tuple[DictStore, DictStore],
) -> None:
    session, disk = parts
    mounted = MountedStore("session/", session, disk)
    mounted.multiset({"session/a": b"1", "b": b"2"})
    assert (contents(session), contents(disk)) == ({"a": b"1"}, {"b": b"2"})


def test_a_key_that_is_the_mount_point_itself_belongs_to_the_backing_store(
    parts: tuple[DictStore, DictStore],
) -> None:
    session, disk = parts
    mounted = MountedStore("session", session, disk)
    mounted.put("session", b"itself")
    mounted.put("sessions", b"under")
    assert (contents(session), contents(disk)) == ({"s": b"under"}, {"session": b"itself"})
    with pytest.raises(KeyNotFoundError):
        mounted.push("session")


def test_push_moves_a_value_and_the_key_stays(parts: tuple[DictStore, DictStore]) -> None:
    session, disk = parts
    mounted = MountedStore("session/", session, disk)
    data = pattern(3 * MIB)
    mounted.put("session/a", data, {"n": 1})
    before = mounted.get("session/a")
    mounted.push("session/a")
    assert contents(session) == {}
    assert disk.read("session/a") == mounted.read("session/a") == data
    after = mounted.get("session/a")
    assert (after.metadata, after.token, after.created) == ({"n": 1}, before.token, before.created)


def test_push_is_refused_whole(parts: tuple[DictStore, DictStore]) -> None:
    session, disk = parts
    mounted = MountedStore("session/", session, ReadonlyStore(disk))
    mounted.put("session/a", b"1")  # what cannot be written keeps nothing else from it
    with pytest.raises(ReadOnlyError):
        mounted.push("session/a")
    assert (contents(session), contents(disk)) == ({"a": b"1"}, {})


@pytest.mark.parametrize("key", ["session/none", "elsewhere"])
def test_push_needs_a_key_that_is_mounted(parts: tuple[DictStore, DictStore], key: str) -> None:
    session, disk = parts
    disk.put(key, b"")
    with pytest.raises(KeyNotFoundError):
        MountedStore("session/", session, disk).push(key)


def test_two_views_of_one_store_can_be_mounted_in_one_another() -> None:
    base = DictStore(event_manager=EventManager())
    mounted = MountedStore("tmp/", PrefixStore(base, "t:"), PrefixStore(base, "d:"))
    with mounted.transaction(), mounted.transaction():
        mounted.put("tmp/a", b"1")
        mounted.put("b", b"2")
    assert contents(base) == {"d:b": b"2", "t:a": b"1"}
    transaction = mounted.transaction().begin()
    mounted.put("tmp/a", b"")
    mounted.delete("b")
    transaction.rollback()
    assert contents(base) == {"d:b": b"2", "t:a": b"1"}
    assert base._context() is None


# -- routing --------------------------------------------------------------------------------------


def test_the_first_route_that_fits_counts(parts: tuple[DictStore, DictStore]) -> None:
    one, other = parts
    routing = RoutingStore([("img/", one), (re.compile(r".*\.png"), other), ("", one)])
    routing.multiset({"img/a.png": b"1", "b.png": b"2", "b.png.txt": b"3"})
    assert contents(one) == {"b.png.txt": b"3", "img/a.png": b"1"}
    assert contents(other) == {"b.png": b"2"}
    assert list(routing) == ["b.png", "b.png.txt", "img/a.png"]


def test_what_a_store_has_beside_its_routes_is_invisible(
    parts: tuple[DictStore, DictStore],
) -> None:
    one, other = parts
    routing = RoutingStore([("a", one), ("b", other)])
    one.put("b", b"misplaced", {"n": 1})
    other.put("b", b"right", {"n": 2})
    assert contents(routing) == {"b": b"right"}
    assert list(routing.query_keys(n=1)) == []
    assert len(routing) == 1


def test_a_key_without_a_route_is_not_there_and_cannot_be_written(
    parts: tuple[DictStore, DictStore],
) -> None:
    one, other = parts
    one.put("z", b"")
    routing = RoutingStore([("a", one), ("b", other)])
    assert "z" not in routing
    assert "z" not in list(routing)
    with pytest.raises(KeyNotFoundError):
        routing.get("z")
    with pytest.raises(KeyNotFoundError):
        routing.delete("z")
    routing.put("a", b"1")
    writes = [
        lambda: routing.put("z", b""),
        lambda: routing.put("z", Trickle(pattern(3 * MIB))),
        lambda: routing.set_metadata("z", {}),
        lambda: routing.set_data("z", b""),
        lambda: routing.copy("a", "z"),
        lambda: routing.move("a", "z"),
        lambda: routing.multiset({"b": b"2", "z": b""}),
    ]
    for write in writes:
        with pytest.raises(InvalidKeyError, match="no route"):
            write()
    assert contents(routing) == {"a": b"1"}


def test_one_store_on_two_routes_takes_part_once(parts: tuple[DictStore, DictStore]) -> None:
    one, other = parts
    routing = RoutingStore([("a", one), ("b", other), ("c", one)])
    with heard(routing, StoreModificationEvent) as events, routing.transaction():
        routing.multiset({"c": b"", "a": b"", "b": b""})
    assert told(events) == [("set", "c"), ("set", "a"), ("set", "b")]
    routing.move("c", "b")
    assert (list(one), list(other)) == (["a"], ["b"])


def test_a_stream_that_fails_leaves_the_key_as_it_was(parts: tuple[DictStore, DictStore]) -> None:
    routing = RoutingStore([("a", parts[0]), ("", parts[1])])
    routing.put("a", b"old", {"n": 1})
    with pytest.raises(SourceBroke):
        routing.put("a", Failing(pattern(3 * MIB)))
    assert (routing.read("a"), routing.get_metadata("a")) == (b"old", {"n": 1})
