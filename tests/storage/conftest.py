"""Tests of stores leave nothing behind: no descriptor, no thread."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import sockets_to
from stores import SERVERS

_MEMORY = "/dev/shm"

_CLOSING_SECONDS = 2.0
_DESCRIPTORS = "/proc/self/fd"


def _descriptors() -> dict[str, str]:
    found = {}
    if os.path.isdir(_DESCRIPTORS):
        for number in os.listdir(_DESCRIPTORS):
            try:
                found[number] = os.readlink(f"{_DESCRIPTORS}/{number}")
            except OSError:  # the one that lists them
                continue
    if "bucket_server" in SERVERS:  # a client that is shared keeps its connections
        shared = sockets_to(int(SERVERS["bucket_server"].rpartition(":")[2]))
        found = {number: what for number, what in found.items() if what not in shared}
    return found


def _threads() -> dict[str, str]:
    return {str(thread.ident): thread.name for thread in threading.enumerate()}


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where a store may be put: in memory if the system offers that, since durability is not
    what most tests are about."""
    usable = os.path.isdir(_MEMORY) and os.access(_MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(prefix="encore-", dir=_MEMORY if usable else None) as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def _leaves_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    parameters = getattr(getattr(request.node, "callspec", None), "params", {})
    for needs in filter(None, (getattr(entry, "needs", "") for entry in parameters.values())):
        request.getfixturevalue(needs)  # now, or what it opens would be left behind
    before = _descriptors(), _threads()
    yield
    for look, known in zip((_descriptors, _threads), before, strict=True):
        _check(look, known)


def _check(look: Callable[[], dict[str, str]], known: dict[str, str]) -> None:
    if len(look()) <= len(known):
        return
    gc.collect()  # only now: for hundreds of tests it would take longer than they do
    deadline = time.monotonic() + _CLOSING_SECONDS
    while len(look()) > len(known) and time.monotonic() < deadline:
        threading.Event().wait(0.01)  # some clients close their connections in the background
    left = {number: what for number, what in look().items() if known.get(number) != what}
    assert len(look()) <= len(known), f"left behind: {left}"
