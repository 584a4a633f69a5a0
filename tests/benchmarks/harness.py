"""How a benchmark is written, and how it is run.

A benchmark is a function registered by `benchmark`. It gets a `Lab` (a place to work in) and
returns a `Trial`: contenders by name, each a generator function that prepares, yields its *work*
(a callable, the only thing that is timed) and cleans up::

    @benchmark("sqlite put", goals=[at_least(0.75, "R")])
    def put(lab):
        def encore():
            with lab.scratch() as directory, SqliteStore(directory / "s.db") as store:
                yield lambda: write_all(store)

        return Trial(count=20_000, contenders={"encore": encore, "R": raw})

The figure of a round is ``count / seconds``; where ``count`` is None the work returns the figure
itself. Rounds are interleaved, the order rotates, and a ratio is the median of the ratios within
each round: what slows the machine down for a while slows both sides.
"""

from __future__ import annotations

import gc
import importlib.util
import itertools
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

Work = Callable[[], Any]
Contender = Callable[[], Generator[Work, None, None]]

MIB = 1048576
_LARGE_FILE_BYTES = 16 * MIB


@dataclass(frozen=True, slots=True)
class Goal:
    """What encore is to reach.

    Attributes
    ----------
    bound : float
        A ratio to ``against``, or a figure where that is None.
    against : str or None
        Another contender.
    upper : bool
        Whether the bound is to be stayed under rather than reached.
    """

    bound: float
    against: str | None = None
    upper: bool = False

    def is_reached(self, value: float) -> bool:
        return value <= self.bound if self.upper else value >= self.bound


def at_least(bound: float, against: str | None = None) -> Goal:
    """A ratio, or without ``against`` a figure, that is to be reached."""
    return Goal(bound, against)


def at_most(bound: float, against: str | None = None) -> Goal:
    """A ratio, or without ``against`` a figure, that is not to be exceeded."""
    return Goal(bound, against, upper=True)


@dataclass(slots=True)
class Trial:
    """What a benchmark measures.

    Attributes
    ----------
    contenders : mapping of str to Contender or None
        "encore" first; None stands for a peer that is not installed.
    count : float or None
        Operations (or MiB) in one round; None where the work returns the figure.
    repeats : int
        Rounds.
    """

    contenders: Mapping[str, Contender | None]
    count: float | None = None
    repeats: int = 7


