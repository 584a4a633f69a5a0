"""Servers for the tests: real ones on loopback, each ended by the fixture that started it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from two_clients import Ours, Theirs

from encore.events.event_manager import EventManager
from encore.service import create_app, served
from encore.storage.api import DictStore, SqliteStore

_numbers = itertools.count()


class Clock:
    """The time of day, which a test may change."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def service_url(clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over an SQLite file, which tests share: each has a usecase of its own."""
    path = tmp_path_factory.mktemp("service") / "served.db"
    with SqliteStore(path, event_manager=EventManager()) as store:
        app = create_app(store, clock=clock)
        with served(app) as url:
            yield url


@pytest.fixture
def usecase() -> str:
    return f"test-{next(_numbers)}"


@pytest.fixture(params=[Ours, Theirs], ids=lambda kind: kind.name)
def client(request: pytest.FixtureRequest, service_url: str, usecase: str) -> Iterator[Any]:
    """A client of either kind."""
    found = request.param(service_url, usecase, org=42, project="p")
    yield found
    found.close()


@pytest.fixture
def plain_store() -> Iterator[DictStore]:
    """A store in memory."""
    with DictStore(event_manager=EventManager()) as store:
        yield store
