"""More than zip could hold at first: 4 GiB, 65535 entries; and memory that stays flat."""

from __future__ import annotations

import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from zip_tools import check_archive, contents_of, opened, program

from encore.storage.backends.zip.headers import Entry
from encore.storage.backends.zip.records import central_record, end_of_archive, local_header
from encore.testing.sources import MIB, Generated, pattern

_GIB = 1 << 30
_LIMIT = 16 << 20


@pytest.fixture
def path(directory: Path) -> Path:
    return directory / "store.zip"


def make_sparse(path: Path, size: int) -> None:
    """An archive with a stored entry of zeros that takes no room, and a small one behind it."""
    entries = []
    with open(path, "wb") as file:
        for name, length, data in (("zeros", size, b""), ("after", 5, b"after")):
            crc = zlib.crc32(data)  # of the zeros it is wrong, and nobody reads all of them
            entry = Entry(name.encode(), 0, 0, 0x50210000, crc, length, length, file.tell(), b"")
            file.write(local_header(entry))
            if data:
                file.write(data)
            else:
                file.seek(length, 1)
            entries.append(entry)
        directory = b"".join(map(central_record, entries))
        start = file.tell()
        file.write(directory)
        file.write(end_of_archive(len(entries), start, len(directory), b""))


def test_entries_beyond_four_gigabytes(path: Path) -> None:
    size = 5 * _GIB + 12345
    make_sparse(path, size)
    with zipfile.ZipFile(path) as archive:
        zeros, after = archive.infolist()
        assert zeros.file_size == zeros.compress_size == size
        assert after.header_offset > size
        assert archive.read("after") == b"after"
    with opened(path) as store:
        assert store.totals() == (2, size + 5)
        assert store.read("after") == b"after"
        with store.get_data_range("zeros", size - 10) as part:
            assert part.read() == bytes(10)
        with store.get_data_range("zeros", 4 * _GIB + 5, 4 * _GIB + 15) as part:
            assert part.read() == bytes(10)
        store.put("new", b"new")
        store.delete("zeros")
    assert check_archive(path) == {"after": b"after", "new": b"new"}
    assert path.stat().st_size < 1000


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("compression", ["deflated", "stored"])
def test_values_of_more_than_four_gigabytes(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "store.zip"
    size = 4 * _GIB + 777
    with opened(path, compression) as store:
        store.put("large", Generated(size), {"n": 1})
        store.put("small", b"behind it")
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("large").file_size == size
        assert archive.testzip() is None
    with opened(path, compression) as store:
        store.set_metadata("large", {"n": 2})
        store.put("small", b"again")
    with opened(path, readonly=True) as store:
        assert store.get_metadata("large") == {"n": 2}
        assert store.read("small") == b"again"
        assert sum(map(len, store.get("large").iterdata())) == size
    unzip = program("unzip")
    assert unzip("-tq", path).returncode == 0
    path.unlink()


def test_more_entries_than_sixteen_bits_count(path: Path) -> None:
    count = 66_000
    with opened(path, "stored") as store:
        store.multiset({f"{number:06}": b"%d" % number for number in range(count)})
        assert len(store) == count
        store.put("last", b"1")
        store.delete("000003")
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == count
        assert archive.read("065999") == b"65999"
    with opened(path, readonly=True) as store:
        assert len(store) == count
        assert [*store.keys("0659", limit=2)] == ["065900", "065901"]
        assert store.read("last") == b"1"


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compression", ["deflated", "stored"])
def test_rewriting_takes_little_memory(path: Path, compression: str) -> None:
    with opened(path, compression) as store:
        store.put("large", Generated(40 * MIB))
        store.put("other", Generated(20 * MIB))
        assert peak(store.compact) < _LIMIT
        store.put("small", b"1")
        store.set_metadata("large", {"n": 1})
        assert peak(store.compact) < _LIMIT
        with store.get_data("large") as stream:
            assert peak(lambda: stream.seek(39 * MIB) and stream.read(100)) < _LIMIT


def test_a_transaction_of_many_small_values_takes_little_memory(path: Path) -> None:
    def write() -> None:
        with store.transaction():
            for number in range(500):
                store.put(f"{number:03}", bytes(pattern(60_000, number % 2)))

    with opened(path, "stored") as store:
        assert peak(write) < _LIMIT
    assert len(contents_of(path)) == 500
