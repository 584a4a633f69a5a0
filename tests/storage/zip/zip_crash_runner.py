"""Kill processes that write to an archive, and look at what is left. Run by ``test_zip_crashes``.

``steps ACT DURABILITY`` kills a process at every step of a write: an audit hook counts what Python
asks of the system, and stand-ins die having written half. ``random SEED TIMES`` kills processes
that write without end, at any moment, and compares what is left with what they said was committed.

The script forks for each kill, so it must not have threads. The last line that it prints is the
number of kills.
"""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import sys
import tempfile
import zipfile
from collections.abc import Callable
from typing import Any

from encore.errors import LockTimeoutError
from encore.events.event_manager import EventManager
from encore.storage.backends.zip import ZipStore, committing
from encore.testing.sources import Trickle, pattern

State = dict[str, tuple[bytes, dict[str, Any]]]
STEPS = ("open", "os.", "fcntl.", "shutil.")
LARGE = pattern(1_300_000, 5)

START: State = {
    "a": (b"old a", {"old": "a"}),
    "b": (pattern(3000), {}),
    "d/e": (b"old e", {"old": "e"}),
    "large": (pattern(200_000, 3), {"old": "large"}),
}


def put(store: Any) -> None:
    store.put("a", b"new a", {"new": "a"})


def quick_put(store: Any) -> None:
    store.delete("nothing", missing_ok=True)  # everything is prepared: the shortest way is open
    store.put("a", b"new a", {"new": "a"})


def put_large(store: Any) -> None:
    store.put("large", Trickle(LARGE, 65536), {"new": "large"})


def put_metadata(store: Any) -> None:
    store.set_metadata("large", {"new": "large"})


def delete(store: Any) -> None:
    store.delete("d/e")


def move(store: Any) -> None:
    store.move("large", "moved")


def several(store: Any) -> None:
    with store.transaction():
        store.put("a", b"new a", {"new": "a"})
        store.put("c/d", pattern(150_000, 9), {"new": "c"})
        store.put("streamed", Trickle(LARGE, 65536))
        store.set_metadata("b", {"new": "b"})
        store.delete("d/e")


def clear(store: Any) -> None:
    store.clear()


def prepared(store: Any) -> None:
    txn = store.transaction()
    txn.begin()
    store.put("a", b"new a", {"new": "a"})
    store.put("large", Trickle(LARGE, 65536))
    txn.prepare()
    txn.commit()


ACTS: dict[str, Callable[[Any], None]] = {
    act.__name__: act
    for act in (put, quick_put, put_large, put_metadata, delete, move, several, clear, prepared)
}


def opened(path: str, durability: str = "process", **options: Any) -> ZipStore:
    return ZipStore(path, durability=durability, event_manager=EventManager(), **options)


def state_of(store: Any) -> State:
    state = {}
    for key in store:
        value = store.get(key)
        state[key] = (value.read(), value.metadata)
        value.close()
    return state


