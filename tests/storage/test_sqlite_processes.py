"""SqliteStore and other processes: contention, death, forks; and what threads leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from encore.errors import LockTimeoutError, WrongOwnerError
from encore.storage.api import SqliteStore
from encore.testing.laws import in_thread, seen
from encore.testing.sources import MIB, Trickle, pattern

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the Linux kernel")

_COUNT = """
import sys
from encore.storage.api import SqliteStore
with SqliteStore(sys.argv[1], timeout=60) as store:
    for _ in range(int(sys.argv[2])):
        with store.transaction():
            store.put("count", str(int(store.read("count")) + 1).encode())
"""

_STREAM_FOREVER = """
import sys
from encore.storage.api import SqliteStore
store = SqliteStore(sys.argv[1])
class Endless:
    sent = 0
    def read(self, size):
        self.sent += size
        if self.sent > 24 << 20:
            print("streaming", flush=True)
            sys.stdin.readline()
        return bytes(size)
store.put("a", Endless(), {"new": 1})
"""

_HOLD = """
import sys
from encore.storage.api import SqliteStore
store = SqliteStore(sys.argv[1])
store.transaction("Held").begin()
store.put("a", b"theirs" * 40000)
print("holding", flush=True)
sys.stdin.readline()
"""


def _start(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.fixture
def path(directory: Path) -> Path:
    return directory / "store.db"


def test_processes_that_count_lose_no_update(path: Path) -> None:
    with SqliteStore(path) as store:
        store.put("count", b"0")
    processes = [_start(_COUNT, path, 100) for _ in range(2)]
    try:
        assert [process.wait(60) for process in processes] == [0, 0]
    finally:
        for process in processes:
            _end(process)
    with SqliteStore(path) as store:
        assert store.read("count") == b"200"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_what_a_killed_process_was_streaming_is_swept(path: Path, number: int) -> None:
    with SqliteStore(path) as store:
        store.put("a", b"old", {"old": 1})
    process = _start(_STREAM_FOREVER, path)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "streaming\n"
        with SqliteStore(path) as store:
            chunks = store._connection().execute("SELECT count(*) FROM chunk").fetchone()[0]
            assert chunks > 100, "it is alive: nothing may be swept"
            assert seen(store) == {"a": (b"old", {"old": 1})}
        process.send_signal(number)
        process.wait(30)
    finally:
        _end(process)
    with SqliteStore(path) as store:
        assert seen(store) == {"a": (b"old", {"old": 1})}
        for table in ("chunk", "staging"):
            assert store._connection().execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert os.listdir(path.parent) == ["store.db"]


def test_what_a_killed_process_had_not_committed_is_gone(path: Path) -> None:
    process = _start(_HOLD, path)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        process.kill()
        process.wait(30)
    finally:
        _end(process)
    with SqliteStore(path) as store:
        assert seen(store) == {}
        store.put("a", b"mine")


@linux
def test_a_lock_timeout_names_the_process_that_holds_it(path: Path) -> None:
    process = _start(_HOLD, path)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        with SqliteStore(path, timeout=0.05) as store:
            assert "a" not in store
            with pytest.raises(LockTimeoutError, match=str(process.pid)):
                store.put("a", b"mine")
            with pytest.raises(LockTimeoutError, match=str(process.pid)):
                store.transaction().begin()
    finally:
        _end(process)


@pytest.mark.parametrize("lone", [True, False])
def test_a_lock_timeout_names_the_thread_that_holds_it(path: Path, lone: bool) -> None:
    with SqliteStore(path, timeout=0.05) as store, store.transaction("Crop"):
        store.put("a", b"mine")
        with pytest.raises(LockTimeoutError, match=threading.current_thread().name):
            in_thread(lambda: store.put("a", b"1") if lone else store.transaction().begin())


def test_a_lock_timeout_tells_the_timeout_that_was_asked_for(path: Path) -> None:
    with (
        SqliteStore(path, timeout=30) as store,
        store.transaction("Crop"),
        pytest.raises(LockTimeoutError, match=r"after 0\.03 s"),
    ):
        in_thread(lambda: store.transaction(timeout=0.03).begin())


@linux
def test_threads_that_end_close_their_connections(path: Path) -> None:
    def use() -> None:
        store.put("b", b"1")
        assert store.get("large").read() == pattern(200000)

    with SqliteStore(path) as store:
        store.put("large", pattern(200000))
        in_thread(use)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            in_thread(use)
        assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_a_forked_child_opens_a_connection_of_its_own(path: Path) -> None:
    with SqliteStore(path) as store:
        store.put("a", pattern(200000))
        mine = store._connection()
        held = store.get("a")
        child = os.fork()
        if child == 0:
            status = 1
            with suppress(BaseException):
                assert store._connection() is not mine
                store.put("child", b"1")
                with store.transaction():
                    store.put("a", pattern(200000, 1))
                del held
                store.close()
                status = 0
            os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert store.read("child") == b"1"
        assert store.read("a") == pattern(200000, 1)
        assert held.read() == pattern(200000)
        held.close()
        assert store._connection().execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_a_transaction_of_the_parent_is_not_the_child_s_to_end(path: Path) -> None:
    with SqliteStore(path, timeout=0.05) as store:
        txn = store.transaction()
        txn.begin()
        store.put("a", b"parent")
        child = os.fork()
        if child == 0:
            status = 1
            with suppress(BaseException):
                for act in (txn.commit, txn.rollback):
                    with suppress(WrongOwnerError):
                        act()
                        os._exit(2)
                assert "a" not in store
                with suppress(LockTimeoutError):
                    store.put("b", b"child")
                    os._exit(3)
                status = 0
            os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        txn.commit()
        assert seen(store) == {"a": (b"parent", {})}


def test_a_value_that_is_held_survives_replacement_by_another_store_object(path: Path) -> None:
    with SqliteStore(path) as one, SqliteStore(path) as two:
        one.put("a", pattern(3 * MIB), {"old": 1})
        held = one.get("a")
        for _ in range(3):
            two.put("a", Trickle(pattern(3 * MIB, 1), 65536))
            two.delete("a")
            two.put("b", pattern(3 * MIB, 2))
        assert held.read() == pattern(3 * MIB)
        assert held.metadata == {"old": 1}
        held.close()
        assert "a" not in one


def test_more_than_64_blocks_can_be_nested(path: Path) -> None:
    with SqliteStore(path) as store:
        txn = store.transaction()
        for level in range(100):
            txn.begin()
            store.put(f"{level:03}", pattern(2000, level))
        for _ in range(50):
            txn.rollback()
        for _ in range(50):
            txn.commit()
        assert [*store.keys()] == [f"{level:03}" for level in range(50)]
        count = store._connection().execute("SELECT count(*) FROM chunk").fetchone()
        assert count == (50,)


def test_connections_are_kept_to_the_threads_that_live(path: Path) -> None:
    with SqliteStore(path) as store:
        for _ in range(10):
            in_thread(lambda: store.put("a", b"1"))
        assert len(store._connections) <= 2
