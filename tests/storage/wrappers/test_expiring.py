"""Keys that are gone after a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from encore.errors import ConflictError, KeyNotFoundError
from encore.events.event_manager import EventManager
from encore.storage.backends.memory import DictStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.events import StoreEvent, StoreModificationEvent, StoreTransactionEvent
from encore.storage.template import Store
from encore.storage.wrappers.expiring import ExpiringStore, Expiry, TimeToIdle, TimeToLive
from encore.storage.wrappers.guards import ReadonlyStore
from encore.storage.wrappers.keymaps import PrefixStore
from encore.testing import verbs
from encore.testing.laws import heard, in_thread, seen, told
from encore.testing.sources import Trickle, pattern


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["dict", "sqlite"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    manager = EventManager()
    store: Store = (
        DictStore(event_manager=manager)
        if request.param == "dict"
        else SqliteStore(tmp_path / "store.db", event_manager=manager)
    )
    with store:
        yield store


@pytest.fixture
def store(base: Store, clock: Clock) -> ExpiringStore:
    return ExpiringStore(base, default=TimeToLive(60), clock=clock)


def idle(store: ExpiringStore, seconds: float = 100.0) -> ExpiringStore:
    return store.with_policy(TimeToIdle(seconds))


# -- what has expired is missing ------------------------------------------------------------------


def test_a_key_is_there_until_its_time_has_come(store: ExpiringStore, clock: Clock) -> None:
    store.put("a", b"1")
    clock.now += 59.9
    assert store.read("a") == b"1"
    clock.now += 0.1
    assert "a" not in store
    assert store.base.read("a") == b"1", "in the base it stays until somebody sweeps"


@pytest.mark.parametrize(
    "verb", (verbs.READING | verbs.REMOVING).values(), ids=verbs.READING | verbs.REMOVING
)
def test_no_verb_finds_what_has_expired(
    store: ExpiringStore, clock: Clock, verb: verbs.Verb
) -> None:
    store.put("a", pattern(70000), {"kind": "x"})
    clock.now += 60
    with pytest.raises(KeyNotFoundError) as caught:
        verb(store, "a")
    assert caught.value.store is store


@pytest.mark.parametrize("listing", verbs.LISTING.values(), ids=verbs.LISTING)
def test_no_listing_shows_what_has_expired(
    store: ExpiringStore, clock: Clock, listing: Callable[[Any], object]
) -> None:
    before = listing(store)
    store.multiset({"a": (pattern(70000), {"kind": "x"}), "b": (b"1", {"kind": "x"})})
    clock.now += 60
    assert listing(store) == before
    assert not any(verb(store, "a") for verb in verbs.ASKING.values())
    store.delete("a", missing_ok=True)
    store.clear()


_FRESH: dict[str, tuple[Callable[[Store], object], tuple[bytes, dict[str, Any]]]] = {
    "put": (lambda s: s.put("a", b"new"), (b"new", {})),
    "put if absent": (lambda s: s.put("a", b"new", if_absent=True), (b"new", {})),
    "put a stream": (lambda s: s.put("a", Trickle(pattern(70000))), (pattern(70000), {})),
    "set_data": (lambda s: s.set_data("a", b"new"), (b"new", {})),
    "set_metadata": (lambda s: s.set_metadata("a", {"new": 1}), (b"", {"new": 1})),
    "update_metadata": (lambda s: s.update_metadata("a", {"new": 1}), (b"", {"new": 1})),
    "multiset": (lambda s: s.multiset({"a": b"new"}), (b"new", {})),
    "copy": (lambda s: s.copy("live", "a"), (b"live", {"live": 1})),
    "move": (lambda s: s.move("live", "a"), (b"live", {"live": 1})),
}


@pytest.mark.parametrize("is_heard", [True, False])
@pytest.mark.parametrize(("write", "expected"), _FRESH.values(), ids=_FRESH)
def test_writing_to_what_has_expired_begins_anew(
    store: ExpiringStore,
    clock: Clock,
    write: Callable[[Store], object],
    expected: tuple[bytes, dict[str, Any]],
    is_heard: bool,
) -> None:
    store.put("a", pattern(70000, 9), {"old": 1})
    created = store.get("a").created
    clock.now += 60
    store.put("live", b"live", {"live": 1})
    if is_heard:
        with heard(store, StoreModificationEvent) as events:
            write(store)
        assert told(events)[0] == ("set", "a"), "for whoever looks through this store it is new"
    else:
        write(store)
    assert seen(store)["a"] == expected
    assert store.get("a").created > created  # type: ignore[operator]
    assert store.get_expiry("a") == Expiry(clock.now + 60, TimeToLive(60))


def test_a_token_of_what_has_expired_is_refused(store: ExpiringStore, clock: Clock) -> None:
    store.put("a", b"1")
    token = store.get("a").token
    store.put("a", b"2", if_token=token)
    token = store.get("a").token
    clock.now += 60
    with pytest.raises(ConflictError, match="not there"):
        store.put("a", b"3", if_token=token)


def test_a_failed_write_leaves_what_has_expired_as_it_is(
    store: ExpiringStore, clock: Clock
) -> None:
    store.put("a", b"1")
    clock.now += 60
    with suppress(RuntimeError), store.transaction():
        store.put("a", b"2")
        raise RuntimeError
    assert "a" not in store
    assert store.base.read("a") == b"1"


# -- policies -------------------------------------------------------------------------------------


def test_without_a_default_keys_stay(base: Store, clock: Clock) -> None:
    store = ExpiringStore(base, clock=clock)
    store.put("a", b"1")
    clock.now += 1e9
    assert store.read("a") == b"1"
    assert store.get_expiry("a") is None
    assert base.get_metadata("a") == {}


def test_keys_that_were_there_before_stay(base: Store, clock: Clock) -> None:
    base.put("a", b"1", {"x": 1})
    store = ExpiringStore(base, default=TimeToLive(1), clock=clock)
    clock.now += 1e9
    assert seen(store) == {"a": (b"1", {"x": 1})}


def test_replacing_begins_a_new_life_and_changing_a_part_does_not(
    store: ExpiringStore, clock: Clock
) -> None:
    end = clock.now + 60
    store.multiset({"whole": b"1", "data": b"1", "metadata": b"1"})
    clock.now += 30
    store.put("whole", b"2")
    store.set_data("data", b"2")
    store.update_metadata("metadata", {"x": 1})
    found = {key: store.get_expiry(key) for key in store}
    assert found == {
        "data": Expiry(end, TimeToLive(60)),
        "metadata": Expiry(end, TimeToLive(60)),
        "whole": Expiry(end + 30, TimeToLive(60)),
    }


def test_copies_are_gone_when_their_originals_are(store: ExpiringStore, clock: Clock) -> None:
    store.put("a", b"1")
    expected = store.get_expiry("a")
    clock.now += 30
    store.put("old", b"")
    store.copy("a", "copy")
    store.copy("a", "old")
    store.move("a", "moved")
    assert {store.get_expiry(key) for key in ("copy", "old", "moved")} == {expected}


def test_another_policy_is_another_face_of_the_same_base(
    store: ExpiringStore, clock: Clock
) -> None:
    store.with_policy(TimeToLive(timedelta(hours=1))).multiset({"long": b"", "longer": b""})
    store.with_policy(None).put("for ever", b"")
    store.put("short", b"")
    clock.now += 60
    assert [*store] == ["for ever", "long", "longer"]
    clock.now += 3600
    assert [*store] == ["for ever"]


def test_the_policy_of_one_key_can_be_changed(store: ExpiringStore, clock: Clock) -> None:
    with store.transaction():
        store.put("a", b"1", {"x": 1})
        store.set_expiry("a", TimeToLive(1000))
    assert store.get_expiry("a") == Expiry(clock.now + 1000, TimeToLive(1000))
    store.set_expiry("a", None)
    assert store.get_expiry("a") is None
    clock.now += 1e9
    assert seen(store) == {"a": (b"1", {"x": 1})}


def test_an_end_can_be_put_off_and_never_comes_sooner(store: ExpiringStore, clock: Clock) -> None:
    store.put("a", b"")
    store.extend_expiry("a", 10)
    assert store.get_expiry("a") == Expiry(clock.now + 60, TimeToLive(60))
    clock.now += 30
    store.extend_expiry("a", timedelta(minutes=2))
    assert store.get_expiry("a") == Expiry(clock.now + 120, TimeToLive(60))
    store.set_expiry("a", None)
    token = store.get("a").token
    store.extend_expiry("a", 10)
    assert store.get_expiry("a") is None
    assert store.get("a").token == token, "nothing was written"


def test_policies_of_missing_and_expired_keys_are_key_errors(
    store: ExpiringStore, clock: Clock
) -> None:
    store.put("expired", b"")
    clock.now += 60
    for key in ("expired", "missing"):
        for act in (
            lambda key=key: store.get_expiry(key),
            lambda key=key: store.set_expiry(key, None),
            lambda key=key: store.extend_expiry(key, 1),
        ):
            with pytest.raises(KeyNotFoundError) as caught:
                act()
            assert caught.value.key == key
    assert "expired" in store.base


@pytest.mark.parametrize("policy", [TimeToLive, TimeToIdle])
def test_policies_are_values(policy: Any) -> None:
    assert policy(60) == policy(timedelta(minutes=1)) != policy(61)
    assert hash(policy(60)) == hash(policy(60.0))
    assert TimeToLive(60) != TimeToIdle(60)
    assert repr(policy(60)) == f"{policy.__name__}(seconds=60.0)"
    for bad in (0, -1, float("nan"), float("inf"), timedelta(0)):
        with pytest.raises(ValueError):
            policy(bad)
    for bad in ("60", None, True):
        with pytest.raises(TypeError):
            policy(bad)
    with pytest.raises(AttributeError):
        policy(60).seconds = 1


def test_what_is_no_policy_is_refused(store: ExpiringStore) -> None:
    store.put("a", b"")
    for act in (
        lambda: ExpiringStore(store.base, default=60),  # type: ignore[arg-type]
        lambda: store.with_policy(60),  # type: ignore[arg-type]
        lambda: store.set_expiry("a", 60),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match="a policy is"):
            act()


def test_a_field_that_somebody_else_wrote_is_no_expiry(base: Store, clock: Clock) -> None:
    store = ExpiringStore(base, clock=clock)
    for number, field in enumerate(["soon", 1, {"at": 1}, {"at": "x", "live": 1}, {"live": 5}]):
        base.put(str(number), b"", {"encore.expires": field})
    assert len(store) == 5
    assert {store.get_expiry(key) for key in store} == {None}


# -- idle keys ------------------------------------------------------------------------------------

_USES: dict[str, Callable[[Store], object]] = {
    "get": lambda s: s.get("a").close(),
    "read": lambda s: s.read("a"),
    "range": lambda s: s.get_data_range("a", 0, 1).close(),
    "metadata": lambda s: s.get_metadata("a"),
    "multiget": lambda s: [value.close() for value in s.multiget(["a"])],
    "set_data": lambda s: s.set_data("a", b""),
    "update_metadata": lambda s: s.update_metadata("a", {"x": 1}),
}
_NO_USES: dict[str, Callable[[Store], object]] = {
    "exists": lambda s: s.exists("a"),
    "keys": lambda s: [*s.keys()],
    "len": len,
    "query": lambda s: [*s.query()],
    "items": lambda s: [*s.items()],
    "entries": lambda s: [*s.entries()],
}


@pytest.mark.parametrize("use", _USES.values(), ids=_USES)
def test_use_lets_the_idle_time_begin_anew(
    store: ExpiringStore, clock: Clock, use: Callable[[Store], object]
) -> None:
    idle(store).put("a", pattern(70000))
    clock.now += 99
    use(store)
    assert store.get_expiry("a") == Expiry(clock.now + 100, TimeToIdle(100))
    clock.now += 99
    use(store)
    clock.now += 100
    assert "a" not in store


@pytest.mark.parametrize("look", _NO_USES.values(), ids=_NO_USES)
def test_looking_is_no_use(
    store: ExpiringStore, clock: Clock, look: Callable[[Store], object]
) -> None:
    idle(store).put("a", b"1")
    clock.now += 99
    look(store)
    clock.now += 1
    assert "a" not in store


def test_reading_writes_at_most_ten_times_in_the_idle_time(
    store: ExpiringStore, clock: Clock
) -> None:
    idle(store).put("a", b"1")
    with heard(store.base, StoreModificationEvent) as events:
        for _ in range(1000):
            clock.now += 0.1
            store.read("a")
    assert 8 <= len(events) <= 10


def test_use_is_told_by_the_base_and_not_by_the_store(store: ExpiringStore, clock: Clock) -> None:
    idle(store).put("a", b"1")
    clock.now += 50
    above = PrefixStore(store, "a")
    with heard(store) as events, heard(above) as events_above, heard(store.base) as beneath:
        store.read("a")
    assert events == events_above == []
    assert told(beneath) == [("update", "a")], "and no transaction begins or ends"


def test_a_write_in_answer_to_the_noting_of_a_use_is_told(
    store: ExpiringStore, clock: Clock
) -> None:
    idle(store).put("a", b"1")
    clock.now += 50

    def answer(event: Any) -> None:
        if event.key == "a":
            store.put("b", b"")

    with (
        store.event_manager.listening(StoreModificationEvent, answer, {"source": store.base}),
        heard(store, StoreModificationEvent) as events,
    ):
        store.read("a")
    assert told(events) == [("set", "b")]


def test_a_value_that_was_read_has_the_token_that_a_conditional_write_needs(
    store: ExpiringStore, clock: Clock
) -> None:
    idle(store).put("a", b"1")
    clock.now += 50
    value = store.get("a")
    value.close()
    store.put("a", b"2", if_token=value.token)
    assert store.read("a") == b"2"


def test_in_a_transaction_use_is_noted_when_it_has_committed(
    store: ExpiringStore, clock: Clock
) -> None:
    idle(store).put("a", b"1")
    before = store.get_expiry("a")
    clock.now += 50
    with heard(store, StoreModificationEvent) as events:
        with suppress(RuntimeError), store.transaction():
            store.read("a")
            raise RuntimeError
        assert store.get_expiry("a") == before
        with store.transaction():
            for _ in range(3):
                store.read("a")
            assert store.get_expiry("a") == before
    assert store.get_expiry("a") == Expiry(clock.now + 100, TimeToIdle(100))
    assert events == []


def test_a_reader_does_not_wait_for_a_writer(store: ExpiringStore, clock: Clock) -> None:
    idle(store).put("a", b"1")
    before = store.get_expiry("a")
    clock.now += 50
    begun, done = threading.Event(), threading.Event()

    def write() -> None:
        with store.base.transaction():
            store.base.put("b", b"")
            begun.set()
            assert done.wait(30)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(30)
        started = time.monotonic()
        assert store.read("a") == b"1"
        assert time.monotonic() - started < 3, "the timeout of the base is 5 seconds"
        assert store.get_expiry("a") == before
    finally:
        done.set()
        writer.join()
    assert store.read("a") == b"1"
    assert store.get_expiry("a") != before


def test_reading_over_a_readonly_base_works(store: ExpiringStore, clock: Clock) -> None:
    idle(store).put("a", b"1")
    reader = ExpiringStore(ReadonlyStore(store.base), clock=clock)
    clock.now += 50
    assert reader.read("a") == reader.read("a") == b"1"
    clock.now += 50
    assert "a" not in reader


def test_use_by_many_threads_harms_nothing(store: ExpiringStore, clock: Clock) -> None:
    idle(store).put("a", b"1")
    clock.now += 50
    errors: list[BaseException] = []

    def use() -> None:
        try:
            for _ in range(50):
                assert store.read("a") == b"1"
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert in_thread(lambda: store.get_expiry("a")) == Expiry(clock.now + 100, TimeToIdle(100))


# -- sweeping -------------------------------------------------------------------------------------


def test_sweeping_deletes_what_has_expired_in_one_transaction(
    store: ExpiringStore, clock: Clock
) -> None:
    store.multiset({"a": (b"1", {"x": 1}), "b": pattern(70000)})
    clock.now += 30
    store.put("c", b"3")
    store.with_policy(None).put("d", b"4")
    clock.now += 30
    with heard(store, StoreEvent) as events, heard(store.base, StoreModificationEvent) as beneath:
        assert store.sweep() == 2
    start, end, *changes = events
    assert isinstance(start, StoreTransactionEvent)
    assert isinstance(end, StoreTransactionEvent)
    assert told(changes) == told(beneath) == [("delete", "a"), ("delete", "b")]
    assert changes[0].metadata == {"x": 1}
    assert [*store.base] == ["c", "d"]


def test_sweeping_where_nothing_has_expired_begins_no_transaction(store: ExpiringStore) -> None:
    store.put("a", b"")
    with heard(store) as events:
        assert store.sweep() == 0
    assert events == []


def test_what_is_swept_in_a_transaction_comes_back_if_it_fails(
    store: ExpiringStore, clock: Clock
) -> None:
    store.put("a", b"1")
    clock.now += 60
    with suppress(RuntimeError), store.transaction():
        assert store.sweep() == 1
        assert "a" not in store.base
        raise RuntimeError
    assert "a" in store.base


def test_what_was_written_again_is_not_swept(store: ExpiringStore, clock: Clock) -> None:
    store.put("a", b"1")
    clock.now += 60
    store.put("a", b"2")
    assert store.sweep() == 0
    assert store.read("a") == b"2"


def test_expiry_holds_after_reopening(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "store.db"
    with ExpiringStore(SqliteStore(path), default=TimeToLive(60), clock=clock) as store:
        store.put("a", b"1")
    clock.now += 30
    with ExpiringStore(SqliteStore(path), clock=clock) as store:
        assert store.read("a") == b"1"
        assert store.get_expiry("a") == Expiry(clock.now + 30, TimeToLive(60))
        clock.now += 30
        assert "a" not in store


def test_the_clock_of_the_day_is_the_default() -> None:
    store = ExpiringStore(DictStore(event_manager=EventManager()), default=TimeToLive(60))
    store.put("a", b"")
    expiry = store.get_expiry("a")
    assert expiry is not None
    assert 50 < expiry.at - time.time() <= 60