@dataclass(slots=True)
class Result:
    """The figures of one benchmark in one place; without figures, why there are none."""

    name: str
    place: str
    unit: str
    goals: tuple[Goal, ...]
    judged: bool
    figures: dict[str, list[float]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    problem: str = ""

    def median(self, name: str) -> float:
        return statistics.median(self.figures[name])

    def ratios(self, against: str, name: str = "encore") -> list[float]:
        """``name`` to ``against``, round by round."""
        pairs = zip(self.figures[name], self.figures[against], strict=True)
        return [one / other if other else float("inf") for one, other in pairs]

    def ratio(self, against: str, name: str = "encore") -> float:
        return statistics.median(self.ratios(against, name))

    def value_of(self, goal: Goal) -> float | None:
        """What a goal is compared with; None where a peer is missing."""
        if goal.against is None:
            return self.median("encore") if self.figures else None
        return self.ratio(goal.against) if goal.against in self.figures else None


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A registered benchmark; see `benchmark`."""

    name: str
    run: Callable[[Lab], Trial]
    unit: str
    goals: tuple[Goal, ...]
    places: tuple[str, ...]
    judged: tuple[str, ...]
    quick: bool


REGISTER: list[Benchmark] = []
_numbers = itertools.count()


def benchmark(
    name: str,
    *,
    unit: str = "ops/s",
    goals: tuple[Goal, ...] | list[Goal] = (),
    places: tuple[str, ...] = ("memory",),
    judged: tuple[str, ...] = ("memory", "tmpfs"),
    quick: bool = True,
) -> Callable[[Callable[[Lab], Trial]], Callable[[Lab], Trial]]:
    """Register a benchmark.

    Parameters
    ----------
    name : str
    unit : str, optional
        Of the figures.
    goals : list of Goal, optional
    places : tuple of str, optional
        "memory" (no files), "tmpfs" and "disk"; it runs in each of them.
    judged : tuple of str, optional
        Where the goals count. Files created on a disk vary by half from run to run; they stand
        beside.
    quick : bool, optional
        Whether it is part of ``--quick``.
    """

    def register(function: Callable[[Lab], Trial]) -> Callable[[Lab], Trial]:
        REGISTER.append(
            Benchmark(name, function, unit, tuple(goals), tuple(places), tuple(judged), quick)
        )
        return function

    return register


class Lab:
    """Where one benchmark runs, once.

    Trees are renamed into a trash directory and deleted at the end of the program: some ext4
    file systems refuse the inodes of files deleted lately and scan past all of them at each
    creation, so that deleting between rounds would be measured and nothing else.

    Parameters
    ----------
    place : str
    root : Path
        Made, and removed, by the caller.
    quick : bool
    """

    def __init__(self, place: str, root: Path, *, quick: bool) -> None:
        self.place = place
        self.quick = quick
        self._root = root
        self._trash = root / "trash"
        self._trash.mkdir(parents=True, exist_ok=True)
        self._stack = ExitStack()

    def pick(self, full: int, quick: int) -> int:
        """A size: one for ordinary runs, one for ``--quick``."""
        return quick if self.quick else full

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A new directory for as long as the block."""
        directory = self._root / f"work-{os.getpid()}-{next(_numbers)}"
        directory.mkdir()
        try:
            yield directory
        finally:
            self._retire(directory)

    def enter(self, resource: Any) -> Any:
        """Enter a context manager that lasts until the benchmark has been run."""
        return self._stack.enter_context(resource)

    def defer(self, function: Callable[[], object]) -> None:
        """Have a function called when the benchmark has been run."""
        self._stack.callback(function)

    def close(self) -> None:
        """Leave what was entered."""
        self._stack.close()

    def warm(self, size: int) -> None:
        """Write and delete a file: memory that the system has never touched costs more."""
        block = random.randbytes(MIB)
        with self.scratch() as directory, open(directory / "warm", "wb", buffering=0) as file:
            for _ in range(-(-size // MIB)):
                file.write(block)

    def _retire(self, directory: Path) -> None:
        if self.place == "tmpfs":
            shutil.rmtree(directory, ignore_errors=True)
            return
        for path in directory.iterdir():
            if path.is_file() and path.stat().st_size >= _LARGE_FILE_BYTES:
                os.truncate(path, 0)  # or its pages would wait to be written
        directory.rename(self._trash / directory.name)


@contextmanager
def workspace(parent: str) -> Iterator[Path]:
    """A directory for all the benchmarks of one place."""
    root = Path(tempfile.mkdtemp(prefix="encore-benchmarks-", dir=parent))
    with suppress(OSError):  # each directory below gets a block group of its own, on ext4
        subprocess.run(["chattr", "+T", root], check=False, capture_output=True)
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def run(known: Benchmark, place: str, root: Path, *, quick: bool) -> Result:
    """Run a benchmark in one place."""
    result = Result(known.name, place, known.unit, known.goals, place in known.judged)
    lab = Lab(place, root, quick=quick)
    try:
        trial = known.run(lab)
        repeats = min(trial.repeats, 5 if trial.count is None else 3) if quick else trial.repeats
        result.missing = tuple(name for name, entry in trial.contenders.items() if entry is None)
        present = {name: entry for name, entry in trial.contenders.items() if entry is not None}
        result.figures = _rounds(present, trial.count, repeats)
    except Exception as error:
        result.problem = f"{type(error).__name__}: {error}"
        result.figures = {}
    finally:
        lab.close()
    return result


def _rounds(
    contenders: Mapping[str, Contender], count: float | None, repeats: int
) -> dict[str, list[float]]:
    names = [*contenders]
    figures: dict[str, list[float]] = {name: [] for name in names}
    for number in range(repeats):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            figures[name].append(_one_round(contenders[name], count))
    return figures


def _one_round(contender: Contender, count: float | None) -> float:
    with contextmanager(contender)() as work:
        gc.collect()
        gc.disable()
        try:
            began = time.perf_counter()
            figure = work()
            seconds = time.perf_counter() - began
        finally:
            gc.enable()
    return float(figure) if count is None else count / seconds


def peer(name: str) -> ModuleType | None:
    """Import a peer; None if it is not installed."""
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        return None
    return importlib.import_module(name)


# -- fresh data ------------------------------------------------------------------------------------


def fresh_values(count: int, size: int = 100) -> list[bytes]:
    """Random values. Never reuse them: SQLite skips a write whose bytes are there already."""
    block = os.urandom(count * size)
    return [block[at : at + size] for at in range(0, count * size, size)]


def fresh_keys(count: int, *, groups: int = 100) -> list[str]:
    """Keys in random order, equally many under each of ``groups`` prefixes ``00/``, ``01/``..."""
    keys = [f"{number % groups:02d}/{number // groups:07d}" for number in range(count)]
    random.shuffle(keys)
    return keys


class Pattern:
    """A binary stream of a given length that costs nothing to read: 16 random MiB, over and over.

    Reads of a MiB return whole chunks without copying, and never the same one twice in a row.
    """

    def __init__(self, size: int) -> None:
        self._left = size
        self._number = 0

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        chunks = _pattern_chunks()
        parts = []
        while wanted > 0:
            chunk = chunks[self._number % len(chunks)][:wanted]
            self._number += 1
            wanted -= len(chunk)
            self._left -= len(chunk)
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)


_chunks: list[bytes] = []


def _pattern_chunks() -> list[bytes]:
    if not _chunks:
        _chunks.extend(os.urandom(MIB) for _ in range(16))
    return _chunks
