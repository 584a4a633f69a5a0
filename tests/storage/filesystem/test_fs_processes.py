"""Several threads, several processes, and those of them that die."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from fs_tools import leftovers, opened, state_of

from encore.errors import LockTimeoutError, ReadOnlyError, TransactionError
from encore.storage.values import Value

COUNT = """
import sys
from encore.storage.backends.filesystem import FilesystemStore
with FilesystemStore(sys.argv[1], timeout=60) as store:
    for _ in range(int(sys.argv[2])):
        with store.transaction():
            store.put("count", b"%d" % (int(store.read("count")) + 1), {"n": 1})
            store.put("last", store.read("count"))
        store.put("mine" + sys.argv[3], b"x")
"""

HOLD = """
import sys
from encore.storage.backends.filesystem import FilesystemStore
store = FilesystemStore(sys.argv[1])
store.transaction("Hold").begin()
store.put("held", b"x" * 100_000)
print("held", flush=True)
sys.stdin.read()
"""


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_count_lose_no_update(tmp_path: Path) -> None:
    with opened(tmp_path, timeout=60) as store:
        store.put("count", b"0")
        processes = [run(COUNT, tmp_path, 100, number) for number in range(2)]
        for number in range(100):
            store.put("other", b"%d" % number, {"n": number})
            with store.transaction():
                store.put("count", b"%d" % (int(store.read("count")) + 1))
        for process in processes:
            with process:
                process.communicate()
            assert process.returncode == 0
        assert store.read("count") == b"300"
        assert store.get_metadata("other") == {"n": 99}
        assert leftovers(tmp_path) == []


@pytest.fixture
def holder(tmp_path: Path):  # type: ignore[no-untyped-def]
    with run(HOLD, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()
        process.communicate()


def test_who_waits_too_long_is_told_who_is_writing(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    with opened(tmp_path, timeout=0.05) as store:
        for put in (lambda: store.put("a", b""), lambda: store.transaction().begin()):
            with pytest.raises(LockTimeoutError, match=f"process {holder.pid} on .*MainThread"):
                put()
        assert state_of(store) == {}  # readers do not wait


def test_a_killed_holder_frees_the_lock_and_leaves_nothing(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    assert leftovers(tmp_path)
    holder.kill()
    holder.wait()
    with opened(tmp_path, timeout=5) as store:
        store.put("a", b"a")
        assert state_of(store) == {"a": (b"a", {})}
        assert leftovers(tmp_path) == []


def test_the_temporary_files_of_the_living_are_left_alone(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    before = leftovers(tmp_path)
    with opened(tmp_path, timeout=0.05) as store, pytest.raises(LockTimeoutError):
        store.put("a", b"a")
    assert leftovers(tmp_path) == before


def test_what_a_dead_process_left_is_swept_by_the_next_writer(tmp_path: Path) -> None:
    (tmp_path / ".encore/tmp/dead").mkdir(parents=True)
    (tmp_path / ".encore/tmp/dead/0").write_bytes(b"half")
    (tmp_path / ".encore/tmp/dead.live").write_bytes(b"")
    (tmp_path / ".encore/tmp/0dd").mkdir()
    (tmp_path / ".encore/txn").mkdir()
    (tmp_path / ".encore/txn/x.intent").write_bytes(b"half an intent")
    (tmp_path / ".encore/txn/y.COMMIT").write_bytes(b'["a", null, "", ""]\n00000000\n')
    (tmp_path / "a").write_bytes(b"a")
    with opened(tmp_path) as store:
        assert store.read("a") == b"a"
        store.put("b", b"b")
        assert state_of(store) == {"a": (b"a", {}), "b": (b"b", {})}
    assert [*tmp_path.rglob(".encore/tmp/*")] == []
    # Nobody knows what was to be done; what is left of it is for people.
    assert [path.name for path in tmp_path.rglob(".encore/txn/*")] == ["y.COMMIT.damaged"]


DECIDE = """
import os, sys
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.filesystem.journal import Journal
Journal._apply = lambda self, acts: os._exit(0)
with FilesystemStore(sys.argv[1]) as store:
    store.multiset({"a": b"new", "b": b"new"})
