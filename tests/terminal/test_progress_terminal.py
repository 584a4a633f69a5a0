"""Bars on a real terminal: the slave side of a pseudo-terminal."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys

import pytest

from encore.events.api import EventManager, ProgressManager
from encore.terminal import ProgressDisplay

fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")


@pytest.fixture(autouse=True)
def _no_wish_of_the_environment(monkeypatch):
    monkeypatch.delenv("ENCORE_PROGRESS", raising=False)


@pytest.mark.parametrize("mode", [None, "auto"])
def test_auto_draws_on_a_real_terminal(mode):
    manager = EventManager()
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with open(master, "rb", buffering=0) as screen, open(slave, "w", encoding="utf-8") as file:
        with (
            ProgressDisplay(manager, mode=mode, file=file),
            ProgressManager(manager, message="Copying", steps=2) as progress,
        ):
            progress(2)
        file.flush()
        shown = screen.read(65536).decode()
    assert "Copying" in shown


def test_standard_error_on_a_terminal_is_the_default():
    program = (
        "from encore.events.api import ProgressManager\n"
        "from encore.terminal import ProgressDisplay\n"
        "with ProgressDisplay(), ProgressManager(message='Copying', steps=2) as progress:\n"
        "    progress(2)\n"
    )
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    with open(master, "rb", buffering=0) as screen:
        try:
            subprocess.run([sys.executable, "-c", program], stderr=slave, check=True)
            shown = screen.read(65536).decode()
        finally:
            os.close(slave)
    assert "Copying" in shown
    # The bar fits the width of the terminal.
    assert max(len(line) for line in re.split(r"[\r\n]+", shown)) <= 40
