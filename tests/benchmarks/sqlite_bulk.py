"""SqliteStore, many keys at once: writing, reading, listing, searching."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from pathlib import Path
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
from tests.benchmarks.sqlite_single import BOTH, filled, metadata_of, open_diskcache


def _limit_of_bulk(lab: Lab, count: int) -> Contender:
    def limit() -> Generator[Work, None, None]:
        keys, values = fresh_keys(count), fresh_values(count)
        with lab.scratch() as directory:
            connection = raw.create(directory / "r.db")

            def work() -> None:
                next_token, time = raw.next_token, raw.time
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    raw.PUT,
                    (
                        (key, hex(next_token()), time(), len(value), "{}", value)
                        for key, value in zip(keys, values, strict=True)
                    ),
                )
                connection.execute("COMMIT")

            yield work
            connection.close()

    return limit


@benchmark("sqlite multiset", goals=[at_least(0.6, "R"), at_least(6, "diskcache")], places=BOTH)
def multiset(lab: Lab) -> Trial:
    """100,000 values of 100 B under new keys in one transaction.

    R: BEGIN IMMEDIATE, one `executemany` over a generator of rows, COMMIT. diskcache: a loop in
    ``cache.transact()``.
    """
    count = lab.pick(100_000, 20_000)

    def encore() -> Generator[Work, None, None]:
        keys, values = fresh_keys(count), fresh_values(count)
        with lab.scratch() as directory, SqliteStore(directory / "s.db") as store:
            store.put("warm", b"warm")
            yield lambda: store.multiset(keys, values)
            assert len(store) == count + 1

    contenders: dict[str, Contender | None] = {"encore": encore, "R": _limit_of_bulk(lab, count)}
    diskcache = peer("diskcache")
    contenders["diskcache"] = None if diskcache is None else _transact(lab, diskcache, count)
    return Trial(contenders, count, repeats=5)


def _transact(lab: Lab, diskcache: Any, count: int) -> Contender:
    def contender() -> Generator[Work, None, None]:
        keys, values = fresh_keys(count), fresh_values(count)
        with lab.scratch() as directory, open_diskcache(diskcache, directory) as cache:
            cache["warm"] = b"warm"

            def work() -> None:
                with cache.transact():
                    for key, value in zip(keys, values, strict=True):
                        cache[key] = value

            yield work

    return contender


@benchmark("sqlite put in a transaction", goals=[at_least(0.4, "R")], places=BOTH)
def put_in_transaction(lab: Lab) -> Trial:
    """A loop of 100,000 ``put`` in one transaction. R: as for "sqlite multiset"."""
    count = lab.pick(100_000, 20_000)

    def encore() -> Generator[Work, None, None]:
        keys, values = fresh_keys(count), fresh_values(count)
        with lab.scratch() as directory, SqliteStore(directory / "s.db") as store:
            store.put("warm", b"warm")

            def work() -> None:
                put = store.put
                with store.transaction():
                    for key, value in zip(keys, values, strict=True):
                        put(key, value)

            yield work

    return Trial({"encore": encore, "R": _limit_of_bulk(lab, count)}, count, repeats=5)


@benchmark("sqlite multiget", goals=[at_least(3, "one by one")], places=BOTH)
def multiget(lab: Lab) -> Trial:
    """All of 20,000 values in random order, each read.

    One by one: ``get`` and ``read``. R: `json_each` of a thousand keys at a time, joined with the
    table, the data only.
    """
    count = lab.pick(20_000, 5_000)
    directory, keys = filled(lab, count)
    store = lab.enter(SqliteStore(directory / "s.db"))
    connection = raw.open_file(directory / "s.db")
    lab.defer(connection.close)

    def encore() -> Generator[Work, None, None]:
        def work() -> None:
            for value in store.multiget(keys):
                value.read()

        yield work

    def one_by_one() -> Generator[Work, None, None]:
        def work() -> None:
            get = store.get
            for key in keys:
                get(key).read()

        yield work

    def limit() -> Generator[Work, None, None]:
        statement = (
            "SELECT wanted.value, data FROM json_each(?) AS wanted"
            " LEFT JOIN kv ON kv.key=wanted.value ORDER BY wanted.key"
        )

        def work() -> None:
            for at in range(0, count, 1000):
                for _ in connection.execute(statement, (json.dumps(keys[at : at + 1000]),)):
                    pass

        yield work

    return Trial({"encore": encore, "R": limit, "one by one": one_by_one}, count)


def _listing_trial(
    lab: Lab,
    directory: Path,
    count: float,
    ours: Callable[[Any], Any],
    theirs: Callable[[Any], Any],
) -> Trial:
    """Two ways to the same answer, over one file or two."""
    store = lab.enter(SqliteStore(directory / "s.db"))
    apart = directory / "r.db"
    connection = raw.open_file(apart if apart.exists() else directory / "s.db")
    lab.defer(connection.close)
    assert ours(store) == theirs(connection)

    def encore() -> Generator[Work, None, None]:
        yield lambda: ours(store)

    def limit() -> Generator[Work, None, None]:
        yield lambda: theirs(connection)

    return Trial({"encore": encore, "R": limit}, count)


@benchmark("sqlite list", unit="keys/s", goals=[at_least(0.8, "R")], places=BOTH)
def list_keys(lab: Lab) -> Trial:
    """All of 100,000 keys as a list. R: one cursor over ``SELECT key ORDER BY key``."""
    count = lab.pick(100_000, 20_000)
    directory, _ = filled(lab, count)
    return _listing_trial(
        lab,
        directory,
        count,
        lambda store: [*store.keys()],
        lambda connection: [key for (key,) in connection.execute(raw.KEYS)],
    )


@benchmark("sqlite prefix", unit="prefixes/s", goals=[at_least(0.8, "R")], places=BOTH)
def prefix(lab: Lab) -> Trial:
    """The keys under each of 100 prefixes, 1 % of 100,000 each. R: a key range, one cursor."""
    count = lab.pick(100_000, 20_000)
    directory, _ = filled(lab, count)
    prefixes = [f"{number:02d}/" for number in range(100)]
    return _listing_trial(
        lab,
        directory,
        len(prefixes),
        lambda store: [[*store.keys(prefix)] for prefix in prefixes],
        lambda connection: [
            [key for (key,) in connection.execute(raw.KEYS_BETWEEN, (prefix, prefix[:-1] + "0"))]
            for prefix in prefixes
        ],
    )


def _indexed(lab: Lab, count: int) -> Path:
    """A store and a raw file with the same keys and metadata, each with its index of ``kind``."""
    directory: Path = lab.enter(lab.scratch())
    keys = sorted(fresh_keys(count))
    metadatas = [metadata_of(number) for number in range(count)]
    with SqliteStore(directory / "s.db", index=("kind",)) as store:
        store.multiset(keys, zip(fresh_values(count), metadatas, strict=True))
    connection = raw.create(directory / "r.db")
    connection.execute(f"CREATE INDEX kinds ON kv({_KIND}, key)")
    connection.execute("BEGIN")
    connection.executemany(
        raw.PUT,
        (
            raw.row(key, value, json.dumps(metadata, separators=(",", ":")))
            for key, value, metadata in zip(keys, fresh_values(count), metadatas, strict=True)
        ),
    )
    connection.execute("COMMIT")
    connection.close()
    return directory


_KIND = "json_extract(metadata,'$.kind')"


@benchmark("sqlite query_keys", unit="queries/s", goals=[at_least(0.8, "R")], places=BOTH)
def query_keys(lab: Lab) -> Trial:
    """1,000 of 100,000 keys by a declared field, 50 times.

    R: one SELECT of the keys, in order, that the index covers.
    """
    directory = _indexed(lab, lab.pick(100_000, 20_000))
    statement = f"SELECT key FROM kv WHERE {_KIND}=? ORDER BY key"
    kinds = [f"k{number:02d}" for number in range(50)]
    return _listing_trial(
        lab,
        directory,
        len(kinds),
        lambda store: [[*store.query_keys(kind=kind)] for kind in kinds],
        lambda connection: [
            [key for (key,) in connection.execute(statement, (kind,))] for kind in kinds
        ],
    )


@benchmark("sqlite query", unit="queries/s", goals=[at_least(0.85, "R")], places=BOTH)
def query(lab: Lab) -> Trial:
    """1,000 of 100,000 keys and their metadata by a declared field, 20 times.

    R: one SELECT of keys and metadata in order of the keys; `json.loads` of each.
    """
    directory = _indexed(lab, lab.pick(100_000, 20_000))
    statement = f"SELECT key, metadata FROM kv WHERE {_KIND}=? ORDER BY key"
    kinds = [f"k{number:02d}" for number in range(20)]
    return _listing_trial(
        lab,
        directory,
        len(kinds),
        lambda store: [[*store.query(kind=kind)] for kind in kinds],
        lambda connection: [
            [(key, json.loads(text)) for key, text in connection.execute(statement, (kind,))]
            for kind in kinds
        ],
    )
