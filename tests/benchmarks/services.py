"""The object service, beside an application on the same server that answers with fixed bytes.

Both run in processes of their own; the requests are the same bytes, over one connection that is
kept open, so what is compared is what it costs to look after objects. ``python -m
tests.benchmarks.services`` is the other application; it prints its address.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.harness import MIB, Lab, Trial, Work, at_least, benchmark

_ROOT = Path(__file__).parents[2]
_AT = "/v1/objects/bench/org=1"
_SMALL = b"x" * 1000
_LARGE = 256


@contextmanager
def _server(*words: str) -> Generator[http.client.HTTPConnection, None, None]:
    """A connection to a server in a process of its own, which prints its address."""
    command = [sys.executable, "-m", *words]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            parts = urlsplit(process.stdout.readline().rpartition(" ")[2].strip())
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
            yield connection
            connection.close()
        finally:
            process.terminate()
            process.wait()


def _both(lab: Lab) -> tuple[http.client.HTTPConnection, http.client.HTTPConnection]:
    path = lab.enter(lab.scratch()) / "s.db"
    ours = lab.enter(_server("encore", "serve", f"sqlite:{path}", "--port", "0"))
    return ours, lab.enter(_server("tests.benchmarks.services"))


def _asked(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> int:
    """Send a request; return how many bytes came."""
    connection.request(method, path, body)
    answer = connection.getresponse()
    size = 0
    while piece := answer.read(MIB):
        size += len(piece)
    assert answer.status < 300
    return size


def _rounds(lab: Lab, method: str, body: bytes | None) -> Trial:
    ours, static = _both(lab)
    count = lab.pick(2_000, 500)
    _asked(ours, "PUT", f"{_AT}/0", _SMALL)

    def asked(connection: http.client.HTTPConnection) -> Generator[Work, None, None]:
        def work() -> None:
            for number in range(count):
                key = number if method == "PUT" else 0
                _asked(connection, method, f"{_AT}/{key}", body)

        yield work

    return Trial({"encore": lambda: asked(ours), "R": lambda: asked(static)}, count)


@benchmark("service put", unit="requests/s", goals=[at_least(0.5, "R")])
def put(lab: Lab) -> Trial:
    """1 kB under new keys, then the same keys, in SQLite. R: fixed bytes on the same server."""
    return _rounds(lab, "PUT", _SMALL)


@benchmark("service get", unit="requests/s", goals=[at_least(0.5, "R")])
def get(lab: Lab) -> Trial:
    """1 kB by key. R: fixed bytes on the same server."""
    return _rounds(lab, "GET", None)


@benchmark("service 256 MiB in", unit="MiB/s", goals=[at_least(0.5, "R")])
def large_in(lab: Lab) -> Trial:
    """One object from a stream, to SQLite. R: an application that reads the body and forgets it."""
    ours, static = _both(lab)
    size = lab.pick(_LARGE, 64)

    def asked(connection: http.client.HTTPConnection) -> Generator[Work, None, None]:
        block = bytes(MIB)
        yield lambda: _asked(connection, "PUT", f"{_AT}/large", (block for _ in range(size)))

    return Trial({"encore": lambda: asked(ours), "R": lambda: asked(static)}, size, repeats=5)


@benchmark("service 256 MiB out", unit="MiB/s", goals=[at_least(0.5, "R")])
def large_out(lab: Lab) -> Trial:
    """All of an object, from SQLite. R: as many fixed bytes from the same server."""
    ours, static = _both(lab)
    size = lab.pick(_LARGE, 64)
    block = bytes(MIB)
    _asked(ours, "PUT", f"{_AT}/large", (block for _ in range(size)))

    def asked(connection: http.client.HTTPConnection) -> Generator[Work, None, None]:
        def work() -> None:
            assert _asked(connection, "GET", f"{_AT}/large?bytes={size * MIB}") == size * MIB

        yield work

    return Trial({"encore": lambda: asked(ours), "R": lambda: asked(static)}, size, repeats=5)


async def _static(scope: Any, receive: Any, send: Any) -> None:
    """Answer with fixed bytes: as many as the query says, else those of a small object."""
    while (await receive()).get("more_body"):
        pass
    wanted = scope["query_string"].partition(b"=")[2]
    left = int(wanted) if wanted else len(_SMALL)
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % left)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    block = _SMALL if left == len(_SMALL) else bytes(MIB)
    while left > 0:
        left -= len(block)
        message = {"type": "http.response.body", "body": block, "more_body": left > 0}
        await send(message)


def main() -> None:
    """Serve fixed bytes, on the same framework and the same server."""
    from types import SimpleNamespace

    from starlette.applications import Starlette

    from encore.service.server.running import run

    app = Starlette()
    app.router.default = _static
    app.state.service = SimpleNamespace(authority=None)
    app.state.endpoint = SimpleNamespace(stop=lambda: None)
    run(app, port=0, on_start=lambda url: print(url, flush=True))


if __name__ == "__main__":
    main()
