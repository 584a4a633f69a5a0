"""A server of the protocol of `DynamicURLStore`, as ``docs/howto/http-stores.md`` tells it.

Written from that page and from nothing of the store, so that the two prove each other. Values are
in memory, in one `DictStore` for each *space*, the first segment of the path::

    http://127.0.0.1:PORT/SPACE/values/KEY/PART
    http://127.0.0.1:PORT/SPACE/query

Run as a program it prints its port, and ends with whoever started it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

from encore.errors import EncoreError
from encore.events.event_manager import EventManager
from encore.storage.api import DictStore, Value
from encore.storage.metadata import matches

_MOST_SPACES = 8  # of which the oldest makes room: a test uses one, and then never again
_KEPT_SECONDS = 60.0
_MOST_KEPT = 2000
_PAGE_BYTES = 1 << 20
_ALLOWED_BY = {
    "get": ("owned", "read", "write"),
    "set": ("owned", "write"),
    "own": ("owned",),
}


class Refused(Exception):  # noqa: N818  what the request is
    """The status to answer with."""


class Space:
    """The values of one store, what may be done with them, and versions that were handed out."""

    def __init__(self) -> None:
        self.store = DictStore(event_manager=EventManager())
        self.rights: dict[str, dict[str, list[str]]] = {}
        self.lock = threading.RLock()
        self._kept: OrderedDict[tuple[str, str], tuple[Value, float]] = OrderedDict()

    def find(self, key: str) -> Value | None:
        return self.store.get(key) if key in self.store else None

    def keep(self, key: str, value: Value) -> None:
        """Have a version readable for a while, even if it is replaced."""
        now = time.monotonic()
        while self._kept:
            (_, made), count = next(iter(self._kept.values())), len(self._kept)
            if count < _MOST_KEPT and made + _KEPT_SECONDS > now:
                break
            self._kept.popitem(last=False)
        self._kept.pop((key, value.token), None)
        self._kept[key, value.token] = value, now

    def version(self, key: str, token: str) -> Value | None:
        """A version, if it is there or was there a while ago."""
        current = self.find(key)
        if current is not None and current.token == token:
            return current
        found = self._kept.get((key, token))
        return None if found is None else found[0]


class RestServer(ThreadingHTTPServer):
    """The server.

    Parameters
    ----------
    users : dict of str to str, optional
        Names by token of ``Authorization: Bearer``. Without it everybody may do everything.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, users: dict[str, str] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.users = users
        self.spaces: OrderedDict[str, Space] = OrderedDict()
        self.making = threading.Lock()
        self.lose_replies = 0  # so many changes are made without an answer
        self.requests: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def space(self, name: str) -> Space:
        with self.making:
            if name not in self.spaces:
                self.spaces[name] = Space()
                while len(self.spaces) > _MOST_SPACES:
                    self.spaces.popitem(last=False)
            return self.spaces[name]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: RestServer

    def log_message(self, *_: Any) -> None:
        pass

    # -- requests ---------------------------------------------------------------------------------

    def _handle(self) -> None:
        self._body = self._read_body()
        try:
            path, _, query = self.path.partition("?")
            name, kind, *rest = path.lstrip("/").split("/")
            self.user = self._authenticated()
            self.space = self.server.space(unquote(name))
            if kind == "query":
                self._query(query)
            else:
                *segments, part = rest
                self.key = "/".join(_unmarked(unquote(segment)) for segment in segments)
                getattr(self, f"_{self.command.lower()}_{part}")()
        except Refused as refused:
            self._answer(refused.args[0])
        except (ValueError, AttributeError, KeyError, TypeError, EncoreError):
            self._answer(400)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815

    def _authenticated(self) -> str:
        if self.server.users is None:
            return ""
        _, _, token = self.headers.get("Authorization", "").partition(" ")
        if token not in self.server.users:
            raise Refused(401)
        return self.server.users[token]

    def _check(self, right: str) -> None:
        if self.server.users is None or self.key not in self.space.store:
            return
        rights = self.space.rights.get(self.key, {})

        def may(act: str) -> bool:
            return any(self.user in rights.get(name, ()) for name in _ALLOWED_BY[act])

        if not may(right):
            raise Refused(403 if may("get") else 404)

    def _there(self, right: str) -> Value:
        self._check(right)
        value = self.space.find(self.key)
        if value is None:
            raise Refused(404)
        return value

    # -- a value ----------------------------------------------------------------------------------

    def _head_value(self) -> None:
        self._answer(200, etag=self._there("get").token)

    def _get_value(self) -> None:
        value = self._there("get")
        most = int(self.headers.get("Encore-Inline", sys.maxsize))
        line = json.dumps(_record(value)).encode() + b"\n"
        if value.size > most:
            self.space.keep(self.key, value)
        data = value.read() if value.size <= most else b""
        self._answer(200, line + data, "application/x-encore-value", value.token)

    def _put_value(self) -> None:
        line, _, data = self._body.partition(b"\n")
        record = json.loads(line)
        source = record.get("data_of")
        with self.space.lock:
            if source is not None:
                version = self.space.version(source["key"], source["token"])
                if version is None:
                    raise Refused(409)
                data = version.read()
            if len(data) != record.get("size", len(data)):
                raise Refused(400)
            self._write(data, record)

    def _delete_value(self) -> None:
        with self.space.lock:
            value = self._there("set")
            self._check_condition(value)
            self.space.store.delete(self.key)
            self.space.rights.pop(self.key, None)
        self._changed(204)

    # -- its parts --------------------------------------------------------------------------------

    def _get_data(self) -> None:
        value = self._there("get") if "If-Match" not in self.headers else self._matched()
        start, end = 0, value.size
        wanted = self.headers.get("Range")
        if wanted is None:
            self._answer(200, value.read(), "application/octet-stream", value.token)
            return
        first, last = wanted.removeprefix("bytes=").split("-")
        start, end = int(first), min(int(last) + 1, value.size)
        if start >= end:
            raise Refused(416)
        data = value.range(start, end).read()
        place = f"bytes {start}-{end - 1}/{value.size}"
        self._answer(206, data, "application/octet-stream", value.token, {"Content-Range": place})

    def _matched(self) -> Value:
        self._check("get")
        token = unquote(self.headers["If-Match"].strip('"'))
        value = self.space.version(self.key, token)
        if value is None:
            raise Refused(412)
        return value

    _head_data = _get_data

    def _put_data(self) -> None:
        with self.space.lock:
            old = self.space.find(self.key)
            self._write(self._body, {"metadata": {} if old is None else old.metadata})

    def _get_metadata(self) -> None:
        value = self._there("get")
        self._answer(200, value.metadata_text.encode(), "application/json", value.token)

    def _put_metadata(self, merge: bool = False) -> None:
        metadata = json.loads(self._body)
        with self.space.lock:
            old = self.space.find(self.key)
            if merge and old is not None:
                metadata = old.metadata | metadata
            self._write(b"" if old is None else old.read(), {"metadata": metadata})

    def _post_metadata(self) -> None:
        self._put_metadata(merge=True)

    # -- permissions ------------------------------------------------------------------------------

    def _get_permissions(self) -> None:
        self._there("own")
        found = self.space.rights.get(self.key, {})
        self._answer(200, json.dumps(found).encode(), "application/json")

    def _put_permissions(self, merge: bool = False) -> None:
        with self.space.lock:
            self._there("own")
            rights = self.space.rights.setdefault(self.key, {}) if merge else {}
            for name, tags in json.loads(self._body).items():
                rights[name] = sorted({*rights.get(name, ()), *tags})
            self.space.rights[self.key] = rights
        self._answer(204)

    def _post_permissions(self) -> None:
        self._put_permissions(merge=True)

    # -- listings ---------------------------------------------------------------------------------

    def _query(self, query: str) -> None:
        wanted = json.loads(self._body if self.command == "POST" else unquote(query) or "{}")
        user = {} if self.server.users is None else {"Encore-User": self.user}
        body = b"".join(self._lines(wanted))
        self._answer(200, body, "application/x-ndjson", headers=user)

    def _lines(self, wanted: dict[str, Any]) -> Iterator[bytes]:
        limit, where = wanted.get("limit", 1000), wanted.get("where") or {}
        size, more = 0, False
        for key in self.space.store.keys(wanted.get("prefix") or "", wanted.get("start_after")):
            self.key = key
            try:
                value = self._there("get")
            except Refused:
                continue
            if where and not matches(value.metadata, where):
                continue
            if limit <= 0 or size > _PAGE_BYTES:
                more = True
                break
            record = {} if wanted.get("keys_only") else _record(value)
            line = json.dumps({"key": key, **record}).encode() + b"\n"
            limit, size = limit - 1, size + len(line)
            yield line
        yield json.dumps({"more": more}).encode() + b"\n"

    # -- the wire ---------------------------------------------------------------------------------

    def _write(self, data: bytes, record: dict[str, Any]) -> None:
        self._check("set")
        old = self.space.find(self.key)
        self._check_condition(old)
        now = time.time()
        kept = None if old is None else old.created
        created = record.get("created", now if kept is None else kept)
        value = Value(data, record["metadata"], created=created, modified=record.get("modified"))
        value.token = record.get("token", "")
        self.space.store.import_values([(self.key, value)])
        if self.key not in self.space.rights:
            self.space.rights[self.key] = {"owned": [self.user]}
        self._changed(200 if old is not None else 201)

    def _check_condition(self, old: Value | None) -> None:
        if self.headers.get("If-None-Match") == "*" and old is not None:
            raise Refused(412)
        wanted = self.headers.get("If-Match")
        if wanted is not None and (old is None or wanted != _etag(old.token)):
            raise Refused(412)

    def _changed(self, status: int) -> None:
        if self.server.lose_replies:
            self.server.lose_replies -= 1
            self.close_connection = True
            return
        self._answer(status)

    def _answer(
        self,
        status: int,
        body: bytes = b"",
        kind: str = "text/plain",
        etag: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.server.requests.append(f"{self.command} {self.path} {status}")
        del self.server.requests[:-100]
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        if etag is not None:
            self.send_header("ETag", _etag(etag))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)

    def _read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))


def _record(value: Value) -> dict[str, Any]:
    return {
        "metadata": value.metadata,
        "size": value.size,
        "created": value.created,
        "modified": value.modified,
        "token": value.token,
    }


def _etag(token: str) -> str:
    return f'"{quote(token, safe="")}"'


def _unmarked(segment: str) -> str:
    return segment.removeprefix("~")


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


if __name__ == "__main__":
    server = RestServer()
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    print(server.server_port, flush=True)
    server.serve_forever()
