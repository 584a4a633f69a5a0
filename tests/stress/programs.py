"""What is written while stores are under stress: programs of steps, and what each must leave.

A *step* is one lone write, or one transaction with blocks in it. It is made from a seed, a number
and the state before it, so whoever knows these knows what a store must hold after any number of
steps, without having seen them happen. States are descriptions, not data: data is generated again
when it is compared.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from encore.testing.sources import Trickle, pattern

KEYS = ("a", "a/b", "b", "d/e", "d/f", "large", "n/m/o", "x y", "über")
SIZES = (0, 10, 900, 5_000, 30_000, 70_000, 200_000)
_STREAM_BYTES = 1_200_000


class Entry(NamedTuple):
    """What is under a key: the size in bytes and the seed of its data, and who wrote it."""

    size: int
    seed: int
    number: int

    @property
    def data(self) -> bytes:
        return pattern(self.size, self.seed)

    @property
    def metadata(self) -> dict[str, Any]:
        return {"n": self.number, "text": "é" * (self.number % 40)}


State = dict[str, Entry]


class DroppedError(Exception):
    """What makes a block fail on purpose."""


class Act(NamedTuple):
    """One write: ``put``, ``stream``, ``delete``, ``move``, ``copy`` or ``describe``."""

    verb: str
    key: str
    entry: Entry | None = None
    target: str = ""

    def apply(self, state: State) -> None:
        if self.verb in ("put", "stream"):
            assert self.entry is not None
            state[self.key] = self.entry
        elif self.verb == "describe":
            assert self.entry is not None
            old = state[self.key]
            state[self.key] = Entry(old.size, old.seed, self.entry.number)
        elif self.verb == "delete":
            del state[self.key]
        elif self.verb == "copy":
            state[self.target] = state[self.key]
        elif self.key != self.target:
            state[self.target] = state.pop(self.key)

    def play(self, store: Any) -> None:
        if self.verb == "put":
            store.put(self.key, self.entry.data, self.entry.metadata)  # type: ignore[union-attr]
        elif self.verb == "stream":
            source = Trickle(self.entry.data, 65536)  # type: ignore[union-attr]
            store.put(self.key, source, self.entry.metadata)  # type: ignore[union-attr]
        elif self.verb == "describe":
            store.set_metadata(self.key, self.entry.metadata)  # type: ignore[union-attr]
        elif self.verb == "delete":
            store.delete(self.key)
        else:
            getattr(store, self.verb)(self.key, self.target)


@dataclass(frozen=True)
class Block:
    """A transaction, or a block in one; what it does is dropped if it fails."""

    acts: tuple[Act | Block, ...]
    fails: bool = False

    def apply(self, state: State) -> None:
        before = dict(state)
        for act in self.acts:
            act.apply(state)
        if self.fails:
            state.clear()
            state.update(before)

    def play(self, store: Any) -> None:
        try:
            with store.transaction("Stress"):
                for act in self.acts:
                    act.play(store)
                if self.fails:
                    raise DroppedError
        except DroppedError:
            pass


@dataclass(frozen=True)
class Step:
    """What is done at once, and the state after it."""

    number: int
    act: Act | Block
    after: State = field(repr=False)

    def play(self, store: Any) -> None:
        self.act.play(store)


def step(seed: int, number: int, before: State) -> Step:
    """Return the step of this number, given the state before it."""
    noise = random.Random(f"{seed}/{number}")
    after = dict(before)
    act: Act | Block
    if noise.random() < 0.4:
        act = _act(noise, number, after)
        act.apply(after)
    else:
        act = _block(noise, number, dict(after), 1)
        act.apply(after)
    return Step(number, act, after)


def steps(seed: int, number: int, before: State) -> Iterator[Step]:
    """Return the steps after the one of this number, without end."""
    while True:
        number += 1
        made = step(seed, number, before)
        yield made
        before = made.after


def _block(noise: random.Random, number: int, state: State, depth: int) -> Block:
    """Make a block; ``state`` is changed along the way."""
    before = dict(state)
    acts: list[Act | Block] = []
    for _ in range(noise.randint(1, 4)):
        made: Act | Block
        if depth < 3 and noise.random() < 0.25:
            made = _block(noise, number, state, depth + 1)
        else:
            made = _act(noise, number, state)
            made.apply(state)
        acts.append(made)
    fails = depth > 1 and noise.random() < 0.4
    if fails:
        state.clear()
        state.update(before)
    return Block(tuple(acts), fails)


def _act(noise: random.Random, number: int, state: State) -> Act:
    there = sorted(state)
    entry = Entry(noise.choice(SIZES), noise.randrange(50), number)
    kind = noise.random()
    if not there or kind < 0.5:
        return Act("put", noise.choice(KEYS), entry)
    if kind < 0.56:
        return Act("stream", noise.choice(KEYS), Entry(_STREAM_BYTES, entry.seed, number))
    key = noise.choice(there)
    if kind < 0.66:
        return Act("describe", key, entry)
    if kind < 0.82:
        return Act("delete", key)
    return Act("move" if kind < 0.92 else "copy", key, target=noise.choice(KEYS))


def difference(store: Any, state: State) -> str:
    """Say how a store differs from a state; "" if it does not."""
    found = [*store.keys()]
    if found != sorted(state):
        return f"keys {found}, expected {sorted(state)}"
    for key, entry in state.items():
        value = store.get(key)
        try:
            data, metadata = value.read(), value.metadata
        finally:
            value.close()
        if metadata != entry.metadata:
            return f"{key!r} has metadata of {metadata.get('n')}, expected {entry.number}"
        if data != entry.data:
            return f"{key!r} of {entry.number} has {len(data)} bytes, expected {entry}"
    return ""
