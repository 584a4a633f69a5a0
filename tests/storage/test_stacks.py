"""Stacks of two: every wrapper over every backend, and every two wrappers.

All of them take hours, and are run by ``tox -e all``; a few run every day.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from stores import PAIRS, SAMPLED, STACKS, StoreUnderTest

from encore.events.event_manager import EventManager
from encore.storage.abstract_store import AbstractStore
from encore.storage.template import Store
from encore.testing.machine import QUICK, make_machine
from encore.testing.suite import StoreConformance

_EXAMPLES = 3

# Collecting them all takes minutes, so they are not made unless asked for.
_ALL = os.environ.get("ENCORE_TESTS") == "all"
_CONFORMING = STACKS if _ALL else SAMPLED
# Neighbours in the list have the same outer wrapper: steps of this size meet each of them.
_PLAYED = (PAIRS + STACKS)[:: 1 if _ALL else 73]


class TestStackConformance(StoreConformance):
    entry: StoreUnderTest
    directory: Path

    @pytest.fixture(params=_CONFORMING, ids=str)
    def store(self, request: pytest.FixtureRequest, directory: Path) -> Iterator[Store]:
        self.entry, self.directory = request.param, directory
        if self.entry.needs:
            request.getfixturevalue(self.entry.needs)
        store = self.entry.open(self.directory, event_manager=EventManager())
        yield store
        store.close()

    def reopen(self, store: AbstractStore) -> Store | None:
        return self.entry.reopen(store, self.directory, event_manager=EventManager())


@pytest.mark.timeout(600)  # a failure takes a while to be made short
@pytest.mark.parametrize("entry", _PLAYED, ids=str)
def test_random_programs_on_a_stack_do_what_dictionaries_do(
    entry: StoreUnderTest, request: pytest.FixtureRequest
) -> None:
    if entry.needs:
        request.getfixturevalue(entry.needs)
    machine = make_machine(
        lambda directory, manager: entry.open(directory, event_manager=manager),
        shared=entry.shared,
        keeps=entry.keeps,
    )
    quick = settings(QUICK, max_examples=min(entry.examples or _EXAMPLES, _EXAMPLES))
    run_state_machine_as_test(machine, settings=quick)
