"""A fast store in front of a slow one: what is answered from where, and that it is never stale."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from encore.errors import KeyNotFoundError
from encore.events.event_manager import EventManager
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.memory import DictStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.content import Content
from encore.storage.template import Store
from encore.storage.values import Value
from encore.storage.wrappers.base import WrapperStore
from encore.storage.wrappers.caching import CachingStore
from encore.testing.laws import PATIENCE_SECONDS, in_thread
from encore.testing.sources import MIB, Trickle, pattern


class Main(WrapperStore):
    """A store that counts what it is asked for, and waits where a test wants it to."""

    def __init__(self, base: Store) -> None:
        super().__init__(base)
        self.asked: Counter[str] = Counter()
        self.read_from: Counter[str] = Counter()
        self.meanwhile: Callable[[], None] = lambda: None

    def _find(self, key: str) -> Value | None:
        self.asked[key] += 1
        value = self.base._find(key)
        if value is None:
            self.meanwhile()
            return None
        content = value.content
        if isinstance(content, bytes):
            self.meanwhile()
            return value
        return value.with_content(Counted(content, self, key))

    _read = Store._read


class Counted:
    """A content that tells its store when it is read."""

    def __init__(self, content: Content, store: Main, key: str) -> None:
        self._content = content
        self._store = store
        self._key = key
        self.size = content.size

    def read(self, start: int, end: int) -> bytes:
        data = self._content.read(start, end)
        self._store.read_from[self._key] += 1
        self._store.meanwhile()
        return data

    def chunks(self, start: int, end: int, buffer_size: int) -> Any:
        self._store.read_from[self._key] += 1
        yield from self._content.chunks(start, end, buffer_size)
        self._store.meanwhile()

    def close(self) -> None:
        self._content.close()


class Clock:
    """Time that passes when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def main() -> Main:
    main = Main(DictStore(event_manager=EventManager()))
    main.multiset({key: (key.encode() * 10, {"key": key}) for key in "abcde"})
    return main


@pytest.fixture
def cache() -> DictStore:
    return DictStore(event_manager=EventManager())


@pytest.fixture
def clock() -> Clock:
    return Clock()


def counts(store: CachingStore) -> tuple[int, int]:
    return store.stats().hits, store.stats().misses


# -- hits and misses ------------------------------------------------------------------------------


def test_the_second_read_is_answered_by_the_cache(main: Main, cache: DictStore) -> None:
    store = CachingStore(main, cache, validate="never")
    assert [store.read("a") for _ in range(3)] == [b"a" * 10] * 3
    value = store.get("a")
    assert (value.read(), value.metadata, value.token) == (
        b"a" * 10,
        {"key": "a"},
        main.get("a").token,
    )
    assert counts(store) == (3, 1)
    assert main.asked["a"] == 2  # once for the store, once by this test
    assert (store.stats().items, store.stats().bytes) == (1, 10)


def test_token_asks_the_main_store_every_time(cache: DictStore, directory: Path) -> None:
    path = directory / "main.db"
    with SqliteStore(path) as main, SqliteStore(path) as other:
        store = CachingStore(main, cache)
        main.put("a", b"1")
        store.read("a")
        other.put("a", b"2")  # another program, as it were
        assert [store.read("a"), store.read("a")] == [b"2", b"2"]
        assert counts(store) == (1, 2)


def test_ttl_asks_again_after_a_while(cache: DictStore, clock: Clock, directory: Path) -> None:
    path = directory / "main.db"
    with SqliteStore(path) as main, SqliteStore(path) as other:
        store = CachingStore(main, cache, validate="ttl", max_age=60, clock=clock)
        main.put("a", b"1")
        assert store.read("a") == b"1"
        other.put("a", b"2")  # another program, as it were
        clock.now += 59
        assert store.read("a") == b"1"
        clock.now += 1
        assert store.read("a") == b"2"
        assert counts(store) == (1, 2)


