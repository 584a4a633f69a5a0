"""Threads and processes that write to one store at the same time, and whether that went well.

    python contending.py STORE --processes 4 --threads 2 --transactions 200 --seed 1

Each of them reads, counts and moves things in transactions, some of which fail, and writes down
what it saw. Meanwhile processes die in the middle of a transaction. Afterwards the history has to
be strictly serializable, no update lost, nothing seen that was never committed, and nothing moved
to two places or to none. Processes are forks that go on with the store they have inherited. The
last line that is printed is the result, as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from histories import FIRST, Transaction, faults
from programs import DroppedError
from stressed import BY_NAME

from encore.errors import ConflictError, KeyNotFoundError
from encore.testing.sources import pattern

_COUNTERS = ("count/a", "count/b", "count/c", "count/d")
_THINGS = 6
_PADDING = (0, 100, 3_000, 100_000)
_TIMEOUT_SECONDS = 120.0
_TRIES = 1000
_HOLD_SECONDS = 0.005
_SHOW_SECONDS = 0.001

#: Stores of which several keys, read without a transaction, may be of different commits.
_NO_SNAPSHOT_OUTSIDE = ("filesystem", "unlocked")


class TornError(AssertionError):
    """Something is not what a store may show."""


def write(store: Any, key: str, version: str, number: int, size: int, **options: Any) -> None:
    data = f"{version} {number} {size}\n".encode() + pattern(size, number % 50)
    store.put(key, data, {"version": version, "n": number}, **options)


def read(store: Any, key: str, pause: float = 0.0) -> tuple[str, int]:
    """Return the version and the number under a key, having looked whether it is whole."""
    return look_at(key, store.get(key), pause)


def look_at(key: str, value: Any, pause: float = 0.0) -> tuple[str, int]:
    """Return what `read` does, of a value; ``pause`` is for how many seconds it is held."""
    try:
        if pause:
            time.sleep(pause)
        data, metadata = value.read(), value.metadata
    finally:
        value.close()
    version, number, size = data[: data.index(b"\n")].decode().split(" ")
    if data[data.index(b"\n") + 1 :] != pattern(int(size), int(number) % 50):
        raise TornError(f"{key!r} is torn")
    if metadata != {"version": version, "n": int(number)}:
        raise TornError(f"{key!r} has the metadata of {metadata}, and the data of {version}")
    return version, int(number)


class Worker:
    """One thread that works on the store."""

    def __init__(self, store: Any, name: str, seed: int) -> None:
        self.store = store
        self.name = name
        self.noise = random.Random(f"{seed}/{name}")
        self.history: list[Transaction] = []
        self.lone: list[str] = []
        self.glances: list[str] = []
        self.counts: Counter[str] = Counter()
        self.error: BaseException | None = None
        self.acts = [self.count, self.count, self.count_and_fail, self.exchange, self.keep]
        self.acts += [self.move, self.look, self.read]

    def run(self, transactions: int) -> None:
        try:
            for number in range(transactions):
                act = self.noise.choice(self.acts)
                one = Transaction(f"{self.name}/{number}", time.monotonic_ns(), 0)
                act(one)
                one.end = time.monotonic_ns()
                self.counts[act.__name__] += 1
                if act != self.count_and_fail:
                    self.history.append(one)
                if act == self.read:
                    self.lone.append(one.name)
        except BaseException as error:
            self.error = error

    def count(self, one: Transaction) -> None:
        keys = self.noise.sample(_COUNTERS, self.noise.randint(1, 3))
        with self.store.transaction("Count"):
            for key in keys:
                version, number = read(self.store, key)
                if self.noise.random() < 0.2:  # what nobody may see
                    write(self.store, key, f"{one.name}-between", -1, 10)
                    time.sleep(_SHOW_SECONDS)
                size = self.noise.choice(_PADDING)
                write(self.store, key, one.name, number + 1, size)
                one.writes.append((key, one.name, version))

    def count_and_fail(self, one: Transaction) -> None:
        try:
            with self.store.transaction("Fail"):
                self.count(one)
                raise DroppedError
        except DroppedError:
            pass

    def move(self, one: Transaction) -> None:
        thing = self.noise.randrange(_THINGS)
        with self.store.transaction("Move"):
            places = [f"{place}/{thing}" for place in ("here", "there")]
            held = [key in self.store for key in places]
            if held not in ([True, False], [False, True]):
                raise TornError(f"{thing} is in {sum(held)} places")
            source, target = places if held[0] else reversed(places)
            self.store.move(source, target)

    def exchange(self, one: Transaction) -> None:
        """Count without a transaction: only if nobody has written since it was read."""
        key = self.noise.choice(_COUNTERS)
        for _ in range(_TRIES):
            value = self.store.get(key)
            token = value.token
            version, number = look_at(key, value)
            try:
                size = self.noise.choice(_PADDING)
                write(self.store, key, one.name, number + 1, size, if_token=token)
            except ConflictError:
                self.counts["conflicts"] += 1
                continue
            one.writes.append((key, one.name, version))
            return

    def keep(self, one: Transaction) -> None:
        """Write a key of one's own, and read it back."""
        key, number = f"own/{self.name}", self.noise.randrange(1000)
        write(self.store, key, one.name, number, self.noise.choice(_PADDING))
        if read(self.store, key) != (one.name, number):
            raise TornError(f"{key!r} is not what was written")

    def look(self, one: Transaction) -> None:
        """Read everything at once."""
        with self.store.transaction("Look"):
            for key in _COUNTERS:
                one.reads.append((key, read(self.store, key)[0]))
            here = [key.partition("/")[2] for key in self.store.keys("here/")]
            there = [key.partition("/")[2] for key in self.store.keys("there/")]
        if sorted(here + there) != [str(thing) for thing in range(_THINGS)]:
            raise TornError(f"here are {here}, and there {there}")

    def read(self, one: Transaction) -> None:
        """Read one counter, without a transaction, and others, each at another moment.

        A thing may have moved when it is looked for.
        """
        key = self.noise.choice(_COUNTERS)
        pause = self.noise.choice((0.0, 0.0, _HOLD_SECONDS))  # meanwhile it may be replaced
        one.reads.append((key, read(self.store, key, pause)[0]))
        now = time.monotonic_ns()
        glance = Transaction(f"{one.name}/glance", now, now)
        for key in _COUNTERS:
            time.sleep(_SHOW_SECONDS / 2)
            glance.reads.append((key, read(self.store, key)[0]))
        self.history.append(glance)
        self.glances.append(glance.name)
        try:
            self.store.read(f"here/{self.noise.randrange(_THINGS)}")
        except KeyNotFoundError:
            self.counts["was elsewhere"] += 1


