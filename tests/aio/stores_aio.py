"""What the tests of asynchronous faces share: loops to run in, and stores to run on."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from encore.aio import (
    AsyncDictStore,
    AsyncFilesystemStore,
    AsyncGzipStore,
    AsyncHashdirStore,
    AsyncSqliteStore,
    AsyncStore,
    AsyncZipStore,
)
from encore.events.event_manager import EventManager

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None

#: Faces by name, each made for a directory.
FACES: dict[str, Callable[[Path], AsyncStore]] = {
    "dict": lambda directory: AsyncDictStore(event_manager=EventManager()),
    "sqlite": lambda directory: AsyncSqliteStore(
        directory / "store.db", event_manager=EventManager()
    ),
    "filesystem": lambda directory: AsyncFilesystemStore(
        directory / "files", event_manager=EventManager()
    ),
    "hashdir": lambda directory: AsyncHashdirStore(
        directory / "hashed", event_manager=EventManager()
    ),
    "zip": lambda directory: AsyncZipStore(directory / "store.zip", event_manager=EventManager()),
    "gzip(sqlite)": lambda directory: AsyncGzipStore(
        AsyncSqliteStore(directory / "packed.db", event_manager=EventManager())
    ),
}


def run(main: Coroutine[Any, Any, Any], *, debug: bool = False, uvloop: bool = False) -> Any:
    """Run a coroutine in a fresh loop."""
    if not uvloop:
        return asyncio.run(main, debug=debug)
    import uvloop as fast

    with asyncio.Runner(loop_factory=fast.new_event_loop, debug=debug) as runner:
        return runner.run(main)
