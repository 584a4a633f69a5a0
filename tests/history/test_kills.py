"""A process that edits, undoes and redoes is killed: a whole step is left, and the way back.

``kill_runner`` has the child and the checks; it runs in a process of its own, since it forks.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PERSISTENT = ("sqlite", "hashdir", "hashdir-inline", "filesystem", "zip-beside")
SEED = 1


def kill(name: str, kills: int) -> int:
    """Kill children that work on a store; return how many."""
    script = Path(__file__).parent / "kill_runner.py"
    done = subprocess.run(
        [sys.executable, str(script), name, str(kills), str(SEED)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


@pytest.mark.parametrize("name", PERSISTENT)
def test_a_killed_process_leaves_a_whole_step_and_a_working_undo(name: str) -> None:
    assert kill(name, 5) == 5


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", PERSISTENT)
def test_hundreds_of_killed_processes_leave_whole_steps(name: str) -> None:
    assert kill(name, 250) == 250
