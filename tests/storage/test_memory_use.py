"""Memory stays flat, however large the value."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from stores import STORES, StoreUnderTest

from encore.storage.template import Store
from encore.testing.sources import Generated, pattern

_SIZE = 200 << 20
_LIMIT = 16 << 20
_LIMIT_OF_PARTS = 64 << 20  # a client of a server holds several parts that are on their way

DISKS = [entry for entry in STORES if entry.shared]


def _limit(entry: StoreUnderTest) -> int:
    return _LIMIT_OF_PARTS if entry.needs else _LIMIT


def _size(entry: StoreUnderTest) -> int:
    return _SIZE // 2 if entry.needs else _SIZE  # far beyond the limit all the same


def _peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _read_all(store: Store) -> int:
    with store.get_data("large") as stream:
        return sum(map(len, iter(lambda: stream.read(1 << 20), b"")))


@pytest.mark.parametrize("entry", DISKS, ids=str)
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a transaction"])
def test_a_long_stream_passes_in_constant_memory(
    entry: StoreUnderTest, directory: Path, inside: bool
) -> None:
    size = _size(entry)
    with entry.open(directory) as store:
        pattern(1 << 20)
        if inside:
            with store.transaction():
                assert _peak(lambda: store.put("large", Generated(size))) < _limit(entry)
                assert _peak(lambda: store.copy("large", "copy")) < _limit(entry)
                store.delete("copy")
        else:
            assert _peak(lambda: store.put("large", Generated(size))) < _limit(entry)
        assert store.get("large").size == size
        assert _peak(lambda: _read_all(store)) < _limit(entry)
        with store.get_data_range("large", size - 100) as stream:
            assert len(stream.read()) == 100


@pytest.mark.parametrize("entry", DISKS, ids=str)
def test_a_file_without_lines_passes_in_constant_memory(
    entry: StoreUnderTest, directory: Path, tmp_path: Path
) -> None:
    source, target, size = tmp_path / "source", tmp_path / "target", _size(entry)
    with open(source, "wb") as file:
        file.truncate(size)
    with entry.open(directory) as store:
        assert _peak(lambda: store.from_file("large", source)) < _limit(entry)
        with open(source, "rb") as file:
            assert _peak(lambda: store.put("large", file)) < _limit(entry)
        assert _peak(lambda: store.to_file("large", target)) < _limit(entry)
    assert target.stat().st_size == size
    source.unlink()
    target.unlink()
