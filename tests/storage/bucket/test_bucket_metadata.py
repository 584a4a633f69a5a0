"""Laws of metadata in a bucket: with the object where it fits, beside it where it does not."""

from __future__ import annotations

import io
from typing import Any

import pytest
from bucket_tools import MIB, fresh_prefix, names, open_bucket
from servers import BucketServer

from encore.errors import CorruptValueError
from encore.storage.api import DictStore, copy_store
from encore.storage.backends.bucket import BucketStore
from encore.testing.sources import pattern

AWKWARD = {
    "blanks": "a  b   c ",
    "encoded word": "=?utf-8?q?=61?= =?",
    "not ascii": "é \U0001f600 \u2028 \x7f \x85",
    "controls": "\0\r\n\t\x1f",
    "backslashes": '\\\\  \\" \\é\\',
}
LARGE = {"notes": "é" * 3000}


def attributes(server: BucketServer, name: str) -> dict[str, Any]:
    return server.client.get(name, options={"head": True}).attributes  # type: ignore[no-any-return]


def test_small_metadata_is_user_metadata_of_the_object(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    with open_bucket(bucket_server, prefix) as store:
        store.put("a", b"1", {"x": 1})
        found = attributes(bucket_server, f"{prefix}/a")
        assert found["encoremetadata"] == '{"x":1}'
        assert found["encoretoken"] == store.get("a").token
        assert names(bucket_server, prefix) == ["a"]


@pytest.mark.parametrize("size", [10, 5 * MIB])
def test_every_text_survives_the_headers(bucket_server: BucketServer, size: int) -> None:
    prefix = fresh_prefix()
    with open_bucket(bucket_server, prefix) as store:
        store.put("a", io.BytesIO(pattern(size)), AWKWARD)
        assert store.get_metadata("a") == AWKWARD
        for value in attributes(bucket_server, f"{prefix}/a").values():
            assert value.isascii()
            assert value.isprintable()
            assert "  " not in value


def test_metadata_grows_and_shrinks_and_leaves_nothing_behind(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    with open_bucket(bucket_server, prefix) as store:
        for _ in range(2):
            for metadata in ({"x": 1}, LARGE, {"x": 2}, LARGE | {"y": 1}):
                store.put("a", b"1", metadata)
                assert store.get_metadata("a") == metadata
                assert len(names(bucket_server, prefix)) == (1 if len(metadata) < 2 else 2) or (
                    metadata == LARGE
                )
            store.update_metadata("a", {"z": 1})
            assert store.get_metadata("a") == LARGE | {"y": 1, "z": 1}
        store.set_metadata("a", {})
        with store.transaction():
            store.put("b", b"", LARGE)
            store.put("c", b"", LARGE)
        store.move("b", "d")
        with store.transaction():
            store.put("c", b"")
        store.multiset({"d": b"", "e": (b"", LARGE)})
        assert len([name for name in names(bucket_server, prefix) if "records" in name]) == 2
        store.clear()
    assert names(bucket_server, prefix) == []


@pytest.mark.parametrize("size", [10, 5 * MIB])
def test_metadata_changes_without_the_data(bucket_server: BucketServer, size: int) -> None:
    prefix = fresh_prefix()
    with open_bucket(bucket_server, prefix) as store:
        store.put("a", io.BytesIO(pattern(size)), {"x": 1})
        before = store.get("a")
        store.update_metadata("a", LARGE)
        store.update_metadata("a", {"y": [1]})
        after = store.get("a")
        assert after.metadata == {"x": 1, **LARGE, "y": [1]}
        assert after.read() == pattern(size)
        assert after.created == before.created
        assert after.token != before.token
        store.set_data("a", b"new")
        assert store.get_metadata("a") == after.metadata
        store.delete("a")
    assert names(bucket_server, prefix) == []


def test_a_large_object_of_another_program_gets_metadata(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    bucket_server.client.put(f"{prefix}/a", pattern(6 * MIB))
    with open_bucket(bucket_server, prefix) as store:
        store.update_metadata("a", {"x": 1})
        store.update_metadata("a", {"y": 1})
        assert store.get_metadata("a") == {"x": 1, "y": 1}
        assert store.read("a") == pattern(6 * MIB)


def test_a_copy_by_another_program_has_no_metadata_of_somebody_else(
    bucket_server: BucketServer,
) -> None:
    prefix = fresh_prefix()
    with open_bucket(bucket_server, prefix) as store:
        store.put("a", io.BytesIO(pattern(5 * MIB)), {"x": 1})
        bucket_server.client.copy(f"{prefix}/a", f"{prefix}/b")
        assert store.get_metadata("b") == {}
        assert store.read("b") == pattern(5 * MIB)
        store.set_metadata("b", {"y": 2})
        assert store.get_metadata("a") == {"x": 1}
        assert store.get_metadata("b") == {"y": 2}


def test_damaged_metadata_is_reported_and_data_still_read(bucket_server: BucketServer) -> None:
    prefix = fresh_prefix()
    for text in ("{", "[1]", '{"x":}'):
        about = {"encoretoken": "t", "encorecreated": "1.0", "encoremodified": "1.0"}
        bucket_server.client.put(
            f"{prefix}/a", b"data", attributes=about | {"encoremetadata": text}
        )
        with open_bucket(bucket_server, prefix, readonly=True) as store:
            with pytest.raises(CorruptValueError):
                store.get_metadata("a")
            assert store.read("a") == b"data"


def test_copies_between_stores_keep_everything(bucket_server: BucketServer) -> None:
    source = DictStore()
    source.put("small", b"1", AWKWARD)
    source.put("large", pattern(5 * MIB), LARGE)
    source.put("odd//key", b"", {})
    with open_bucket(bucket_server, fresh_prefix()) as store:
        copy_store(source, store)
        back = DictStore()
        copy_store(store, back)
        for there in (store, back):
            assert [*there.keys()] == [*source.keys()]
            for key, value in source.items():
                found = there.get(key)
                assert (found.read(), found.metadata) == (value.read(), value.metadata)
                assert (found.created, found.modified, found.token) == (
                    value.created,
                    value.modified,
                    value.token,
                )


def test_a_store_of_another_kind_of_client_keeps_metadata_too(tmp_path: Any) -> None:
    from obstore.store import LocalStore, MemoryStore

    for client in (MemoryStore(), LocalStore(tmp_path)):
        with BucketStore("other", client=client) as store:
            store.put("a", b"1", {"x": 1})
            store.put("b/c", io.BytesIO(pattern(5 * MIB)), LARGE)
            store.update_metadata("a", {"y": 2})
            store.put("n" * 1000, b"long", {"z": 3})
            assert store.get_metadata("a") == {"x": 1, "y": 2}
            assert store.get_metadata("b/c") == LARGE
            assert store.read("b/c") == pattern(5 * MIB)
            assert [*store.keys()] == ["a", "b/c", "n" * 1000]
            with store.transaction():
                store.move("b/c", "d")
                store.delete("a")
            assert store.get_metadata("d") == LARGE
            store.clear()
            assert [*client.list().collect()] == []
