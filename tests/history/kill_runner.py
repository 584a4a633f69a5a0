"""Kill a process that edits, undoes and redoes, again and again, and look at what is left.

Run by ``test_kills``; forks, so it must not have threads. The child writes in a diary what it is
about to do, with every content that undo and redo are to lead to when it is done, and then that it
is done. What is found afterwards has to be what the last entry but one, or the last, says. Then all
of it is travelled through, and the next child goes on from there. The last line printed is the
number of children that were killed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

from history_stores import HISTORIES, HistoryUnderTest

from encore.history import History
from encore.testing.sources import pattern

KEYS = ("a", "b", "a/b", "\u00e9")
SIZES = (0, 1, 30, 1025, 70000, 70000, 900000)  # more would not be compared
MOST_STEPS = 15
#: A child that has not been killed by then has lived long enough.
LONGEST_SECONDS = 0.06
#: How many children work on one directory before another is begun.
LIVES = 12
STEPS = ("open", "os.", "fcntl.", "sqlite3.")

BY_NAME = {entry.name: entry for entry in HISTORIES}


class Past:
    """Where a history stands, in terms that can be written down."""

    def __init__(self, told: dict[str, Any] | None = None) -> None:
        told = told or {"snapshots": [{}], "index": 0, "saved": None}
        self.snapshots: list[dict[str, Any]] = told["snapshots"]
        self.index: int = told["index"]
        self.saved: int | None = told["saved"]

    @property
    def now(self) -> dict[str, Any]:
        return self.snapshots[self.index]

    def step(self, content: dict[str, Any]) -> None:
        """A step more, unless nothing is different."""
        if content == self.now:
            return
        self.snapshots = [*self.snapshots[: self.index + 1], content]
        if self.saved is not None and self.saved > self.index:
            self.saved = None
        self.index += 1
        if self.index > MOST_STEPS:
            del self.snapshots[0]
            self.index -= 1
            self.saved = self.saved - 1 if self.saved else None


class Child:
    """A process that works until it is killed."""

    def __init__(self, history: History, past: Past, diary: int, seed: int) -> None:
        self.history, self.store, self.past = history, history.stores[0], past
        self.diary, self.random = diary, random.Random(seed)

    def work(self) -> None:
        acts = [self.edit, self.edit, self.edit, self.group, self.undo, self.redo, self.jump]
        while True:
            self.random.choice([*acts, self.save])()

    def write(self, is_done: bool, past: Past) -> None:
        line = json.dumps({"is_done": is_done, **vars(past)}) + "\n"
        os.write(self.diary, line.encode())
        os.fsync(self.diary)

    def become(self, past: Past, act: Any) -> None:
        self.write(False, past)
        act()
        self.past = past
        self.write(True, past)

    def changes(self) -> tuple[list[Any], dict[str, Any]]:
        """Some writes, and what they lead to."""
        writes, content = [], dict(self.past.now)
        for _ in range(self.random.choice([1, 1, 2, 4])):
            key, what = self.random.choice(KEYS), self.random.random()
            if what < 0.2 and key in content:
                writes.append((key, None))
                del content[key]
            elif what < 0.4 and key in content:
                content[key] = [*content[key][:2], self.random.randrange(3)]
                writes.append((key, content[key][2]))
            else:
                size = self.random.choice(SIZES)
                version = [size, self.random.randrange(3) if size else 0, 0]
                content[key] = version
                writes.append((key, version))
        return writes, content

    def apply(self, writes: list[Any]) -> None:
        if len(writes) == 1:
            return self._apply(*writes[0])
        with self.store.transaction("Edit"):
            for key, what in writes:
                self._apply(key, what)
        return None

    def _apply(self, key: str, what: Any) -> None:
        if what is None:
            self.store.delete(key)
        elif isinstance(what, int):
            self.store.set_metadata(key, {"m": what})
        else:
            self.store.put(key, pattern(*what[:2]), {"m": what[2]})

    def edit(self) -> None:
        writes, content = self.changes()
        past = deepcopy(self.past)
        past.step(content)
        self.become(past, lambda: self.apply(writes))

    def group(self) -> None:
        """Several transactions, each of which makes the step larger."""
        before = deepcopy(self.past)
        with self.history.group("Group"):
            for _ in range(3):
                writes, content = self.changes()
                if content == before.now:
                    continue  # the step would go, but not what it has driven out
                past = deepcopy(before)
                past.step(content)
                self.become(past, lambda writes=writes: self.apply(writes))

    def undo(self) -> None:
        self.go(max(self.past.index - self.random.choice([1, 1, 3]), 0))

    def redo(self) -> None:
        self.go(min(self.past.index + self.random.choice([1, 1, 3]), len(self.past.snapshots) - 1))

    def jump(self) -> None:
        self.go(self.random.randrange(len(self.past.snapshots)))

    def go(self, index: int) -> None:
        past = deepcopy(self.past)
        past.index = index
        self.become(past, lambda: self.history.go_to(index))

    def save(self) -> None:
        past = deepcopy(self.past)
        past.saved = past.index
        self.become(past, self.history.mark_saved)


def live(entry: HistoryUnderTest, root: Path, past: Past, diary: Path, seed: int) -> None:
    """What a child does; it never returns."""
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    if seed % 2:
        count_down(random.Random(seed).randrange(400))
    history = entry.open_history(entry.open(root), max_steps=MOST_STEPS)
    Child(history, past, descriptor, seed).work()


def count_down(step: int) -> None:
    """Be killed when Python opens, renames, removes or makes something for the so-many-th time."""
    left = [step]

    def hook(event: str, _arguments: Any) -> None:
        if event.startswith(STEPS) and event != "os.kill":
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def kill_one(entry: HistoryUnderTest, root: Path, past: Past, diary: Path, seed: int) -> None:
    """Have a child live a while."""
    child = os.fork()
    if child == 0:
        try:
            live(entry, root, past, diary, seed)
        finally:
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            os._exit(1)
    patience = random.Random(seed).random() * LONGEST_SECONDS * (4 if seed % 2 else 1)
    ends = time.monotonic() + patience
    while time.monotonic() < ends:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            break
        time.sleep(min(0.001, max(ends - time.monotonic(), 0)))
    else:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the child failed; seed {seed}"


def reported(diary: Path, past: Past) -> list[Past]:
    """The states that are right: the last that was done, and the one that was about to be."""
    lines = diary.read_bytes().split(b"\n")[:-1] if diary.exists() else []
    entries = [json.loads(line) for line in lines]
    done = [Past(entry) for entry in entries if entry["is_done"]]
    right = done[-1:] or [past]
    if entries and not entries[-1]["is_done"]:
        right.append(Past(entries[-1]))
    return right


def content_of(store: Any) -> dict[str, Any]:
    found = {}
    for key in store:
        data, known = store.read(key), store.get_metadata(key)["m"]
        seed = next((seed for seed in range(3) if pattern(len(data), seed) == data), None)
        assert seed is not None, f"{key!r} has data that nobody wrote"
        found[key] = [len(data), seed, known]
    return found


def check(entry: HistoryUnderTest, root: Path, right: list[Past], seed: int) -> Past:
    """Open what is left, see that it is right, and travel through all of it."""
    stores = entry.open(root)
    try:
        with entry.open_history(stores, max_steps=MOST_STEPS) as history:
            assert history.verify() == []
            now, place = content_of(stores[0]), (history.index, len(history.steps))
            found = [
                past
                for past in right
                if past.now == now and (past.index, len(past.snapshots) - 1) == place
            ]
            assert found, f"{place}, {now}: none of {[vars(past) for past in right]}"
            past = found[-1]
            told = [p.saved == p.index for p in found]
            assert history.is_saved in told, f"saved is {history.is_saved}, not {told}"
            past = found[told.index(history.is_saved)]
            places = [
                0,
                len(past.snapshots) - 1,
                random.Random(seed).randrange(len(past.snapshots)),
            ]
            for index in places:
                history.go_to(index)
                assert content_of(stores[0]) == past.snapshots[index], f"after {index} steps"
            assert history.verify() == []
            past.index = places[-1]
            if entry.held_bytes is not None:
                assert history.size == entry.held_bytes(root, stores)
            return past
    finally:
        for store in stores:
            store.close()


def run(name: str, kills: int, seed: int) -> int:
    entry = BY_NAME[name]
    memory = "/dev/shm"  # what is tested is the order of things, not the disk
    usable = os.path.isdir(memory) and os.access(memory, os.W_OK)
    base = Path(tempfile.mkdtemp(prefix="encore-kills-", dir=memory if usable else None))
    root, diary = base / "root", base / "diary"
    try:
        past = Past()
        for number in range(kills):
            if number % LIVES == 0:
                shutil.rmtree(root, ignore_errors=True)
                root.mkdir()
                past = Past()
            diary.unlink(missing_ok=True)
            kill_one(entry, root, past, diary, seed + number)
            try:
                past = check(entry, root, reported(diary, past), seed + number)
            except BaseException:
                print(f"seed {seed + number}, {base}", file=sys.stderr)
                raise
        return kills
    finally:
        if sys.exception() is None or "keep" not in sys.argv:
            shutil.rmtree(base)


if __name__ == "__main__":
    print(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
