"""Versions: what is undone leaves no file, what is held stays, and nothing is left open."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hashdir_tools import (
    KIB,
    MIB,
    OopsError,
    check_tree,
    files_of,
    folders_of,
    opened,
    put_plain,
    sessions_of,
    versions_of,
)

from encore.errors import ConflictError, StoreFullError
from encore.storage.api import HashdirStore
from encore.storage.backends.hashdir import writing
from encore.testing.laws import in_thread, seen
from encore.testing.sources import Failing, Generated, SourceBroke, Trickle, pattern

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the Linux kernel")
is_root = hasattr(os, "geteuid") and os.geteuid() == 0

_WRITES: dict[str, Callable[[HashdirStore], object]] = {
    "put": lambda s: s.put("a", pattern(2000, 1)),
    "put a stream": lambda s: s.put("a", Trickle(pattern(3 * MIB, 1), 65536)),
    "put a new key": lambda s: s.put("b", pattern(2000, 1)),
    "multiset": lambda s: s.multiset({"a": b"1", "b": pattern(2 * MIB), "c": b"3"}),
    "copy": lambda s: s.copy("a", "b"),
    "move": lambda s: s.move("a", "b"),
    "delete": lambda s: s.delete("a"),
    "clear": lambda s: s.clear(),
    "several": lambda s: (s.put("a", b"1"), s.put("a", b"2"), s.delete("a"), s.put("a", b"3")),
}
_EACH = pytest.mark.parametrize("write", _WRITES.values(), ids=_WRITES)
_OLD = {"a": (pattern(200000), {"old": 1})}


@pytest.fixture
def store(directory: Path) -> Iterator[HashdirStore]:
    with opened(directory) as store:
        store.put("a", pattern(200000), {"old": 1})
        yield store
    assert sessions_of(directory) == []


# -- what is undone -------------------------------------------------------------------------------


@_EACH
def test_what_is_rolled_back_leaves_no_file(
    store: HashdirStore, directory: Path, write: Callable[[HashdirStore], object]
) -> None:
    before = files_of(directory)
    with suppress(OopsError), store.transaction():
        write(store)
        raise OopsError
    assert files_of(directory) == before
    assert folders_of(directory) == []
    assert seen(store) == _OLD


@_EACH
def test_an_inner_block_that_is_undone_leaves_no_file(
    store: HashdirStore, directory: Path, write: Callable[[HashdirStore], object]
) -> None:
    with store.transaction():
        store.put("mine", b"mine")
        store.set_metadata("a", {"old": 2})
        before = files_of(directory)
        with suppress(OopsError), store.transaction():
            write(store)
            raise OopsError
        assert files_of(directory) == before
    store.close()
    check_tree(directory, {"a": (pattern(200000), {"old": 2}), "mine": (b"mine", {})})


@_EACH
def test_what_is_committed_leaves_the_files_of_its_records_only(
    store: HashdirStore, directory: Path, write: Callable[[HashdirStore], object]
) -> None:
    with store.transaction(), store.transaction():
        write(store)
    expected = seen(store)
    store.close()
    check_tree(directory, expected)


@pytest.mark.parametrize("point", [0, 70000, MIB + 1, 5 * MIB])
@pytest.mark.parametrize("inside", [False, True])
def test_a_source_that_fails_leaves_no_file(
    store: HashdirStore, directory: Path, point: int, inside: bool
) -> None:
    before = files_of(directory)

    def write() -> None:
        with pytest.raises(SourceBroke):
            store.put("a", Failing(pattern(point)))

    if inside:
        with store.transaction():
            write()
    else:
        write()
    assert files_of(directory) == before
    assert [len(os.listdir(folder)) for folder in _session_folders(directory)] == [1]


def _session_folders(directory: Path) -> list[Path]:
    return [path for path in (directory / ".encore" / "sessions").iterdir() if path.is_dir()]


def test_a_write_that_the_index_refuses_leaves_no_file_in_the_transaction_around_it(
    store: HashdirStore, directory: Path
) -> None:
    index = store._connection()
    index.execute(
        "CREATE TEMP TRIGGER refuse BEFORE INSERT ON main.kv WHEN NEW.key='refused'"
        " BEGIN SELECT RAISE(ABORT, 'refused'); END"
    )
    with store.transaction():
        store.put("b", b"2")
        with pytest.raises(Exception, match="refused"):
            store.put("refused", b"no")
        store.put("c", b"3")
    index.execute("DROP TRIGGER refuse")
    store.close()
    check_tree(directory, {**_OLD, "b": (b"2", {}), "c": (b"3", {})})


def test_nobody_sees_a_file_before_its_record_is_committed(
    store: HashdirStore, directory: Path
) -> None:
    def look() -> None:
        assert seen(store) == _OLD
        with opened(directory) as other:
            assert seen(other) == _OLD

    with store.transaction():
        store.put("a", pattern(2 * MIB, 1))
        store.put("b", b"new")
        assert len(versions_of(directory, "a")) == 2
        in_thread(look)
    assert len(versions_of(directory, "a")) == 1


# -- what is held ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, 70000, 3 * MIB])
def test_a_replaced_version_is_read_to_its_end(directory: Path, size: int) -> None:
    with opened(directory) as store, opened(directory) as other:
        store.put("a", pattern(size))
        held = store.get("a")
        stream = held.data
        head = stream.read(50)
        for number in range(3):
            other.put("a", pattern(size, number + 1))
            other.delete("a")
        assert files_of(directory) == {}
        assert head + stream.read() == pattern(size)
        with held.range(10, 60) as part:
            assert part.read() == pattern(size)[10:60]
        held.close()


def test_a_listing_goes_on_while_its_values_are_replaced(directory: Path) -> None:
    keys = [f"{number:03}" for number in range(250)]
    with opened(directory) as store, opened(directory) as other:
        store.multiset({key: pattern(70000) for key in keys})
        met = 0
        for key, value in store.items():
            if met == 0:  # the records of the first page have been read by now
                other.multiset({key: pattern(100, 1) for key in keys[50:]})
                other.delete("120")
            data = value.read()
            assert data in (pattern(70000), pattern(100, 1)), key
            value.close()
            met += 1
        assert met == 249


_READS: dict[str, Callable[[HashdirStore], object]] = {
    "read": lambda s: s.read("a"),
    "get": lambda s: s.get("a").read(),
    "range": lambda s: s.get_data_range("a", 0, 3).read(),
    "exists": lambda s: s.exists("a") and b"new",
    "multiget": lambda s: next(s.multiget(["a"])).read(),
    "items": lambda s: {k: v.read() for k, v in s.items()}.get("a", b"new"),
}


@pytest.mark.parametrize("plain", [False, True], ids=["version", "plain"])
@pytest.mark.parametrize("read", _READS.values(), ids=_READS)
def test_a_reader_who_comes_too_late_for_a_file_looks_again(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[HashdirStore], object],
    plain: bool,
) -> None:
    if plain:
        put_plain(directory, "a", b"old")
    with opened(directory) as store, opened(directory) as other:
        if not plain:
            store.put("a", b"old")
        tree = store._files()
        for name in ("open", "status"):
            look: Any = getattr(tree, name)

            def late(place: Any, look: Any = look) -> Any:
                if other.read("a") == b"old":
                    other.put("a", b"new")  # after the record has been looked up
                return look(place)

            monkeypatch.setattr(tree, name, late)
        assert read(store) == b"new"


def test_a_value_read_in_a_transaction_is_refused_once_it_is_too_late(directory: Path) -> None:
    with opened(directory) as store:
        with store.transaction():
            store.put("a", pattern(3000))
            store.put("b", pattern(3000))
            gone, there = store.get("a"), store.get("b")
        store.put("a", b"new")
        with pytest.raises(ConflictError, match="'a'"):
            gone.read()
        assert there.read() == pattern(3000)
        there.close()


@linux
def test_nothing_is_left_open(directory: Path) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    with opened(directory) as store:
        store.multiset({f"{number}": pattern(70000 * number) for number in range(4)})
        store.get("1").close()
        before = count()
        for number in range(30):
            for key in "0123":
                store.read(key)
                store.exists(key)
                store.get_metadata(key)
                value = store.get(key)
                value.read()
                value.close()
                store.get_data_range(key, 5, 100).close()
            with pytest.raises(KeyError):
                store.read("missing")
            with pytest.raises(SourceBroke):
                store.put("3", Failing(pattern(2 * MIB)))
            with suppress(OopsError), store.transaction():
                store.put("2", Trickle(pattern(2 * MIB), 65536))
                store.copy("1", "copy")
                store.get("2").read()
                raise OopsError
            store.put("2", pattern(100000, number))
            store.copy("2", "copy")
            store.delete("copy")
        assert count() <= before


def test_memory_stays_flat(directory: Path) -> None:
    size = 100 * MIB
    with opened(directory) as store:
        store.put("warm", pattern(MIB))
        tracemalloc.start()
        try:
            store.put("large", Generated(size))
            store.copy("large", "copy")
            for _ in store.get("copy").iterdata():
                pass
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8 * MIB


# -- the list of a session ------------------------------------------------------------------------


def test_a_long_list_is_begun_anew(
    store: HashdirStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_LONG_LIST", 1000)
    sizes = []
    for number in range(100):
        store.put("a", pattern(100, number))
        (folder,) = _session_folders(directory)
        sizes.append((folder / "list").stat().st_size)
    assert max(sizes) < 1100
    with store.transaction():
        for number in range(100):
            store.put(f"{number}", b"1")
        assert (folder / "list").stat().st_size > 2000, "these are not decided yet"


@pytest.fixture
def stubborn(directory: Path) -> Iterator[Path]:
    """A store in whose directories nothing can be removed, after a while."""
    if not is_root:
        pytest.skip("only root can mount")
    root = directory / "store"
    with opened(root) as store:
        store.put("a", pattern(1000))
    (path,) = versions_of(root, "a")
    leaf = str(path.parent)
    done = subprocess.run(["mount", "--bind", leaf, leaf], capture_output=True)
    if done.returncode:
        pytest.skip("mounting is not allowed here")
    yield path
    subprocess.run(["umount", "-l", leaf], capture_output=True)


def test_what_cannot_be_removed_now_is_removed_later(stubborn: Path, directory: Path) -> None:
    root, leaf = directory / "store", str(stubborn.parent)
    with opened(root) as store:
        store.put("b", b"2")
        subprocess.run(["mount", "-o", "remount,bind,ro", leaf], capture_output=True, check=True)
        store.delete("a")  # the commit cannot fail any more
        assert [*store] == ["b"]
        assert stubborn.exists()
    assert sessions_of(root) != [], "there is something left to be done"
    subprocess.run(["umount", leaf], capture_output=True, check=True)
    assert stubborn.exists()
    with opened(root):
        assert not stubborn.exists()
    check_tree(root, {"b": (b"2", {})})


@pytest.mark.parametrize("kind", ["bytes", "stream", "inside", "many", "metadata"])
def test_a_full_disk_leaves_everything_as_it_was(directory: Path, kind: str) -> None:
    if not is_root:
        pytest.skip("only root can mount")
    place = directory / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with opened(place / "store") as store:
            store.put("a", pattern(100000), {"old": 1})
            before = files_of(place / "store")
            with pytest.raises(StoreFullError):
                _fill(store, kind)
            assert files_of(place / "store") == before
            store.put("c", b"usable")
        check_tree(place / "store", {"a": (pattern(100000), {"old": 1}), "c": (b"usable", {})})
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _fill(store: HashdirStore, kind: str) -> None:
    if kind == "bytes":
        store.put("a", pattern(40 * MIB), {"new": 1})
    elif kind == "stream":
        store.put("a", Generated(40 * MIB), {"new": 1})
    elif kind == "inside":
        with store.transaction():
            store.put("b", b"1")
            store.put("a", Generated(40 * MIB), {"new": 1})
    elif kind == "metadata":  # the log of the index took all the room, and kept it
        store.set_metadata("a", {"text": "y" * (30 * MIB)})
    else:
        store.multiset({f"k{number}": pattern(50 * KIB, number) for number in range(800)})


# -- durability -----------------------------------------------------------------------------------


class Watch:
    """What a store waits the disk for, and when it commits, in order."""

    def __init__(self, store: HashdirStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        self._root = str(store._place)
        fsync = os.fsync

        def watched(descriptor: int) -> None:
            name = os.readlink(f"/proc/self/fd/{descriptor}")
            self.seen.append(name.removeprefix(self._root).lstrip("/") or "root")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", watched)
        connection: sqlite3.Connection = store._connection()
        connection.set_trace_callback(self._trace)

    def _trace(self, statement: str) -> None:
        if statement == "COMMIT":
            self.seen.append(statement)


@linux
@pytest.mark.parametrize("stream", [False, True])
def test_with_power_everything_is_durable_before_the_commit(
    directory: Path, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    with opened(directory, durability="power") as store:
        store.put("warm", b"1")
        watch = Watch(store, monkeypatch)
        store.put("a", Trickle(pattern(3 * MIB), 65536) if stream else pattern(1000))
        (path,) = versions_of(directory, "a")
        place = path.relative_to(directory)
        seen = watch.seen[: watch.seen.index("COMMIT")]
        lists = {name for name in seen if name.endswith("/list")}
        assert lists
        if stream:
            data = seen[0]
            assert data.startswith(".encore/sessions/"), "before it was moved to its place"
        else:
            data = str(place)
            assert data in seen
        parents = {str(parent) for parent in place.parents} - {"."} | {"root"}
        assert set(seen) - lists - {data} == parents
        watch.seen.clear()
        store.put("a", b"again")
        (path,) = versions_of(directory, "a")
        directories = [name for name in watch.seen if name in parents]
        assert directories == [str(place.parent)], "those above it have not changed"


@linux
def test_without_power_nothing_waits_for_the_disk(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(directory) as store:
        store.put("warm", b"1")
        watch = Watch(store, monkeypatch)
        store.put("a", pattern(1000))
        store.put("a", Trickle(pattern(3 * MIB), 65536))
        store.delete("a")
        assert set(watch.seen) == {"COMMIT"}


def test_readers_in_threads_see_whole_versions(directory: Path) -> None:
    with opened(directory) as store:
        store.put("a", pattern(150000, 0))
        rounds: list[Any] = []

        def write() -> None:
            for number in range(1, 60):
                store.put("a", pattern(150000, number % 7))
            rounds.append(None)

        writer = threading.Thread(target=write)
        writer.start()
        expected = {pattern(150000, number) for number in range(7)}
        while not rounds:
            assert store.read("a") in expected
            with store.get("a") as data:
                assert data.read() in expected
        writer.join()
