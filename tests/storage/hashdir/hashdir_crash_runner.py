"""Kill a process at every step of a write, and look at what is left.

Run by ``test_hashdir_processes``. The script forks for each step, so it must not have threads.
Steps are counted by an audit hook, which Python calls before it opens, renames, removes or makes
anything, and by a stand-in for ``os.write`` that dies having written half; what SQLite does between
them is one step. The last line printed is the number of steps that were tried.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hashdir_tools import check_tree, opened, put_plain

from encore.testing.laws import seen
from encore.testing.sources import pattern

STEPS = ("open", "os.", "fcntl.", "sqlite3.")
LARGE = pattern(2 << 20, 5)


def put(store: Any) -> None:
    store.put("a", b"new a", {"new": "a"})


def put_new(store: Any) -> None:
    store.put("new", b"new", {"new": 1})


def put_large(store: Any) -> None:
    store.put("a", io.BytesIO(LARGE), {"new": "a"})


def put_over_a_plain_file(store: Any) -> None:
    store.put("plain", b"new")


def delete(store: Any) -> None:
    store.delete("a")


def delete_a_plain_file(store: Any) -> None:
    store.delete("adopted")


def several(store: Any) -> None:
    with store.transaction():
        store.put("a", b"new a", {"new": "a"})
        store.put("large", io.BytesIO(LARGE))
        store.copy("b", "c")
        store.move("adopted", "moved")
        store.delete("b")


def clear(store: Any) -> None:
    store.clear()


ACTS: dict[str, Callable[[Any], None]] = {
    act.__name__: act
    for act in (
        put,
        put_new,
        put_large,
        put_over_a_plain_file,
        delete,
        delete_a_plain_file,
        several,
        clear,
    )
}


def make(root: Path) -> None:
    put_plain(root, "adopted", b"adopted")
    with opened(root) as store:
        store.put("a", b"old a", {"old": "a"})
        store.put("b", pattern(100000))
        store.adopt(["adopted"])
    put_plain(root, "plain", b"plain")


def die_at(step: int, act: Callable[[Any], None], store: Any) -> bool:
    """Run in a child that is killed at this step; return whether it came to its end."""
    child = os.fork()
    if child == 0:
        count_down(step)
        act(store)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0, f"the child failed at step {step}"
    return True


def count_down(step: int) -> None:
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


def with_plain(store: Any) -> dict[str, Any]:
    """What is in a store, with the one key that has no record unless it has been replaced."""
    state = seen(store)
    if "plain" not in state and "plain" in store:
        state["plain"] = (store.read("plain"), {})
    return state


def check(root: Path, states: list[dict[str, Any]], step: object) -> int:
    """Open what is left, and return which state it is in."""
    with opened(root) as store:
        state = with_plain(store)
        assert state in states, f"at step {step}: {[*state]}"
        if store.exists("plain"):
            store.adopt(["plain"])
    check_tree(root, state)
    return states.index(state)


def run(name: str, durability: str, *, twice: bool) -> int:
    act = ACTS[name]
    memory = "/dev/shm"  # what is tested is the order of things, not the disk
    usable = os.path.isdir(memory) and os.access(memory, os.W_OK)
    base = Path(tempfile.mkdtemp(dir=memory if usable else None))
    root = base / "root"
    try:
        make(root)
        states = []
        with opened(root) as store:
            states.append(with_plain(store))
            act(store)
            states.append(with_plain(store))
        happened = []
        step = 0
        ended = False
        while not ended:
            shutil.rmtree(root)
            make(root)
            ended = die_at(step, act, opened(root, durability=durability))
            if not ended and twice:
                inner = 0
                while not die_at(inner, lambda store: store.connect(), opened(root)):
                    inner += 5
            happened.append(check(root, states, step))
            step += 1
        assert happened == sorted(happened), "once a write has happened it stays so"
        assert set(happened) == {0, 1}
        return step
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    print(run(sys.argv[1], sys.argv[2], twice="twice" in sys.argv))
