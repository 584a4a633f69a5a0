"""Laws of conditional writes: one winner, and no promise where the server keeps none."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from bucket_tools import MIB, fresh_prefix, names, open_bucket, open_through, proxy
from obstore.store import LocalStore, MemoryStore
from servers import BucketServer

from encore.errors import ConflictError, UnsupportedError
from encore.storage.backends.bucket import BucketStore
from encore.testing.sources import Trickle, pattern

_THREADS = 8


def race(stores: list[BucketStore], write: Any) -> list[int]:
    """Which of several stores succeeded, all of them writing at the same moment."""
    barrier = threading.Barrier(len(stores))
    winners: list[int] = []

    def run(number: int) -> None:
        barrier.wait(30)
        try:
            write(stores[number], number)
        except ConflictError:
            return
        winners.append(number)

    threads = [
        threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(stores))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return winners


@pytest.fixture
def stores(bucket_server: BucketServer) -> Any:
    """Several doors to the same keys, as several programs have them."""
    prefix = fresh_prefix()
    found = [open_bucket(bucket_server, prefix) for _ in range(_THREADS)]
    for store in found:
        store.connect()
    yield found
    for store in found:
        store.close()


@pytest.mark.parametrize("size", [10, 100_000, 6 * MIB])
def test_one_of_eight_creates_a_key(stores: list[BucketStore], size: int) -> None:
    for turn in range(4 if size < MIB else 1):
        key = f"key {turn}"
        winners = race(
            stores,
            lambda store, number, key=key: store.put(
                key, Trickle(pattern(size, number), MIB), {"number": number}, if_absent=True
            ),
        )
        assert len(winners) == 1
        assert stores[0].read(key) == pattern(size, winners[0])
        assert stores[0].get_metadata(key) == {"number": winners[0]}


def test_one_of_eight_replaces_a_version(stores: list[BucketStore]) -> None:
    stores[0].put("a", b"begin")
    for turn in range(4):
        token = stores[0].get("a").token
        winners = race(
            stores,
            lambda store, number, token=token, turn=turn: store.put(
                "a", f"{turn} {number}".encode(), if_token=token
            ),
        )
        assert len(winners) == 1
        assert stores[0].read("a") == f"{turn} {winners[0]}".encode()


def test_counting_with_tokens_loses_nothing(stores: list[BucketStore]) -> None:
    stores[0].put("count", b"0")

    def count(store: BucketStore, number: int) -> None:
        for _ in range(5):
            while True:
                value = store.get("count")
                try:
                    store.put("count", b"%d" % (int(value.read()) + 1), if_token=value.token)
                    break
                except ConflictError:
                    continue

    assert len(race(stores[:4], count)) == 4
    assert stores[0].read("count") == b"20"


def test_a_condition_of_a_transaction_is_kept_when_it_commits(stores: list[BucketStore]) -> None:
    mine, theirs = stores[:2]
    with pytest.raises(ConflictError, match="somebody else"), mine.transaction():  # noqa: PT012
        mine.put("a", b"mine", if_absent=True)
        mine.put("a", b"mine, later")
        mine.put("b", b"")
        theirs.put("a", b"theirs")
    assert theirs.read("a") == b"theirs"
    assert [*theirs.keys()] == ["a"]
    with mine.transaction():
        with pytest.raises(RuntimeError), mine.transaction():  # noqa: PT012
            mine.put("c", b"", if_absent=True)
            raise RuntimeError
        theirs.put("c", b"theirs")
        mine.put("c", b"without a condition")
    assert theirs.read("c") == b"without a condition"


def test_metadata_of_others_data_is_not_written_over_it(stores: list[BucketStore]) -> None:
    mine, theirs = stores[:2]
    mine.put("a", b"old", {"x": 1})
    with pytest.raises(ConflictError), mine.transaction():  # noqa: PT012
        mine.update_metadata("a", {"y": 1})
        theirs.put("a", b"new", {"z": 1})
    assert mine.read("a") == b"new"
    assert mine.get_metadata("a") == {"z": 1}


def test_plain_writes_see_what_others_wrote_between_them(stores: list[BucketStore]) -> None:
    mine, theirs = stores[:2]
    mine.put("a", b"1", {"large": "x" * 3000})
    created = mine.get("a").created
    theirs.put("a", b"2", {"large": "y" * 3000})
    mine.put("a", b"3")
    assert theirs.read("a") == b"3"
    assert theirs.get("a").created == created
    theirs.delete("a")
    mine.put("a", b"4")
    assert theirs.read("a") == b"4"
    mine.clear()
    assert names_of(mine) == []


def names_of(store: BucketStore) -> list[str]:
    return [found.name for found in store._ready().client.objects("", "")]


def ignore_conditions(method: str, path: str, headers: dict[str, str]) -> None:
    headers.pop("if-none-match", None)
    if method != "GET":
        headers.pop("if-match", None)


def test_a_server_that_ignores_conditions_is_found_out(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    with proxy(bucket_server, ignore_conditions) as url:
        with open_through(url, prefix) as store:
            assert store.info()["conditions"] is False
            store.put("a", b"1", {"x": 1})
            store.put("a", b"2", {"x": 2})
            store.update_metadata("a", {"y": 1})
            for condition in ({"if_absent": True}, {"if_token": "x"}):
                for key in ("a", "new"):
                    with pytest.raises(UnsupportedError, match="ignores its condition"):
                        store.put(key, b"3", **condition)
            assert store.read("a") == b"2"
            assert store.get_metadata("a") == {"x": 2, "y": 1}
        assert names(bucket_server, prefix) == ["a"], "nothing is left of the probe"
    with open_bucket(bucket_server, prefix) as store:
        assert store.info()["conditions"] is True


def test_services_without_conditions_are_found_out(tmp_path: Path) -> None:
    with BucketStore("files", client=LocalStore(tmp_path)) as store:
        assert store.info()["conditions"] is False
        with pytest.raises(UnsupportedError):
            store.put("a", b"", if_absent=True)
        store.put("a", b"")
        with pytest.raises(UnsupportedError):
            store.presigned_get("a")
    with BucketStore("memory", client=MemoryStore()) as store:
        assert store.info()["conditions"] is True
        store.put("a", b"1", if_absent=True)
        with pytest.raises(ConflictError):
            store.put("a", b"2", if_absent=True)


def test_a_store_that_is_only_read_tries_nothing(bucket_server: BucketServer) -> None:
    prefix, methods = fresh_prefix(), set()

    def watch(method: str, path: str, headers: dict[str, str]) -> None:
        methods.add(method)

    bucket_server.client.put(f"{prefix}/a", b"1")
    with (
        proxy(bucket_server, watch) as url,
        open_through(url, prefix, readonly=True) as store,
    ):
        assert [*store.keys()] == ["a"]
        assert store.read("a") == b"1"
        assert len(store.presigned_get("a")) > 100
        with pytest.raises(PermissionError):
            store.presigned_put("a")
        with pytest.raises(PermissionError):
            store.put("b", b"")
    assert methods <= {"GET", "HEAD"}


def test_a_listener_of_a_conditional_write_writes_without_one(stores: list[BucketStore]) -> None:
    from encore.storage.events import StoreSetEvent

    mine, theirs = stores[:2]
    heard: list[str] = []

    def answer(event: Any) -> None:
        heard.append(event.key)
        if event.key == "a":
            with mine.transaction():
                mine.put("log", b"mine")
                theirs.put("log", b"theirs")

    mine.event_manager.connect(StoreSetEvent, answer)
    mine.put("a", b"1", if_absent=True)
    assert heard == ["a", "log"]
    assert theirs.read("log") == b"mine"
