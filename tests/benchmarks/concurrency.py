"""SqliteStore used by several at once: nine reads to one write, and no error at all."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from encore.storage.api import SqliteStore
from tests.benchmarks import raw_sqlite as raw
from tests.benchmarks.child import together, wait
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

WORKERS = 4
_KEYS = 10_000

Read = Callable[[str], Any]
Write = Callable[[str, bytes], Any]


class Mix:
    """Nine reads to one overwrite, over keys that are there; prepared before the clock runs."""

    def __init__(self, keys: list[str], count: int) -> None:
        chosen = random.choices(keys, k=count)
        values = iter(fresh_values(count // 10 + 1))
        self._steps = [
            (key, next(values) if at % 10 == 0 else None) for at, key in enumerate(chosen)
        ]

    def run(self, read: Read, write: Write) -> None:
        for key, value in self._steps:
            if value is None:
                read(key)
            else:
                write(key, value)


def _raw_verbs(connection: Any) -> tuple[Read, Write]:
    execute, next_token, now = connection.execute, raw.next_token, raw.time

    def read(key: str) -> Any:
        return execute(raw.READ, (key,)).fetchone()[0]

    def write(key: str, value: bytes) -> None:
        execute(raw.PUT, (key, hex(next_token()), now(), len(value), "{}", value))

    return read, write


def _fill(directory: Path) -> list[str]:
    keys = fresh_keys(_KEYS)
    with SqliteStore(directory / "s.db") as store:
        store.multiset(keys, fresh_values(_KEYS))
    return keys


def _run_threads(mixes: list[Mix], verbs: Callable[[], tuple[Read, Write]]) -> None:
    """Run a mix per thread; raise what one of them raised."""
    errors: list[BaseException] = []

    def body(mix: Mix) -> None:
        try:
            mix.run(*verbs())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=body, args=(mix,)) for mix in mixes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@benchmark("sqlite 4 threads", goals=[at_least(0.7, "R")], places=BOTH)
def threads(lab: Lab) -> Trial:
    """Four threads, 90 % reads and 10 % overwrites of 100 B, over 10,000 keys.

    R: a connection per thread, one statement per step. Any error fails the benchmark.
    """
    count = lab.pick(10_000, 3_000)

    def encore() -> Generator[Work, None, None]:
        with lab.scratch() as directory:
            mixes = _mixes(_fill(directory), count)
            with SqliteStore(directory / "s.db") as store:
                yield lambda: _run_threads(mixes, lambda: (store.read, store.put))

    def limit() -> Generator[Work, None, None]:
        with lab.scratch() as directory:
            mixes = _mixes(_fill(directory), count)
            path = directory / "s.db"
            yield lambda: _run_threads(mixes, lambda: _raw_verbs(raw.open_file(path)))

    contenders: dict[str, Contender | None] = {"encore": encore, "R": limit}
    diskcache = peer("diskcache")

    def disk_cache() -> Generator[Work, None, None]:
        with lab.scratch() as directory, open_diskcache(diskcache, directory) as cache:
            keys = _fill_cache(cache)
            mixes = _mixes(keys, count)
            yield lambda: _run_threads(mixes, lambda: (cache.__getitem__, cache.__setitem__))

    contenders["diskcache"] = None if diskcache is None else disk_cache
    return Trial(contenders, count * WORKERS)


def _mixes(keys: list[str], count: int) -> list[Mix]:
    return [Mix(keys, count) for _ in range(WORKERS)]


def _fill_cache(cache: Any) -> list[str]:
    keys = fresh_keys(_KEYS)
    with cache.transact():
        for key, value in zip(keys, fresh_values(_KEYS), strict=True):
            cache[key] = value
    return keys


@benchmark("sqlite 4 processes", goals=[at_least(0.75, "R")], places=BOTH)
def processes(lab: Lab) -> Trial:
    """Four processes that begin together, else as "sqlite 4 threads".

    The figure is all steps by the time from the first beginning to the last end. R: a connection
    per process, one statement per step.
    """
    count = lab.pick(20_000, 5_000)

    def contender(kind: str) -> Contender:
        def run() -> Generator[Work, None, None]:
            with lab.scratch() as directory:
                if kind == "diskcache":
                    with open_diskcache(peer("diskcache"), directory) as cache:
                        _fill_cache(cache)
                else:
                    _fill(directory)
                yield lambda: _rate_of_processes(kind, str(directory), count)

        return run

    missing = peer("diskcache") is None
    return Trial(
        {
            "encore": contender("encore"),
            "R": contender("R"),
            "diskcache": None if missing else contender("diskcache"),
        },
        repeats=5,
    )


def _rate_of_processes(kind: str, directory: str, count: int) -> float:
    spans = together(one_process, [(kind, directory, count)] * WORKERS)
    seconds = max(end for _, end in spans) - min(begin for begin, _ in spans)
    return float(count * WORKERS / seconds)


def one_process(kind: str, directory: str, count: int) -> tuple[float, float]:
    """Begin and end on the clock that all processes share; run in a child."""
    path = Path(directory)
    mix = Mix([f"{number % 100:02d}/{number // 100:07d}" for number in range(_KEYS)], count)
    read: Read
    write: Write
    if kind == "encore":
        store = SqliteStore(path / "s.db")
        read, write = store.read, store.put
    elif kind == "R":
        read, write = _raw_verbs(raw.open_file(path / "s.db"))
    else:
        cache = open_diskcache(peer("diskcache"), path)
        read, write = cache.__getitem__, cache.__setitem__
    read("00/0000000")
    wait()
    begin = time.monotonic()
    mix.run(read, write)
    return begin, time.monotonic()
