"""What all tests share: hypothesis profiles, signals, and leaving out what is slow."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from servers import BucketServer
from stores import CLIENTS, SERVERS

pytest.register_assert_rewrite("encore.testing")

# Under nohup, or as a background job, signals are ignored, and the programs that tests start would
# inherit that; a person's terminal does not ignore them.
for _name, _handler in {
    "SIGINT": signal.default_int_handler,
    "SIGTERM": signal.SIG_DFL,
    "SIGHUP": signal.SIG_DFL,
}.items():
    if hasattr(signal, _name) and signal.getsignal(getattr(signal, _name)) is signal.SIG_IGN:
        with suppress(ValueError):  # only the main thread may
            signal.signal(getattr(signal, _name), _handler)

# Time says little on a shared machine; databases of examples would make runs differ.
settings.register_profile("ci", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("ci"), max_examples=2000)
settings.load_profile(os.environ.get("ENCORE_HYPOTHESIS", "ci"))


# Laws are examined on every store; where they take long, or say little new, one in 64 every
# day, and all of them with ENCORE_TESTS=all (``tox -e all``).
_ALL = os.environ.get("ENCORE_TESTS") == "all"
_ONE_IN = 64


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow tests, unless ``-m`` speaks of them, and most laws of some stores."""
    if not _ALL:
        left_out = [item for item in items if _is_left_out(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not _is_left_out(item)]
    for name in ("slow", "stress"):
        if name in (config.getoption("-m") or ""):
            continue
        skip = pytest.mark.skip(reason=f"{name}: run it with -m {name}")
        for item in items:
            if item.get_closest_marker(name):
                item.add_marker(skip)


def pytest_collection_finish() -> None:
    """Have the tests themselves be no candidates for garbage: they may be many."""
    gc.collect()
    gc.freeze()


def _is_left_out(item: pytest.Item) -> bool:
    entry = getattr(item, "callspec", None) and item.callspec.params.get("store")  # type: ignore[attr-defined]
    sampled = getattr(entry, "is_sampled", False) or item.get_closest_marker("sampled") is not None
    return sampled and zlib.crc32(item.nodeid.encode()) % _ONE_IN != 0


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[BucketServer]:
    """An S3 server, for as long as the session."""
    with BucketServer() as server:
        SERVERS["bucket_server"], CLIENTS["bucket_server"] = server.url, server.client
        yield server
        del SERVERS["bucket_server"], CLIENTS["bucket_server"]


@pytest.fixture(scope="session")
def rest_server() -> Iterator[None]:
    """A server of the protocol of `DynamicURLStore`, in a process of its own."""
    script = Path(__file__).parent / "storage" / "http" / "rest_server.py"
    process = subprocess.Popen(
        [sys.executable, script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as output:
        SERVERS["rest_server"] = f"http://127.0.0.1:{int(output.readline())}"
    yield
    del SERVERS["rest_server"]
    process.terminate()
    process.wait()


@pytest.fixture(scope="session")
def object_server() -> Iterator[None]:
    """An object service over a store in memory, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "encore", "serve", "memory:", "--port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as output:
        SERVERS["object_server"] = output.readline().rpartition(" ")[2].strip()
    yield
    del SERVERS["object_server"]
    process.terminate()
    process.wait()
