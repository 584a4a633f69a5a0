"""Asynchronous names in configurations: the same stores, used otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stores_aio import run

import encore.aio
from encore.aio import AsyncBucketStore, AsyncStore
from encore.config import StoreFactory, register_store
from encore.errors import ConfigError, ReadOnlyError
from encore.storage.api import DictStore, GzipStore, SqliteStore


def _stores(path: Path) -> dict[str, Any]:
    return {
        "main": "packed",
        "stores": {
            "file": {"type": "AsyncSqliteStore", "config": {"path": str(path)}},
            "cache": {"type": "DictStore"},
            "cached": {
                "type": "AsyncCachingStore",
                "base": {"main_store": "file", "cache_store": "cache"},
            },
            "packed": {"type": "AsyncGzipStore", "base": "cached"},
            "photos": {
                "type": "AsyncBucketStore",
                "config": {"bucket_name": "b", "endpoint_url": "http://127.0.0.1:9"},
            },
        },
    }


def test_a_file_is_the_same_for_both_faces(directory: Path) -> None:
    factory = StoreFactory(_stores(directory / "a.db"))

    async def main() -> None:
        async with factory.build_async() as store:
            assert type(store) is AsyncStore
            assert isinstance(store.store, GzipStore)
            await store.put("a", b"1" * 1000)
        async with factory.build_async("file", readonly=True) as store:
            assert isinstance(store.store, SqliteStore)
            with pytest.raises(ReadOnlyError):
                await store.put("b", b"")

    run(main())
    with factory.build() as store:
        assert store.read("a") == b"1" * 1000
    assert factory.describe()["type"] == "AsyncGzipStore"
    assert type(factory.build_async("photos")) is AsyncBucketStore


def test_any_store_of_a_configuration_has_a_face(directory: Path) -> None:
    factory = StoreFactory({"main": f"gzip+sqlite:{directory / 'a.db'}"})

    async def main() -> None:
        async with factory.build_async() as store:
            await store.put("a", b"1")
            assert await store.read("a") == b"1"

    run(main())


def test_asynchronous_names_are_taken_and_others_unknown() -> None:
    with pytest.raises(ConfigError, match="AsyncNoneStore"):
        StoreFactory({"main": "a", "stores": {"a": {"type": "AsyncNoneStore"}}}).build()
    with pytest.raises(ValueError, match="AsyncDictStore"):
        register_store(DictStore, "AsyncDictStore")


def test_faces_are_made_of_stores_and_of_faces_and_of_nothing_else() -> None:
    with pytest.raises(TypeError, match="str"):
        AsyncStore("sqlite:a.db")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="readers"):
        AsyncStore(DictStore(), readers=0)
    with pytest.raises(TypeError):
        encore.aio.AsyncGzipStore("a")  # type: ignore[arg-type]
    face = AsyncStore(DictStore())
    assert AsyncStore(face).store is face.store
    assert repr(face) == f"<AsyncStore of {face.store!r}>"
