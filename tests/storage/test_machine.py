"""Random programs on every store, heard by somebody and by nobody."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from stores import STORES, WRAPPED, StoreUnderTest

from encore.testing.machine import LONG, QUICK, StoreMachine, make_machine


def _machine(entry: StoreUnderTest, listening: bool) -> type[StoreMachine]:
    return make_machine(
        lambda directory, manager: entry.open(directory, event_manager=manager),
        listening=listening,
        shared=entry.shared,
        keeps=entry.keeps,
    )


@pytest.mark.timeout(600)  # a failure takes a while to be made short
@pytest.mark.parametrize("listening", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("entry", STORES + WRAPPED, ids=str)
def test_random_programs_do_what_dictionaries_do(
    entry: StoreUnderTest, listening: bool, request: pytest.FixtureRequest
) -> None:
    if entry.needs:
        request.getfixturevalue(entry.needs)
    quick = settings(QUICK, max_examples=entry.examples or QUICK.max_examples)
    run_state_machine_as_test(_machine(entry, listening), settings=quick)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("listening", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("entry", STORES + WRAPPED, ids=str)
def test_long_random_programs_do_what_dictionaries_do(
    entry: StoreUnderTest, listening: bool, request: pytest.FixtureRequest
) -> None:
    if entry.needs:
        request.getfixturevalue(entry.needs)
    run_state_machine_as_test(_machine(entry, listening), settings=LONG)
