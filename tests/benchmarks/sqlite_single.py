"""SqliteStore, one key at a time."""

from __future__ import annotations

import random
import shutil
from collections.abc import Generator
from json import JSONDecoder, JSONEncoder
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

BOTH = ("tmpfs", "disk")


def _put_trial(lab: Lab, count: int, *, durability: str = "process") -> Trial:
    level = {"process": "NORMAL", "power": "FULL"}[durability]

    def encore() -> Generator[Work, None, None]:
        keys, values = fresh_keys(count), fresh_values(count)
        with (
            lab.scratch() as directory,
            SqliteStore(directory / "s.db", durability=durability) as store,
        ):
            store.put("warm", b"warm")

            def work() -> None:
                put = store.put
                for key, value in zip(keys, values, strict=True):
                    put(key, value)

            yield work
            assert len(store) == count + 1

    def limit() -> Generator[Work, None, None]:
        keys, values = fresh_keys(count), fresh_values(count)
        with lab.scratch() as directory:
            connection = raw.create(directory / "r.db", durability=level)

            def work() -> None:
                execute, next_token, time = connection.execute, raw.next_token, raw.time
                for key, value in zip(keys, values, strict=True):
                    execute(raw.PUT, (key, hex(next_token()), time(), len(value), "{}", value))

            yield work
            connection.close()

    return Trial({"encore": encore, "R": limit}, count)


@benchmark("sqlite put", goals=[at_least(0.75, "R"), at_least(2, "diskcache")], places=BOTH)
def put(lab: Lab) -> Trial:
    """100 B under new keys, one by one, each its own commit.

    R: one cached UPSERT per value, with a new token and the time. diskcache: ``cache[key] =``.
    """
    count = lab.pick(20_000, 4_000)
    trial = _put_trial(lab, count)
    return Trial({**trial.contenders, "diskcache": _diskcache_put(lab, count)}, count)


def _diskcache_put(lab: Lab, count: int) -> Contender | None:
    diskcache = peer("diskcache")
    if diskcache is None:
        return None

    def contender() -> Generator[Work, None, None]:
        keys, values = fresh_keys(count), fresh_values(count)
        with lab.scratch() as directory, open_diskcache(diskcache, directory) as cache:
            cache["warm"] = b"warm"

            def work() -> None:
                for key, value in zip(keys, values, strict=True):
                    cache[key] = value

            yield work

    return contender


def open_diskcache(diskcache: Any, directory: Path) -> Any:
    """A cache as it comes, but for the limit beyond which it evicts."""
    return diskcache.Cache(str(directory / "cache"), size_limit=1 << 40)


@benchmark("sqlite put power", goals=[at_least(0.85, "R")], places=("disk",), judged=("disk",))
def put_power(lab: Lab) -> Trial:
    """As "sqlite put", surviving a power cut. R: the same with synchronous=FULL."""
    return _put_trial(lab, lab.pick(4_000, 1_000), durability="power")


@benchmark("sqlite put with metadata", goals=[at_least(0.65, "R")], places=BOTH)
def put_metadata(lab: Lab) -> Trial:
    """100 B with five metadata fields.

    R: the same UPSERT, the metadata encoded by one `JSONEncoder`.
    """
    count = lab.pick(20_000, 4_000)

    def encore() -> Generator[Work, None, None]:
        items = _items_with_metadata(count)
        with lab.scratch() as directory, SqliteStore(directory / "s.db") as store:
            store.put("warm", b"warm")

            def work() -> None:
                put = store.put
                for key, value, metadata in items:
                    put(key, value, metadata)

            yield work

    def limit() -> Generator[Work, None, None]:
        items = _items_with_metadata(count)
        encode = JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
        with lab.scratch() as directory:
            connection = raw.create(directory / "r.db")

            def work() -> None:
                execute, next_token, time = connection.execute, raw.next_token, raw.time
                for key, value, metadata in items:
                    text = encode(metadata)
                    execute(raw.PUT, (key, hex(next_token()), time(), len(value), text, value))

            yield work
            connection.close()

    return Trial({"encore": encore, "R": limit}, count)


def _items_with_metadata(count: int) -> list[tuple[str, bytes, dict[str, Any]]]:
    return [
        (key, value, metadata_of(number))
        for number, (key, value) in enumerate(
            zip(fresh_keys(count), fresh_values(count), strict=True)
        )
    ]


def metadata_of(number: int) -> dict[str, Any]:
    """Five fields; one of a hundred ``kind``s."""
    return {
        "kind": f"k{number % 100:02d}",
        "plate": number // 96,
        "well": f"A{number % 96}",
        "exposure": 0.125 * (number % 7),
        "operator": "somebody",
    }


def filled(lab: Lab, count: int) -> tuple[Path, list[str]]:
    """A directory with ``s.db``, a store of ``count`` values of 100 B, and the keys shuffled."""
    directory: Path = lab.enter(lab.scratch())
    keys = fresh_keys(count)
    with SqliteStore(directory / "s.db") as store:
        store.multiset(keys, fresh_values(count))
    random.shuffle(keys)
    return directory, keys


