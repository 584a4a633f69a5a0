"""HashdirStore: data against raw files, records against raw SQLite."""

from __future__ import annotations

import itertools
import os
from collections.abc import Generator
from hashlib import sha256
from pathlib import Path

from tests.benchmarks import raw_sqlite as raw
from tests.benchmarks.child import call, peak_growth
from tests.benchmarks.harness import (
    MIB,
    Contender,
    Lab,
    Pattern,
    Trial,
    Work,
    at_least,
    at_most,
    benchmark,
    fresh_keys,
    fresh_values,
)
from tests.benchmarks.sqlite_single import BOTH

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_SMALL = 16_384
_numbers = itertools.count(1)


def _path_of(root: Path, key: str) -> str:
    digest = sha256(key.encode()).hexdigest()
    return f"{root}/{digest[:2]}/{digest[2:4]}/{digest[4:6]}/{digest[6:]}"


def _put_raw(root: Path, key: str, data: bytes) -> None:
    """A file of a fresh name under hashed directories, and the directories it needs."""
    path = f"{_path_of(root, key)}.{next(_numbers):x}"
    try:
        handle = os.open(path, _NEW, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle = os.open(path, _NEW, 0o666)
    os.write(handle, data)
    os.close(handle)


@benchmark("hashdir put", goals=[at_least(0.4, "R")], places=BOTH)
def put(lab: Lab) -> Trial:
    """16 KiB under new keys. R: the directories, the file and an SQLite row, each by hand.

    Beside: only the files.
    """
    from encore.storage.api import HashdirStore

    count = lab.pick(10_000, 3_000)

    def encore() -> Generator[Work, None, None]:
        keys, values = fresh_keys(count), fresh_values(count, _SMALL)
        with lab.scratch() as directory, HashdirStore(directory / "store") as store:
            store.put("warm", b"warm")

            def work() -> None:
                put = store.put
                for key, value in zip(keys, values, strict=True):
                    put(key, value)

            yield work
            assert len(store) == count + 1
            assert store.read(keys[0]) == values[0]

    def limit(records: bool) -> Contender:
        def contender() -> Generator[Work, None, None]:
            keys, values = fresh_keys(count), fresh_values(count, _SMALL)
            with lab.scratch() as directory:
                connection = raw.create(directory / "r.db")

                def work() -> None:
                    for key, value in zip(keys, values, strict=True):
                        _put_raw(directory, key, value)
                        if records:
                            connection.execute(raw.PUT, raw.row(key, b""))

                yield work
                connection.close()

        return contender

    contenders: dict[str, Contender | None] = {
        "encore": encore,
        "R": limit(True),
        "only files": limit(False),
    }
    return Trial(contenders, count, repeats=5)


@benchmark("hashdir read", goals=[at_least(0.4, "R")], places=BOTH)
def read(lab: Lab) -> Trial:
    """16 KiB by key. R: one SELECT, and `os.open`, one `os.read`, `os.close`."""
    from encore.storage.api import HashdirStore

    count = lab.pick(10_000, 3_000)
    directory: Path = lab.enter(lab.scratch())
    store = lab.enter(HashdirStore(directory / "store"))
    keys = fresh_keys(count)
    store.multiset(keys, fresh_values(count, _SMALL))
    connection = raw.create(directory / "r.db")
    lab.defer(connection.close)
    paths = {}
    for key in keys:
        (version,) = store._execute("SELECT blob FROM kv WHERE key=?", (key,)).fetchone()
        paths[key] = f"{_path_of(directory / 'store', key)}.{version:x}"
        connection.execute(raw.PUT, raw.row(key, paths[key].encode()))

    def encore() -> Generator[Work, None, None]:
        def work() -> None:
            read = store.read
            for key in keys:
                read(key)

        yield work

    def limit() -> Generator[Work, None, None]:
        def work() -> None:
            for key in keys:
                (path,) = connection.execute(raw.READ, (key,)).fetchone()
                handle = os.open(path, os.O_RDONLY)
                os.read(handle, 65536)
                os.close(handle)

        yield work

    return Trial({"encore": encore, "R": limit}, count)


def _filled(lab: Lab, count: int) -> Path:
    """A store and a raw SQLite file with the same keys; the store has its data in the index."""
    from encore.storage.api import HashdirStore

    directory: Path = lab.enter(lab.scratch())
    keys = sorted(fresh_keys(count))
    with HashdirStore(directory / "store", inline_bytes=1024) as store:
        store.multiset(keys, fresh_values(count))
    connection = raw.create(directory / "r.db")
    connection.execute("DELETE FROM kv")
    connection.execute("BEGIN")
    rows = (raw.row(key, value) for key, value in zip(keys, fresh_values(count), strict=True))
    connection.executemany(raw.PUT, rows)
    connection.execute("COMMIT")
    connection.close()
    return directory


@benchmark("hashdir list", unit="keys/s", goals=[at_least(0.8, "R")], places=BOTH)
def list_keys(lab: Lab) -> Trial:
    """All of 100,000 keys as a list. R: one cursor over ``SELECT key ORDER BY key``."""
    from encore.storage.api import HashdirStore

    count = lab.pick(100_000, 20_000)
    directory = _filled(lab, count)
    store = lab.enter(HashdirStore(directory / "store"))
    connection = raw.open_file(directory / "r.db")
    lab.defer(connection.close)
    assert [*store.keys()] == [key for (key,) in connection.execute(raw.KEYS)]

    def encore() -> Generator[Work, None, None]:
        yield lambda: [*store.keys()]

    def limit() -> Generator[Work, None, None]:
        yield lambda: [key for (key,) in connection.execute(raw.KEYS)]

    return Trial({"encore": encore, "R": limit}, count)


@benchmark("hashdir prefix", unit="prefixes/s", goals=[at_least(0.8, "R")], places=BOTH)
def prefix(lab: Lab) -> Trial:
    """The keys under each of 100 prefixes, 1 % of 100,000 each. R: a key range, one cursor."""
    from encore.storage.api import HashdirStore

    directory = _filled(lab, lab.pick(100_000, 20_000))
    store = lab.enter(HashdirStore(directory / "store"))
    connection = raw.open_file(directory / "r.db")
    lab.defer(connection.close)
    prefixes = [f"{number:02d}/" for number in range(100)]

    def encore() -> Generator[Work, None, None]:
        yield lambda: [[*store.keys(prefix)] for prefix in prefixes]

    def limit() -> Generator[Work, None, None]:
        yield lambda: [
            [key for (key,) in connection.execute(raw.KEYS_BETWEEN, (prefix, prefix[:-1] + "0"))]
            for prefix in prefixes
        ]

    return Trial({"encore": encore, "R": limit}, len(prefixes))


@benchmark("hashdir 1 GiB in", unit="MiB/s", goals=[at_least(0.8, "R")], places=BOTH)
def large_in(lab: Lab) -> Trial:
    """One value of 1 GiB from a file. R: reads and writes of 1 MiB, from file to file."""
    from encore.storage.api import HashdirStore

    size = lab.pick(1024, 128) * MIB
    lab.warm(2 * size)
    place: Path = lab.enter(lab.scratch())
    _copy_stream(Pattern(size), place / "source")

    def encore() -> Generator[Work, None, None]:
        with lab.scratch() as directory, HashdirStore(directory / "store") as store:
            store.put("warm", b"warm")

            def work() -> None:
                with open(place / "source", "rb", buffering=0) as source:
                    store.put("large", source)

            yield work
            assert store.get("large").size == size

    def limit() -> Generator[Work, None, None]:
        with lab.scratch() as directory:

            def work() -> None:
                with open(place / "source", "rb", buffering=0) as source:
                    _copy_stream(source, directory / "large")

            yield work

    return Trial({"encore": encore, "R": limit}, size // MIB, repeats=5)


@benchmark("hashdir 1 GiB out", unit="MiB/s", goals=[at_least(0.8, "R")], places=BOTH)
def large_out(lab: Lab) -> Trial:
    """The value written to a file. R: reads and writes of 1 MiB, from file to file."""
    from encore.storage.api import HashdirStore

    size = lab.pick(1024, 128) * MIB
    lab.warm(2 * size)
    place: Path = lab.enter(lab.scratch())
    store = lab.enter(HashdirStore(place / "store"))
    store.put("large", Pattern(size))
    _copy_stream(Pattern(size), place / "source")

    def encore() -> Generator[Work, None, None]:
        with lab.scratch() as directory:
            yield lambda: store.to_file("large", directory / "large")
            assert (directory / "large").stat().st_size == size

    def limit() -> Generator[Work, None, None]:
        with lab.scratch() as directory:

            def work() -> None:
                with open(place / "source", "rb", buffering=0) as source:
                    _copy_stream(source, directory / "large")

            yield work

    return Trial({"encore": encore, "R": limit}, size // MIB, repeats=5)


def _copy_stream(source: object, target: Path) -> None:
    handle = os.open(target, _NEW, 0o666)
    while chunk := source.read(MIB):  # type: ignore[attr-defined]
        os.write(handle, chunk)
    os.close(handle)


@benchmark("hashdir memory of 1 GiB", unit="MiB", goals=[at_most(16)], places=("tmpfs",))
def growth(lab: Lab) -> Trial:
    """Growth of anonymous memory in a new process: the value in, and out again."""
    size = lab.pick(1024, 128) * MIB

    def encore() -> Generator[Work, None, None]:
        with lab.scratch() as directory:
            yield lambda: call(store_growth, str(directory), size)

    return Trial({"encore": encore}, repeats=3)


def store_growth(directory: str, size: int) -> float:
    """MiB; run in a child."""
    from encore.storage.api import HashdirStore

    source = Pattern(size)
    Pattern(MIB).read()
    with HashdirStore(Path(directory) / "store") as store:
        store.put("warm", b"warm")

        def work() -> None:
            store.put("large", source)
            for _ in store.get("large").iterdata():
                pass

        return peak_growth(work)
