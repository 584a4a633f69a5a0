"""What was committed with ``durability="power"`` is there after a power cut."""

from __future__ import annotations

import pytest
from stress_tools import LONG, run, run_on_broken
from stressed import STORES

pytestmark = pytest.mark.timeout(600)

_EVERY_STORE = pytest.mark.parametrize("store", STORES, ids=lambda store: store.name)


@_EVERY_STORE
@pytest.mark.parametrize("cuts", [3, pytest.param(250, marks=LONG)])
def test_a_power_cut_loses_nothing_that_was_committed(store, cuts) -> None:  # type: ignore[no-untyped-def]
    told = run("cutting.py", store.name, "--cuts", cuts)
    assert told["cuts"] == cuts
    assert told["lost"] == 0


@_EVERY_STORE
@pytest.mark.parametrize("cuts", [pytest.param(250, marks=LONG)])
def test_without_waiting_for_the_disk_the_last_commits_may_be_lost(store, cuts) -> None:  # type: ignore[no-untyped-def]
    told = run("cutting.py", store.name, "--cuts", cuts, "--durability", "process")
    assert told["cuts"] == cuts
    if store.name in ("sqlite", "filesystem"):
        assert told.get("torn", 0) == 0


@pytest.mark.parametrize("store", ["unsynced-sqlite", "unsynced-filesystem", "in-place"])
def test_a_store_that_does_not_wait_for_the_disk_is_found_out(store: str) -> None:
    run_on_broken("cutting.py", store, "--cuts", 40, error="LostError")
