"""A store of each kind that can have a history, and its history."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from history_stores import HISTORIES, Clock, HistoryUnderTest

from encore.events.event_manager import EventManager
from encore.history import History

_MEMORY = "/dev/shm"

#: Those of one store.
LONE = [entry for entry in HISTORIES if "+" not in entry.name]


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where a store may be put; in memory if there is room, since the disk is not the subject."""
    usable = os.path.isdir(_MEMORY) and os.access(_MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(prefix="encore-", dir=_MEMORY if usable else None) as name:
        yield Path(name)


@pytest.fixture(params=LONE, ids=str)
def entry(request: pytest.FixtureRequest) -> HistoryUnderTest:
    found: HistoryUnderTest = request.param
    return found


@pytest.fixture
def store(entry: HistoryUnderTest, directory: Path) -> Iterator[Any]:
    (opened,) = entry.open(directory, event_manager=EventManager())
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def remember(entry: HistoryUnderTest, store: Any, clock: Clock) -> Iterator[Callable[..., History]]:
    """Attach a history with some options to the store, instead of the one before."""
    attached: list[History] = []

    def attach(**options: Any) -> History:
        for history in attached:
            history.close()
        attached.append(entry.open_history((store,), clock=clock, **options))
        return attached[-1]

    yield attach
    for history in attached:
        history.close()


@pytest.fixture
def history(remember: Callable[..., History]) -> History:
    return remember()