def test_never_asks_never_again(cache: DictStore, directory: Path) -> None:
    path = directory / "main.db"
    with SqliteStore(path) as main, SqliteStore(path) as other:
        store = CachingStore(main, cache, validate="never")
        main.put("a", b"1")
        store.read("a")
        other.put("a", b"2")
        assert store.read("a") == b"1"
        store.clear_cache("a")
        assert store.read("a") == b"2"


@pytest.mark.parametrize("options", [{"validate": "sometimes"}, {"validate": "ttl"}])
def test_options_that_make_no_sense_are_refused(
    main: Main, cache: DictStore, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="validate"):
        CachingStore(main, cache, **options)


def test_a_missing_key_is_remembered_for_a_while(
    main: Main, cache: DictStore, clock: Clock
) -> None:
    store = CachingStore(main, cache, negative_ttl=10, clock=clock)
    for _ in range(3):
        with pytest.raises(KeyNotFoundError):
            store.get("z")
    assert "z" not in store
    assert main.asked["z"] == 1
    clock.now += 10
    assert store.exists("z") is False
    with pytest.raises(KeyNotFoundError):
        store.get("z")
    assert main.asked["z"] == 2
    main.put("z", b"there now")
    assert store.read("z") == b"there now"


# -- room -----------------------------------------------------------------------------------------


def test_the_least_recently_used_copies_go(main: Main, cache: DictStore) -> None:
    store = CachingStore(main, cache, max_items=3)
    for key in "abcad":
        store.read(key)
    assert list(cache) == ["a", "c", "d"]
    assert store.stats().evictions == 1


def test_copies_take_no_more_bytes_than_allowed(main: Main, cache: DictStore) -> None:
    store = CachingStore(main, cache, max_bytes=25)
    for key in "abcab":
        store.read(key)
    assert list(cache) == ["a", "b"]
    assert store.stats().bytes == 20
    main.put("large", b"x" * 26)
    assert store.read("large") == b"x" * 26
    assert list(cache) == ["a", "b"]


# -- what is copied -------------------------------------------------------------------------------


@pytest.fixture
def large(directory: Path) -> Any:
    """A large value in a store of files, cached in another."""
    events = EventManager()
    with (
        FilesystemStore(directory / "main", event_manager=events) as files,
        FilesystemStore(directory / "cache", event_manager=EventManager()) as cache,
    ):
        main = Main(files)
        main.put("a", Trickle(pattern(3 * MIB)))
        yield main, cache


def test_only_what_was_read_to_its_end_is_copied(large: Any) -> None:
    main, cache = large
    store = CachingStore(main, cache, validate="never")
    with store.get("a") as data:
        assert data.read(MIB) == pattern(3 * MIB)[:MIB]
    value = store.get("a")
    chunks = value.iterdata(65536)
    next(chunks)
    chunks.close()
    value.close()
    assert store.get_data_range("a", 10, 20).read() == pattern(3 * MIB)[10:20]
    assert list(cache) == []
    value = store.get("a")
    assert b"".join(value.iterdata()) == pattern(3 * MIB)
    value.close()
    assert list(cache) == ["a"]
    before = main.read_from["a"]
    assert store.read("a") == pattern(3 * MIB)
    assert main.read_from["a"] == before


def test_readers_of_one_missing_key_wait_for_one_of_them(large: Any) -> None:
    main, cache = large
    store = CachingStore(main, cache, validate="never")
    together = threading.Barrier(8)
    found: list[bool] = []

    def read() -> None:
        together.wait(PATIENCE_SECONDS)
        found.append(store.read("a") == pattern(3 * MIB))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert found == [True] * 8
    assert (main.asked["a"], main.read_from["a"]) == (1, 1)
    assert counts(store) == (7, 1)


