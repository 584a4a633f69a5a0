"""Processes that are killed lose nothing that they had committed, and leave nothing half done."""

from __future__ import annotations

import pytest
from stress_tools import LONG, needs_fork, run, run_on_broken
from stressed import STORES

pytestmark = needs_fork

_EVERY_STORE = pytest.mark.parametrize("store", STORES, ids=lambda store: store.name)


@_EVERY_STORE
@pytest.mark.parametrize("kills", [6, pytest.param(2000, marks=LONG)])
def test_a_process_killed_at_any_moment_loses_nothing_it_had_committed(store, kills) -> None:  # type: ignore[no-untyped-def]
    told = run("killing.py", store.name, "--kills", kills)
    assert told["kills"] == kills


@_EVERY_STORE
@pytest.mark.parametrize(("steps", "one_in"), [(1, 12), pytest.param(4, 1, marks=LONG)])
def test_a_process_killed_at_every_call_leaves_a_step_whole_or_absent(  # type: ignore[no-untyped-def]
    store, steps, one_in
) -> None:
    told = run("killing.py", store.name, "--calls", steps, "--one-in", one_in)
    assert told["kills"] > 0
    assert told["under way, absent"] > 0


@pytest.mark.parametrize("store", ["sqlite", "filesystem", "hashdir"])
@pytest.mark.parametrize("kills", [5, pytest.param(400, marks=LONG)])
def test_a_process_killed_while_it_undoes_leaves_a_history_that_fits(
    store: str, kills: int
) -> None:
    told = run("undoing.py", store, "--kills", kills)
    assert told["kills"] == kills
    assert told["looked at the past"] > 0


@pytest.mark.parametrize(
    ("program", "store"), [("killing.py", "in-place"), ("undoing.py", "forgetful")]
)
def test_a_store_that_writes_in_place_or_forgets_is_found_out(program: str, store: str) -> None:
    run_on_broken(program, store, "--kills", 200, error="LostError")
