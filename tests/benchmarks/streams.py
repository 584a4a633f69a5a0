"""Streams: chunks read as a file, and one source read by several."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterator
from typing import Any

from encore.streams import BufferIteratorIO, tee
from tests.benchmarks.child import call, peak_growth
from tests.benchmarks.harness import (
    MIB,
    Lab,
    Pattern,
    Trial,
    Work,
    at_least,
    at_most,
    benchmark,
    fresh_values,
)

_READ = 1000


@benchmark("BufferIteratorIO.read(1000)", unit="MiB/s", goals=[at_least(0.8, "R")])
def small_reads(lab: Lab) -> Trial:
    """Chunks of 1 MiB, read 1,000 bytes at a time.

    R: `io.BufferedReader` over `io.BytesIO`, with the same buffer of 64 KiB: no Python at all.
    Beside: a file in memory, opened as anybody opens it.
    """
    size = lab.pick(64, 16)
    chunks = fresh_values(size, MIB)
    whole = b"".join(chunks)

    def encore() -> Generator[Work, None, None]:
        stream = BufferIteratorIO(iter(chunks))
        yield lambda: _read_all(stream)

    def limit() -> Generator[Work, None, None]:
        stream = io.BufferedReader(io.BytesIO(whole), 65536)  # type: ignore[arg-type]
        yield lambda: _read_all(stream)

    def file() -> Generator[Work, None, None]:
        with lab.scratch() as directory:
            (directory / "file").write_bytes(whole)
            with open(directory / "file", "rb") as stream:
                yield lambda: _read_all(stream)

    return Trial({"encore": encore, "R": limit, "open()": file}, size)


def _read_all(stream: Any) -> None:
    read = stream.read
    while read(_READ):
        pass


@benchmark("tee of 3 in lock step", unit="MiB", goals=[at_most(4)])
def lock_step(lab: Lab) -> Trial:
    """Growth of anonymous memory in a new process: 256 MiB through three readers in turn."""
    return _growth_trial(lab, lock_step_growth)


@benchmark("tee of 3 one after the other", unit="MiB", goals=[at_most(16 + 4)])
def one_after_other(lab: Lab) -> Trial:
    """As in lock step, but each reader to its end: 16 MiB are kept, and the rest in a file.

    The goal allows for the chunk in each hand.
    """
    return _growth_trial(lab, one_after_other_growth)


@benchmark("tee of 3 one after the other, speed", unit="MiB/s", goals=[at_least(300)])
def one_after_other_speed(lab: Lab) -> Trial:
    """What comes out of three readers, each to its end. Beside: in lock step."""
    size = lab.pick(256, 64)

    def contender(act: Callable[[int], None]) -> Callable[[], Generator[Work, None, None]]:
        def run() -> Generator[Work, None, None]:
            yield lambda: act(size * MIB)

        return run

    contenders = {"encore": contender(_one_after_other), "in lock step": contender(_lock_step)}
    return Trial(contenders, 3 * size, repeats=5)


def _growth_trial(lab: Lab, function: Callable[[int], float]) -> Trial:
    size = lab.pick(256, 64) * MIB

    def encore() -> Generator[Work, None, None]:
        yield lambda: call(function, size)

    return Trial({"encore": encore}, repeats=3)


def lock_step_growth(size: int) -> float:
    """MiB; run in a child."""
    Pattern(MIB).read()
    return peak_growth(lambda: _lock_step(size))


def one_after_other_growth(size: int) -> float:
    """MiB; run in a child."""
    Pattern(MIB).read()
    return peak_growth(lambda: _one_after_other(size))


def _lock_step(size: int) -> None:
    readers = tee(_Copies(size), 3)  # type: ignore[arg-type]
    while any([len(reader.read(MIB)) for reader in readers]):  # noqa: C419  each of them reads
        pass


def _one_after_other(size: int) -> None:
    for reader in tee(_Copies(size), 3):  # type: ignore[arg-type]
        while reader.read(MIB):
            pass


class _Copies:
    """A source whose chunks are new objects, as a file's are."""

    def __init__(self, size: int) -> None:
        self._source = Pattern(size)

    def read(self, size: int = -1) -> bytes:
        return bytes(memoryview(self._source.read(size)).tobytes())

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(MIB), b"")