def test_a_fetch_that_fails_lets_the_next_one_try(main: Main, cache: DictStore) -> None:
    store = CachingStore(main, cache)

    def fail() -> None:
        main.meanwhile = lambda: None
        raise ZeroDivisionError

    main.meanwhile = fail
    with pytest.raises(ZeroDivisionError):
        store.read("a")
    assert store.read("a") == b"a" * 10


# -- writes ---------------------------------------------------------------------------------------

_WRITES: dict[str, Callable[[Store], object]] = {
    "put": lambda store: store.put("a", b"new"),
    "put a stream": lambda store: store.put("a", Trickle(pattern(3 * MIB))),
    "set_data": lambda store: store.set_data("a", b"new"),
    "set_metadata": lambda store: store.set_metadata("a", {"n": 1}),
    "multiset": lambda store: store.multiset({"a": b"new"}),
    "copy": lambda store: store.copy("b", "a"),
    "move": lambda store: store.move("b", "a"),
    "move away": lambda store: store.move("a", "b"),
    "delete": lambda store: store.delete("a"),
    "clear": lambda store: store.clear(),
}


@pytest.mark.parametrize("through", ["the cache", "the main store", "the store beneath"])
@pytest.mark.parametrize("write", _WRITES.values(), ids=_WRITES)
def test_every_write_takes_the_copy_away(
    main: Main, cache: DictStore, write: Callable[[Store], object], through: str
) -> None:
    store = CachingStore(main, cache, validate="never", negative_ttl=1000)
    for key in "ab":
        store.read(key)
    write({"the cache": store, "the main store": main, "the store beneath": main.base}[through])
    for key in "ab":
        value = main.base._find(key)
        if value is None:
            with pytest.raises(KeyNotFoundError):
                store.get(key)
        else:
            assert (store.read(key), store.get(key).token) == (value.read(), value.token)


def test_inside_a_transaction_own_writes_are_seen_and_nothing_is_cached(
    main: Main, cache: DictStore
) -> None:
    store = CachingStore(main, cache, validate="never", negative_ttl=1000)
    store.read("a")
    with pytest.raises(KeyNotFoundError):
        store.get("z")
    transaction = store.transaction().begin()
    store.put("a", b"mine")
    store.put("z", b"mine, too")
    assert (store.read("a"), store.read("z"), store.read("b")) == (b"mine", b"mine, too", b"b" * 10)
    assert list(cache) == []
    assert in_thread(lambda: store.read("a")) == b"a" * 10
    assert list(cache) == ["a"]
    transaction.commit()
    assert store.read("a") == b"mine"
    transaction = store.transaction().begin()
    store.delete("a")
    transaction.rollback()
    assert store.read("a") == b"mine"


@pytest.mark.parametrize("validate", ["never", "token"])
@pytest.mark.parametrize("write", ["put", "delete", "transaction"])
def test_a_write_during_a_fetch_leaves_no_stale_copy(
    main: Main, cache: DictStore, validate: str, write: str
) -> None:
    store = CachingStore(main, cache, validate=validate)
    fetched, written = threading.Event(), threading.Event()

    def wait() -> None:
        main.meanwhile = lambda: None
        fetched.set()
        assert written.wait(PATIENCE_SECONDS)

    main.meanwhile = wait
    old: list[bytes] = []
    reader = threading.Thread(target=lambda: old.append(store.read("a")))
    reader.start()
    assert fetched.wait(PATIENCE_SECONDS)
    if write == "put":
        main.put("a", b"new")
    elif write == "delete":
        store.delete("a")
    else:
        with main.transaction():
            main.put("a", b"new")
    written.set()
    reader.join(PATIENCE_SECONDS)
    assert old == [b"a" * 10]
    assert list(cache) == []
    assert store._read("a") == (None if write == "delete" else b"new")


