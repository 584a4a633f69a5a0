"""Very many keys are listed, counted and searched in little memory."""

from __future__ import annotations

import sys

import pytest
from stress_tools import LONG, run, run_on_broken
from stressed import FILESYSTEM, HASHDIR, SQLITE

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")


# The directory of an archive is in memory by design.
@pytest.mark.parametrize("store", [SQLITE, HASHDIR, FILESYSTEM], ids=lambda store: store.name)
@pytest.mark.parametrize("keys", [3_000, pytest.param(1_000_000, marks=LONG)])
def test_many_keys_take_little_memory(store, keys) -> None:  # type: ignore[no-untyped-def]
    told = run("soaking.py", store.name, "--keys", keys)
    assert told["list_keys"]["bytes"] <= 32 << 20


@pytest.mark.stress
@pytest.mark.timeout(0)
def test_a_store_that_keeps_all_keys_in_memory_is_found_out() -> None:
    run_on_broken("soaking.py", "zip", "--keys", 200_000, error="TooMuchError")
