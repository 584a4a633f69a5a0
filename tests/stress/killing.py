"""Kill a process that writes, again and again, and look at what it leaves.

    python killing.py STORE --kills 1000 --seed 1         at any moment
    python killing.py STORE --calls all --seed 1          at every system call of a step

The process that writes says through a pipe which steps it has committed. After its death the store
must hold all of these, and of the one that was under way all or nothing; nothing else may be there.
The last line that is printed is the result, as JSON. Needs fork, and strace for ``--calls``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from programs import State, Step, difference, steps
from stressed import BY_NAME, Stressed
from tracing import CHANGING, Traced, can_trace

_REOPEN_EVERY = 7
_LOOK_EVERY = 10


class LostError(AssertionError):
    """A store does not hold what it must."""


class Campaign:
    """One store that is written to by processes that do not live long.

    Parameters
    ----------
    stressed : Stressed
    root : Path
        A directory for the store.
    seed : int
    durability : str
    """

    #: Whether what is left behind is counted, rather than an error.
    may_leave_files = False
    #: Whether the process may find out that it dies, and end by itself.
    may_fail = False
    #: How many steps are waited for before the moment is chosen.
    waits: tuple[int, ...] = (0, 0, 0, 1, 1, 2, 4)

    def __init__(self, stressed: Stressed, root: Path, seed: int, durability: str) -> None:
        self.stressed = stressed
        self.root = root
        self.seed = seed
        self.durability = durability
        self.noise = random.Random(seed)
        self.number = 0
        self.state: State = {}
        self.counts: Counter[str] = Counter()
        self._child = 0

    def open(self, **options: Any) -> Any:
        return self.stressed.open(self.root, durability=self.durability, **options)

    # -- the process that writes ------------------------------------------------------------------

    def start(self) -> int:
        """Start a process that writes; return where it says what is committed."""
        heard, said = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(heard)
                self._write_without_end(said)
            except BaseException as error:
                if not self.may_fail:
                    print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os.close(said)
        self._child = child
        return heard

    def _write_without_end(self, said: int) -> None:
        if self.may_fail:
            logging.disable()  # of course the store complains when its disk is gone
        store = self.open()
        for step in steps(self.seed, self.number, self.state):
            step.play(store)
            os.write(said, step.number.to_bytes(8, "little"))
            if step.number % _REOPEN_EVERY == 0:
                store.close()
                store = self.open()

    def wait(self, heard: int) -> int:
        """Let it write for a while; return the number of the last step that it has told."""
        told = self.number
        for _ in range(self.noise.choice(self.waits)):
            told = _listen(heard) or told
        # At any moment: in the middle of a step, or of opening the store.
        threshold = time.monotonic() + self.noise.random() * 0.02
        while (left := threshold - time.monotonic()) > 0:
            if not select.select([heard], [], [], left)[0]:
                break
            number = _listen(heard)
            if not number:
                break
            told = number
        return told

    def listen(self, heard: int, told: int) -> int:
        """Return the number of the last step that it has told by now."""
        while select.select([heard], [], [], 0)[0] and (number := _listen(heard)):
            told = number
        return told

    def kill(self, heard: int, told: int) -> int:
        status = self.end()
        if not os.WIFSIGNALED(status) and not self.may_fail:
            raise LostError(f"the process ended by itself after step {told}")
        while number := _listen(heard):
            told = number
        os.close(heard)
        return told

    def has_ended(self) -> bool:
        """Whether the process that writes has ended by itself."""
        if os.waitpid(self._child, os.WNOHANG)[0]:
            self._child = 0
        return not self._child

    def end(self) -> int:
        """End the process that writes, if there is one, and return how it ended."""
        child, self._child, status = self._child, 0, 0
        if child:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        return status

    # -- what is left -----------------------------------------------------------------------------

    def advance(self, told: int) -> Step:
        """Follow the steps that are committed; return the one that was under way."""
        for step in steps(self.seed, self.number, self.state):
            if step.number > told:
                return step
            self.number, self.state = step.number, step.after
        raise AssertionError

    def examine(self, told: int) -> None:
        """Look at what is left, and take that as the state to go on from."""
        under_way = self.advance(told)
        self.counts["acknowledged"] = self.number
        with self.open(timeout=2.0) as store:
            absent = difference(store, self.state)
            if absent:
                present = difference(store, under_way.after)
                if present:
                    raise LostError(
                        f"after step {told} of seed {self.seed}: {absent}; if "
                        f"{under_way.act} happened: {present}"
                    )
                self.number, self.state = under_way.number, under_way.after
                self.counts["under way, whole"] += 1
            else:
                self.counts["under way, absent"] += 1
            if self.noise.random() < 0.5:
                store.delete("nothing", missing_ok=True)  # a write: the lock is free

    def look_for_residue(self) -> None:
        with self.open(timeout=2.0) as store:
            store.put("nothing", b"")
            store.delete("nothing")
        found = self.stressed.residue(self.root)
        if found and self.may_leave_files:
            self.counts["files left"] += len(found)
            return
        if not found:
            found = self._problems()
        if found:
            raise LostError(f"left behind after step {self.number} of seed {self.seed}: {found}")

    def _problems(self) -> list[str]:
        """What is wrong in the store, but for what it may leave to be repaired."""
        tolerated = self.stressed.tolerated
        with self.open() as store:
            problems = store.verify(repair=bool(tolerated))
            left = [one for one in problems if one.is_repaired and tolerated in one.explanation]
            self.counts["left to be repaired"] += len(left)
            return [str(one) for one in problems if one not in left]

    def run(self, kills: int) -> None:
        for kill in range(kills):
            heard = self.start()
            told = self.kill(heard, self.wait(heard))
            self.counts["kills"] += 1
            self.examine(told)
            if kill % _LOOK_EVERY == 0 or kill == kills - 1:
                self.look_for_residue()
        if kills:
            self.counts["bytes at the end"] = _size(self.root)


def _listen(heard: int) -> int:
    return int.from_bytes(os.read(heard, 8), "little")


def _size(root: Path) -> int:
    return sum(path.lstat().st_size for path in root.rglob("*") if path.is_file())


# -- at every system call -------------------------------------------------------------------------


def at_every_call(campaign: Campaign, first: int, one_in: int) -> None:
    """Kill at each system call of one step that changes something: opening, writing, closing.

    Parameters
    ----------
    campaign : Campaign
    first : int
        The step. Those before it make the store.
    one_in : int
        Examine one call in so many.
    """
    campaign.number, campaign.state = 0, {}
    template = campaign.root / "template"
    place = campaign.root = campaign.root / "place"
    place.mkdir()
    with campaign.open() as store:
        for step in steps(campaign.seed, 0, {}):
            if step.number == first:
                break
            step.play(store)
            campaign.number, campaign.state = step.number, step.after
    place.rename(template)

    def play() -> None:
        store = campaign.open()
        step.play(store)
        store.close()

    calls = _calls(place, template, play)
    state = dict(campaign.state)
    for number, (name, ordinal) in enumerate(calls):
        if number % one_in != campaign.seed % one_in:
            continue
        campaign.number, campaign.state = first - 1, dict(state)
        _renew(place, template)
        with Traced(play, f"inject={name}:signal=KILL:when={ordinal}", [name]) as traced:
            traced.play()
        campaign.counts["kills" if traced.was_killed else "not reached"] += 1
        campaign.examine(first if traced.said == "done" else first - 1)
        campaign.look_for_residue()
    campaign.counts["calls"] += len(calls)
    shutil.rmtree(place)
    shutil.rmtree(template)
    campaign.root = place.parent


def _calls(place: Path, template: Path, play: Any) -> list[tuple[str, int]]:
    """The calls that a step makes: each with how often it was made before, from 1."""
    _renew(place, template)
    with Traced(play, None, CHANGING) as traced:
        traced.play()
    seen: Counter[str] = Counter()
    found = []
    for name in traced.calls:
        seen[name] += 1
        found.append((name, seen[name]))
    assert traced.said == "done", traced.said
    return found


def _renew(place: Path, template: Path) -> None:
    if place.exists():
        shutil.rmtree(place)
    shutil.copytree(template, place)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=BY_NAME)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--calls", type=int, default=0, help="steps to be killed at every call")
    parser.add_argument("--one-in", type=int, default=1, help="of the calls")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--durability", default="process")
    options = parser.parse_args()
    if options.calls and not can_trace():
        print(json.dumps({"skipped": "strace cannot attach to a process here"}))
        return
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    base = Path(tempfile.mkdtemp(prefix="encore-kills-", dir=memory))
    begin = time.monotonic()
    try:
        root = base / "root"
        root.mkdir()
        campaign = Campaign(BY_NAME[options.store], root, options.seed, options.durability)
        try:
            campaign.run(options.kills)
        finally:
            campaign.end()
        shutil.rmtree(root)
        root.mkdir()
        for index in range(options.calls):
            campaign.seed = options.seed + index
            at_every_call(campaign, 8 + campaign.seed % 9, options.one_in)
    finally:
        shutil.rmtree(base)
    seconds = round(time.monotonic() - begin, 1)
    told = {"store": options.store, "durability": options.durability, "seed": options.seed}
    print(json.dumps({**told, "seconds": seconds, **campaign.counts}))


if __name__ == "__main__":
    main()
