"""Fixtures of the command's tests: a directory to work in, and a run of the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_runs import Run, filled, in_process


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    return in_process(capsysbinary)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, and none of the environment's settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENCORE_DEBUG", raising=False)
    monkeypatch.delenv("ENCORE_PROGRESS", raising=False)
    return tmp_path


@pytest.fixture
def store(place: Path) -> Path:
    """A store ``s.db`` of three keys."""
    return filled(place / "s.db", {"a/1": b"one", "a/2": b"twotwo", "b": b"\0\n\xff"})