@benchmark("sqlite read", goals=[at_least(0.85, "R"), at_least(1.25, "diskcache")], places=BOTH)
def read(lab: Lab) -> Trial:
    """Values of 100 B by key, in random order.

    R: one cached SELECT of the data, on the same file. diskcache: ``cache[key]``.
    """
    count = lab.pick(20_000, 5_000)
    directory, keys = filled(lab, count)
    contenders: dict[str, Contender | None] = {**_readers(lab, directory, keys)}
    diskcache = peer("diskcache")
    if diskcache is None:
        contenders["diskcache"] = None
        return Trial(contenders, count)
    cache = lab.enter(open_diskcache(diskcache, directory))
    with cache.transact():
        for key, value in zip(keys, fresh_values(count), strict=True):
            cache[key] = value

    def disk_cache() -> Generator[Work, None, None]:
        def work() -> None:
            for key in keys:
                cache[key]

        yield work

    return Trial({**contenders, "diskcache": disk_cache}, count)


def _readers(lab: Lab, directory: Path, keys: list[str]) -> dict[str, Contender]:
    store = lab.enter(SqliteStore(directory / "s.db"))
    connection = raw.open_file(directory / "s.db")
    lab.defer(connection.close)

    def encore() -> Generator[Work, None, None]:
        def work() -> None:
            read = store.read
            for key in keys:
                read(key)

        yield work

    def limit() -> Generator[Work, None, None]:
        def work() -> None:
            execute = connection.execute
            for key in keys:
                execute(raw.READ, (key,)).fetchone()[0]

        yield work

    assert all(
        store.read(key) == connection.execute(raw.READ, (key,)).fetchone()[0] for key in keys[:99]
    )
    return {"encore": encore, "R": limit}


@benchmark("sqlite get with metadata", goals=[at_least(0.55, "R")], places=BOTH)
def get_metadata(lab: Lab) -> Trial:
    """The data and the five metadata fields of a key, decoded.

    R: one SELECT of data, metadata, size, times and token; `JSONDecoder`.
    """
    count = lab.pick(20_000, 5_000)
    directory: Path = lab.enter(lab.scratch())
    store = lab.enter(SqliteStore(directory / "s.db"))
    items = _items_with_metadata(count)
    store.multiset([item[0] for item in items], [item[1:] for item in items])
    keys = [item[0] for item in items]
    connection = raw.open_file(directory / "s.db")
    lab.defer(connection.close)

    def encore() -> Generator[Work, None, None]:
        def work() -> None:
            get = store.get
            for key in keys:
                value = get(key)
                value.read()
                value.metadata  # noqa: B018

        yield work

    def limit() -> Generator[Work, None, None]:
        decode = JSONDecoder().decode

        def work() -> None:
            execute = connection.execute
            for key in keys:
                found = execute(
                    "SELECT data,metadata,size,created,modified,token FROM kv WHERE key=?", (key,)
                ).fetchone()
                decode(found[1])

        yield work

    return Trial({"encore": encore, "R": limit}, count)


@benchmark("sqlite exists", goals=[at_least(0.85, "R")], places=BOTH)
def exists(lab: Lab) -> Trial:
    """Keys that are there. R: ``SELECT 1`` by key."""
    count = lab.pick(20_000, 5_000)
    directory, keys = filled(lab, count)
    store = lab.enter(SqliteStore(directory / "s.db"))
    connection = raw.open_file(directory / "s.db")
    lab.defer(connection.close)

    def encore() -> Generator[Work, None, None]:
        def work() -> None:
            exists = store.exists
            for key in keys:
                exists(key)

        yield work

    def limit() -> Generator[Work, None, None]:
        def work() -> None:
            execute = connection.execute
            for key in keys:
                execute(raw.EXISTS, (key,)).fetchone() is not None  # noqa: B015

        yield work

    return Trial({"encore": encore, "R": limit}, count)


@benchmark("sqlite read of 1M keys", goals=[at_least(0.85, "R")], places=BOTH, quick=False)
def read_million(lab: Lab) -> Trial:
    """As "sqlite read", 20,000 random keys of a million."""
    directory, keys = filled(lab, 1_000_000)
    count = 20_000
    return Trial(_readers(lab, directory, keys[:count]), count)


@benchmark("sqlite put into 1M keys", goals=[at_least(0.75, "R")], places=BOTH, quick=False)
def put_million(lab: Lab) -> Trial:
    """As "sqlite put": 5,000 new keys each round, into two equal files of a million."""
    directory, _ = filled(lab, 1_000_000)
    shutil.copy(directory / "s.db", directory / "r.db")
    store = lab.enter(SqliteStore(directory / "s.db"))
    connection = raw.open_file(directory / "r.db")
    lab.defer(connection.close)
    count = 5_000
    store.put("warm", b"warm")
    connection.execute(raw.PUT, raw.row("warm", b"warm"))

    def encore() -> Generator[Work, None, None]:
        keys, values = _new_keys(count), fresh_values(count)

        def work() -> None:
            put = store.put
            for key, value in zip(keys, values, strict=True):
                put(key, value)

        yield work

    def limit() -> Generator[Work, None, None]:
        keys, values = _new_keys(count), fresh_values(count)

        def work() -> None:
            execute, next_token, time = connection.execute, raw.next_token, raw.time
            for key, value in zip(keys, values, strict=True):
                execute(raw.PUT, (key, hex(next_token()), time(), len(value), "{}", value))

        yield work

    return Trial({"encore": encore, "R": limit}, count)


def _new_keys(count: int) -> list[str]:
    """Keys that lie between those there already."""
    return [
        f"{random.randrange(100):02d}/{random.randrange(10_000):07d}-{random.getrandbits(64):x}"
        for _ in range(count)
    ]
