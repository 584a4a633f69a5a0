"""What a transaction of SqliteStore costs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from encore.storage.api import SqliteStore
from tests.benchmarks import raw_sqlite as raw
from tests.benchmarks.harness import (
    Contender,
    Lab,
    Trial,
    Work,
    at_least,
    benchmark,
    fresh_keys,
    fresh_values,
    peer,
)
from tests.benchmarks.sqlite_single import BOTH, open_diskcache

Act = Callable[[Any, str, bytes], None]


def _trial(lab: Lab, count: int, ours: Act, theirs: Act, cached: Act | None = None) -> Trial:
    """The same act ``count`` times, each with a fresh key and value."""

    def items() -> list[tuple[str, bytes]]:
        return [*zip(fresh_keys(count), fresh_values(count), strict=True)]

    def encore() -> Generator[Work, None, None]:
        with lab.scratch() as directory, SqliteStore(directory / "s.db") as store:
            store.put("warm", b"warm")
            yield _repeat(ours, store, items())

    def limit() -> Generator[Work, None, None]:
        with lab.scratch() as directory:
            connection = raw.create(directory / "r.db")
            yield _repeat(theirs, connection.execute, items())
            connection.close()

    contenders: dict[str, Contender | None] = {"encore": encore, "R": limit}
    if cached is not None:
        diskcache = peer("diskcache")

        def disk_cache() -> Generator[Work, None, None]:
            with lab.scratch() as directory, open_diskcache(diskcache, directory) as cache:
                cache["warm"] = b"warm"
                yield _repeat(cached, cache, items())

        contenders["diskcache"] = None if diskcache is None else disk_cache
    return Trial(contenders, count)


def _repeat(act: Act, target: Any, items: list[tuple[str, bytes]]) -> Work:
    def work() -> None:
        for key, value in items:
            act(target, key, value)

    return work


def _raw_put(execute: Any, key: str, value: bytes) -> None:
    execute(raw.PUT, (key, hex(raw.next_token()), raw.time(), len(value), "{}", value))


@benchmark("transaction, empty", goals=[at_least(0.5, "R")], places=BOTH)
def empty(lab: Lab) -> Trial:
    """``with store.transaction(): pass``. R: BEGIN IMMEDIATE, COMMIT."""

    def ours(store: Any, _key: str, _value: bytes) -> None:
        with store.transaction():
            pass

    def theirs(execute: Any, _key: str, _value: bytes) -> None:
        execute("BEGIN IMMEDIATE")
        execute("COMMIT")

    def cached(cache: Any, _key: str, _value: bytes) -> None:
        with cache.transact():
            pass

    return _trial(lab, lab.pick(20_000, 5_000), ours, theirs, cached)


@benchmark("transaction, 1 put", goals=[at_least(0.65, "R")], places=BOTH)
def one_put(lab: Lab) -> Trial:
    """One value of 100 B in a transaction. R: BEGIN IMMEDIATE, one UPSERT, COMMIT."""

    def ours(store: Any, key: str, value: bytes) -> None:
        with store.transaction():
            store.put(key, value)

    def theirs(execute: Any, key: str, value: bytes) -> None:
        execute("BEGIN IMMEDIATE")
        _raw_put(execute, key, value)
        execute("COMMIT")

    def cached(cache: Any, key: str, value: bytes) -> None:
        with cache.transact():
            cache[key] = value

    return _trial(lab, lab.pick(10_000, 3_000), ours, theirs, cached)


@benchmark("transaction, 3 deep", goals=[at_least(0.55, "R")], places=BOTH)
def nested(lab: Lab) -> Trial:
    """One value of 100 B, two blocks inside a transaction. R: two savepoints, released."""

    def ours(store: Any, key: str, value: bytes) -> None:
        with store.transaction(), store.transaction(), store.transaction():
            store.put(key, value)

    def theirs(execute: Any, key: str, value: bytes) -> None:
        execute("BEGIN IMMEDIATE")
        execute("SAVEPOINT a")
        execute("SAVEPOINT b")
        _raw_put(execute, key, value)
        execute("RELEASE b")
        execute("RELEASE a")
        execute("COMMIT")

    return _trial(lab, lab.pick(10_000, 3_000), ours, theirs)


class _Oops(Exception):  # noqa: N818  not an error
    pass


@benchmark("transaction, rollback of 1,000", goals=[at_least(0.45, "R")], places=BOTH)
def rollback(lab: Lab) -> Trial:
    """1,000 values of 100 B, undone. R: BEGIN IMMEDIATE, 1,000 UPSERTs, ROLLBACK."""
    puts, count = 1_000, lab.pick(20, 5)

    def encore() -> Generator[Work, None, None]:
        with lab.scratch() as directory, SqliteStore(directory / "s.db") as store:
            store.put("warm", b"warm")
            rounds = _rounds(count, puts)

            def work() -> None:
                for items in rounds:
                    try:
                        with store.transaction():
                            for key, value in items:
                                store.put(key, value)
                            raise _Oops
                    except _Oops:
                        pass

            yield work
            assert len(store) == 1

    def limit() -> Generator[Work, None, None]:
        with lab.scratch() as directory:
            connection = raw.create(directory / "r.db")
            rounds = _rounds(count, puts)

            def work() -> None:
                execute = connection.execute
                for items in rounds:
                    execute("BEGIN IMMEDIATE")
                    for key, value in items:
                        _raw_put(execute, key, value)
                    execute("ROLLBACK")

            yield work
            connection.close()

    return Trial({"encore": encore, "R": limit}, count)


def _rounds(count: int, puts: int) -> list[list[tuple[str, bytes]]]:
    return [[*zip(fresh_keys(puts), fresh_values(puts), strict=True)] for _ in range(count)]
