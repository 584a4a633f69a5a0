"""Write to a store for a long time while system calls fail, and see whether anything grows.

    python enduring.py STORE --seconds 3600 --seed 1

Memory, descriptors, threads and room on the disk are looked at as it goes on. In the second half
none may pass what the first half needed by more than a little. After each failure the store must
hold what it held before, and at the end what was written. The last line that is printed is the
result, as JSON, with each figure at the beginning, at its most in each half, and at the end. Needs
strace.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import re
import shutil
import tempfile
import threading
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from programs import State, difference, steps
from stressed import BY_NAME, Stressed
from tracing import CHANGING, Traced, can_trace

from encore.errors import CommitUnknownError, EncoreError
from encore.testing.sources import pattern

# Each now and then, from a call on, in steps that share no divisor.
_FAULTS = (
    "write,pwrite64:error=ENOSPC:when=331+397",
    "fsync,fdatasync:error=EIO:when=101+211",
    "openat:error=EMFILE:when=257+307",
    "rename,renameat,renameat2:error=EIO:when=53+89",
    "unlink,unlinkat:error=EACCES:when=61+97",
)
_REOPEN_EVERY = 50
_LOOK_EVERY = 100
_SAMPLES = 400  # at most, and not closer together than so many seconds:
_SAMPLE_SECONDS = 0.1

#: What may be added in the second half: (share of the first half, amount).
BOUNDS = {
    "memory": (1.1, 8 << 20),
    "descriptors": (1.0, 2),
    "threads": (1.0, 0),
    "disk": (1.3, 4 << 20),
}


class GrowthError(AssertionError):
    """Something grows, or was lost."""


class Endurance:
    """One process, and what it needs."""

    def __init__(self, stressed: Stressed, root: Path, seed: int, seconds: float) -> None:
        self.stressed = stressed
        self.root = root
        self.seed = seed
        self.seconds = seconds
        self.state: State = {}
        self.samples: list[dict[str, float]] = []
        self.counts: Counter[str] = Counter()

    def open(self) -> Any:
        while True:
            try:
                store = self.stressed.open(self.root, durability="power")
                store.connect()
                return store
            except EncoreError:
                self.counts["failed openings"] += 1

    def run(self) -> None:
        """Write until the time is over; calls fail meanwhile."""
        logging.disable(logging.CRITICAL)
        try:
            self._run()
        except BaseException:
            traceback.print_exc()
            raise

    def _run(self) -> None:
        store, begin, due = self.open(), time.monotonic(), 0.0
        for number in range(1, 1 << 62):
            now = time.monotonic() - begin
            if now > self.seconds:
                break
            step = next(steps(self.seed, number - 1, self.state))
            try:
                step.play(store)
                self.state = step.after
            except CommitUnknownError:
                self.counts["CommitUnknownError"] += 1
                self._look(store, number, self.state, step.after)
            except EncoreError as error:
                self.counts[type(error).__name__] += 1
                self._look(store, number, self.state)
            else:
                if number % _LOOK_EVERY == 0:
                    self._look(store, number, self.state)
            self.counts["steps"] += 1
            if number % _REOPEN_EVERY == 0:
                store = self._reopen(store)
            if now >= due:
                due += max(self.seconds / _SAMPLES, _SAMPLE_SECONDS)
                with suppress(OSError):  # it may be looking itself that fails
                    self.samples.append({"at": now, **self._sample()})
        self._reopen(store).close()

    def _look(self, store: Any, number: int, *expected: State) -> None:
        """See whether everything is as expected; looking may itself be made to fail."""
        wrong, is_settled = "", len(expected) == 1
        for _ in range(10):
            try:
                if not is_settled:
                    store.delete("nothing", missing_ok=True)
                    is_settled = True
                for state in expected:
                    wrong = difference(store, state)
                    if not wrong:
                        self.state = state
                        self.counts["looked"] += 1
                        return
                # A commit that was decided, and could not be carried out: the next write does that.
                store.delete("nothing", missing_ok=True)
            except EncoreError:
                continue
        if wrong:
            raise GrowthError(f"at step {number}, which failed or did not: {wrong}")

    def _reopen(self, store: Any) -> Any:
        try:
            store.close()
        except EncoreError:
            self.counts["failed closings"] += 1
        return self.open()

    def _sample(self) -> dict[str, float]:
        pattern.cache_clear()  # it is ours, not the store's
        gc.collect()
        status = Path("/proc/self/status").read_text()
        (kilobytes,) = re.findall(r"RssAnon:\s+(\d+) kB", status)  # mapped files do not count
        files = [path.lstat() for path in self.root.rglob("*")]
        return {
            "memory": int(kilobytes) << 10,
            "descriptors": len(os.listdir("/proc/self/fd")),
            "threads": threading.active_count(),
            "disk": sum(found.st_blocks * 512 for found in files),
        }

    def tell(self) -> dict[str, Any]:
        """When no call fails any more: what it needed, and whether all is there."""
        with self.stressed.open(self.root) as store:
            store.delete("nothing", missing_ok=True)
            wrong = difference(store, self.state)
        return {"samples": self.samples, "wrong": wrong, **self.counts}


def judge(samples: list[dict[str, float]]) -> dict[str, Any]:
    """Return of each figure what it was at the beginning, the most of each half, and the end.

    Raises
    ------
    GrowthError
        The second half needs more than the first.
    """
    begin = samples[0]["at"]
    middle = (begin + samples[-1]["at"]) / 2
    told = {}
    for what, (share, amount) in BOUNDS.items():
        first = max(sample[what] for sample in samples if sample["at"] <= middle)
        second = max(sample[what] for sample in samples if sample["at"] > middle)
        told[what] = [samples[0][what], first, second, samples[-1][what]]
        if second > first * share + amount:
            raise GrowthError(
                f"{what} grows: {first:,} in the first half, then {second:,}; "
                f"the least and most of each tenth: {_tenths(samples, what)}"
            )
    return told


def _tenths(samples: list[dict[str, float]], what: str) -> str:
    """How a figure went on: growth and one peak look different."""
    figures = [int(sample[what]) for sample in samples]
    size = -(-len(figures) // 10)
    parts = [figures[at : at + size] for at in range(0, len(figures), size)]
    return ", ".join(f"{min(part):,}-{max(part):,}" for part in parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=BY_NAME)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not can_trace():
        print(json.dumps({"skipped": "strace cannot attach to a process here"}))
        return
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # many more steps in an hour
    base = Path(tempfile.mkdtemp(prefix="encore-endurance-", dir=memory))
    stressed = BY_NAME[options.store]
    try:
        root = base / "root"
        root.mkdir()
        endurance = Endurance(stressed, root, options.seed, options.seconds)
        more = [argument for fault in _FAULTS[1:] for argument in ("-e", f"inject={fault}")]
        more += ["-e", "status=none"]  # no log of what is done for an hour
        first = f"inject={_FAULTS[0]}"
        with Traced(endurance.run, first, CHANGING, endurance.tell, more=more) as traced:
            traced.play()
        told = traced.told
        if traced.said != "done" or not told or told["wrong"]:
            raise GrowthError(f"seed {options.seed}: {traced.said} {str(told)[:1000]}")
        del told["wrong"]
        halves = judge(told.pop("samples"))
        with stressed.open(root) as store:
            store.put("last", b"")
        left = stressed.residue(root)
        if left:
            raise GrowthError(f"left behind: {left}")
    finally:
        shutil.rmtree(base)
    print(json.dumps({**vars(options), **told, **halves}))


if __name__ == "__main__":
    main()
