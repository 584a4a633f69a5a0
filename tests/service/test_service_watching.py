"""Health, figures, sweeping, and many clients at once."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests

from encore.service import Client, Limits, RequestError, TimeToLive, create_app, served
from encore.storage.api import DictStore, SqliteStore


def test_a_server_says_that_it_is_well(plain_store: DictStore) -> None:
    with served(create_app(plain_store)) as url:
        for path in ("/health", "/ready"):
            answer = requests.get(url + path, timeout=20)
            assert (answer.status_code, answer.text) == (200, "OK")
        assert requests.post(f"{url}/health", timeout=20).status_code == 404


def test_a_server_whose_store_cannot_be_read_is_not_ready(plain_store: DictStore) -> None:
    with served(create_app(plain_store)) as url:
        plain_store.close()
        assert requests.get(f"{url}/ready", timeout=20).status_code == 503
        answer = requests.get(f"{url}/v1/objects/usecase/_/k", timeout=20)
        assert answer.status_code == 500
        assert answer.json()["detail"]
        plain_store.connect()


def test_figures_count_requests_and_name_nothing(plain_store: DictStore) -> None:
    with served(create_app(plain_store)) as url, Client(url) as client:
        session = client.session("usecase")
        session.put(b"x" * 1000, "CANARY", compression="none")
        session.get("CANARY").payload.read()
        session.exists("missing")
        text = requests.get(f"{url}/metrics", timeout=20).text
        assert 'encore_requests_total{method="PUT",status="200"} 1' in text
        assert 'encore_requests_total{method="HEAD",status="404"} 1' in text
        assert "encore_requests_in_progress 1" in text
        assert "CANARY" not in text
        assert requests.get(f"{url}/keda", timeout=20).status_code == 200


def test_what_has_expired_is_removed(plain_store: DictStore) -> None:
    now = [1e9]
    app = create_app(plain_store, clock=lambda: now[0], sweep_seconds=0.05)
    with served(app) as url, Client(url) as client:
        session = client.session("usecase")
        session.put(b"x", "gone", expiration_policy=TimeToLive(60))
        session.put(b"x", "stays")
        upload = session.initiate_multipart_upload("parts")
        upload.put_part(b"x", part_number=1)
        assert len(plain_store) == 4
        now[0] += 8 * 86400
        deadline = time.monotonic() + 20
        while len(plain_store) > 1 and time.monotonic() < deadline:
            threading.Event().wait(0.02)
    assert [*plain_store] == ["usecase/_/stays"]


def test_more_requests_than_are_taken_at_once_are_refused(plain_store: DictStore) -> None:
    app = create_app(plain_store, limits=Limits(requests=1))
    with served(app) as url:
        held = requests.get(f"{url}/v1/objects:events/usecase/_/", stream=True, timeout=20)
        answer = requests.get(f"{url}/health", timeout=20)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        held.close()


def test_figures_of_a_client_reach_its_backend(plain_store: DictStore) -> None:
    told: list[tuple[str, float, dict[str, str], str | None]] = []

    class Backend:
        def increment(self, name: str, value: float = 1, tags: Any = None) -> None: ...

        def gauge(self, name: str, value: float, tags: Any = None) -> None: ...

        def distribution(
            self, name: str, value: float, tags: Any = None, unit: str | None = None
        ) -> None:
            told.append((name, value, dict(tags), unit))

    with served(create_app(plain_store)) as url, Client(url, Backend()) as client:
        session = client.session("usecase")
        session.put(b"x" * 10_000, "k")
        with pytest.raises(RequestError):
            session.get("missing")
    names = {name for name, *_ in told}
    assert names >= {
        "storage.put.latency", "storage.put.size", "storage.put.throughput",
        "storage.put.inverse_throughput", "storage.put.compression_ratio", "storage.get.latency",
    }  # fmt: skip
    ratio = next(value for name, value, *_ in told if name.endswith("ratio"))
    assert ratio < 0.1
    assert told[0][2] == {"usecase": "usecase", "compression": "zstd"}


def _worked(url: str, number: int, seconds: float, problems: list[str]) -> int:
    """Put, read and remove objects for a while; return how many."""
    done, end = 0, time.monotonic() + seconds
    with Client(url, retries=0) as client:
        session = client.session("load", client=number)
        while time.monotonic() < end:
            data = bytes([number]) * (1 + done % 5 * 100_000)
            try:
                key = session.put(data, f"k{done % 10}", compression="none")
                with session.get(key).payload as payload:
                    if payload.read() != data:
                        problems.append(f"{number}: other data")
                if done % 3 == 0:
                    session.delete(key)
            except Exception as error:
                problems.append(f"{number}: {error}")
            done += 1
    return done


def _memory_kib() -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_sixty_four_clients_for_two_minutes(tmp_path: Any) -> None:
    problems: list[str] = []
    counts: list[int] = []
    with SqliteStore(tmp_path / "s.db") as store, served(create_app(store)) as url:

        def work(number: int, seconds: float) -> None:
            counts.append(_worked(url, number, seconds, problems))

        def all_work(seconds: float) -> None:
            threads = [threading.Thread(target=work, args=(n, seconds)) for n in range(64)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        all_work(20)
        before = _memory_kib()
        all_work(100)
        grown = _memory_kib() - before
    assert problems == []
    assert sum(counts) > 64
    assert grown < 32 * 1024, f"{grown} KiB more than after 20 seconds; {sum(counts)} rounds"


def test_eight_clients_at_once(tmp_path: Any) -> None:
    problems: list[str] = []
    with SqliteStore(tmp_path / "s.db") as store, served(create_app(store)) as url:
        threads = [
            threading.Thread(target=_worked, args=(url, number, 2.0, problems))
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert problems == []
