"""HashdirStore and other processes: death at any step, contention, forks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hashdir_crash_runner import ACTS
from hashdir_tools import (
    MIB,
    check_tree,
    files_of,
    opened,
    put_plain,
    sessions_of,
    versions_of,
)

from encore.errors import LockTimeoutError
from encore.testing.laws import seen
from encore.testing.sources import pattern

RUNNER = Path(__file__).with_name("hashdir_crash_runner.py")
forks = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")

_COUNT = """
import sys
from encore.storage.api import HashdirStore
with HashdirStore(sys.argv[1], timeout=60) as store:
    for _ in range(int(sys.argv[2])):
        with store.transaction():
            store.put("count", str(int(store.read("count")) + 1).encode())
"""

_HOLD = """
import sys
from encore.storage.api import HashdirStore
store = HashdirStore(sys.argv[1])
store.transaction("Held").begin()
store.put("a", b"theirs" * 40000)
store.put("b", b"new")
print("holding", flush=True)
sys.stdin.readline()
store.transaction().commit()
"""

_STREAM = """
import sys
from encore.storage.api import HashdirStore
store = HashdirStore(sys.argv[1])
class Source:
    sent = 0
    def read(self, size):
        self.sent += size
        if self.sent > 24 << 20:
            print("streaming", flush=True)
            sys.stdin.readline()
            return b""
        return bytes(size)
store.put("a", Source(), {"new": 1})
"""

_REPLACE = """
import sys
from encore.storage.api import HashdirStore
from encore.testing.sources import pattern
with HashdirStore(sys.argv[1]) as store:
    for number in range(150):
        store.put("a", pattern(100000, number % 5), {"number": number % 5})
        if number % 10 == 0:
            store.put("plain", pattern(5000, 6))
"""


@contextmanager
def running(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == f"{word}\n"


# -- death ----------------------------------------------------------------------------------------


def crash_everywhere(*arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, str(RUNNER), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return int(done.stdout.splitlines()[-1])


@forks
@pytest.mark.parametrize("act", ACTS)
def test_a_write_that_dies_anywhere_is_whole_or_absent_and_leaves_nothing(act: str) -> None:
    assert crash_everywhere(act, "process") > 20


@forks
def test_so_is_one_that_waits_for_the_disk() -> None:
    assert crash_everywhere("put_large", "power") > 20


@forks
def test_sweeping_that_dies_anywhere_is_done_by_the_next() -> None:
    assert crash_everywhere("put", "process", "twice") > 20


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize("program", [_HOLD, _STREAM], ids=["transaction", "stream"])
def test_what_a_killed_process_was_writing_is_swept(
    directory: Path, program: str, number: int
) -> None:
    expected = {"a": (b"old", {"old": 1})}
    with opened(directory) as store:
        store.put("a", b"old", {"old": 1})
    with running(program, directory) as process:
        wait_for(process, "holding" if program == _HOLD else "streaming")
        before = [*files_of(directory)]
        assert len(before) == (3 if program == _HOLD else 1)
        assert len(sessions_of(directory)) == 2
        with opened(directory) as store:
            assert seen(store) == expected
        assert [*files_of(directory)] == before, "it is alive: nothing may be swept"
        assert len(sessions_of(directory)) == 2
        process.send_signal(number)
        process.wait(30)
        assert [*files_of(directory)] == before
    check_tree(directory, expected)


def test_a_store_that_is_open_meanwhile_does_not_disturb_a_writer(directory: Path) -> None:
    with opened(directory) as store:
        store.put("a", b"old")
    with running(_HOLD, directory) as process:
        wait_for(process, "holding")
        for _ in range(3):
            with opened(directory, timeout=0.05) as store:
                assert seen(store) == {"a": (b"old", {})}
                with pytest.raises(LockTimeoutError):
                    store.put("c", b"3")
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(30) == 0
    check_tree(directory, {"a": (b"theirs" * 40000, {}), "b": (b"new", {})})


def test_a_store_that_is_dropped_without_closing_is_swept_like_a_dead_one(
    directory: Path,
) -> None:
    store = opened(directory)
    txn = store.transaction()
    txn.begin()
    store.put("a", pattern(3000))
    assert len(files_of(directory)) == 1
    connection = store._owner.connection
    writer = store._writer
    assert connection is not None
    assert writer is not None
    writer.let_go()  # what the end of a process does
    store._writer = None
    connection.close()
    check_tree(directory, {})


# -- contention -----------------------------------------------------------------------------------


def test_processes_that_count_lose_no_update(directory: Path) -> None:
    with opened(directory) as store:
        store.put("count", b"0")
    with running(_COUNT, directory, 100) as one, running(_COUNT, directory, 100) as two:
        assert [one.wait(60), two.wait(60)] == [0, 0]
    check_tree(directory, {"count": (b"200", {})})


def test_readers_see_whole_versions_while_another_process_replaces_them(directory: Path) -> None:
    versions = {number: pattern(100000, number) for number in range(5)}
    put_plain(directory, "plain", pattern(5000, 6))
    with opened(directory) as store:
        store.put("a", versions[0], {"number": 0})
        met = set()
        with running(_REPLACE, directory) as process:
            while process.poll() is None:
                value = store.get("a")
                data = value.read()
                assert data == versions[value.metadata["number"]]
                value.close()
                assert store.read("a") in versions.values()
                assert "plain" in store
                assert store.read("plain") == pattern(5000, 6)
                met.add(value.metadata["number"])
            assert process.wait(30) == 0
        assert len(met) > 1
    check_tree(directory, {"a": (versions[4], {"number": 4}), "plain": (pattern(5000, 6), {})})


@forks
def test_a_forked_child_writes_by_itself(directory: Path) -> None:
    with opened(directory) as store:
        store.put("a", pattern(200000))
        held = store.get("a")
        child = os.fork()
        if child == 0:
            status = 1
            with suppress(BaseException):
                store.put("child", b"1")
                with store.transaction():
                    store.put("a", pattern(2 * MIB, 1))
                assert held.read() == pattern(200000)
                store.close()
                status = 0
            os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert len(sessions_of(directory)) == 2, "that of the parent"
        assert store.read("child") == b"1"
        assert held.read() == pattern(200000)
        held.close()
        store.put("parent", b"2")
        (path,) = versions_of(directory, "a")
        assert path.read_bytes() == pattern(2 * MIB, 1)
    check_tree(
        directory,
        {"a": (pattern(2 * MIB, 1), {}), "child": (b"1", {}), "parent": (b"2", {})},
    )


@forks
def test_a_child_that_ends_leaves_the_transaction_of_its_parent_alone(directory: Path) -> None:
    with opened(directory) as store:
        with store.transaction():
            store.put("a", b"parent")
            child = os.fork()
            if child == 0:
                with suppress(BaseException):
                    store.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            with opened(directory) as other:
                assert seen(other) == {}
        assert store.read("a") == b"parent"
    check_tree(directory, {"a": (b"parent", {})})
