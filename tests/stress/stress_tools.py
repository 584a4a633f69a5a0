"""What the tests of this folder share: the programs beside them are run as anybody would run them.

The seed is that of ``ENCORE_STRESS_SEED``, or 1. It is printed, with the command and its result.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SEED = int(os.environ.get("ENCORE_STRESS_SEED", "1"))

#: Long forms are for ``tox -e stress``, and take as long as they take.
LONG = [pytest.mark.stress, pytest.mark.timeout(0)]

needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="forks")


def _run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = [str(HERE / program), *map(str, arguments), "--seed", str(SEED)]
    print("$ python", shlex.join([os.path.relpath(words[0]), *words[1:]]))
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    print(done.stdout[-2000:])
    return done


def run(program: str, *arguments: object) -> dict[str, Any]:
    """Run a program that must find nothing, and return what it says."""
    done = _run(program, *arguments)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "skipped" in told:
        pytest.skip(told["skipped"])
    return told


def run_on_broken(program: str, *arguments: object, error: str) -> None:
    """Run a program on a store that is broken on purpose: it must find that."""
    done = _run(program, *arguments)
    if done.returncode == 0 and done.stdout:
        told = json.loads(done.stdout.splitlines()[-1])
        if "skipped" in told:
            pytest.skip(told["skipped"])
    assert done.returncode != 0, f"{arguments[0]} has not been found out"
    assert error in done.stderr, done.stderr[-6000:]
