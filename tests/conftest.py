"""What all tests share: hypothesis profiles, signals, and leaving out what is slow."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests marked as slow, unless ``-m`` speaks of them."""
    if "slow" in (config.getoption("-m") or ""):
        return
    skip = pytest.mark.skip(reason="slow: run it with -m slow")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[BucketServer]:
    """An S3 server, for as long as the session."""
    with BucketServer() as server:
        SERVERS["bucket_server"], CLIENTS["bucket_server"] = server.url, server.client
        yield server
        del SERVERS["bucket_server"], CLIENTS["bucket_server"]
