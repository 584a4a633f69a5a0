"""Asynchronous faces: what the way to a thread and back costs, and what passes over it.

Two figures are goals by themselves: reads in a second from one task and from 64. The others are
beside what the same store does without a loop, or obstore without encore.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

from encore.aio import AsyncBucketStore, AsyncSqliteStore
from tests.benchmarks.harness import (
    MIB,
    Lab,
    Pattern,
    Trial,
    Work,
    at_least,
    benchmark,
    fresh_values,
)

_numbers = itertools.count()


def _side_by_side(loop: Any, tasks: int, count: int, verb: Callable[[], Any]) -> Work:
    """Call a verb so often, in so many tasks."""

    async def one() -> None:
        for _ in range(count // tasks):
            await verb()

    async def main() -> None:
        await asyncio.gather(*(one() for _ in range(tasks)))

    return lambda: loop.run_until_complete(main())


def _reads(lab: Lab, tasks: int) -> Trial:
    count = lab.pick(12_800, 1_280)
    loop = asyncio.new_event_loop()
    lab.defer(loop.close)
    path: Path = lab.enter(lab.scratch()) / "s.db"
    store = AsyncSqliteStore(path)
    loop.run_until_complete(store.put("a", fresh_values(1, 1000)[0]))
    lab.defer(lambda: loop.run_until_complete(store.close()))

    def encore() -> Generator[Work, None, None]:
        yield _side_by_side(loop, tasks, count, lambda: store.read("a"))

    def to_thread() -> Generator[Work, None, None]:
        read = store.store.read
        yield _side_by_side(loop, tasks, count, lambda: asyncio.to_thread(read, "a"))

    return Trial({"encore": encore, "asyncio.to_thread": to_thread}, count)


@benchmark("aio read, 1 task", goals=[at_least(16_667)])
def read_alone(lab: Lab) -> Trial:
    """1 kB of a `SqliteStore`; the goal is 60 microseconds each."""
    return _reads(lab, 1)


@benchmark("aio read, 64 tasks", goals=[at_least(20_000)])
def read_together(lab: Lab) -> Trial:
    """The same by many tasks side by side."""
    return _reads(lab, 64)


@benchmark("aio bucket read, 32 tasks", goals=[at_least(0.8, "R")])
def read_bucket(lab: Lab) -> Trial:
    """10 kB each. R: `obstore.get_async`."""
    import obstore

    from tests.servers import BucketServer

    client, count = lab.enter(BucketServer()).client, lab.pick(3_200, 640)
    loop = asyncio.new_event_loop()
    lab.defer(loop.close)
    store = AsyncBucketStore("encore", prefix=f"a{next(_numbers)}", client=client)
    loop.run_until_complete(store.put("a", fresh_values(1, 10_000)[0]))
    lab.defer(lambda: loop.run_until_complete(store.close()))
    name = f"{store.store._prefix}a"

    def encore() -> Generator[Work, None, None]:
        yield _side_by_side(loop, 32, count, lambda: store.read("a"))

    async def get() -> bytes:
        return bytes(await (await obstore.get_async(client, name)).bytes_async())

    def raw() -> Generator[Work, None, None]:
        yield _side_by_side(loop, 32, count, get)

    return Trial({"encore": encore, "R": raw}, count)


def _streamed(
    lab: Lab,
    alone: Callable[[Any, int], object],
    awaited: Callable[[Any, int], Coroutine[Any, Any, None]],
) -> Trial:
    size = lab.pick(1024, 64)
    loop = asyncio.new_event_loop()
    lab.defer(loop.close)
    store = AsyncSqliteStore(lab.enter(lab.scratch()) / "s.db")
    loop.run_until_complete(store.put("large", Pattern(size * MIB)))
    lab.defer(lambda: loop.run_until_complete(store.close()))

    def encore() -> Generator[Work, None, None]:
        yield lambda: loop.run_until_complete(awaited(store, size))

    def synchronous() -> Generator[Work, None, None]:
        yield lambda: alone(store.store, size)

    return Trial({"encore": encore, "synchronous": synchronous}, size)


@benchmark("aio stream in", unit="MiB/s", goals=[at_least(0.7, "synchronous")])
def stream_in(lab: Lab) -> Trial:
    """1 GiB into a `SqliteStore`, from an asynchronous iterable of MiBs and from a file-like."""
    block = fresh_values(1, MIB)[0]

    async def blocks(size: int) -> AsyncIterator[bytes]:
        for _ in range(size):
            yield block

    async def awaited(store: Any, size: int) -> None:
        await store.put("in", blocks(size))

    return _streamed(lab, lambda store, size: store.put("in", Pattern(size * MIB)), awaited)


@benchmark("aio stream out", unit="MiB/s", goals=[at_least(0.7, "synchronous")])
def stream_out(lab: Lab) -> Trial:
    """1 GiB out of a `SqliteStore`, in MiBs."""

    def alone(store: Any, size: int) -> None:
        value = store.get("large")
        assert sum(map(len, value.iterdata())) == size * MIB
        value.close()

    async def awaited(store: Any, size: int) -> None:
        value = await store.get("large")
        found = 0
        async for chunk in value.iterdata():
            found += len(chunk)
        assert found == size * MIB
        await value.close()

    return _streamed(lab, alone, awaited)
