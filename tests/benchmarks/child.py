"""What needs a process of its own.

``python -m tests.benchmarks.child MODULE FUNCTION ARGUMENTS`` calls a function and prints its
result as JSON; `call` and `together` are the side that starts such children.
"""

from __future__ import annotations

import gc
import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a module-level function in a new process; arguments and result are JSON."""
    ended = subprocess.run(
        _command(function, arguments), cwd=_ROOT, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise RuntimeError(f"a child failed: {ended.stderr.strip()[-2000:]}")
    return json.loads(ended.stdout.splitlines()[-1])


def together(function: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> list[Any]:
    """Call a function in several new processes that begin at the same moment, see `wait`."""
    children = [
        subprocess.Popen(
            _command(function, each),
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for each in arguments
    ]
    for child in children:
        assert child.stdout is not None
        if child.stdout.readline() != "ready\n":
            raise RuntimeError(f"a child failed: {child.communicate()[1][-2000:]}")
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    results = []
    for child in children:
        out, errors = child.communicate()
        if child.returncode:
            raise RuntimeError(f"a child failed: {errors.strip()[-2000:]}")
        results.append(json.loads(out.splitlines()[-1]))
    return results


def wait() -> None:
    """In a child of `together`: be ready, and wait for the others."""
    print("ready", flush=True)
    sys.stdin.readline()


def _command(function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[str]:
    module, name = function.__module__, function.__name__
    return [sys.executable, "-m", "tests.benchmarks.child", module, name, json.dumps(arguments)]


def peak_growth(work: Callable[[], object]) -> float:
    """Growth of anonymous memory while ``work`` runs, at its highest, in MiB.

    Looked at every millisecond: the high-water mark that the kernel keeps counts pages of mapped
    files too.
    """
    gc.collect()
    before = peak = _anonymous_kib()
    stop = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.001):
            peak = max(peak, _anonymous_kib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        stop.set()
        watcher.join()
    return max(peak, _anonymous_kib()) / 1024 - before / 1024


def _anonymous_kib() -> int:
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    raise OSError("this system does not tell RssAnon")


if __name__ == "__main__":
    found = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])
    print(json.dumps(found(*json.loads(sys.argv[3]))))
