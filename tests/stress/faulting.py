"""Make the system calls of a process that writes fail, one after the other, and look at the store.

    python faulting.py STORE --steps 10 --seed 1

Every call of a step that may fail does so once alone, and once with all like it that follow. The
store must then be as it was before the step if that has raised an error of encore's, and as it is
to be after it if not. It must go on working, hold no more descriptors than it does without faults,
and leave nothing behind. The last line that is printed is the result, as JSON. Needs strace.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from programs import State, Step, difference, steps
from stressed import BY_NAME, Stressed
from tracing import CHANGING, Traced, can_trace

_MAKING = ("open", "openat", "mkdir", "mkdirat", "link", "linkat", "rename", "renameat")
_WRITING = ("write", "pwrite64", "writev", "copy_file_range")
_SYNCING = ("fsync", "fdatasync")
_REMOVING = ("unlink", "unlinkat", "rmdir")
_CUTTING = ("ftruncate", "fallocate", "truncate")
_READING = ("read", "pread64")

#: Which calls fail with what.
ERRORS = {
    "ENOSPC": _MAKING + _WRITING + _CUTTING,
    "EIO": (*_MAKING, *_WRITING, *_SYNCING, *_REMOVING, *_CUTTING, *_READING),
    "EINTR": ("open", "openat", *_WRITING, *_SYNCING, "flock"),
    "EMFILE": ("open", "openat"),
    "EACCES": _MAKING + _REMOVING,
}

# What the warm store has done before: every way into the store has been gone once.
_FIRST_STEP = 9


class WrongError(AssertionError):
    """A store has answered a failing system call as it must not."""


class Trial:
    """One step of one store, whose calls fail.

    Parameters
    ----------
    stressed : Stressed
    base : Path
        An empty directory.
    seed : int
    durability : str
    is_cold : bool
        Whether the store is opened, and closed, under faults too.
    """

    def __init__(
        self, stressed: Stressed, base: Path, seed: int, durability: str, is_cold: bool
    ) -> None:
        self.stressed = stressed
        self.durability = durability
        self.is_cold = is_cold
        self.template = base / "template"
        self.root = base / "root"
        self.root.mkdir()
        self.before: State = {}
        with self.open() as store:
            for step in steps(seed, 0, {}):
                if step.number >= _FIRST_STEP and step.after != self.before:
                    break
                step.play(store)
                self.before = step.after
        self.step: Step = step
        os.rename(self.root, self.template)
        self.store: Any = None

    def open(self) -> Any:
        return self.stressed.open(self.root, durability=self.durability, timeout=2.0)

    # -- in the child -----------------------------------------------------------------------------

    def play(self) -> None:
        if self.is_cold:
            self.store = self.open()
        self.step.play(self.store)
        if self.is_cold:
            self.store.close()

    def tell(self) -> dict[str, Any]:
        """Say what the store is like now that no call fails any more."""
        if self.store is None or self.is_cold:
            self.store = self.open()
        store = self.store
        found = {
            "before": difference(store, self.before),
            "after": difference(store, self.step.after),
        }
        if found["after"]:
            # A commit that was decided, and could not be carried out: the next write does that.
            store.delete("nothing", missing_ok=True)
            found["late"] = difference(store, self.step.after)
        with store.transaction():
            store.put("usable", b"yes" * 1000, {"usable": True})
        store.put("usable", b"x" * 200_000)
        store.delete("usable")
        gc.collect()
        found["descriptors"] = len(os.listdir("/proc/self/fd"))
        store.close()
        return found

    # -- in the parent ----------------------------------------------------------------------------

    def run(self, fault: str | None, calls: list[str]) -> Traced:
        if self.root.exists():
            shutil.rmtree(self.root)
        shutil.copytree(self.template, self.root)
        with Traced(self.play, fault, calls, self.tell, prepare=self._warm_up) as traced:
            traced.play()
        return traced

    def _warm_up(self) -> None:
        if not self.is_cold:
            self.store = self.open()
            with self.store.transaction():
                self.store.put("warm", b"x" * 200_000)
            self.store.delete("warm")

    def points(self) -> Iterator[tuple[str, str, int]]:
        """All (error, call, ordinal) that there are, and what is usual without faults."""
        names = [*CHANGING, *_READING]
        usual = self.run(None, names)
        if usual.said != "done" or usual.told is None or usual.told["after"]:
            raise WrongError(f"without faults: {usual.said} {usual.told}")
        self.descriptors = usual.told["descriptors"]
        count = Counter(usual.calls)
        for error, calls in ERRORS.items():
            for call in calls:
                for ordinal in range(1, count[call] + 1):
                    yield error, call, ordinal

    def check(self, error: str, call: str, ordinal: int, and_on: bool) -> str:
        """Have a call fail; return the class of what was raised, or "done", or "done late"."""
        fault = f"inject={call}:error={error}:when={ordinal}{'+' if and_on else ''}"
        traced = self.run(fault, [call])
        said, told = traced.said, traced.told
        kinds = said.partition(":")[0].split("/")

        def wrong(why: str) -> WrongError:
            return WrongError(f"{self.stressed.name}, {fault}: {why}; it said {said[:300]}")

        if told is None:
            raise wrong("the store is not usable afterwards")
        is_unknown = "CommitUnknownError" in kinds
        is_late = told.get("late") == ""
        is_done = is_late or not told["after"]
        if said != "done" and "EncoreError" not in kinds:
            raise wrong("the error is not encore's")
        # SQLite does not make a sync again: to it, one that was interrupted has failed.
        if error == "EINTR" and said != "done" and call not in _SYNCING:
            raise wrong("an interrupted call is to be made again")
        if error == "ENOSPC" and call in _WRITING and said != "done":
            is_told = is_unknown or "StoreFullError" in kinds
            if not is_told:
                raise wrong("a full disk is a StoreFullError")
        if said == "done" and not is_done:
            raise wrong(f"it is not done: {told['after']}")
        # Closing comes after the commit: an error there leaves the step done.
        if said != "done" and is_done and not (is_unknown or (self.is_cold and not is_late)):
            raise wrong(f"it has changed all the same: {told['before']}")
        if not is_done and told["before"]:
            raise wrong(f"it is neither done nor as it was: {told['before']}; {told['after']}")
        if is_late and not and_on:
            raise wrong("what failed once is to be tried once more")
        if told["descriptors"] > self.descriptors:
            raise wrong(f"{told['descriptors']} descriptors, not {self.descriptors}")
        with self.open() as store:
            left = difference(store, self.step.after if is_done else self.before)
        if left:
            raise wrong(f"opened again: {left}")
        residue = self.stressed.residue(self.root)
        if residue:
            raise wrong(f"left behind: {residue}")
        return "done late" if is_late else kinds[0]


def run(stressed: Stressed, base: Path, options: argparse.Namespace) -> Counter[str]:
    counts: Counter[str] = Counter()
    noise = random.Random(options.seed)
    wrongs = []
    for index in range(options.steps):
        place = base / str(index)
        place.mkdir()
        seed = options.seed + index
        trial = Trial(stressed, place, seed, options.durability, is_cold=index % 3 == 2)
        points = [*trial.points()]
        noise.shuffle(points)  # time may not be enough for all of them
        for error, call, ordinal in points:
            if noise.random() >= 1 / options.one_in or time.monotonic() > options.until:
                continue
            # What is interrupted for ever is made again for ever.
            for and_on in (False, True)[: 1 if error == "EINTR" else 2]:
                try:
                    said = trial.check(error, call, ordinal, and_on)
                except WrongError as wrong:
                    if not options.go_on:
                        raise
                    wrongs.append(f"seed {seed}: {wrong}")
                    said = "wrong"
                counts["faults"] += 1
                counts[said] += 1
        shutil.rmtree(place)
    for wrong in wrongs:
        print(wrong)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=BY_NAME)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--one-in", type=int, default=1, help="of the calls")
    parser.add_argument("--seconds", type=float, default=1e9, help="after which it ends")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--durability", default="power")
    parser.add_argument("--go-on", action="store_true", help="list what is wrong at the end")
    options = parser.parse_args()
    if not can_trace():
        print(json.dumps({"skipped": "strace cannot attach to a process here"}))
        return
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    base = Path(tempfile.mkdtemp(prefix="encore-faults-", dir=memory))
    begin = time.monotonic()
    options.until = begin + options.seconds
    try:
        counts = run(BY_NAME[options.store], base, options)
    finally:
        shutil.rmtree(base)
    told = {"store": options.store, "durability": options.durability, "seed": options.seed}
    seconds = round(time.monotonic() - begin, 1)
    print(json.dumps({**told, "steps": options.steps, "seconds": seconds, **counts}))


if __name__ == "__main__":
    main()
