"""Running the command: in this process, or in one of its own where signals and pipes count."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from encore.cli.main import main
from encore.storage.api import SqliteStore


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left: exit code, standard output, standard error."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


Run = Callable[..., Outcome]


def in_process(capture: pytest.CaptureFixture[bytes]) -> Run:
    def run(*words: Any, code: int = 0) -> Outcome:
        capture.readouterr()
        found = main([str(word) for word in words])
        out, err = capture.readouterr()
        outcome = Outcome(found, out, err.decode())
        assert outcome.code == code, outcome
        return outcome

    return run


def environment(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ENCORE_")}
    return {**clean, "PYTHONWARNINGS": "error", "PYTHONUNBUFFERED": "1", **more}


def start(*words: Any, program: tuple[str, ...] = ("-m", "encore"), **options: Any) -> Any:
    """Start a process; its pipes are binary."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    env = environment(**options.pop("env", {}))
    command = [sys.executable, *program, *map(str, words)]
    return subprocess.Popen(command, env=env, **{**pipes, **options})


def run_process(*words: Any, data: bytes = b"", code: int = 0, **options: Any) -> Outcome:
    """Run the command to its end in a process of its own."""
    with start(*words, **options) as process:
        out, err = process.communicate(data, timeout=60)
    outcome = Outcome(process.returncode, out, err.decode())
    assert outcome.code == code, outcome
    return outcome


def filled(path: Path, values: Mapping[str, bytes]) -> Path:
    """Make an SQLite store that holds values."""
    with SqliteStore(path) as store:
        store.multiset(values)
    return path


def contents(path: Path) -> dict[str, bytes]:
    """What an SQLite store holds."""
    with SqliteStore(path) as store:
        return {key: store.read(key) for key in store}
