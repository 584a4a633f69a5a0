"""What tests of buckets share: stores on the server, a look behind them, a proxy that spoils."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from servers import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, BucketServer

from encore.events.event_manager import EventManager
from encore.storage.backends.bucket import BucketStore

MIB = 1 << 20
_numbers = count()


def fresh_prefix() -> str:
    """A prefix that no other test uses."""
    return f"own/{next(_numbers)}"


def open_bucket(server: BucketServer, prefix: str, **options: Any) -> BucketStore:
    """A store on the server, through the client that all of them share."""
    options.setdefault("client", server.client)
    return BucketStore(BUCKET, prefix=prefix, event_manager=EventManager(), **options)


def open_through(url: str, prefix: str, secret: str = SECRET_KEY, **options: Any) -> BucketStore:
    """A store with a client of its own, made as users make it."""
    bucket = options.pop("bucket", BUCKET)
    options.setdefault("retries", 1)
    options.setdefault("request_timeout", 5.0)
    manager = EventManager()
    return BucketStore(
        bucket, url, ACCESS_KEY, secret, REGION, prefix, event_manager=manager, **options
    )


def names(server: BucketServer, prefix: str) -> list[str]:
    """Every object below a prefix, hidden ones too, as another program sees them."""
    pages = server.client.list(prefix)
    return sorted(meta["path"].removeprefix(f"{prefix}/") for page in pages for meta in page)


Spoil = Callable[[str, str, dict[str, str]], object]


@contextmanager
def proxy(server: BucketServer, spoil: Spoil) -> Iterator[str]:
    """A server in front of the server, whose address is given.

    ``spoil(method, path, headers)`` may change the headers of a request, or return: a status, which
    is the answer then; or ``"lose"``, and the reply gets lost on its way back.
    """
    target = urlsplit(server.url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            verdict = spoil(self.command, self.path, headers)
            if isinstance(verdict, int):
                self._reply(verdict, {}, b"")
                return
            connection = http.client.HTTPConnection(str(target.hostname), target.port)
            try:
                connection.putrequest(self.command, self.path, True, True)
                for name, value in headers.items():
                    connection.putheader(name, value)
                connection.endheaders(body)
                answer = connection.getresponse()
                data = answer.read()
            finally:
                connection.close()
            if verdict == "lose":
                self.close_connection = True
                return
            self._reply(answer.status, dict(answer.getheaders()), data)

        def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            length = headers.get("Content-Length", len(body))
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as front:
        front.daemon_threads = True
        front.block_on_close = False
        thread = threading.Thread(target=front.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{front.server_port}"
        finally:
            front.shutdown()
            thread.join()