def test_a_key_that_is_written_while_it_is_found_missing_is_not_missing(
    main: Main, cache: DictStore
) -> None:
    store = CachingStore(main, cache, negative_ttl=1000)

    def write() -> None:
        main.meanwhile = lambda: None
        in_thread(lambda: main.put("z", b"new"))

    main.meanwhile = write
    with pytest.raises(KeyNotFoundError):
        store.get("z")
    assert store.read("z") == b"new"


# -- a cache that fails ---------------------------------------------------------------------------


def test_a_closed_cache_fails_nothing(
    main: Main, cache: DictStore, caplog: pytest.LogCaptureFixture
) -> None:
    store = CachingStore(main, cache, validate="never")
    store.read("a")
    cache.close()
    assert store.read("a") == b"a" * 10
    assert store.read("b") == b"b" * 10
    store.put("a", b"new")
    assert store.read("a") == b"new"
    store.delete("b")
    assert "b" not in store
    store.clear_cache()
    assert store.stats().errors
    assert "was left out" in caplog.text


def test_a_cache_whose_directory_is_gone_fails_nothing(large: Any, directory: Path) -> None:
    main, cache = large
    store = CachingStore(main, cache, validate="never")
    store.read("a")
    value = store.get("a")  # of the copy, not read yet
    shutil.rmtree(directory / "cache")
    assert value.read() == pattern(3 * MIB)
    value.close()
    assert store.read("a") == pattern(3 * MIB)
    value = store.get("a")
    assert b"".join(value.iterdata()) == pattern(3 * MIB)
    value.close()
    store.put("a", b"new")
    assert store.read("a") == b"new"
    store.delete("a")
    assert "a" not in store


def test_a_copy_that_fails_midway_is_continued_from_the_main_store(
    large: Any, directory: Path
) -> None:
    main, _ = large
    with SqliteStore(directory / "cache.db", event_manager=EventManager()) as cache:
        store = CachingStore(main, cache, validate="never")
        store.read("a")
        value = store.get("a")
        chunks = value.iterdata(65536)
        data = next(chunks)
        cache.close()
        assert data + b"".join(chunks) == pattern(3 * MIB)
        value.close()


# -- restarts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("validate", ["token", "ttl", "never"])
def test_a_cache_that_was_left_behind_is_used_again_if_it_is_good(
    main: Main, directory: Path, validate: str
) -> None:
    def opened() -> CachingStore:
        cache = SqliteStore(directory / "cache.db", event_manager=EventManager())
        return CachingStore(main, cache, validate=validate, max_age=60, max_items=3)

    store = opened()
    for key in "abc":
        store.read(key)
    store.cache_store.close()
    del store
    main.put("a", b"while nobody looked")
    main.delete("b")
    store = opened()
    main.asked.clear()
    assert store.read("c") == b"c" * 10
    assert counts(store) == (1, 0)
    assert store.read("a") == b"while nobody looked"
    with pytest.raises(KeyNotFoundError):
        store.get("b")
    main.asked.clear()
    store.read("c")
    assert main.asked["c"] == (validate == "token")
    for key in "de":
        store.read(key)
    assert len(store.cache_store) == 3
    store.cache_store.close()


def test_closing_and_opening_again_does_so_with_the_cache(directory: Path) -> None:
    store = CachingStore(SqliteStore(directory / "main.db"), SqliteStore(directory / "cache.db"))
    store.put("a", b"1")
    store.read("a")
    store.close()
    assert not store.main_store.is_connected()
    assert not store.cache_store.is_connected()
    store.connect()
    assert store.read("a") == b"1"
    assert counts(store) == (1, 1)
    assert store.stats().errors == 0
    store.close()


def test_forgetting_everything(main: Main, cache: DictStore) -> None:
    store = CachingStore(main, cache)
    for key in "abc":
        store.read(key)
    store.clear_cache("a")
    assert list(cache) == ["b", "c"]
    store.clear_cache()
    assert list(cache) == []
    assert (store.stats().items, store.stats().bytes) == (0, 0)
    assert len(main) == 5
