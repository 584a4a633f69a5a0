"""Sources that behave as badly as real ones, and two ways to count work."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any


class Broken(Exception):  # noqa: N818  reads better where it is raised
    """What the sources here raise."""


class Trickle:
    """Gives at most the next of ``sizes`` bytes per read, over and over; has nothing but read.

    Raises `Broken` instead of ending, if told to.
    """

    def __init__(
        self, data: bytes, sizes: list[int] | None = None, *, broken: bool = False
    ) -> None:
        self.data = data
        self.sizes = sizes or [sys.maxsize]
        self.broken = broken
        self.position = 0
        self.reads = 0
        self.closed = False

    def read(self, size: int) -> bytes:
        if self.broken and self.position == len(self.data):
            raise Broken
        size = min(size, self.sizes[self.reads % len(self.sizes)])
        self.reads += 1
        chunk = self.data[self.position : self.position + size]
        self.position += len(chunk)
        return chunk

    def close(self) -> None:
        self.closed = True


class Generated:
    """``count`` full chunks made when they are read, so that they cost no memory before."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.reads = 0

    def read(self, size: int) -> bytes:
        if self.reads == self.count:
            return b""
        self.reads += 1
        return bytes([self.reads % 251]) * size


def peak_bytes(action: Callable[[], object]) -> int:
    """Return the most memory that an action had allocated at one time, in bytes."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def count_calls(action: Callable[[], object]) -> int:
    """Return how many functions, of Python and of C, an action calls."""
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls
