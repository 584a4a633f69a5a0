"""A web server on the loopback interface that does what a test tells it, right or wrong.

Left alone it is a good server of its `pages`: HEAD, ranges, entity tags, conditions. A *script* is
a list of steps; each request uses up one of them, as long as there are any. A step is a function of
the request's handler that sends what it likes.
"""

from __future__ import annotations

import email.utils
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE_SECONDS = 30.0


@dataclass
class Page:
    """What there is under a path."""

    data: bytes
    etag: str | None = None
    modified: float | None = None
    kind: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """A request that has come."""

    method: str
    path: str
    headers: Any


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: FaultyServer

    def log_message(self, *_: Any) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionError, ValueError):  # whoever is cut off by a test
            super().handle()

    def finish(self) -> None:
        with suppress(ConnectionError, ValueError):
            super().finish()

    def _handle(self) -> None:
        self.server.seen.append(Seen(self.command, self.path, self.headers))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        step = self.server.script.pop(0) if self.server.script else Handler.serve
        step(self)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815

    # -- what a good server does ------------------------------------------------------------------

    def serve(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            self.send(404, b"nothing here")
            return
        headers = {"Content-Type": page.kind, **page.headers}
        if page.etag is not None:
            headers["ETag"] = page.etag
        if page.modified is not None:
            headers["Last-Modified"] = email.utils.formatdate(page.modified, usegmt=True)
        if self._refuses(page, headers):
            self.send(412)
        elif page.etag is not None and self.headers.get("If-None-Match") == page.etag:
            self.send(304, None, headers)
        elif "Range" in self.headers and not self.server.ignores_ranges:
            self._serve_range(page, headers)
        else:
            self.send(200, page.data, headers)

    def _refuses(self, page: Page, headers: dict[str, str]) -> bool:
        if self.server.ignores_conditions:
            return False
        wanted = self.headers.get("If-Match")
        if wanted is not None:
            return wanted != page.etag
        since = self.headers.get("If-Unmodified-Since")
        return since is not None and since != headers.get("Last-Modified")

    def _serve_range(self, page: Page, headers: dict[str, str]) -> None:
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        start, end = int(first), min(int(last) + 1, len(page.data))
        if start >= end:
            self.send(416, b"", {"Content-Range": f"bytes */{len(page.data)}"})
            return
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(page.data)}"
        self.send(206, page.data[start:end], headers)

    # -- what steps are made of -------------------------------------------------------------------

    def send(self, status: int, body: bytes | None = b"", headers: Any = None) -> None:
        """An answer with its length, as it should be. A body of None has none to announce."""
        self.begin(status, {"Content-Length": str(len(body or b"")), **(headers or {})})
        if self.command != "HEAD" and body is not None:
            self.wfile.write(body)

    def begin(self, status: int, headers: dict[str, str]) -> None:
        """Status line and headers, and nothing but these."""
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def hang_up(self) -> None:
        """Close the connection, now."""
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


Step = Callable[[Handler], None]


class FaultyServer(ThreadingHTTPServer):
    """The server; ``with`` starts and ends it.

    Attributes
    ----------
    pages : dict of str to Page
    script : list of steps
    seen : list of Seen
    ended : threading.Event
        What a step waits for that never answers.
    """

    daemon_threads = False
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Page] = {}
        self.script: list[Step] = []
        self.seen: list[Seen] = []
        self.ignores_ranges = self.ignores_conditions = False
        self.ended = threading.Event()
        self._sockets: list[socket.socket] = []
        self._at_work: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Methods and paths of the requests so far."""
        return [(seen.method, seen.path) for seen in self.seen]

    def __enter__(self) -> FaultyServer:
        thread = threading.Thread(target=self.serve_forever, args=(0.01,), name="server")
        thread.start()
        self._at_work.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._at_work:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # which is how clients go away
            super().handle_error(request, client_address)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._sockets.append(request)
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), name="connection"
        )
        self._at_work.append(thread)
        thread.start()


# -- steps -----------------------------------------------------------------------------------------


def status(number: int, body: bytes = b"", **headers: str) -> Step:
    """An answer; underscores in the names of headers stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.send(number, body, named)


def redirect(location: str, number: int = 302) -> Step:
    return status(number, b"over there", Location=location)


def cut(body: bytes, announced: int | None, **headers: str) -> Step:
    """Less than was announced, or without an announcement as much as there is; then the end."""

    def step(handler: Handler) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        length = {} if announced is None else {"Content-Length": str(announced)}
        handler.begin(200, {**length, **named})
        handler.wfile.write(body)
        handler.hang_up()

    return step


def chunked(*chunks: bytes, ends: bool = True, **headers: str) -> Step:
    """A body in chunks, whose end comes or not."""

    def step(handler: Handler) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.begin(200, {"Transfer-Encoding": "chunked", **named})
        if handler.command == "HEAD":
            return
        for chunk in chunks:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if ends:
            handler.wfile.write(b"0\r\n\r\n")
        else:
            handler.hang_up()

    return step


def silence(handler: Handler) -> None:
    """No answer, as long as the test lasts."""
    handler.server.ended.wait(PATIENCE_SECONDS)
    handler.close_connection = True


def slow_body(body: bytes) -> Step:
    """The beginning of a body, and then silence."""

    def step(handler: Handler) -> None:
        handler.begin(200, {"Content-Length": str(2 * len(body))})
        handler.wfile.write(body)
        handler.wfile.flush()
        silence(handler)

    return step


def hang_up(handler: Handler) -> None:
    """The end of the connection instead of an answer."""
    handler.hang_up()
