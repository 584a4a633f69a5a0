"""Full disks, directories that may not be written, and waiting for the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fs_tools import leftovers, opened, photograph, state_of

from encore.errors import ReadOnlyError, StoreError, StoreFullError
from encore.streams import BufferIteratorIO


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("only the administrator may mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def source(size: int) -> Any:
    return BufferIteratorIO(b"x" * 65536 for _ in range(size // 65536))


def test_a_full_disk_leaves_everything_as_it_was(small_disk: Path) -> None:
    with opened(small_disk) as store:
        for key in ("a", "b", "d/c"):
            store.put(key, b"old" * 1000, {"old": key})
        before = state_of(store)
        large = b"x" * 3_000_000
        for write in (
            lambda: store.put("a", large),
            lambda: store.put("a", large, {"new": 1}),
            lambda: store.put("new/key", large),
            lambda: store.put("a", source(5_000_000)),
            lambda: store.multiset({"a": b"new", "b": large}),
            lambda: store.multiset({f"n{number}": b"x" * 5000 for number in range(1000)}),
            lambda: store.set_metadata("a", {"new": "y" * 3_000_000}),
        ):
            with pytest.raises(StoreFullError):
                write()
            assert state_of(store) == before
            assert leftovers(small_disk) == []
        store.put("a", b"new", {"new": 1})
        assert store.get_metadata("a") == {"new": 1}
        assert not (small_disk / "new").exists()


def test_a_disk_that_is_nearly_full_takes_a_commit_whole_or_not_at_all(small_disk: Path) -> None:
    with opened(small_disk) as store:
        store.put("fill", b"")
        committed = 0
        for number in range(1, 400, 7):
            batch = {f"k{key}": (b"%d" % number, {"n": number}) for key in range(number)}
            try:
                store.multiset(batch)
            except StoreFullError:
                break
            committed = number
            assert len(store) == number + 1
        assert 0 < committed < 393
        assert len(store) == committed + 1
        assert {store.get_metadata(f"k{key}")["n"] for key in range(committed)} == {committed}
        assert leftovers(small_disk) == []


def test_a_readonly_disk_is_a_readonly_store(small_disk: Path) -> None:
    with opened(small_disk) as store:
        store.put("a", b"a", {"x": 1})
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True)
    with opened(small_disk) as store:
        assert state_of(store) == {"a": (b"a", {"x": 1})}
        for write in (
            lambda: store.put("a", b"b"),
            lambda: store.put("new", b"b", {"x": 1}),
            lambda: store.delete("a"),
            lambda: store.set_metadata("a", {}),
        ):
            with pytest.raises(ReadOnlyError):
                write()
        assert state_of(store) == {"a": (b"a", {"x": 1})}


def test_a_volume_mounted_inside_is_read_and_not_half_written(small_disk: Path) -> None:
    with opened(small_disk.parent) as store:
        (small_disk / "there").write_bytes(b"there")
        assert store.read("disk/there") == b"there"
        with pytest.raises(StoreError, match="another volume"):
            store.put("disk/new", b"new")
        assert [*store.keys()] == ["disk/there"]
        assert leftovers(small_disk.parent) == []


def test_readonly_refuses_every_write_and_makes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put("a", b"a", {"x": 1})
    before = photograph(tmp_path)
    with opened(tmp_path, readonly=True) as store:
        assert store.info()["readonly"] is True
        for write in (
            lambda: store.put("a", b""),
            lambda: store.put("b", source(65536)),
            lambda: store.set("b", b""),
            lambda: store.set_data("a", b""),
            lambda: store.set_metadata("a", {}),
            lambda: store.update_metadata("a", {}),
            lambda: store.delete("a"),
            lambda: store.delete("gone", missing_ok=True),
            lambda: store.copy("a", "b"),
            lambda: store.move("a", "b"),
            lambda: store.clear(),
            lambda: store.multiset({"a": b""}),
            lambda: store.transaction().begin(),
        ):
            with pytest.raises(ReadOnlyError):
                write()
    assert photograph(tmp_path) == before


def test_a_source_that_fails_keeps_its_own_error(tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x" * 2_000_000
        raise PermissionError("the source may not be read")

    with opened(tmp_path) as store:
        store.put("a", b"old")
        with pytest.raises(PermissionError, match="the source") as caught:
            store.put("a", BufferIteratorIO(failing()))
        assert not isinstance(caught.value, StoreError)
        assert state_of(store) == {"a": (b"old", {})}
        assert leftovers(tmp_path) == []


class Watch:
    """Names the files that are synced and renamed, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        fsync, rename = os.fsync, os.rename

        def watched_fsync(descriptor: int) -> None:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            self.seen.append(f"sync {self._kind(path)}")
            fsync(descriptor)

        def watched_rename(source: Any, target: Any, **folders: Any) -> None:
            path = os.readlink(f"/proc/self/fd/{folders['dst_dir_fd']}") + "/" + target
            self.seen.append(f"rename {self._kind(path)}")
            rename(source, target, **folders)

        monkeypatch.setattr(os, "fsync", watched_fsync)
        monkeypatch.setattr(os, "rename", watched_rename)

    def _kind(self, path: str) -> str:
        _, _, inside = path.partition("/root")
        parts = inside.strip("/").split("/")
        if parts[0] != ".encore":
            return inside or "/"
        kind = "/".join(parts[1:2])
        return f"{kind}{'/*' if len(parts) > 2 else ''}{os.path.splitext(path)[1]}"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_power_syncs_what_a_rename_needs_before_it_and_the_rename_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "root", durability="power") as store:
        store.put("warm", b"")
        watch = Watch(monkeypatch)
        store.put("d/a", b"a", {"x": 1})
        seen = watch.seen
        renamed = seen.index("rename /d/a")
        assert "sync tmp/*.jsonl" in seen[:renamed]
        assert "sync meta/*.jsonl" in seen[:renamed]
        assert "sync meta" in seen[:renamed]
        assert [*seen[renamed + 1 :]] == ["sync /d", "sync /"]

        watch.seen.clear()
        store.multiset({"d/a": b"b", "e": (b"e", {"x": 2})})
        decided = watch.seen.index("rename txn/*.COMMIT")
        assert watch.seen[:decided].count("sync tmp/*") >= 2
        assert "sync txn/*.intent" in watch.seen[:decided]
        assert watch.seen[decided + 1] == "sync txn"
        assert watch.seen.index("rename /d/a") > decided


def test_process_durability_never_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> None:
        raise AssertionError("synced")

    monkeypatch.setattr(os, "fsync", refuse)
    with opened(tmp_path) as store:
        store.put("a", b"", {"x": 1})
        store.multiset({"a": b"b" * 100_000, "b": b""})
        store.delete("a")
