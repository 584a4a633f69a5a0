"""The interface of object storages, on stores of this machine and on buckets."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from servers import BUCKET, prefix_for
from stores import CLIENTS
from stores_aio import FACES, run

from encore.aio import AsyncBucketStore, AsyncStore, async_copy_store
from encore.errors import InvalidKeyError, KeyNotFoundError, StoreError
from encore.events.event_manager import EventManager
from encore.testing.sources import MIB, SourceBroke, pattern

_FACES: dict[str, Callable[[Path], AsyncStore]] = {
    **FACES,
    "bucket": lambda directory: AsyncBucketStore(
        BUCKET,
        prefix=prefix_for(directory),
        client=CLIENTS["bucket_server"],
        event_manager=EventManager(),
    ),
}


@pytest.fixture(params=_FACES)
def use(request: pytest.FixtureRequest, directory: Path) -> Callable[..., Any]:
    """Run a coroutine with a store."""
    if request.param == "bucket":
        request.getfixturevalue("bucket_server")

    def use(work: Callable[[AsyncStore], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with _FACES[request.param](directory) as store:
                return await work(store)

        return run(main())

    return use


async def _parts(*parts: bytes, fails: bool = False) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part
    if fails:
        raise SourceBroke


def test_an_upload_is_downloaded(use: Any) -> None:
    async def work(store: AsyncStore) -> None:
        assert await store.upload(b"data", "a", {"x": 1}) == "a"
        assert await store.upload(io.BytesIO(pattern(3 * MIB)), "b/c") == "b/c"
        assert await store.download("a") == b"data"
        assert await store.get_metadata("a") == {"x": 1}
        assert await store.get_metadata("b/c") == {}
        chunks = [chunk async for chunk in await store.download("b/c", stream=True)]
        assert b"".join(chunks) == pattern(3 * MIB)
        assert max(map(len, chunks)) <= 8192
        await store.upload(b"", "a")
        assert await store.get_metadata("a") == {}
        assert await store.download("a") == b""
        assert [chunk async for chunk in await store.download("a", stream=True)] == []

    use(work)


def test_what_is_missing_is_missed(use: Any) -> None:
    async def work(store: AsyncStore) -> None:
        for ask in (
            lambda: store.download("gone"),
            lambda: store.download("gone", stream=True),
            lambda: store.get_metadata("gone"),
            lambda: store.delete("gone"),
            lambda: store.copy("gone", "a"),
        ):
            with pytest.raises(KeyNotFoundError):
                await ask()
        assert not await store.exists("gone")

    use(work)


def test_parts_become_one_object_and_a_failing_part_leaves_the_old_one(use: Any) -> None:
    async def work(store: AsyncStore) -> None:
        large = pattern(2 * MIB)
        assert await store.upload_multipart(_parts(large, b"", b"end"), "a", {"x": 1}) == "a"
        for parts in (_parts(fails=True), _parts(b"1", fails=True), _parts(large, fails=True)):
            with pytest.raises(SourceBroke):
                await store.upload_multipart(parts, "a", {"x": 2})
        with pytest.raises(TypeError):
            await store.upload_multipart(_parts(b"1", "text"), "a")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await store.upload(io.StringIO("text"), "a")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await store.upload_multipart([b"1"], "a")  # type: ignore[arg-type]
        assert await store.download("a") == large + b"end"
        assert await store.get_metadata("a") == {"x": 1}
        await store.upload_multipart(_parts(), "empty")
        assert await store.download("empty") == b""

    use(work)


def test_pages_are_of_keys_that_begin_with_a_prefix(use: Any) -> None:
    async def work(store: AsyncStore) -> None:
        assert [page async for page in store.list()] == []
        keys = [f"a/b{number:02}" for number in range(23)]
        await store.multiset(dict.fromkeys([*keys, "a/c", "ab"], b""))
        assert [len(page) async for page in store.list("a/b")] == [10, 10, 3]
        assert [page async for page in store.list("a/b0", page_size=7)] == [keys[:7], keys[7:10]]
        assert [page async for page in store.list("none")] == []
        with pytest.raises(ValueError):
            [page async for page in store.list(page_size=0)]
        await store.clear("a/")
        assert [page async for page in store.list()] == [["ab"]]
        await store.clear()
        assert [page async for page in store.list()] == []

    use(work)


def test_copying_stays_in_the_store_and_onto_itself_changes_nothing(use: Any) -> None:
    async def work(store: AsyncStore) -> None:
        await store.upload(b"data", "a", {"x": 1})
        token = (await store.get("a")).token
        assert await store.copy("a", "a") == "a"
        assert (await store.get("a")).token == token
        assert await store.copy("a", "../outside") == "../outside"
        assert await store.copy("a", "/etc/passwd") == "/etc/passwd"
        assert [key async for key in store] == ["../outside", "/etc/passwd", "a"]
        assert await store.get_metadata("../outside") == {"x": 1}
        await store.clear("..")
        await store.clear("/")
        assert [key async for key in store] == ["a"]
        with pytest.raises(InvalidKeyError):
            await store.copy("a", "")

    use(work)


def test_a_copy_from_a_bucket_reads_ahead(bucket_server: Any, directory: Path) -> None:
    async def main() -> None:
        async with _FACES["bucket"](directory) as source, FACES["dict"](directory) as target:
            large = pattern(5 * MIB)
            await source.multiset({f"{n:02}": (pattern(1000, n), {"n": n}) for n in range(40)})
            await source.put("large", large)
            told: list[int] = []
            result = await async_copy_store(
                source, target, progress=lambda step: told.append(step), verify=True
            )
            assert (result.keys, result.bytes) == (41, 40_000 + len(large))
            assert told[-1] == result.bytes
            assert await target.read("large") == large
            ours, theirs = await source.get("07"), await target.get("07")
            assert (ours.token, ours.metadata) == (theirs.token, theirs.metadata)
            assert await async_copy_store(source, target, concurrency=1) == result
            with pytest.raises(ValueError):
                await async_copy_store(source, target, concurrency=0)

    run(main())


def test_reads_of_a_bucket_see_what_their_task_has_not_committed(
    bucket_server: Any, directory: Path
) -> None:
    async def main() -> None:
        async with _FACES["bucket"](directory) as store:
            await store.put("a", b"old")
            async with store.transaction():
                await store.put("a", b"new")
                await store.put("b", b"new")
                assert await store.read("a") == await store.download("a") == b"new"
                assert await store.exists("b")
                task = asyncio.create_task(store.read("a"))
                assert await task == b"old"
            assert await store.read("a") == b"new"
            # What one face writes the other sees.
            assert await asyncio.to_thread(store.store.read, "b") == b"new"
            keys = ["/lead", "a//b", "..", "é" * 300, "x" * 1000]
            for key in keys:
                await asyncio.to_thread(store.store.put, key, key.encode())
            assert [await store.read(key) for key in keys] == [key.encode() for key in keys]
            assert all([await store.exists(key) for key in keys])
        with pytest.raises(StoreError, match="closed"):
            await store.read("a")

    run(main())
