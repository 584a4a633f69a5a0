"""The verbs of a face: all of them are there, and take and give what is asynchronous."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from stores_aio import FACES, HAS_UVLOOP, run

import encore.aio
from encore.aio import AsyncDictStore, AsyncStore, AsyncValue
from encore.errors import KeyNotFoundError, StoreError
from encore.keys import KeyBuilder
from encore.storage.abstract_store import AbstractStore
from encore.storage.api import DictStore
from encore.storage.events import StoreSetEvent
from encore.storage.values import Value
from encore.testing.sources import MIB, pattern

_FACE = pytest.mark.parametrize("face", FACES.values(), ids=FACES)

# What cannot be awaited has another name, and what object storages have named otherwise, theirs.
_NOT_THERE = {"mapping"}
_OTHERWISE = {"list", "copy"}


def _verbs() -> list[str]:
    return [name for name, found in vars(AbstractStore).items() if inspect.isfunction(found)]


@pytest.mark.parametrize("verb", [name for name in _verbs() if not name.startswith("__")])
def test_every_verb_is_there_with_the_same_parameters(verb: str) -> None:
    if verb in _NOT_THERE:
        assert not hasattr(AsyncStore, verb)
        return
    ours, theirs = (
        inspect.signature(getattr(cls, verb)).parameters for cls in (AsyncStore, AbstractStore)
    )
    if verb in _OTHERWISE:
        assert len(ours) == len(theirs)
        return
    assert [*ours] == [*theirs]
    assert [one.default for one in ours.values()] == [one.default for one in theirs.values()]
    assert [one.kind for one in ours.values()] == [one.kind for one in theirs.values()]


def test_every_store_has_an_asynchronous_name() -> None:
    from encore.config.kinds import built_in_kinds

    assert [name for name in built_in_kinds() if not hasattr(encore.aio, f"Async{name}")] == []
    for name in encore.aio.__all__:
        assert getattr(encore.aio, name).__doc__


def test_importing_starts_no_thread_and_loads_no_engine() -> None:
    code = (
        "import sys, threading, encore.aio; encore.aio.AsyncStore\n"
        "print(threading.active_count(), 'sqlite3' in sys.modules, 'obstore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False", "False"]


@_FACE
@pytest.mark.parametrize("uvloop", [False, True], ids=["asyncio", "uvloop"])
def test_what_is_written_is_read(face: Any, directory: Path, uvloop: bool) -> None:
    if uvloop and not HAS_UVLOOP:
        pytest.skip("uvloop is not installed")

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            await asyncio.sleep(0)
            yield pattern(MIB // 2, number)

    async def main() -> None:
        whole = b"".join(pattern(MIB // 2, number) for number in range(3))
        async with face(directory) as store:
            await store.set("a", (chunks(), {"x": 1}))
            await store.put("b", b"small")
            value = await store.get("a")
            assert isinstance(value, AsyncValue)
            assert value.metadata == {"x": 1}
            assert b"".join([chunk async for chunk in value.iterdata(100_000)]) == whole
            async with value as data:
                assert await data.read(10) == whole[:10]
                assert await data.seek(MIB) == MIB
                assert await data.read() == whole[MIB:]
            await store.set("copy", await store.get("a"))
            assert await store.read("copy") == whole
            async with await store.get_data_range("a", 5, 50) as part:
                assert [chunk async for chunk in part] == [whole[5:50]]
            assert [key async for key in store] == ["a", "b", "copy"]
            assert [key async for key, _ in store.query(x=1)] == ["a", "copy"]
            assert await store.count() == 3
            found = [value async for value in store.multiget(["b", "a"])]
            assert [await value.read() for value in found] == [b"small", whole]
            for one in found:
                await one.close()
            with pytest.raises(KeyNotFoundError):
                await store.read("gone")
            several = store.multiget_metadata(["b", "gone", "a"])
            assert await anext(several) == {}
            with pytest.raises(KeyNotFoundError):
                await anext(several)
            assert [left async for left in several] == []
        assert not await store.is_connected()
        with pytest.raises(StoreError, match="closed"):
            await store.read("a")

    before = threading.active_count()
    run(main(), uvloop=uvloop)
    assert threading.active_count() == before


@_FACE
def test_what_one_face_writes_the_other_sees(face: Any, directory: Path) -> None:
    async def main() -> None:
        async with face(directory) as store:
            await store.put("a", pattern(200_000), {"x": 1})
            assert await asyncio.to_thread(store.store.read, "a") == pattern(200_000)
            await asyncio.to_thread(store.store.put, "b", b"theirs", {"y": 2})
            assert await store.get_metadata("b") == {"y": 2}
            async with store.transaction():
                await store.put("c", b"not yet")
                assert not await asyncio.to_thread(store.store.exists, "c")
            assert await asyncio.to_thread(store.store.exists, "c")

    run(main())


def test_several_can_come_asynchronously() -> None:
    async def each(items: list[Any]) -> AsyncIterator[Any]:
        for item in items:
            await asyncio.sleep(0)
            yield item

    async def main() -> None:
        async with AsyncDictStore() as store, AsyncDictStore() as other:
            await store.multiset(each(["a", "b"]), each([b"1", (each([b"2", b"3"]), {"x": 1})]))
            assert await store.read("b") == b"23"
            await store.multiset({"c": each([b"4"]), "d": b"5"})
            assert [value.size async for value in store.multiget(each(["c", "b"]))] == [1, 2]
            await other.import_values(store.items())
            assert await other.count() == 4
            ours, theirs = await store.get("b"), await other.get("b")
            assert (ours.token, ours.created) == (theirs.token, theirs.created)
            await other.import_values([("e", Value(b"6", created=1.5))])
            assert (await other.get("e")).created == 1.5

    run(main())


def test_a_listing_that_was_cut_short_by_a_timeout_goes_on_where_it_was() -> None:
    class Slow(DictStore):
        go = threading.Event()

        def _scan(self, prefix: str, start_after: str | None) -> Any:
            for key in super()._scan(prefix, start_after):
                self.go.wait(10)
                yield key

    async def main() -> None:
        async with AsyncStore(Slow()) as store:
            await store.multiset({"a": b"", "b": b""})
            keys = store.keys()
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(keys), 0.02)
            Slow.go.set()
            assert [key async for key in keys] == ["a", "b"]

    run(main())


def test_one_face_serves_several_loops() -> None:
    store = AsyncDictStore()

    async def write(key: str) -> list[str]:
        async with store.transaction():
            await store.put(key, b"1")
        return [found async for found in store]

    assert run(write("a")) == ["a"]
    assert run(write("b")) == ["a", "b"]
    run(store.close())


def test_events_come_to_a_task_and_end_with_the_store() -> None:
    async def main() -> None:
        async with AsyncDictStore() as store:
            heard: list[str] = []

            async def listen(events: Any) -> None:
                heard.extend([event.key async for event in events])

            task = asyncio.create_task(listen(store.events(StoreSetEvent)))
            few = store.events(StoreSetEvent, maxsize=2)
            for key in "abc":
                await store.put(key, b"")
            await store.put("a", b"an update")
            assert few.lost == 1
            assert (await anext(few)).key == "b"
        await asyncio.wait_for(task, 5)
        assert heard == ["a", "b", "c"]

    run(main())


def test_dispatch_brings_listeners_to_the_loop() -> None:
    async def main() -> None:
        loop, threads = asyncio.get_running_loop(), []
        async with AsyncDictStore() as store:

            def listen(event: Any) -> None:
                threads.append(threading.current_thread())

            store.event_manager.connect(
                StoreSetEvent, listen, {"source": store.store}, dispatch=loop.call_soon_threadsafe
            )
            await store.put("a", b"")
            while not threads:
                await asyncio.sleep(0)
            store.event_manager.disconnect(StoreSetEvent, listen)
        assert threads == [threading.main_thread()]

    run(main())


def test_wrappers_of_faces_share_a_task_and_its_transaction(directory: Path) -> None:
    async def main() -> None:
        base = encore.aio.AsyncSqliteStore(directory / "store.db")
        inner = encore.aio.AsyncPrefixStore(base, "p/")
        async with encore.aio.AsyncGzipStore(inner) as store:
            async with base.transaction():
                await store.put("a", b"data")
                await inner.put("b", b"data")
                assert [key async for key in base] == ["p/a", "p/b"]
            await inner.read("a")
        with pytest.raises(StoreError, match="closed"):
            await inner.read("a")
        async with inner:
            assert await inner.exists("b")
            other = encore.aio.AsyncDictStore()
            both = encore.aio.AsyncMountedStore("m", other, base)
            assert [key async for key in both] == ["p/a", "p/b"]
            await both.close()

    run(main())


def test_keys_are_built_as_they_are_listed() -> None:
    async def main() -> None:
        builder = KeyBuilder(prefix="plates")
        async with AsyncStore(DictStore(), key_builder=builder) as store:
            assert store.key_builder is builder
            await store.put(builder.build("p7", "a01"), b"")
            assert [key async for key in store] == [builder.build("p7", "a01")]
        assert AsyncStore(DictStore()).key_builder == KeyBuilder()

    run(main())


@pytest.mark.parametrize("name", ["sqlite", "filesystem"])
def test_a_long_stream_passes_in_constant_memory(name: str, directory: Path) -> None:
    size = 96 * MIB

    async def source() -> AsyncIterator[bytes]:
        for _ in range(size // MIB):
            yield pattern(MIB)

    async def main() -> None:
        async with FACES[name](directory) as store:
            pattern(MIB)
            tracemalloc.start()
            try:
                await store.put("large", source())
                value = await store.get("large")
                found = 0
                async for chunk in value.iterdata():
                    found += len(chunk)
                await value.close()
                assert found == value.size == size
                assert tracemalloc.get_traced_memory()[1] < 16 * MIB
            finally:
                tracemalloc.stop()

    run(main())
