"""Stores of encoded data: other programs, bombs, damage, and how often anything is decoded."""

from __future__ import annotations

import gzip
import subprocess
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from encore.errors import CorruptValueError
from encore.events.event_manager import EventManager
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.memory import DictStore
from encore.storage.template import Store
from encore.storage.wrappers.codecs import Base64Store, CodecStore, GzipStore, ZstdStore
from encore.streams import Gzip, StreamCodec
from encore.testing.sources import MIB, Generated, pattern

STORES: dict[str, Callable[..., CodecStore]] = {
    "gzip": GzipStore,
    "zstd": ZstdStore,
    "base64": Base64Store,
}


def memory() -> DictStore:
    return DictStore(event_manager=EventManager())


@pytest.mark.parametrize("size", [0, 1000, 3 * MIB])
def test_gunzip_reads_what_was_written(directory: Path, size: int) -> None:
    with GzipStore(FilesystemStore(directory)) as store:
        store.put("a.gz", pattern(size))
    path = directory / "a.gz"
    assert gzip.decompress(path.read_bytes()) == pattern(size)
    done = subprocess.run(["gunzip", "-c", path], capture_output=True, check=True)
    assert done.stdout == pattern(size)


@pytest.mark.parametrize("size", [0, 1000, 3 * MIB])
def test_a_file_that_others_compressed_is_a_value_of_unknown_size(
    directory: Path, size: int
) -> None:
    with gzip.open(directory / "a.gz", "wb") as file:
        file.write(pattern(size))
    with GzipStore(FilesystemStore(directory)) as store:
        assert [*store] == ["a.gz"]
        value = store.get("a.gz")
        assert value.size is None
        assert b"".join(value.iterdata()) == pattern(size)
        value.close()
        assert store.read("a.gz") == pattern(size)
        with store.get_data_range("a.gz", 10, 20) as stream:
            assert stream.read() == pattern(size)[10:20]
        assert store.totals() == (1, None)
        store.copy("a.gz", "b.gz")
        store.put("c.gz", store.get("a.gz"))
        assert store.read("b.gz") == store.read("c.gz") == pattern(size)
        assert store.get("c.gz").size == size


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_bomb_is_stopped_where_all_is_wanted_and_streams_flat(name: str) -> None:
    base = memory()
    store = STORES[name](base, max_bytes=MIB)
    store.put("bomb", Generated(1))  # so that everything has been loaded
    size = 64 * MIB
    codec = store.codec
    base.put("bomb", b"".join(codec.encode(bytes(MIB) for _ in range(size // MIB))))
    tracemalloc.start()
    with pytest.raises(CorruptValueError, match="max_bytes"):
        store.read("bomb")
    with pytest.raises(CorruptValueError, match="max_bytes"):
        store.get("bomb").read()
    with store.get_data("bomb") as stream:
        count = sum(map(len, iter(lambda: stream.read(MIB), b"")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == size
    assert peak < 16 * MIB


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("damage", ["cut", "changed", "of another kind", "empty"])
def test_damage_is_told_by_every_way_of_reading(name: str, damage: str) -> None:
    base = memory()
    store = STORES[name](base)
    store.put("a", pattern(200000), {"kept": 1})
    kept = base.read("a")
    middle = len(kept) // 2
    base.set_data(
        "a",
        {
            "cut": kept[: middle - 3],
            "changed": kept[:middle] + bytes(byte ^ 0x80 for byte in kept[middle:][:9])
            + kept[middle + 9 :],
            "of another kind": b"\x00 this is none of it" * 9,
            "empty": b"" if name != "base64" else b"=",
        }[damage],
    )  # fmt: skip

    def stream() -> None:
        with store.get_data("a") as data:
            while data.read(10000):
                pass

    def last_bytes() -> None:
        with store.get_data_range("a", 199990, 200000) as data:
            data.read()

    for way in (lambda: store.read("a"), stream, last_bytes, lambda: store.get("a").read()):
        with pytest.raises(CorruptValueError):
            way()
    assert store.get_metadata("a") == {"kept": 1}
    store.put("a", b"mended")
    assert store.read("a") == b"mended"


class Counting(StreamCodec):
    """Gzip that counts how often decoding begins."""

    tail_bytes = Gzip.tail_bytes

    def __init__(self) -> None:
        self.began = 0
        self._codec = Gzip()

    def encode(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        return self._codec.encode(chunks)

    def decode(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        self.began += 1
        return self._codec.decode(chunks)

    def plain_size(self, encoded_size: int, tail: bytes) -> int | None:
        return self._codec.plain_size(encoded_size, tail)


@pytest.mark.parametrize("base", [memory, None], ids=["in memory", "files"])
def test_reading_on_decodes_once(base: Callable[[], Store] | None, directory: Path) -> None:
    codec = Counting()
    with CodecStore(base() if base else FilesystemStore(directory), codec) as store:
        store.put("a", pattern(3 * MIB))
        with store.get("a") as data:
            found = b"".join(iter(lambda: data.read(1000), b""))
        assert found == pattern(3 * MIB)
        assert codec.began == 1
        with store.get("a") as data:
            data.seek(100000)
            assert data.read(10) == pattern(3 * MIB)[100000:100010]
            data.seek(2 * MIB)
            assert data.read(10) == pattern(3 * MIB)[2 * MIB : 2 * MIB + 10]
            assert codec.began == 2
            data.seek(0)
            assert data.read(10) == pattern(10)
            assert codec.began == 3


@pytest.mark.parametrize("name", STORES)
def test_memory_stays_flat(name: str, directory: Path) -> None:
    size = 200 * MIB

    def read_on(store: Any) -> int:
        with store.get_data("a") as data:
            return sum(map(len, iter(lambda: data.read(MIB), b"")))

    pattern(MIB)  # made once, and not counted
    with STORES[name](FilesystemStore(directory)) as store:
        tracemalloc.start()
        store.put("a", Generated(size))
        count = read_on(store)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == store.get("a").size == size
        assert peak < 16 * MIB
