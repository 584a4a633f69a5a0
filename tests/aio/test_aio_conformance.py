"""Asynchronous faces keep the contract: the laws of stores, examined through a bridge."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bridge import Bridge
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from stores import STORES, StoreUnderTest, of_two, over

from encore.events.event_manager import EventManager
from encore.storage.abstract_store import AbstractStore
from encore.storage.events import StoreKeyEvent
from encore.storage.template import Store
from encore.testing.laws import in_thread
from encore.testing.machine import QUICK, make_machine
from encore.testing.suite import StoreConformance

_BY_NAME = {entry.name: entry for entry in STORES}
_DICT, _SQLITE = _BY_NAME["dict"], _BY_NAME["sqlite"]


def bridged(entry: StoreUnderTest, *, asynchronous: bool = False) -> StoreUnderTest:
    """A store of the register, reached through a face."""
    return replace(
        entry,
        name=f"{'async sources to ' if asynchronous else ''}aio({entry.name})",
        open=lambda directory, **options: Bridge(
            entry.open(directory, **options), asynchronous=asynchronous
        ),
        examples=entry.examples or 8,
        is_sampled=True,
    )


_FILES, _HASHDIR, _ZIP = (_BY_NAME[name] for name in ("filesystem", "hashdir", "zip"))

ENTRIES = [
    bridged(_DICT),
    bridged(_SQLITE, asynchronous=True),
    bridged(_FILES),
    bridged(_HASHDIR),
    bridged(_ZIP),
    bridged(over(_SQLITE, "gzip"), asynchronous=True),
]
if os.environ.get("ENCORE_TESTS") == "all":  # collecting them takes as long as all other tests
    ENTRIES += [
        bridged(_SQLITE),
        bridged(_DICT, asynchronous=True),
        bridged(_FILES, asynchronous=True),
        bridged(over(over(_DICT, "prefix"), "zstd")),
        bridged(over(_FILES, "hash-prefix"), asynchronous=True),
        bridged(over(_ZIP, "base64")),
        *(bridged(of_two(name, _SQLITE, _DICT)) for name in ("caching", "mirroring", "mounted")),
    ]


class TestAsyncConformance(StoreConformance):
    entry: StoreUnderTest
    directory: Path

    @pytest.fixture(params=ENTRIES, ids=str)
    def store(self, request: pytest.FixtureRequest, directory: Path) -> Iterator[Store]:
        self.entry, self.directory = request.param, directory
        store = self.entry.open(self.directory, event_manager=EventManager())
        yield store
        store.close()

    def test_no_lock_is_held_while_events_are_told(self, store: AbstractStore) -> None:
        # That of the store: whoever writes through a face waits until the one before is done.
        done: list[str] = []

        def answer(event: Any) -> None:
            if event.key != "other":
                in_thread(lambda: store.base.put("other", event.key.encode()))
                done.append(event.key)

        with store.event_manager.listening(StoreKeyEvent, answer, {"source": store.base}):
            store.put("a", b"1")
            with store.transaction():
                store.put("b", b"1")
        assert done == ["a", "b"]

    def test_an_enclosing_operation_that_is_cancelled_stops_the_write(
        self, store: AbstractStore
    ) -> None:
        pytest.skip("an operation encloses those of its thread; those of a task end with the task")

    def test_others_at_work_see_that_it_is_closed_and_nothing_worse(
        self, store: AbstractStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        pytest.skip("closing what makes the face look synchronous ends the tasks of the others")

    def reopen(self, store: AbstractStore) -> Store | None:
        return self.entry.reopen(store, self.directory, event_manager=EventManager())


@pytest.mark.timeout(600)  # a failure takes a while to be made short
@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_random_programs_through_a_face_do_what_dictionaries_do(entry: StoreUnderTest) -> None:
    machine = make_machine(
        lambda directory, manager: entry.open(directory, event_manager=manager),
        shared=entry.shared,
        keeps=entry.keeps,
    )
    quick = settings(QUICK, max_examples=entry.examples or 8, stateful_step_count=25)
    run_state_machine_as_test(machine, settings=quick)
