"""What may hold secrets is nobody else's to read, at no moment, whatever the umask."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from encore.history import History
from encore.storage.api import (
    DictStore,
    FilesystemStore,
    HashdirStore,
    SqliteStore,
    Value,
    ZipStore,
)
from encore.streams.spill import SpillFile
from encore.testing.sources import MIB, Trickle, pattern


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path | str) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def readable_by_others(root: Path) -> list[str]:
    """The files below a directory that others can get at, their directories considered."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if mode(Path(folder, name)) & 0o005]
        found += [str(Path(folder, name)) for name in files if mode(Path(folder, name)) & 0o044]
    return found


class Spy(Trickle):
    """A stream that looks, while it is being read, for files that others may read."""

    def __init__(self, data: bytes, root: Path) -> None:
        super().__init__(data)
        self.root = root
        self.seen: set[str] = set()

    def read(self, size: int = -1) -> bytes:
        self.seen.update(
            path for path in readable_by_others(self.root) if os.stat(path).st_size > 60_000
        )
        return super().read(size)


WRITES: dict[str, Any] = {
    "small": lambda store, spy: store.put("secret", b"new"),
    "large": lambda store, spy: store.put("secret", spy),
    "large bytes": lambda store, spy: store.put("secret", pattern(3 * MIB)),
    "set_data": lambda store, spy: store.set_data("secret", spy),
    "value": lambda store, spy: store.set("secret", Value(pattern(3 * MIB), {"a": 1})),
    "import": lambda store, spy: store.import_values([("secret", Value(spy))]),
    "several": lambda store, spy: store.multiset({"secret": spy, "other": b""}),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_replaces_a_private_file_was_never_open(tmp_path: Path, write: Any) -> None:
    """Temporary files had the permissions of new ones until they were in place."""
    with FilesystemStore(tmp_path) as store:
        store.put("secret", b"old", {"n": 1})
        (tmp_path / "secret").chmod(0o600)
        spy = Spy(pattern(3 * MIB), tmp_path)
        write(store, spy)
        assert spy.seen == set()
        assert mode(tmp_path / "secret") == 0o600


def test_a_small_write_is_private_from_its_first_byte(tmp_path: Path) -> None:
    seen: list[str] = []

    def look(frame: Any, event: str, _: Any) -> Any:
        if event == "return" and frame.f_code.co_name == "write_all":
            seen.extend(readable_by_others(tmp_path / ".encore/tmp"))
        return look

    with FilesystemStore(tmp_path) as store:
        store.put("secret", b"old")
        (tmp_path / "secret").chmod(0o600)
        readable = len(readable_by_others(tmp_path / ".encore/tmp"))  # locks, which are empty
        sys.settrace(look)
        try:
            store.put("secret", b"new", {"n": 1})
        finally:
            sys.settrace(None)
    assert seen
    assert len({*seen}) == readable


@pytest.mark.parametrize("size", [10, 3 * MIB])
@pytest.mark.parametrize("move", [False, True])
def test_a_copy_is_no_more_open_than_what_it_is_of(tmp_path: Path, size: int, move: bool) -> None:
    """A private file that was moved could be read by everybody."""
    with FilesystemStore(tmp_path) as store:
        store.put("secret", pattern(size))
        (tmp_path / "secret").chmod(0o600)
        store.put("tool", b"#!/bin/sh")
        (tmp_path / "tool").chmod(0o755)
        act = store.move if move else store.copy
        act("secret", "target")
        act("tool", "bin/tool")
        assert store.read("target") == pattern(size)
    assert mode(tmp_path / "target") == 0o600
    assert mode(tmp_path / "bin/tool") == 0o755


def test_what_a_history_keeps_of_a_private_file_is_private(tmp_path: Path) -> None:
    with FilesystemStore(tmp_path) as store, History(store) as history:
        store.put("secret", pattern(100_000))
        (tmp_path / "secret").chmod(0o600)
        store.put("secret", b"new")
        (kept,) = (
            path
            for path in (tmp_path / ".encore/history").iterdir()
            if path.stat().st_size > 60_000
        )
        assert mode(kept) == 0o600
        history.undo()
    assert mode(tmp_path / "secret") == 0o600


def test_a_side_car_is_as_private_as_its_archive(tmp_path: Path) -> None:
    """Changes that wait beside a private archive could be read by everybody."""
    path = tmp_path / "a.zip"
    for archive, beside in ((0o600, 0o700), (0o644, 0o755), (0o640, 0o750)):
        ZipStore(path).close()
        path.touch()
        path.chmod(archive)
        with ZipStore(path) as store:
            store.put("secret", b"lone")
            assert mode(f"{path}-encore") == beside
            spy = Spy(pattern(3 * MIB), tmp_path)
            store.put("large", spy)
            assert bool(spy.seen) == bool(archive & 0o044)
        assert mode(path) == archive


def test_files_of_a_database_are_as_private_as_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    SqliteStore(path).connect()
    path.chmod(0o600)
    with SqliteStore(path) as store:
        store.put("secret", pattern(MIB))
        assert {mode(file) for file in tmp_path.iterdir()} == {0o600}
        assert len([*tmp_path.iterdir()]) > 1


def test_a_private_directory_makes_everything_in_it_private(tmp_path: Path) -> None:
    for kind in (HashdirStore, FilesystemStore):
        place = tmp_path / kind.__name__
        place.mkdir(0o700)
        with kind(place) as store:
            store.put("a", pattern(MIB), {"secret": True})
        assert readable_by_others(tmp_path) == []


def test_stores_in_memory_and_spilled_streams_are_private(monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteStore(":memory:") as store:
        store.put("secret", pattern(MIB))
        folder = Path(store._settings.path).parent
        assert mode(folder) == 0o700
    spill = SpillFile()
    spill.put(b"secret")
    file: Any = spill._opened()
    found = os.fstat(file.fileno())
    assert found.st_nlink == 0 or stat.S_IMODE(found.st_mode) == 0o600
    spill.close() if hasattr(spill, "close") else file.close()


def test_to_file_writes_privately_until_all_is_there(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"")
    target.chmod(0o600)
    with DictStore() as store:
        store.put("a", pattern(3 * MIB))
        store.to_file("a", target)
    assert mode(target) == 0o600
