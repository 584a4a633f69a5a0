"""Tests of stores leave nothing behind: no descriptor, no thread."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_MEMORY = "/dev/shm"

_DESCRIPTORS = "/proc/self/fd"


def _descriptors() -> dict[str, str]:
    found = {}
    if os.path.isdir(_DESCRIPTORS):
        for number in os.listdir(_DESCRIPTORS):
            try:
                found[number] = os.readlink(f"{_DESCRIPTORS}/{number}")
            except OSError:  # the one that lists them
                continue
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
def _leaves_nothing_behind() -> Iterator[None]:
    before = _descriptors(), _threads()
    yield
    for look, known in zip((_descriptors, _threads), before, strict=True):
        _check(look, known)


def _check(look: Callable[[], dict[str, str]], known: dict[str, str]) -> None:
    if len(look()) <= len(known):
        return
    gc.collect()  # only now: for hundreds of tests it would take longer than they do
    left = {number: what for number, what in look().items() if known.get(number) != what}
    assert len(look()) <= len(known), f"left behind: {left}"
