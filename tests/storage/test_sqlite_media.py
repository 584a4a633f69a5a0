"""SqliteStore on media that are read-only, or full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from encore.errors import (
    ReadOnlyError,
    StoreFullError,
)
from encore.storage.api import SqliteStore
from encore.testing.laws import state_of
from encore.testing.sources import Generated, pattern

MIB = 1 << 20
is_root = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def path(directory: Path) -> Path:
    return directory / "store.db"


@pytest.fixture
def unwritable(path: Path) -> Iterator[Path]:
    """A store in a directory that nobody can write to, not even root."""
    with SqliteStore(path) as store:
        store.put("a", b"1")
        store.put("large", pattern(200000))
    if is_root:
        on_disk = path.parent
        done = subprocess.run(
            ["mount", "--bind", "-o", "ro", str(on_disk), str(on_disk)], capture_output=True
        )
        if done.returncode == 0:
            subprocess.run(
                ["mount", "-o", "remount,bind,ro", str(on_disk)], capture_output=True, check=True
            )
            yield path
            subprocess.run(["umount", "-l", str(on_disk)], check=True)
            return
        pytest.skip("root can write everywhere, and may not mount here")
    os.chmod(path, 0o444)
    os.chmod(path.parent, 0o555)
    yield path
    os.chmod(path.parent, 0o755)


@pytest.mark.parametrize("readonly", [True, False])
def test_a_file_that_cannot_be_written_can_be_read(unwritable: Path, readonly: bool) -> None:
    with SqliteStore(unwritable, readonly=readonly) as store:
        assert store.read("a") == b"1"
        assert store.get("large").read() == pattern(200000)
        with pytest.raises(ReadOnlyError):
            store.put("b", b"2")
        with pytest.raises(ReadOnlyError), store.transaction():
            store.put("b", b"2")
        assert [*store.keys()] == ["a", "large"]


@pytest.fixture
def small_disk(directory: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    if not is_root:
        pytest.skip("only root can mount")
    place = directory / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True
    )
    if done.returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("kind", ["bytes", "stream", "inside", "many"])
def test_a_full_disk_leaves_everything_as_it_was(small_disk: Path, kind: str) -> None:
    store = SqliteStore(small_disk / "store.db")
    store.put("a", pattern(100000), {"old": 1})
    before = state_of(store, "a")
    with pytest.raises(StoreFullError) as caught:  # noqa: PT012
        if kind == "bytes":
            store.put("a", pattern(40 * MIB), {"new": 1})
        elif kind == "stream":
            store.put("a", Generated(40 * MIB), {"new": 1})
        elif kind == "inside":
            with store.transaction():
                store.put("b", b"1")
                store.put("a", Generated(40 * MIB), {"new": 1})
        else:
            store.multiset({f"k{number}": pattern(50000, number) for number in range(800)})
    assert isinstance(caught.value, OSError)
    assert state_of(store, "a") == before
    assert [*store.keys()] == ["a"]
    store.put("c", b"usable")
    store.close()
    with SqliteStore(small_disk / "store.db") as store:
        assert state_of(store, "a") == before
        assert [*store.keys()] == ["a", "c"]
        assert store._connection().execute("SELECT count(*) FROM staging").fetchone() == (0,)


def test_a_store_on_a_full_disk_says_so_when_it_is_opened(small_disk: Path) -> None:
    # There is no room for the file that the processes share; it was a "disk I/O error".
    with SqliteStore(small_disk / "store.db") as store:
        store.put("a", b"1")
    with open(small_disk / "others", "wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    with pytest.raises(StoreFullError), SqliteStore(small_disk / "store.db") as store:
        store.read("a")
    (small_disk / "others").unlink()
    with SqliteStore(small_disk / "store.db") as store:
        assert store.read("a") == b"1"
