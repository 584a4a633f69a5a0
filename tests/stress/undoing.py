"""Kill a process that writes, undoes and redoes, again and again, and look at what it leaves.

    python undoing.py STORE --kills 300 --seed 1

As in ``killing.py``, but each step is a step of a history too, and some go back or forth instead.
Whoever opens the store after the death finds what was told to be done, and of what was under way
all or nothing, in the store and in its history: what is undone and done again from there is
compared, state by state. The last line that is printed is the result, as JSON. Needs fork.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from killing import Campaign, LostError
from programs import Act, Block, Entry, State, Step, difference, step
from stressed import BY_NAME, Stressed

from encore.errors import HistoryError
from encore.history import History

_MOST_STEPS = 24
_MARK = "mark"


class Past(NamedTuple):
    """What a history can tell: the states before this one, this one, and those that were undone."""

    before: tuple[State, ...]
    now: State
    undone: tuple[State, ...]


class Move(NamedTuple):
    """A step of the program, and the past after it."""

    number: int
    act: Step | str
    after: Past

    def play(self, store: Any, history: History) -> None:
        if isinstance(self.act, Step):
            self.act.play(store)
        elif not getattr(history, self.act)():
            raise LostError(f"there is nothing to {self.act}")


def moves(seed: int, number: int, past: Past) -> Iterator[Move]:
    """Return the moves after the one of this number, without end."""
    while True:
        number += 1
        kind = random.Random(f"undo/{seed}/{number}").random()
        before, now, undone = past
        act: Step | str
        if kind < 0.25 and before:
            act, past = "undo", Past(before[:-1], before[-1], (now, *undone))
        elif kind < 0.45 and undone:
            act, past = "redo", Past((*before, now), undone[0], undone[1:])
        else:
            act = _marked(step(seed, number, now))
            past = Past((*before, now)[-_MOST_STEPS // 2 :], act.after, ())
        yield Move(number, act, past)


def _marked(made: Step) -> Step:
    """A step that changes something in any case: what changes nothing is no step of a history."""
    mark = Entry(10, made.number % 50, made.number)
    block = Block((made.act, Act("put", _MARK, mark)))
    return Step(made.number, block, {**made.after, _MARK: mark})


class Undoing(Campaign):
    """A campaign whose processes undo and redo, too."""

    def __init__(self, stressed: Stressed, root: Path, seed: int, durability: str) -> None:
        super().__init__(stressed, root, seed, durability)
        self.past = Past((), {}, ())

    def _write_without_end(self, said: int) -> None:
        store = self.open()
        with History(store, max_steps=_MOST_STEPS) as history:
            for move in moves(self.seed, self.number, self.past):
                move.play(store, history)
                os.write(said, move.number.to_bytes(8, "little"))

    def examine(self, told: int) -> None:
        under_way = None
        for under_way in moves(self.seed, self.number, self.past):
            if under_way.number > told:
                break
            self.number, self.past = under_way.number, under_way.after
        assert under_way is not None
        self.counts["acknowledged"] = self.number
        with self.open(timeout=2.0) as store, History(store, max_steps=_MOST_STEPS) as history:
            absent = difference(store, self.past.now)
            if absent:
                present = difference(store, under_way.after.now)
                if present:
                    raise LostError(
                        f"after step {told} of seed {self.seed}: {absent}; if "
                        f"{under_way.act} happened: {present}"
                    )
                self.number, self.past = under_way.number, under_way.after
            self.counts["under way, " + ("whole" if absent else "absent")] += 1
            self._travel(store, history)
            wrong = history.verify()
            if wrong:
                raise LostError(f"after step {self.number} of seed {self.seed}: {wrong}")

    def look_for_residue(self) -> None:
        with self.open(timeout=2.0) as store, History(store, max_steps=_MOST_STEPS) as history:
            history.clear()  # earlier versions belong to it
        self.past = Past((), self.past.now, ())
        super().look_for_residue()

    def _travel(self, store: Any, history: History) -> None:
        """Go back and forth, and look at what is there on the way."""
        before, now, undone = self.past
        count = min(len(before), self.noise.randrange(4))
        for state in [*reversed(before)][:count]:
            self._go("undo", store, history, state)
        for state in [*before[len(before) - count + 1 :], now][:count]:
            self._go("redo", store, history, state)
        count = min(len(undone), self.noise.randrange(3))
        for state in undone[:count]:
            self._go("redo", store, history, state)
        for state in [now, *undone[: max(count - 1, 0)]][::-1][:count]:
            self._go("undo", store, history, state)

    def _go(self, way: str, store: Any, history: History, state: State) -> None:
        self.counts["looked at the past"] += 1
        try:
            found = difference(store, state) if getattr(history, way)() else f"nothing to {way}"
        except HistoryError as error:
            found = str(error)
        if found:
            raise LostError(f"{way} after step {self.number} of seed {self.seed}: {found}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", choices=BY_NAME)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--durability", default="process")
    options = parser.parse_args()
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    base = Path(tempfile.mkdtemp(prefix="encore-undoing-", dir=memory))
    begin = time.monotonic()
    try:
        campaign = Undoing(BY_NAME[options.store], base, options.seed, options.durability)
        try:
            campaign.run(options.kills)
        finally:
            campaign.end()
    finally:
        shutil.rmtree(base)
    seconds = round(time.monotonic() - begin, 1)
    told = {"store": options.store, "durability": options.durability, "seed": options.seed}
    print(json.dumps({**told, "seconds": seconds, **campaign.counts}))


if __name__ == "__main__":
    main()
