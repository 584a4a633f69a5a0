"""A process that is killed at any moment leaves each commit whole or absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from zip_crash_runner import ACTS

RUNNER = Path(__file__).with_name("zip_crash_runner.py")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")


def run(*arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, str(RUNNER), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return int(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("act", ACTS)
def test_a_write_that_dies_anywhere_is_whole_or_absent(act: str) -> None:
    assert run("steps", act, "process") > 20


@pytest.mark.parametrize(
    "act", ["several", pytest.param("put_large", marks=[pytest.mark.slow, pytest.mark.timeout(0)])]
)
def test_so_is_one_that_waits_for_the_disk(act: str) -> None:
    assert run("steps", act, "power") > 20


def test_processes_killed_at_random_lose_nothing_they_had_committed() -> None:
    assert run("random", "1", "30") == 30


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_processes_killed_at_random(seed: int) -> None:
    assert run("random", str(seed), "200") == 200
