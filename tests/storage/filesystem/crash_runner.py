"""Kill a process at every step of a write, and look at what is left. Run by ``test_fs_crashes``.

The script forks for each step, so it must not have threads. Steps are counted by an audit hook,
which Python calls before it opens, renames, removes, makes or locks anything, and by a stand-in for
``os.write`` that dies having written half. The last line that it prints is the number of steps that
were tried.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from encore.events.event_manager import EventManager
from encore.storage.backends.filesystem import FilesystemStore

State = dict[str, tuple[bytes, dict[str, Any]]]
BIG = bytes(range(256)) * 1024
STEPS = ("open", "os.", "fcntl.", "shutil.")

START: State = {
    "a": (b"old a", {"old": "a"}),
    "b": (b"old b", {}),
    "d/e": (b"old e", {"old": "e"}),
    "plain": (b"plain", {}),
}


def put_plain(store: Any) -> None:
    store.put("a", b"new a", {"new": "a"})


def put_over_a_file_without_a_sidecar(store: Any) -> None:
    store.put("plain", b"new plain", {"new": "plain"})


def put_new(store: Any) -> None:
    store.put("c", b"new c", {"new": "c"})


def put_below_a_file(store: Any) -> None:
    store.put("a/x", b"x", {"new": "x"})


class Source:
    """A stream of a few buffers."""

    def __init__(self) -> None:
        self.left = 8

    def read(self, _size: int = -1) -> bytes:
        self.left -= 1
        return BIG if self.left >= 0 else b""


def put_large(store: Any) -> None:
    store.put("a", Source(), {"new": "a"})


def quick_put(store: Any) -> None:
    store.delete("nothing", missing_ok=True)  # everything is prepared: the shortest way is open
    store.put("a", b"new a", {"new": "a"})


def quick_put_over_a_file_without_a_sidecar(store: Any) -> None:
    store.delete("nothing", missing_ok=True)
    store.put("plain", b"new plain")


def quick_put_new(store: Any) -> None:
    store.delete("nothing", missing_ok=True)
    store.put("c", b"new c")


def put_metadata(store: Any) -> None:
    store.set_metadata("a", {"new": "a"})


def delete(store: Any) -> None:
    store.delete("d/e")


def several(store: Any) -> None:
    with store.transaction():
        store.put("a", b"new a", {"new": "a"})
        store.put("c/d", BIG, {"new": "c"})
        store.set_metadata("b", {"new": "b"})
        store.delete("d/e")


def rearranging(store: Any) -> None:
    with store.transaction():
        store.move("d/e", "d")
        store.put("a/b/c", b"abc", {"new": "abc"})
        store.put("plain", b"new plain")


def clearing(store: Any) -> None:
    store.clear()


ACTS: dict[str, Callable[[Any], None]] = {
    act.__name__: act
    for act in (
        put_plain,
        put_over_a_file_without_a_sidecar,
        put_new,
        put_below_a_file,
        put_large,
        put_metadata,
        quick_put,
        quick_put_over_a_file_without_a_sidecar,
        quick_put_new,
        delete,
        several,
        rearranging,
        clearing,
    )
}


def opened(path: str, durability: str = "process") -> FilesystemStore:
    return FilesystemStore(path, durability=durability, event_manager=EventManager())


def state_of(store: Any) -> State:
    state = {}
    for key in store:
        value = store.get(key)
        state[key] = (value.read(), value.metadata)
        assert store.get_metadata(key) == value.metadata
        value.close()
    return state


def make(path: str) -> None:
    os.mkdir(path)
    with open(os.path.join(path, "plain"), "wb") as stream:
        stream.write(b"plain")
    store = opened(path)
    for key, (data, metadata) in START.items():
        if key != "plain":
            store.put(key, data, metadata)
    assert state_of(store) == START
    store.close()


def die_at(step: int, act: Callable[[], None]) -> bool:
    """Run in a child that is killed at this step; return whether it came to its end."""
    child = os.fork()
    if child == 0:
        _count_down(step)
        act()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0, f"the child failed at step {step}"
    return True


def _count_down(step: int) -> None:
    left = [step]

    def count() -> bool:
        left[0] -= 1
        return left[0] < 0

    def hook(event: str, _arguments: Any) -> None:
        if event.startswith(STEPS) and event != "os.kill" and count():
            os.kill(os.getpid(), signal.SIGKILL)

    write = os.write

    def torn(descriptor: int, data: Any) -> int:
        if count():
            write(descriptor, memoryview(data)[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(descriptor, data)

    os.write = torn  # type: ignore[assignment]
    sys.addaudithook(hook)


def check(path: str, before: State, after: State, step: object) -> bool:
    """Open what is left, and return whether the write happened."""
    store = opened(path)
    state = state_of(store)
    assert state in (before, after), f"at step {step}: {state}"
    store.put("afterwards", b"", {})  # the first write sweeps
    store.delete("afterwards")
    assert state_of(store) == state
    store.close()
    own = os.path.join(path, ".encore")
    for folder in ("tmp", "txn"):
        if os.path.exists(os.path.join(own, folder)):
            assert os.listdir(os.path.join(own, folder)) == []
    return state == after


def run(name: str, durability: str, *, twice: bool) -> int:
    act = ACTS[name]
    base = tempfile.mkdtemp()
    path = os.path.join(base, "path")
    try:
        make(path)
        store = opened(path)
        before = state_of(store)
        act(store)
        after = state_of(store)
        store.close()
        happened = []
        step = 0
        ended = False
        while not ended:
            shutil.rmtree(path)
            make(path)
            ended = die_at(step, lambda: act(opened(path, durability)))
            if not ended and twice:
                _die_in_recovery(path, os.path.join(base, "second"), before, after, step)
            happened.append(check(path, before, after, step))
            step += 1
        assert happened == sorted(happened), "once a write has happened it stays so"
        assert not happened[0]
        assert happened[-1]
        return step
    finally:
        shutil.rmtree(base)


def _link_or_copy(source: str, target: str) -> None:
    """Keep the inodes of data, which tell whose record is whose, and do not write into both."""
    copied = any(part in source for part in ("/.encore/meta/", "/.encore/lock", ".live"))
    (shutil.copy2 if copied else os.link)(source, target)


def _die_in_recovery(path: str, second: str, before: State, after: State, step: int) -> None:
    txn = os.path.join(path, ".encore", "txn")
    if not os.path.isdir(txn) or not any(name.endswith(".COMMIT") for name in os.listdir(txn)):
        return
    inner = 0
    ended = False
    while not ended:
        shutil.copytree(path, second, copy_function=_link_or_copy)
        ended = die_at(inner, lambda: state_of(opened(second)) and None)
        assert check(second, before, after, (step, inner)), "what is decided stays decided"
        shutil.rmtree(second)
        inner += 3


if __name__ == "__main__":
    print(run(sys.argv[1], sys.argv[2], twice="twice" in sys.argv))
