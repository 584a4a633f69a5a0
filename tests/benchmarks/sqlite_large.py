"""SqliteStore and one value of a GiB: in, out, in parts, and the memory it takes."""

from __future__ import annotations

import random
from collections.abc import Generator
from pathlib import Path
from typing import Any

from encore.storage.api import SqliteStore
from tests.benchmarks import raw_sqlite as raw
from tests.benchmarks.child import call, peak_growth
from tests.benchmarks.harness import (
    MIB,
    Lab,
    Pattern,
    Trial,
    Work,
    at_least,
    at_most,
    benchmark,
)
from tests.benchmarks.sqlite_single import BOTH

_RANGE = 65536


def _size(lab: Lab) -> int:
    return lab.pick(1024, 128) * MIB


@benchmark("sqlite 1 GiB in", unit="MiB/s", goals=[at_least(0.9, "R")], places=BOTH)
def large_in(lab: Lab) -> Trial:
    """One value of 1 GiB from a stream (128 MiB with --quick, as in all benchmarks of a GiB).

    R: chunk rows of 64 KiB by `executemany` from slices without copies, a commit every 4 MiB, and
    one row that publishes them.
    """
    size = _size(lab)
    lab.warm(2 * size)

    def encore() -> Generator[Work, None, None]:
        source = Pattern(size)
        with lab.scratch() as directory, SqliteStore(directory / "s.db") as store:
            store.put("warm", b"warm")
            yield lambda: store.put("large", source)
            assert store.get("large").size == size

    def limit() -> Generator[Work, None, None]:
        source = Pattern(size)
        with lab.scratch() as directory:
            connection = raw.create(directory / "r.db")
            yield lambda: raw.put_stream(connection, "large", source, raw.FIRST_BLOB)
            connection.close()

    return Trial({"encore": encore, "R": limit}, size // MIB, repeats=5)


def _with_large(lab: Lab, size: int) -> tuple[Any, Any]:
    """A store with the value "large", and a raw connection to the same file."""
    lab.warm(size)
    directory: Path = lab.enter(lab.scratch())
    store = lab.enter(SqliteStore(directory / "s.db"))
    store.put("large", Pattern(size))
    connection = raw.open_file(directory / "s.db")
    lab.defer(connection.close)
    return store, connection


@benchmark("sqlite 1 GiB out", unit="MiB/s", goals=[at_least(0.8, "R")], places=BOTH)
def large_out(lab: Lab) -> Trial:
    """All of the value, chunk by chunk. R: one cursor over its chunk rows, in order."""
    size = _size(lab)
    store, connection = _with_large(lab, size)

    def encore() -> Generator[Work, None, None]:
        def work() -> int:
            return sum(len(chunk) for chunk in store.get("large").iterdata())

        yield work
        assert work() == size

    def limit() -> Generator[Work, None, None]:
        def work() -> int:
            (blob,) = connection.execute("SELECT blob FROM kv WHERE key='large'").fetchone()
            rows = connection.execute(
                "SELECT data FROM chunk WHERE id BETWEEN ? AND ? ORDER BY id",
                (blob, blob + (1 << 24) - 1),
            )
            return sum(len(chunk) for (chunk,) in rows)

        yield work
        assert work() == size

    return Trial({"encore": encore, "R": limit}, size // MIB, repeats=5)


@benchmark("sqlite ranges of 1 GiB", goals=[at_least(0.6, "R")], places=BOTH)
def ranges(lab: Lab) -> Trial:
    """64 KiB from random places, which reach into two chunk rows each: ``get_data_range``.

    R: a SELECT of the row, a SELECT of the two chunk rows, one slice of each, joined. Beside:
    ``range`` of a value that is kept.
    """
    size, count = _size(lab), lab.pick(3_000, 1_000)
    store, connection = _with_large(lab, size)

    def places() -> list[int]:
        return [random.randrange(size - _RANGE) for _ in range(count)]

    def encore() -> Generator[Work, None, None]:
        starts = places()

        def work() -> None:
            for start in starts:
                with store.get_data_range("large", start, start + _RANGE) as stream:
                    stream.read()

        yield work

    def kept() -> Generator[Work, None, None]:
        starts, value = places(), store.get("large")

        def work() -> None:
            for start in starts:
                with value.range(start, start + _RANGE) as stream:
                    stream.read()

        yield work
        value.close()

    def limit() -> Generator[Work, None, None]:
        starts = places()

        def work() -> None:
            for start in starts:
                _raw_range(connection, start, start + _RANGE)

        yield work

    with store.get_data_range("large", 99_999, 99_999 + _RANGE) as stream:
        assert stream.read() == _raw_range(connection, 99_999, 99_999 + _RANGE)
    return Trial({"encore": encore, "R": limit, "value kept": kept}, count)


def _raw_range(connection: Any, start: int, end: int) -> bytes:
    (blob,) = connection.execute("SELECT blob FROM kv WHERE key=?", ("large",)).fetchone()
    first, last = start // raw.CHUNK, (end - 1) // raw.CHUNK
    rows = connection.execute(
        "SELECT data FROM chunk WHERE id BETWEEN ? AND ? ORDER BY id", (blob + first, blob + last)
    ).fetchall()
    if first == last:
        return bytes(rows[0][0][start - first * raw.CHUNK : end - first * raw.CHUNK])
    return b"".join(
        (
            memoryview(rows[0][0])[start - first * raw.CHUNK :],
            *(chunk for (chunk,) in rows[1:-1]),
            memoryview(rows[-1][0])[: end - last * raw.CHUNK],
        )
    )


@benchmark("sqlite memory of 1 GiB", unit="MiB", goals=[at_most(16)], places=("tmpfs",))
def growth(lab: Lab) -> Trial:
    """Growth of anonymous memory in a new process: the value in, out, and a range from it.

    R: the same process doing what the R of "in" and "out" do.
    """
    size = _size(lab)

    def encore() -> Generator[Work, None, None]:
        with lab.scratch() as directory:
            yield lambda: call(store_growth, str(directory), size)

    def limit() -> Generator[Work, None, None]:
        with lab.scratch() as directory:
            yield lambda: call(raw_growth, str(directory), size)

    return Trial({"encore": encore, "R": limit}, repeats=3)


def store_growth(directory: str, size: int) -> float:
    """MiB; run in a child."""
    Pattern(MIB).read()
    source = Pattern(size)
    with SqliteStore(Path(directory) / "s.db") as store:
        store.put("warm", b"warm")

        def work() -> None:
            store.put("large", source)
            for _ in store.get("large").iterdata():
                pass
            store.get_data_range("large", size // 2, size // 2 + MIB).read()

        return peak_growth(work)


def raw_growth(directory: str, size: int) -> float:
    """MiB; run in a child."""
    Pattern(MIB).read()
    source = Pattern(size)
    connection = raw.create(Path(directory) / "r.db")

    def work() -> None:
        raw.put_stream(connection, "large", source, raw.FIRST_BLOB)
        for _ in connection.execute("SELECT data FROM chunk ORDER BY id"):
            pass

    return peak_growth(work)
