"""Laws of data: what may be given as data, and that it arrives."""

from __future__ import annotations

import array
import io
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from encore.storage.abstract_store import AbstractStore
from encore.storage.values import Value
from encore.streams import BufferIteratorIO
from encore.testing.laws import Laws, told_size
from encore.testing.sources import MIB, SIZES, Trickle, pattern


def _mapped(data: bytes) -> mmap.mmap:
    mapped = mmap.mmap(-1, len(data))
    mapped[:] = data
    return mapped


#: Everything that may be given as data, made from bytes.
KINDS: dict[str, Callable[[bytes], Any]] = {
    "bytes": lambda data: data,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "strided memoryview": lambda data: memoryview(bytes(byte for one in data for byte in (one, 0)))[
        ::2
    ],
    "array": lambda data: array.array("B", data),
    "BytesIO": io.BytesIO,
    "buffered reader": lambda data: io.BufferedReader(io.BytesIO(data)),
    "stream of unknown length": Trickle,
    "chunks": lambda data: BufferIteratorIO(iter([data[:100], data[100:]])),
    "mmap": lambda data: _mapped(data) if data else b"",
    "value": Value,
    "value of a stream": lambda data: Value(Trickle(data)),
}


NOT_BYTES: dict[str, Callable[[], Any]] = {
    "text": lambda: "text",
    "None": lambda: None,
    "int": lambda: 1,
    "object": object,
    "text file": lambda: io.StringIO("text"),
    "list": lambda: ["a"],
    "dict": lambda: {"a": 1},
    "iterator": lambda: iter(["a"]),
}


class DataLaws(Laws):
    """What may be given as data, and that it arrives."""

    @pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
    def test_every_kind_of_data_arrives(
        self, store: AbstractStore, kind: Callable[[bytes], Any]
    ) -> None:
        for size in (0, 1, 1024, 1025, 70000):
            data = pattern(size)
            store.put("put", kind(data), {"a": 1})
            store.set("set", kind(data))
            store.set_data("set_data", kind(data))
            store.multiset({"multiset": kind(data)})
            store.put("pieces", kind(data), buffer_size=1000)
            assert self.contents(store) == {
                "put": (data, {"a": 1}),
                "set": (data, {}),
                "set_data": (data, {}),
                "multiset": (data, {}),
                "pieces": (data, {}),
            }

    @pytest.mark.parametrize("size", SIZES)
    def test_every_size_arrives_by_stream(self, store: AbstractStore, size: int) -> None:
        data = pattern(size)
        store.put("a", Trickle(data, 50021))
        store.set("b", (Trickle(data, 50021), {"b": 1}), 4096)
        assert self.contents(store) == {"a": (data, {}), "b": (data, {"b": 1})}
        assert store.get("a").size == told_size(store, size)

    def test_a_file_like_is_read_from_where_it_stands(self, store: AbstractStore) -> None:
        source = io.BytesIO(b"head and tail")
        source.read(9)
        store.put("a", source)
        assert store.read("a") == b"tail"
        assert not source.closed

    @pytest.mark.parametrize("buffer_size", [1000, MIB])
    def test_a_file_like_is_read_in_pieces_of_a_buffer(
        self, store: AbstractStore, tmp_path: Path, buffer_size: int
    ) -> None:
        class Watched(io.BytesIO):
            largest = 0

            def read(self, size: int | None = -1, /) -> bytes:
                assert size is not None
                assert size >= 0, "all of it was asked for at once"
                Watched.largest = max(self.largest, size)
                return super().read(size)

            def readline(self, size: int | None = -1, /) -> bytes:
                raise AssertionError("data was read by lines")

            def __next__(self) -> bytes:
                raise AssertionError("data was read by lines")

        store.put("a", Watched(b"x" * 2 * MIB), buffer_size=buffer_size)
        assert store.read("a") == b"x" * 2 * MIB
        assert 0 < Watched.largest <= buffer_size

    @pytest.mark.parametrize("kind", NOT_BYTES.values(), ids=NOT_BYTES)
    @pytest.mark.parametrize(
        "write",
        [
            lambda s, data: s.put("a", data, {"new": True}),
            lambda s, data: s.set("a", data),
            lambda s, data: s.set("a", (data, {"new": True})),
            lambda s, data: s.set_data("a", data),
            lambda s, data: s.multiset(["b", "a"], [b"", data]),
            lambda s, data: s.multiset_data(["b", "a"], [b"", data]),
        ],
        ids=["put", "set", "set pair", "set_data", "multiset", "multiset_data"],
    )
    def test_what_is_not_bytes_is_a_type_error(
        self,
        store: AbstractStore,
        write: Callable[[AbstractStore, Any], None],
        kind: Callable[[], Any],
    ) -> None:
        if store.info()["transactions"] == "none" and "b" in write.__code__.co_consts:
            pytest.skip("several writes are one act only where there are transactions")
        store.put("a", b"old", {"old": True})
        with pytest.raises(TypeError):
            write(store, kind())
        assert self.contents(store) == {"a": (b"old", {"old": True})}

    def test_data_is_copied_in(self, store: AbstractStore) -> None:
        data = bytearray(b"abc")
        store.put("a", data)
        data[:] = b"xyz"
        assert store.read("a") == b"abc"

    def test_from_bytes_and_from_file_keep_the_metadata(
        self, store: AbstractStore, tmp_path: Path
    ) -> None:
        for key in ("bytes", "file"):
            store.put(key, b"old", {"kept": key})
        path = tmp_path / "source"
        path.write_bytes(pattern(2 * MIB))
        store.from_bytes("bytes", b"new")
        store.from_file("file", path)
        store.from_file("new", path, buffer_size=1000)
        assert self.contents(store) == {
            "bytes": (b"new", {"kept": "bytes"}),
            "file": (pattern(2 * MIB), {"kept": "file"}),
            "new": (pattern(2 * MIB), {}),
        }

    def test_a_file_that_is_missing_changes_nothing(
        self, store: AbstractStore, tmp_path: Path
    ) -> None:
        store.put("a", b"old", {"old": 1})
        with pytest.raises(FileNotFoundError):
            store.from_file("a", tmp_path / "gone")
        assert self.contents(store) == {"a": (b"old", {"old": 1})}
