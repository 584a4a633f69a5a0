"""Nothing grows while a store is used for a long time, and much goes wrong."""

from __future__ import annotations

import pytest
from enduring import GrowthError, judge
from stress_tools import LONG, needs_fork, run, run_on_broken
from stressed import STORES

pytestmark = needs_fork


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.name)
@pytest.mark.parametrize("seconds", [4, pytest.param(3600, marks=LONG)])
def test_memory_descriptors_threads_and_disk_stay_bounded(store, seconds) -> None:  # type: ignore[no-untyped-def]
    told = run("enduring.py", store.name, "--seconds", seconds)
    assert told["steps"] > 0


def test_a_store_that_leaks_is_found_out() -> None:
    run_on_broken("enduring.py", "leaky", "--seconds", 5, error="GrowthError: descriptors")


def test_growth_is_told() -> None:
    calm = [{"at": at, "memory": 1e7, "descriptors": 9, "threads": 1, "disk": 0} for at in range(9)]
    judge(calm)
    with pytest.raises(GrowthError, match="descriptors grows"):
        judge([*calm, *({**sample, "at": 20, "descriptors": 90} for sample in calm)])