def work(store: Any, name: str, options: argparse.Namespace) -> list[Worker]:
    """Work with some threads, and return them when they are done."""
    workers = [Worker(store, f"{name}{thread}", options.seed) for thread in range(options.threads)]
    threads = [
        threading.Thread(target=worker.run, args=(options.transactions,), name=worker.name)
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for worker in workers:
        if worker.error is not None:
            raise worker.error
    return workers


def in_processes(store: Any, base: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Work in forks, while others die, and return what they have told."""
    children = {}
    for number in range(options.processes):
        child = os.fork()
        if child == 0:
            _be_a_process(store, f"p{number}t", base / f"told{number}", options)
        children[child] = base / f"told{number}"
    for number in range(options.deaths):
        child = os.fork()
        if child == 0:
            _die(store, number)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "it was to die, and could not begin"
    told = []
    for child, place in children.items():
        _, status = os.waitpid(child, 0)
        if status != 0:
            raise TornError("a process has failed; it said why")
        told += json.loads(place.read_text())
    return told


def _be_a_process(store: Any, name: str, place: Path, options: argparse.Namespace) -> None:
    status = 1
    try:
        workers = work(store, name, options)
        place.write_text(json.dumps([_told(worker) for worker in workers]))
        store.close()
        status = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def _told(worker: Worker) -> dict[str, Any]:
    history = [asdict(one) for one in worker.history]
    return {
        "history": history,
        "lone": worker.lone,
        "glances": worker.glances,
        "counts": worker.counts,
    }


def _die(store: Any, number: int) -> None:
    """End in the middle of a transaction."""
    try:
        store.transaction("Die").begin()
        write(store, _COUNTERS[0], f"dead/{number}", -1, 100_000)
        store.delete(_COUNTERS[1])
        os.kill(os.getpid(), signal.SIGKILL)
    finally:
        os._exit(1)


def contend(name: str, base: Path, options: argparse.Namespace) -> dict[str, Any]:
    root = base / "root"
    root.mkdir()
    store = BY_NAME[name].open(root, timeout=_TIMEOUT_SECONDS)
    for key in _COUNTERS:
        write(store, key, FIRST, 0, 10)
    for thing in range(_THINGS):
        store.put(f"here/{thing}", pattern(1000, thing))
    if options.processes:
        told = in_processes(store, base, options)
    else:
        told = [_told(worker) for worker in work(store, "t", options)]
    history = [
        Transaction(
            one["name"],
            one["begin"],
            one["end"],
            [tuple(pair) for pair in one["reads"]],
            [tuple(three) for three in one["writes"]],
        )
        for each in told
        for one in each["history"]
    ]
    unordered = [each for one in told for each in one["glances"]]
    if name in _NO_SNAPSHOT_OUTSIDE:
        unordered += [each for one in told for each in one["lone"]]
    found = faults(history, only_values=unordered)
    written = Counter(key for one in history for key, _, _ in one.writes)
    for key in _COUNTERS:
        _, number = read(store, key)
        if number != written[key]:
            found.append(f"{key!r} was counted {written[key]} times, and is {number}")
    store.close()
    if options.deaths:  # what the dead have left is put away by whoever opens the store
        with BY_NAME[name].open(root) as store:
            store.delete("nothing", missing_ok=True)
    found += BY_NAME[name].residue(root)
    if found:
        raise TornError(f"{len(found)} faults, seed {options.seed}: " + "; ".join(found[:5]))
    counts = sum((Counter(each["counts"]) for each in told), Counter())
    return {"transactions": len(history), **counts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=BY_NAME)
    parser.add_argument("--processes", type=int, default=0, help="0: threads only")
    parser.add_argument("--threads", type=int, default=8, help="in each process")
    parser.add_argument("--transactions", type=int, default=100, help="of each thread")
    parser.add_argument("--deaths", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.setswitchinterval(0.0005)
    base = Path(tempfile.mkdtemp(prefix="encore-contention-"))
    begin = time.monotonic()
    try:
        found = contend(options.store, base, options)
    finally:
        shutil.rmtree(base)
    print(json.dumps({**vars(options), "seconds": round(time.monotonic() - begin, 1), **found}))


if __name__ == "__main__":
    main()
