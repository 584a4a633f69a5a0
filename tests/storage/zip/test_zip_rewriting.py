"""When the archive is rewritten, and that rewriting copies what has not changed."""

from __future__ import annotations

import os
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from zip_tools import (
    check_archive,
    contents_of,
    make_foreign,
    opened,
    raw_entries,
    sidecar_of,
    state_of,
)

from encore.errors import ReadOnlyError, StoreError, TransactionError
from encore.storage.backends.zip import packing, writing
from encore.storage.backends.zip.headers import read_entry
from encore.storage.backends.zip.records import moved_record
from encore.testing.sources import MIB, Failing, Trickle, pattern


class OopsError(Exception):
    """What goes wrong in a transaction."""


@pytest.fixture
def path(directory: Path) -> Path:
    return directory / "store.zip"


def version_of(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def test_lone_writes_wait_beside_the_archive_until_it_is_closed(path: Path) -> None:
    with opened(path) as store:
        store.put("a", b"1")
        before = version_of(path)
        store.put("b", pattern(100000))
        store.put("c", Trickle(pattern(3 * MIB)))
        store.set_metadata("a", {"x": 1})
        store.copy("b", "d")
        store.move("d", "e")
        store.delete("b")
        assert version_of(path) == before
        assert check_archive(path) == {}
        assert store.info()["pending"] == 5
        assert contents_of(path) == state_of(store)
    assert not sidecar_of(path).exists()
    assert check_archive(path) == {"a": b"1", "c": pattern(3 * MIB), "e": pattern(100000)}


def test_a_transaction_ends_in_the_archive(path: Path) -> None:
    with opened(path) as store:
        store.put("lone", b"0")
        with store.transaction():
            store.put("a", b"1")
            with store.transaction():
                store.put("b", b"2")
            assert check_archive(path) == {}
        assert check_archive(path) == {"lone": b"0", "a": b"1", "b": b"2"}
        assert store.info()["pending"] == 0
        store.multiset({"c": b"3"})
        assert "c" in check_archive(path)


def fail_in_transaction(store: Any) -> None:
    with store.transaction():
        store.put("b", b"2")
        raise OopsError


@pytest.mark.parametrize("pending", [False, True])
def test_a_transaction_that_changes_nothing_rewrites_nothing(path: Path, pending: bool) -> None:
    with opened(path) as store:
        store.multiset({"a": b"1"})
        if pending:
            store.put("lone", b"0")
        before = version_of(path)
        with store.transaction():
            store.read("a")
        with store.transaction():
            pass
        with pytest.raises(OopsError):
            fail_in_transaction(store)
        assert version_of(path) == before
        if not pending:
            with store.transaction():
                store.put("b", b"2")
                store.delete("b")
            assert version_of(path) == before
    if not pending:
        assert version_of(path) == before


def test_reading_makes_nothing_beside_the_archive(path: Path) -> None:
    make_foreign(path, {"a": b"1"})
    before = version_of(path)
    with opened(path) as store:
        assert state_of(store) == {"a": (b"1", {})}
        assert os.listdir(path.parent) == ["store.zip"]
    assert version_of(path) == before
    assert os.listdir(path.parent) == ["store.zip"]


def test_many_lone_writes_are_folded_before_it_is_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_MOST_CHANGES", 50)
    monkeypatch.setattr(writing, "_MOST_BYTES", 200_000)
    with opened(path) as store:
        for number in range(60):
            store.put(f"{number:03}", b"x")
        assert len(check_archive(path)) == 51
        store.put("large", pattern(300_000))
        assert len(check_archive(path)) == 61
        for number in range(70):
            store.put("small", b"%d" % number)
        assert store.info()["pending"] == 1
    assert len(check_archive(path)) == 62


@pytest.mark.parametrize("compression", ["deflated", "stored"])
def test_what_has_not_changed_is_copied_as_it_stands(
    path: Path, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_foreign(path, {"foreign": b"foreign " * 5000, "z": pattern(3000)}, compresslevel=1)
    with opened(path, compression) as store:
        store.multiset({f"{number:02}": pattern(number * 3000, number) for number in range(20)})
        before = raw_entries(path)
        monkeypatch.setattr(packing, "pack", None)
        monkeypatch.setattr(packing.zlib, "decompressobj", None)
        with store.transaction():
            for key in ("03", "07", "foreign", "19"):
                store.delete(key)
            store.set_metadata("11", {"changed": True})
        after = raw_entries(path)
        assert after == {key: before[key] for key in after}
        assert before.keys() - after.keys() == {"03", "07", "foreign", "19"}
        store.move("12", "moved")
        store.copy("13", "copied")
        store.compact()
        last = raw_entries(path)
    assert last["moved"] == before["12"]
    assert last["copied"] == before["13"]
    monkeypatch.undo()
    assert contents_of(path)["11"] == (pattern(33000, 11), {"changed": True})
    check_archive(path)


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a transaction"])
def test_large_data_is_packed_once(
    path: Path, inside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = 0
    original = packing.zlib.compressobj

    def counting(*arguments: Any) -> Any:
        nonlocal packed
        packed += 1
        return original(*arguments)

    with opened(path) as store:
        monkeypatch.setattr(packing.zlib, "compressobj", counting)
        if inside:
            with store.transaction():
                store.put("a", Trickle(pattern(3 * MIB)))
        else:
            store.put("a", Trickle(pattern(3 * MIB)))
            store.compact()
    assert packed == 1
    assert check_archive(path) == {"a": pattern(3 * MIB)}


def test_compact_drops_bytes_that_no_entry_has(path: Path) -> None:
    make_foreign(path, {"a": b"1", "b": pattern(100000), "c": b"3"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("d", b"4")
        del archive.filelist[1]
        archive.NameToInfo.pop("b")
    size = path.stat().st_size
    assert size > 100000
    with opened(path) as store:
        assert list(store) == ["a", "c", "d"]
        store.compact()
        assert path.stat().st_size < 1000
        assert store.info()["archive_bytes"] == path.stat().st_size
        assert {key: data for key, (data, _) in state_of(store).items()} == check_archive(path)


def test_compact_folds_and_leaves_no_trace(path: Path) -> None:
    with opened(path) as store:
        store.put("a", b"1")
        store.compact()
        assert check_archive(path) == {"a": b"1"}
        before = path.read_bytes()
        store.compact()
        assert path.read_bytes() == before
        with store.transaction(), pytest.raises(TransactionError, match="compact"):
            store.compact()
    with opened(path, readonly=True) as store, pytest.raises(ReadOnlyError):
        store.compact()
    assert os.listdir(path.parent) == ["store.zip"]


def test_permissions_and_links_stay(path: Path) -> None:
    real = path.parent / "real" / "data.zip"
    with opened(real) as store:
        store.put("a", b"1")
    real.chmod(0o640)
    path.symlink_to(real)
    with opened(path) as store:
        store.put("b", b"2")
        assert sidecar_of(real).exists()
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert check_archive(real) == {"a": b"1", "b": b"2"}


def test_a_commit_stands_even_if_the_archive_cannot_be_rewritten(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    store = opened(path)
    store.multiset({"a": b"1"})
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(writing, "put_in_place", fail)
        with store.transaction():
            store.put("b", pattern(200000))
        assert "is safe beside the archive" in caplog.text
        expected = {"a": (b"1", {}), "b": (pattern(200000), {})}
        assert state_of(store) == contents_of(path) == expected
        with pytest.raises(StoreError, match="no room"):
            store.close()
    assert not store.is_connected()
    assert path.read_bytes() == before
    assert contents_of(path) == expected
    with opened(path) as again:
        assert state_of(again) == expected
    assert check_archive(path) == {"a": b"1", "b": pattern(200000)}
    assert os.listdir(path.parent) == ["store.zip"]


def test_a_write_that_fails_in_the_side_car_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from encore.errors import StoreFullError

    with opened(path) as store:
        store.put("a", b"old", {"old": 1})
        before = state_of(store)
        original = os.pwrite

        def full(descriptor: int, data: Any, offset: int) -> int:
            original(descriptor, memoryview(data)[: len(data) // 2], offset)
            raise OSError(28, "No space left on device")

        for write in (
            lambda: store.put("a", b"new"),
            lambda: store.put("new", Trickle(pattern(3 * MIB))),
            lambda: store.multiset({"a": b"new", "b": pattern(300000)}),
            lambda: store.delete("a"),
            lambda: store.set_metadata("a", {}),
        ):
            monkeypatch.setattr(os, "pwrite", full)
            with pytest.raises(StoreFullError, match="no room"):
                write()
            monkeypatch.undo()
            assert state_of(store) == before == contents_of(path)
        store.put("b", b"usable")
    assert check_archive(path) == {"a": b"old", "b": b"usable"}


def _refusing(call: Any, is_refused: Any) -> Any:
    """A call of the system that fails for some of its first arguments."""

    def refusing(first: Any, *arguments: Any, **options: Any) -> Any:
        if is_refused(first):
            raise OSError(5, "Input/output error")
        return call(first, *arguments, **options)

    return refusing


def _is_file(name: str) -> Any:
    return lambda path: os.path.basename(os.fspath(path)).startswith(name)


def test_a_log_that_cannot_be_removed_keeps_the_data_it_speaks_of(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The data went all the same, and reading it was given up: "rewritten all the time".
    expected = {"a": (pattern(300000), {}), "b": (b"1", {})}
    with opened(path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", _refusing(os.unlink, _is_file("changes")))
            with store.transaction():
                store.put("a", pattern(300000))
                store.put("b", b"1")
        assert state_of(store) == expected == contents_of(path)
        store.put("b", b"2")
    assert check_archive(path) == {"a": pattern(300000), "b": b"2"}
    assert os.listdir(path.parent) == ["store.zip"]


def test_data_that_cannot_be_removed_goes_with_the_next_write(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It kept the side-car, when the store was closed, for good.
    with opened(path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", _refusing(os.unlink, _is_file("data-")))
            with store.transaction():
                store.put("a", pattern(300000))
        store.put("b", b"1")
    assert check_archive(path) == {"a": pattern(300000), "b": b"1"}
    assert os.listdir(path.parent) == ["store.zip"]


def test_a_lock_that_cannot_be_cleared_leaves_a_commit_done(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The commit was reported to have failed, and had not.
    with opened(path) as store:
        store.put("b", b"0")
        with monkeypatch.context() as patch:
            patch.setattr(os, "ftruncate", _refusing(os.ftruncate, lambda _descriptor: True))
            with store.transaction():
                store.put("a", b"1")
        store.put("b", b"1")
    assert check_archive(path) == {"a": b"1", "b": b"1"}


@pytest.mark.skipif(not hasattr(os, "pread"), reason="reads in another way there")
def test_data_that_cannot_be_read_is_an_error_of_the_store_where_it_is_copied(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It was the system's own error.
    with opened(path) as store:
        store.put("a", b"1" * 5000)
        with store.transaction(), monkeypatch.context() as patch:
            patch.setattr(os, "pread", _refusing(os.pread, lambda _descriptor: True))
            with pytest.raises(StoreError):
                store.copy("a", "b")
    assert check_archive(path) == {"a": b"1" * 5000}


def test_records_move_beyond_four_gigabytes_and_back(path: Path) -> None:
    with opened(path) as store:
        store.put("a", b"1", {"x": 1})
    data = path.read_bytes()
    at = data.index(b"PK\1\2")
    record = data[at : data.index(b"PK\5\6")]
    far = moved_record(record, 0, len(record), 5 << 30)
    entry = read_entry(far, 0)
    assert entry.offset == 5 << 30
    near = read_entry(moved_record(far, 0, len(far), 77), 0)
    assert near.offset == 77
    assert near == read_entry(record, 0)._replace(offset=77, extra=near.extra)
    wide = read_entry(record, 0)
    assert (wide.size, wide.packed_size) == (entry.size, entry.packed_size)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")
@pytest.mark.parametrize("within", [False, True], ids=["alone", "in a transaction"])
def test_an_error_that_somebody_keeps_keeps_no_file_open(path: Path, within: bool) -> None:
    with opened(path) as store:
        store.put("a", Trickle(pattern(3 * MIB)))
        before = len(os.listdir("/proc/self/fd"))
        with store.transaction() if within else nullcontext():
            store.put("b", b"1")
            with pytest.raises(OopsError) as kept:
                store.put("c", Failing(pattern(3 * MIB), OopsError()))
        assert len(os.listdir("/proc/self/fd")) <= before
        assert kept.value.__traceback__ is not None