def check_readable(path: str) -> None:
    """At every moment other programs find an archive without fault."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


# -- every step -----------------------------------------------------------------------------------


def make(base: str) -> str:
    """An archive with something in it, and something beside it."""
    path = os.path.join(base, "a.zip")
    child = os.fork()
    if child == 0:
        store = opened(path)
        with store.transaction():
            for key, (data, metadata) in START.items():
                store.put(key, data, metadata)
        store.put("b", b"pending", {"pending": True})
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    return path


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

    def torn(write: Callable[..., int]) -> Callable[..., int]:
        def half(descriptor: int, data: Any, *offset: int) -> int:
            if count():
                write(descriptor, memoryview(data)[: len(data) // 2], *offset)
                os.kill(os.getpid(), signal.SIGKILL)
            return write(descriptor, data, *offset)

        return half

    copy = os.copy_file_range

    def torn_copy(source: int, target: int, length: int, *offsets: int) -> int:
        if count():
            copy(source, target, length // 2, *offsets)
            os.kill(os.getpid(), signal.SIGKILL)
        return copy(source, target, length, *offsets)

    os.write, os.pwrite = torn(os.write), torn(os.pwrite)
    os.copy_file_range = torn_copy
    sys.addaudithook(hook)


def check(path: str, before: State, after: State, step: object) -> bool:
    """Open what is left, and return whether the write happened."""
    check_readable(path)
    with opened(path, readonly=True) as store:
        state = state_of(store)
    assert state in (before, after), f"at step {step}: {[*state]}"
    with opened(path) as store:
        assert state_of(store) == state
        store.put("afterwards", b"", {})  # the first write sweeps
        store.delete("afterwards")
        assert state_of(store) == state
        beside = {name for name in os.listdir(f"{path}-encore") if name.startswith(("new", "tmp"))}
        assert beside <= {"tmp"}, beside
    with opened(path, readonly=True) as store:
        assert state_of(store) == state, f"at step {step}, folded"
    check_readable(path)
    assert os.listdir(os.path.dirname(path)) == ["a.zip"]
    return state == after


def act_and_close(act: Callable[[Any], None], path: str, durability: str) -> None:
    store = opened(path, durability)
    act(store)
    store.close()


def every_step(name: str, durability: str) -> int:
    act = ACTS[name]
    base = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        path = make(os.path.join(base, "0"))
        store = opened(path)
        before = state_of(store)
        assert before["b"] == (b"pending", {"pending": True})
        act(store)
        after = state_of(store)
        assert after != before
        store.close()
        happened = []
        step = 0
        ended = False
        while not ended:
            shutil.rmtree(os.path.join(base, str(step)))
            path = make(os.path.join(base, str(step + 1)))
            ended = die_at(step, lambda path=path: act_and_close(act, path, durability))  # type: ignore[misc]
            happened.append(check(path, before, after, step))
            step += 1
        assert happened == sorted(happened), "once a write has happened it stays so"
        assert not happened[0]
        assert happened[-1]
        return step
    finally:
        shutil.rmtree(base)


# -- any moment -----------------------------------------------------------------------------------


def write_without_end(path: str, first: int, said: int) -> None:
    """Commit one numbered state after the other, and say so after each."""
    store = opened(path)
    noise = random.Random(first)
    number = first
    while True:
        number += 1
        kind = noise.randrange(6)
        whole = pattern(noise.choice((10, 3000, 100_000)), number % 50)
        if kind < 3:
            store.put("lone", whole, {"n": number})
        elif kind == 3:
            store.put("lone", Trickle(LARGE[: 1_200_000 + number], 65536), {"n": number})
        elif kind == 4:
            with store.transaction():
                for key in ("one", "two", "three"):
                    store.put(key, whole, {"n": number})
                store.delete("lone", missing_ok=True)
        else:
            store.put("lone", b"", {"n": number})
            store.close()
            store.connect()
        os.write(said, number.to_bytes(8, "little"))


def last_of(path: str) -> int:
    """The number of the last state that an archive shows, which must be a whole one."""
    check_readable(path)
    with opened(path, readonly=True) as store:
        state = state_of(store)
    together = {key: state[key] for key in ("one", "two", "three") if key in state}
    assert len(together) in (0, 3)
    assert len({(data, metadata["n"]) for data, metadata in together.values()}) <= 1
    return max((metadata["n"] for _, metadata in state.values()), default=0)


def at_random(seed: int, times: int) -> int:
    noise = random.Random(seed)
    base = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    path = os.path.join(base, "a.zip")
    kills = number = 0
    try:
        opened(path).connect()
        while kills < times:
            number = one_kill(path, number, noise)
            kills += 1
        with opened(path) as store:
            store.put("end", b"")
        check_readable(path)
        assert os.listdir(base) == ["a.zip"]
        return kills
    finally:
        shutil.rmtree(base)


def one_kill(path: str, number: int, noise: random.Random) -> int:
    """Let a process write, kill it, and return the number of the last state."""
    heard, said = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(heard)
        try:
            write_without_end(path, number, said)
        finally:
            os._exit(1)
    os.close(said)
    told = number
    for _ in range(noise.randrange(1, 12)):
        told = int.from_bytes(os.read(heard, 8), "little")
    select.select([heard], [], [], noise.random() * 0.02)  # any moment: not only between writes
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the process ended by itself"
    while chunk := os.read(heard, 8):
        told = int.from_bytes(chunk, "little")
    os.close(heard)
    last = last_of(path)
    assert told <= last <= told + 1, f"{told} was committed, and {last} is there"
    try:
        with opened(path, timeout=1.0) as store:
            store.delete("nothing", missing_ok=True)
    except LockTimeoutError as error:
        raise AssertionError("the lock of a dead process") from error
    assert last_of(path) == last
    return last


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    committing.INLINE_BYTES = 20_000  # so that 200 kB count as large
    if what == "steps":
        print(every_step(*arguments))
    else:
        print(at_random(int(arguments[0]), int(arguments[1])))
