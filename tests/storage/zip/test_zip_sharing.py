"""Threads and processes that share an archive, and values that outlive what they came from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from zip_tools import (
    check_archive,
    contents_of,
    make_foreign,
    opened,
    sidecar_of,
    state_of,
)

from encore.errors import LockTimeoutError, ReadOnlyError, StoreError
from encore.storage.backends.zip import ZipStore
from encore.testing.readonly import ReadOnlyConformance
from encore.testing.sources import MIB, Trickle, pattern

WRITER = """
import sys
from encore.storage.api import ZipStore
from encore.testing.sources import pattern

path, name, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
with ZipStore(path, timeout=60.0) as store:
    for number in range(times):
        with store.transaction():
            count = int(store.read("count"))
            store.put("count", str(count + 1).encode())
            store.put(f"{name}/{number}", pattern(number * 1000, number), {"n": number})
        store.put(f"{name}/lone", b"%d" % number)
"""

DYING = """
import os, signal, sys
from encore.storage.api import ZipStore
from encore.testing.sources import Trickle, pattern

store = ZipStore(sys.argv[1])
store.put("small", b"pending", {"pending": True})
store.put("large", Trickle(pattern(2 << 20)), {"n": 1})
store.delete("b")
if len(sys.argv) > 2:
    store.transaction("Left open").begin()
    store.put("c", Trickle(pattern(2 << 20)))
