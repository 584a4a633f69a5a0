"""Random programs of undo and redo on every store, heard by somebody and by nobody."""

from __future__ import annotations

import pytest
from history_stores import HISTORIES, HistoryUnderTest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from encore.testing.history_machine import LONG, QUICK, HistoryMachine, make_history_machine


def _machine(entry: HistoryUnderTest, listening: bool) -> type[HistoryMachine]:
    return make_history_machine(
        lambda directory, manager: entry.open(directory, event_manager=manager),
        entry.open_history,
        listening=listening,
        shared=entry.shared,
        persistent=entry.persistent,
        held_bytes=entry.held_bytes,
    )


@pytest.mark.timeout(600)  # a failure takes a while to be made short
@pytest.mark.parametrize("listening", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("entry", HISTORIES, ids=str)
def test_undo_and_redo_go_through_the_snapshots(entry: HistoryUnderTest, listening: bool) -> None:
    quick = settings(QUICK, max_examples=entry.examples)
    run_state_machine_as_test(_machine(entry, listening), settings=quick)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("listening", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("entry", HISTORIES, ids=str)
def test_long_programs_of_undo_and_redo_go_through_the_snapshots(
    entry: HistoryUnderTest, listening: bool
) -> None:
    run_state_machine_as_test(_machine(entry, listening), settings=LONG)
