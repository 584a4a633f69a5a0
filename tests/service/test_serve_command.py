"""``encore serve``: a process that serves, is told to stop, and loses nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from encore.cli.main import main
from encore.service import Client, RequestError, create_app, served
from encore.storage.api import SqliteStore


@contextmanager
def serving(*words: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its address."""
    command = [sys.executable, "-m", "encore", "serve", *map(str, words), "--port", "0"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            yield process, line.rpartition(" ")[2].strip()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_ends_when_it_is_told_to(tmp_path: Path, number: int) -> None:
    path = tmp_path / "s.db"
    with serving(f"sqlite:{path}") as (process, url), Client(url) as client:
        client.session("usecase", org=1).put(b"x", "k")
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    with SqliteStore(path) as store:
        assert [*store] == ["usecase/org=1/k"]


def test_a_server_that_ends_finishes_uploads(tmp_path: Path) -> None:
    told = threading.Event()

    class Slow:
        """A stream that goes on once the server has been told to stop."""

        left = 3_000_000

        def read(self, size: int = -1) -> bytes:
            size = min(size, self.left)
            if self.left < 2_000_000:
                told.wait(30)
            self.left -= size
            return bytes(size)

    path = tmp_path / "s.db"
    with serving(f"sqlite:{path}") as (process, url), Client(url) as client:
        session = client.session("usecase")
        found: list[str] = []
        thread = threading.Thread(
            target=lambda: found.append(session.put(Slow(), "slow", compression="none"))
        )
        thread.start()
        deadline = time.monotonic() + 30
        while "in_progress 2" not in requests.get(f"{url}/metrics", timeout=20).text:
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGTERM)
        ends = threading.Timer(1.0, told.set)
        ends.start()
        thread.join(30)
        ends.join()
        assert process.wait(30) == 0
    assert found == ["slow"]
    with SqliteStore(path) as store:
        assert store.get("usecase/_/slow").size == 3_000_000


def test_a_killed_server_has_all_that_it_has_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    kept: dict[str, bytes] = {}

    def write(number: int) -> None:
        with Client(url, retries=0) as client:
            session = client.session("usecase")
            for count in range(100_000):
                data = f"{number}-{count}".encode() * (1 + count % 7 * 20_000)
                try:
                    key = session.put(data, f"{number}/{count % 50}/{count}", compression="none")
                except (RequestError, OSError):
                    return
                kept[key] = data
                if len(kept) > 60:
                    enough.set()

    enough = threading.Event()
    with serving(f"sqlite:{path}") as (process, url):
        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        assert enough.wait(60)
        process.kill()
        for thread in threads:
            thread.join(30)
    assert len(kept) > 60
    with SqliteStore(path) as store:
        assert [problem for problem in store.verify() if problem.what == "damage"] == []
        for key, data in kept.items():
            assert store.read(f"usecase/_/{key}") == data


def test_a_server_is_not_started_for_others_without_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "sqlite:s.db", "--host", "0.0.0.0"]) == 1
    assert "tokens" in capsys.readouterr().err
    assert not (tmp_path / "s.db").exists()
    assert main(["serve", "sqlite:s.db", "--port", "99999"]) == 2
    assert main(["serve", "sqlite:s.db", "--config", "missing.toml"]) == 2


def test_a_port_that_is_taken_is_said(
    tmp_path: Path, plain_store: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(create_app(plain_store)) as url:
        port = url.rpartition(":")[2]
        assert main(["serve", "memory:", "--port", port]) == 1
    assert "--port" in capsys.readouterr().err
