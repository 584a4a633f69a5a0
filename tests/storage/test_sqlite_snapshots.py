"""Values of one moment share a connection: whoever lets go of the last takes it from nobody."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from encore.storage.api import SqliteStore
from encore.testing.sources import pattern

LARGE = 100_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(tmp_path / "s.db") as opened:
        opened.put("a", pattern(LARGE))
        yield opened


def test_a_moment_ends_once_with_the_last_value(store: SqliteStore) -> None:
    first, second = store.get("a"), store.get("a")
    moment = store._owner.moment
    assert moment is not None
    first.close()
    assert second.read() == pattern(LARGE)
    second.close()
    assert moment.share() is None
    with store.get("a") as third:
        assert third.read() == pattern(LARGE)
        assert store._owner.moment is not moment


def test_a_value_that_another_thread_lets_go_takes_no_connection_from_this_one(
    store: SqliteStore,
) -> None:
    """A value got the connection that the destructor of the one before was giving away."""
    values: SimpleQueue[Any] = SimpleQueue()

    def let_go() -> None:
        while (value := values.get()) is not None:
            value.close()
            del value

    errors: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(400):
                value = store.get("a")
                assert value.read() == pattern(LARGE)
                values.put(value)
                del value
        except BaseException as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    closers = [threading.Thread(target=let_go) for _ in range(2)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    try:
        for thread in (*closers, *readers):
            thread.start()
        for thread in readers:
            thread.join()
        for _ in closers:
            values.put(None)
        for thread in closers:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []


def test_values_of_one_moment_read_by_several_threads_keep_apart(store: SqliteStore) -> None:
    """Two threads at one statement read each other's rows, from Python 3.13 on."""
    data = {f"k{number}": bytes([number]) * (LARGE + 70_000 * number) for number in range(4)}
    for key in data:
        store.put(key, data[key])
    values = {key: store.get(key).content for key in data}
    problems: list[BaseException] = []

    def read(key: str) -> None:
        try:
            for _ in range(300):
                assert values[key].read(0, len(data[key])) == data[key], key
        except BaseException as error:
            problems.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=read, args=(key,)) for key in data]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert problems == []
