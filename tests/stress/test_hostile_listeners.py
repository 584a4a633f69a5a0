"""Listeners that fail or hang: no commit is undone or broken by them, and no other listener."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from programs import State, difference, steps
from stressed import DICT, STORES, Stressed

from encore.storage.events import (
    StoreEvent,
    StoreModificationEvent,
    StoreTransactionEndEvent,
    StoreTransactionStartEvent,
)

_EVERY_STORE = pytest.mark.parametrize("store", [DICT, *STORES], ids=lambda store: store.name)
_STEPS = 25


class ListenerError(Exception):
    """What a listener fails with."""


def _played(store: Any, seed: int) -> tuple[list[tuple[str, str]], State]:
    """What a well-behaved listener hears of some steps, and the state after them."""
    told: list[tuple[str, str]] = []

    def hear(event: Any) -> None:
        told.append((type(event).__name__, event.key))

    state: State = {}
    with store.event_manager.listening(StoreModificationEvent, hear):
        for step in steps(seed, 0, {}):
            if step.number > _STEPS:
                return told, state
            step.play(store)
            state = step.after
    raise AssertionError


@_EVERY_STORE
@pytest.mark.parametrize("seed", [1, 2])
def test_listeners_that_fail_at_random_change_nothing(
    store: Stressed, seed: int, tmp_path: Path
) -> None:
    noise = random.Random(seed)

    def failing(share: float) -> Callable[[Any], None]:
        def listener(event: Any) -> None:
            if noise.random() < share:
                raise ListenerError(type(event).__name__)

        return listener

    for name in ("calm", "disturbed"):
        (tmp_path / name).mkdir()
    with store.open(tmp_path / "calm") as calm:
        expected, state = _played(calm, seed)
        assert difference(calm, state) == ""
    logging.disable(logging.CRITICAL)  # it tells each failure
    try:
        with store.open(tmp_path / "disturbed") as disturbed:
            for kind, priority in (
                (StoreEvent, 1),
                (StoreModificationEvent, -1),
                (StoreTransactionStartEvent, 0),
                (StoreTransactionEndEvent, 0),
            ):
                disturbed.event_manager.connect(kind, failing(0.5), priority=priority)
            found, _ = _played(disturbed, seed)
            assert difference(disturbed, state) == ""
    finally:
        logging.disable(logging.NOTSET)
    assert found == expected
    if store is not DICT:
        with store.open(tmp_path / "disturbed") as again:
            assert difference(again, state) == ""


@_EVERY_STORE
@pytest.mark.parametrize("kind", [StoreModificationEvent, StoreTransactionEndEvent])
def test_a_listener_that_hangs_keeps_nobody_else_from_working(
    store: Stressed, kind: type[StoreEvent], tmp_path: Path
) -> None:
    hanging, released = threading.Event(), threading.Event()

    def hang(event: Any) -> None:
        if threading.current_thread().name == "hangs":
            hanging.set()
            released.wait(60)

    def work() -> None:
        with opened.transaction():
            opened.put("a", b"committed")
            opened.put("b", b"committed")

    with store.open(tmp_path, timeout=5) as opened, opened.event_manager.listening(kind, hang):
        told: list[str] = []
        thread = threading.Thread(target=work, name="hangs")
        thread.start()
        try:
            assert hanging.wait(30)
            # The commit is behind it, and its locks are given back.
            assert opened.read("a") == opened.read("b") == b"committed"

            def hear(event: Any) -> None:
                told.append(event.key)

            with opened.event_manager.listening(StoreModificationEvent, hear):
                opened.put("c", b"lone")
                with opened.transaction():
                    opened.delete("a")
            assert told == ["c", "a"]
            if store is not DICT:
                with store.open(tmp_path, timeout=5) as other:
                    other.put("d", b"another door")
        finally:
            released.set()
            thread.join()
        assert opened.read("b") == b"committed"
        assert "a" not in opened


@_EVERY_STORE
def test_listeners_of_one_store_hear_nothing_of_another(store: Stressed, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    told: list[Any] = []

    def fail(event: Any) -> None:
        told.append(event.source)
        raise ListenerError

    with store.open(tmp_path / "one") as one, store.open(tmp_path / "other") as other:
        other.event_manager.connect(StoreEvent, fail)
        one.put("a", b"1")
        assert told == []
        logging.disable(logging.CRITICAL)
        try:
            other.put("a", b"2")
        finally:
            logging.disable(logging.NOTSET)
        assert told == [other]
        assert (one.read("a"), other.read("a")) == (b"1", b"2")
