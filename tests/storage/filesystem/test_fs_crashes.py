"""A process that is killed at any step leaves each write whole or absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from crash_runner import ACTS

RUNNER = Path(__file__).with_name("crash_runner.py")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")


def crash_everywhere(*arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, str(RUNNER), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return int(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("act", ACTS)
def test_a_write_that_dies_anywhere_is_whole_or_absent(act: str) -> None:
    assert crash_everywhere(act, "process") > 5


@pytest.mark.parametrize("act", ["put_plain", "several"])
def test_so_is_one_that_waits_for_the_disk(act: str) -> None:
    assert crash_everywhere(act, "power") > 5


def test_a_recovery_that_dies_anywhere_is_made_good_by_the_next() -> None:
    assert crash_everywhere("several", "process", "twice") > 5
