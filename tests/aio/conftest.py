"""Tests of asynchronous faces leave nothing behind: no descriptor, no thread, no task."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from stores_aio import HAS_UVLOOP, run

_MEMORY = "/dev/shm"
_DESCRIPTORS = "/proc/self/fd"
_CLOSING_SECONDS = 2.0


@pytest.fixture(autouse=True, scope="session")
def _uvloop_is_warm() -> None:
    """What uvloop opens once for the process is open from here on."""
    if HAS_UVLOOP:
        run(asyncio.sleep(0), uvloop=True)


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where a store may be put: in memory if the system offers that."""
    usable = os.path.isdir(_MEMORY) and os.access(_MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(prefix="encore-", dir=_MEMORY if usable else None) as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def _leaves_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    # Clients of a server keep connections for as long as the session.
    uses_server = "bucket" in request.node.name
    if uses_server:
        request.getfixturevalue("bucket_server")  # now, or it would be left behind
    before = _counts(uses_server)
    yield
    if _counts(uses_server) <= before:
        return
    gc.collect()
    deadline = time.monotonic() + _CLOSING_SECONDS
    while _counts(uses_server) > before and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    threads = [thread.name for thread in threading.enumerate()]
    assert _counts(uses_server) <= before, f"left behind, threads or descriptors: {threads}"


class _Counts(NamedTuple):
    threads: int
    descriptors: int

    def __le__(self, other: Any) -> bool:
        return self.threads <= other.threads and self.descriptors <= other.descriptors

    def __gt__(self, other: Any) -> bool:
        return not self <= other


def _counts(uses_server: bool) -> _Counts:
    open_ones = 0
    if os.path.isdir(_DESCRIPTORS) and not uses_server:
        open_ones = len(os.listdir(_DESCRIPTORS))
    return _Counts(threading.active_count(), open_ones)