"""


def test_a_decided_commit_is_carried_out_before_anybody_reads(tmp_path: Path) -> None:
    with opened(tmp_path) as store, opened(tmp_path) as other:
        store.put("a", b"old")
        assert other.read("a") == b"old"
        with run(DECIDE, tmp_path) as process:
            process.communicate()
        with pytest.raises(ReadOnlyError, match="decided"):
            opened(tmp_path, readonly=True).connect()
        other.put("c", b"")  # whoever takes the lock next carries it out first
        assert {key: data for key, (data, _) in state_of(store).items()} == {
            "a": b"new",
            "b": b"new",
            "c": b"",
        }
    with run(DECIDE, tmp_path / "second") as process:
        process.communicate()
    with opened(tmp_path / "second") as store:
        assert store.read("b") == b"new"
    with opened(tmp_path / "second", readonly=True) as store:
        assert store.read("b") == b"new"


def test_a_forked_child_takes_its_own_locks(tmp_path: Path) -> None:
    with opened(tmp_path, timeout=0.05) as store:
        store.put("a", b"1")
        with store.transaction():
            store.put("a", b"2")
            script = (
                "import os, sys, warnings; warnings.simplefilter('ignore')\n"
                "from encore.storage.backends.filesystem import FilesystemStore\n"
                "from encore.errors import LockTimeoutError\n"
                "store = FilesystemStore(sys.argv[1] + '/sub', timeout=0.05)\n"
                "txn = store.transaction().begin()\n"
                "store.put('parent', b'x')\n"
                "child = os.fork()\n"
                "if child == 0:\n"
                "    try:\n"
                "        assert 'parent' not in store\n"
                "        store.put('child', b'y')\n"
                "    except LockTimeoutError:\n"
                "        os._exit(7)\n"
                "    os._exit(1)\n"
                "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
                "txn.commit()\n"
                "child = os.fork()\n"
                "if child == 0:\n"
                "    store.put('child', store.read('parent'), {'x': 1})\n"
                "    store.close()\n"
                "    os._exit(0)\n"
                "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
                "store.put('parent', b'z', {'x': 2})\n"
                "assert store.read('child') == b'x'\n"
                "store.close()\n"
                "assert os.listdir(sys.argv[1] + '/sub/.encore/tmp') == []\n"
            )
            with run(script, tmp_path) as process:
                process.communicate()
            assert process.returncode == 0


def test_a_store_cannot_be_closed_under_another_threads_transaction(tmp_path: Path) -> None:
    begun, go = threading.Event(), threading.Event()
    with closing(opened(tmp_path)) as store:

        def write() -> None:
            with store.transaction():
                store.put("a", b"a")
                begun.set()
                go.wait(30)

        thread = threading.Thread(target=write)
        thread.start()
        assert begun.wait(30)
        with pytest.raises(TransactionError, match="another thread"):
            store.close()
        go.set()
        thread.join(30)
        assert state_of(store) == {"a": (b"a", {})}


@pytest.mark.parametrize("size", [30, 100_000])
def test_readers_never_see_data_of_one_version_and_metadata_of_another(
    tmp_path: Path, size: int
) -> None:
    errors: list[BaseException] = []
    done = threading.Event()
    seen = 0

    def check(value: Value) -> None:
        data = value.read()
        number = value.metadata.get("n", 0)
        assert data == b"%08d" % number * size
        value.close()

    with opened(tmp_path) as store, opened(tmp_path) as other:
        store.put("a", b"%08d" % 0 * size)

        def read() -> None:
            nonlocal seen
            try:
                while not done.is_set():
                    value = other._find("a")
                    if value is not None:
                        check(value)
                    seen += 1
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            for number in range(1, 2000 if size < 1000 else 300):
                metadata = {"n": number} if number % 3 else None
                store.put("a", b"%08d" % (number if number % 3 else 0) * size, metadata)
                if number % 7 == 0:
                    store.delete("a")
        finally:
            done.set()
            thread.join(60)
    assert errors == []
    assert seen > 10


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put("d/large", b"x" * 200_000, {"x": 1})
        store.put("small", b"x")
        assert store.get_metadata("small") == {}  # from now on it knows of sidecars
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            assert len(store.get("d/large").range(10, 20).read()) == 10
            store.get_data("d/large").read(5)
            next(store.get("d/large").iterdata())
            store.copy("d/large", "copy")
            store.move("copy", "e/f")
            store.delete("e/f")
            assert "nothing/here" not in store
            assert [*store.keys()] == ["d/large", "small"]
            next(store.keys())
            for _key, value in store._find_all(""):
                value.range(0, 1).read()
        del value
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_forgotten_store_leaves_nothing_open_and_no_files(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    store = opened(tmp_path)
    store.put("a", b"")
    assert len(os.listdir("/proc/self/fd")) > before
    del store
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
    assert [*tmp_path.rglob(".encore/tmp/*")] == []


@pytest.mark.parametrize("stray", [".DS_Store", "abc", "abc.live", "notes.live"])
def test_what_others_put_among_the_sessions_is_in_nobodys_way(tmp_path: Path, stray: str) -> None:
    """A file manager's file there made every write fail."""
    with opened(tmp_path) as store:
        store.put("a", b"1")
        (tmp_path / ".encore" / "tmp" / stray).write_bytes(b"theirs")
    (tmp_path / ".encore" / "tmp").mkdir(parents=True, exist_ok=True)
    (tmp_path / ".encore" / "tmp" / stray).write_bytes(b"theirs")
    with opened(tmp_path) as store, store.transaction():
        store.put("b", b"2")
    with opened(tmp_path) as store:
        assert [*store] == ["a", "b"]
        assert [*store.verify()] == []
