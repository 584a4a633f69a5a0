"""What tests of the HTTP stores share: a server for each test, and retries that do not wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faulty_server import FaultyServer

from encore.storage.backends.http import Retries


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture
def other_server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture
def waits() -> list[float]:
    """The waits between attempts, in seconds, none of which was waited."""
    return []


@pytest.fixture
def retries(waits: list[float]) -> Retries:
    return Retries(2, sleep=waits.append)