os.kill(os.getpid(), signal.SIGKILL)
"""

PENDING = {
    "a": (b"1", {}),
    "small": (b"pending", {"pending": True}),
    "large": (pattern(2 << 20), {"n": 1}),
}


@pytest.fixture
def path(directory: Path) -> Path:
    return directory / "store.zip"


@pytest.fixture
def dead(path: Path) -> Path:
    """An archive beside which a process has left changes when it died."""
    make_foreign(path, {"a": b"1", "b": b"2"})
    done = subprocess.run([sys.executable, "-c", DYING, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    return path


def photograph(root: Path) -> dict[str, Any]:
    """Everything about a tree that reading could change, access times excepted."""
    picture = {}
    for place in [root, *root.rglob("*")]:
        found = place.lstat()
        content = place.read_bytes() if place.is_file() else b""
        picture[str(place)] = (found.st_mode, found.st_ino, found.st_mtime_ns, content)
    return picture


# -- what waits beside the archive ----------------------------------------------------------------


def test_what_a_dead_process_left_is_seen_and_folded_by_the_next(dead: Path) -> None:
    assert check_archive(dead) == {"a": b"1", "b": b"2"}
    with opened(dead) as store:
        assert state_of(store) == PENDING
        assert store.info()["pending"] == 3
    assert check_archive(dead) == {key: data for key, (data, _) in PENDING.items()}
    assert os.listdir(dead.parent) == ["store.zip"]


def test_it_is_seen_without_writing_anything(dead: Path) -> None:
    before = photograph(dead.parent)
    with opened(dead, readonly=True) as store:
        assert state_of(store) == PENDING
        assert [*store.query_keys(n=1)] == ["large"]
        with store.get_data_range("large", 1_000_000, 1_000_100) as part:
            assert part.read() == pattern(2 << 20)[1_000_000:1_000_100]
    assert photograph(dead.parent) == before


def test_it_is_seen_where_nothing_can_be_written(dead: Path) -> None:
    mode = 0o555
    sidecar_of(dead).chmod(mode)
    dead.parent.chmod(mode)
    try:
        with opened(dead, readonly=True) as store:
            assert state_of(store) == PENDING
    finally:
        dead.parent.chmod(0o755)
        sidecar_of(dead).chmod(0o755)


def test_what_a_dead_process_had_not_committed_is_swept(path: Path) -> None:
    make_foreign(path, {"a": b"1", "b": b"2"})
    subprocess.run([sys.executable, "-c", DYING, str(path), "open"], check=False)
    with opened(path) as store:
        assert state_of(store) == PENDING
        store.put("d", b"")
        tmp = sidecar_of(path) / "tmp"
        assert [file for file in tmp.rglob("*") if file.is_file()] == []
    assert os.listdir(path.parent) == ["store.zip"]


def test_changes_outlive_an_archive_that_was_removed(dead: Path) -> None:
    dead.unlink()
    with opened(dead) as store:
        assert state_of(store) == {key: PENDING[key] for key in ("large", "small")}
    assert check_archive(dead).keys() == {"large", "small"}


def test_a_store_whose_archive_is_removed_says_so(path: Path) -> None:
    store = opened(path)
    store.multiset({"a": b"1"})
    path.unlink()
    with pytest.raises(StoreError, match="there is no archive"):
        store.read("a")
    store.close()


def test_a_program_that_ends_without_closing_leaves_its_changes_beside(path: Path) -> None:
    code = f"from encore.storage.api import ZipStore; ZipStore({str(path)!r}).put('a', b'1')"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert check_archive(path) == {}
    assert contents_of(path) == {"a": (b"1", {})}


class TestReadOnly(ReadOnlyConformance):
    @pytest.fixture(params=["folded", "beside"])
    def store(self, path: Path, request: pytest.FixtureRequest) -> Any:
        writer = opened(path)
        writer.multiset(self.content)
        if request.param == "beside":
            writer.put("a", b"data", {"x": 1})
            writer.put("b/c", Trickle(pattern(200000)), {"x": [2]})
        else:
            writer.close()
        before = photograph(path.parent)
        with opened(path, readonly=True) as store:
            yield store
        assert photograph(path.parent) == before
        writer.close()


# -- threads and processes ------------------------------------------------------------------------


def test_a_value_opened_before_a_rewriting_stays_what_it_was(path: Path) -> None:
    with opened(path, "stored") as store:
        store.multiset({"a": (pattern(3 * MIB, 1), {"n": 1})})
        store.put("lone", pattern(100_000, 2))
        store.put("streamed", Trickle(pattern(2 * MIB, 3)))
        held = {key: store.get(key) for key in store}
        streams = {key: store.get_data(key) for key in store}
        head = {key: stream.read(1000) for key, stream in streams.items()}
        for _ in range(3):
            store.multiset(dict.fromkeys(held, b"new"))
            store.clear()
            store.compact()
    path.unlink()
    for key, data in {
        "a": pattern(3 * MIB, 1),
        "lone": pattern(100_000, 2),
        "streamed": pattern(2 * MIB, 3),
    }.items():
        assert held[key].read() == data
        assert head[key] + streams[key].read() == data
        held[key].close()
        streams[key].close()


def test_many_held_values_cost_few_descriptors(path: Path) -> None:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("the system does not tell how many files are open")
    with opened(path) as store:
        store.multiset({f"{n:03}": pattern(70_000, n) for n in range(200)})
        before = len(os.listdir("/proc/self/fd"))
        values = [*store.multiget(f"{n:03}" for n in range(200))]
        assert [value.range(5, 10).read() for value in values]
        assert len(os.listdir("/proc/self/fd")) <= before + 2
        for value in values:
            value.close()


def test_threads_write_and_read_without_losing_anything(path: Path) -> None:
    store = opened(path, timeout=60.0)
    store.put("count", b"0")
    errors: list[BaseException] = []
    done = threading.Event()

    def write(name: str) -> None:
        for number in range(15):
            with store.transaction():
                store.put("count", str(int(store.read("count")) + 1).encode())
                store.put(f"{name}/{number}", pattern(number * 1000), {"n": number})
            store.put(f"{name}/lone", pattern(number * 10))

    def read() -> None:
        while not done.is_set():
            for key, value in store.items():
                data = value.read()
                assert key == "count" or data == pattern(len(data)), key
                value.close()

    def guarded(work: Any, *arguments: str) -> None:
        try:
            work(*arguments)
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=guarded, args=(write, name)) for name in "xyz"]
    reader = threading.Thread(target=guarded, args=(read,))
    for thread in [*writers, reader]:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert errors == []
    store.close()
    found = check_archive(path)
    assert found["count"] == b"45"
    assert len(found) == 1 + 3 * 16


def test_processes_write_in_turns_and_see_each_other(path: Path) -> None:
    with opened(path, timeout=60.0) as store:
        store.put("count", b"0")
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(path), name, "12"])
            for name in ("one", "two")
        ]
        seen = [0]
        while any(writer.poll() is None for writer in writers):
            seen.append(int(store.read("count")))
            for key in store.keys("one/"):
                value = store.get(key)
                number = value.metadata.get("n")
                assert number is None or value.read() == pattern(number * 1000, number)
                value.close()
        assert [writer.returncode for writer in writers] == [0, 0]
        assert seen == sorted(seen)
        assert store.read("count") == b"24"
        assert len(store) == 1 + 2 * 13
    assert len(check_archive(path)) == 1 + 2 * 13
    assert os.listdir(path.parent) == ["store.zip"]


def test_a_writer_who_waits_in_vain_is_told_for_whom(path: Path) -> None:
    with opened(path) as store, opened(path, timeout=0.05) as other:
        other.put("a", b"0")
        with store.transaction("Long"):
            store.put("a", b"1")
            with pytest.raises(LockTimeoutError, match=str(os.getpid())):
                other.put("a", b"2")
            assert other.read("a") == b"0"
            other.close()  # what waits stays where it is: the other one will fold it
        other.connect()
        assert other.read("a") == b"1"


def test_stores_that_come_and_go_never_lose_the_side_car(path: Path) -> None:
    """Whoever closes removes the side-car that another one is just about to use."""
    errors: list[BaseException] = []

    def come_and_go(name: str) -> None:
        try:
            for number in range(25):
                with opened(path, timeout=60.0) as store:
                    store.put(f"{name}/{number}", b"%d" % number)
                    if number % 5 == 0:
                        store.put(f"{name}/large", Trickle(pattern(1_200_000 + number)))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=come_and_go, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(check_archive(path)) == 3 * 26
    assert os.listdir(path.parent) == ["store.zip"]


def test_an_archive_that_another_program_replaces_is_noticed(path: Path) -> None:
    make_foreign(path, {"a": b"1"})
    with opened(path) as store:
        held = store.get("a")
        assert store.read("a") == b"1"
        other = path.with_name("other.zip")
        make_foreign(other, {"a": b"2", "b": b"3"})
        other.replace(path)
        assert {key: data for key, (data, _) in state_of(store).items()} == {"a": b"2", "b": b"3"}
        assert held.read() == b"1"
        held.close()
        store.put("c", b"4")
    assert check_archive(path) == {"a": b"2", "b": b"3", "c": b"4"}


def test_recover_and_readonly_take_no_locks(path: Path) -> None:
    with opened(path) as store, store.transaction():
        store.put("a", b"1")
        assert contents_of(path) == {}
        target = path.with_name("saved.zip")
        assert ZipStore.recover(path, target).saved == ()
        with pytest.raises(ReadOnlyError):
            opened(path, readonly=True).put("a", b"2")
