"""What remembering costs, and what undoing does."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from encore.history import History
from encore.storage.api import DictStore, FilesystemStore, HashdirStore, SqliteStore
from tests.benchmarks import raw_sqlite as raw
from tests.benchmarks.harness import (
    MIB,
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

_KEYS = 1_000

Make = Callable[[Path], Any]


def _put_trial(lab: Lab, make: Make, count: int) -> Trial:
    """Values of 100 B under new and known keys, each its own commit and its own step."""

    def contender(*, remembers: bool) -> Callable[[], Generator[Work, None, None]]:
        def run() -> Generator[Work, None, None]:
            keys = fresh_keys(count // 2) * 2
            values = fresh_values(count)
            with lab.scratch() as directory, make(directory) as store:
                store.put("warm", b"warm")
                with History(store) if remembers else nullcontext():

                    def work() -> None:
                        put = store.put
                        for key, value in zip(keys, values, strict=True):
                            put(key, value)

                    yield work

        return run

    return Trial(
        {"encore": contender(remembers=True), "without": contender(remembers=False)}, count
    )


@benchmark("history put, sqlite", goals=[at_least(0.5, "without")])
def put_sqlite(lab: Lab) -> Trial:
    """`SqliteStore` with a history of 1,000 steps, against one without."""
    return _put_trial(lab, lambda place: SqliteStore(place / "s.db"), lab.pick(20_000, 4_000))


@benchmark("history put, files", goals=[at_least(0.5, "without")])
def put_files(lab: Lab) -> Trial:
    """The same for `FilesystemStore`."""
    return _put_trial(lab, lambda place: FilesystemStore(place / "s"), lab.pick(4_000, 1_000))


@benchmark("history put, hashdir", goals=[at_least(0.5, "without")])
def put_hashdir(lab: Lab) -> Trial:
    """The same for `HashdirStore`."""
    return _put_trial(lab, lambda place: HashdirStore(place / "s"), lab.pick(4_000, 1_000))


@benchmark("history put, memory", goals=[at_least(0.5, "without")])
def put_memory(lab: Lab) -> Trial:
    """The same for `DictStore`."""
    return _put_trial(lab, lambda place: DictStore(), lab.pick(100_000, 20_000))


def _undo_large(lab: Lab, make: Make) -> Trial:
    """Milliseconds for undoing the replacement of 1 GiB (128 MiB with --quick)."""
    size = lab.pick(1024, 128) * MIB

    def encore() -> Generator[Work, None, None]:
        with lab.scratch() as directory, make(directory) as store:
            store.put("large", Pattern(size))
            with History(store) as history:
                store.put("large", b"small")

                def work() -> float:
                    began = time.perf_counter()
                    history.undo()
                    return (time.perf_counter() - began) * 1e3

                yield work
                assert store.get("large").size == size

    return Trial({"encore": encore}, repeats=3)


@benchmark("undo of 1 GiB, sqlite", unit="ms", goals=[at_most(50)])
def undo_large_sqlite(lab: Lab) -> Trial:
    """Undoing the replacement of one large value in `SqliteStore`."""
    return _undo_large(lab, lambda place: SqliteStore(place / "s.db"))


@benchmark("undo of 1 GiB, files", unit="ms", goals=[at_most(50)])
def undo_large_files(lab: Lab) -> Trial:
    """The same in `FilesystemStore`."""
    return _undo_large(lab, lambda place: FilesystemStore(place / "s"))


@benchmark("undo of 1 GiB, hashdir", unit="ms", goals=[at_most(50)])
def undo_large_hashdir(lab: Lab) -> Trial:
    """The same in `HashdirStore`."""
    return _undo_large(lab, lambda place: HashdirStore(place / "s"))


@benchmark("undo of 1,000 keys", goals=[at_least(0.3, "R")])
def undo_many(lab: Lab) -> Trial:
    """Undoing a transaction that replaced 1,000 values of 100 B in `SqliteStore`.

    R: `executemany` of the UPSERT that brings the old rows back, in one transaction.
    """

    def encore() -> Generator[Work, None, None]:
        keys, values = fresh_keys(_KEYS), fresh_values(_KEYS)
        with lab.scratch() as directory, SqliteStore(directory / "s.db") as store:
            store.multiset(dict(zip(keys, values, strict=True)))
            with History(store) as history:
                store.multiset(dict(zip(keys, fresh_values(_KEYS), strict=True)))
                yield history.undo
                assert store.read(keys[0]) == values[0]

    def limit() -> Generator[Work, None, None]:
        keys, values = fresh_keys(_KEYS), fresh_values(_KEYS)
        old = [raw.row(*item) for item in zip(keys, values, strict=True)]
        new = [raw.row(*item) for item in zip(keys, fresh_values(_KEYS), strict=True)]
        with lab.scratch() as directory:
            connection = raw.create(directory / "r.db")

            def write(rows: list[tuple[Any, ...]]) -> None:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(raw.PUT, rows)
                connection.execute("COMMIT")

            write(old)
            write(new)
            yield lambda: write(old)
            connection.close()

    return Trial({"encore": encore, "R": limit}, _KEYS)
