"""The ASGI application: requests in, replies out, over threads.

The only module that imports Starlette, which comes with the extra ``server``. Starlette carries the
application (its life span, what it is mounted in); paths are read raw here, because a router that
decodes them first could not tell ``a%2Fb`` from ``a/b``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from math import ceil
from typing import Any

from encore.errors import UnsupportedError
from encore.service.server.exchange import Refused, Reply, Request, Source, Stream, json_reply
from encore.service.server.figures import PATHS, Figures, is_alive, is_ready
from encore.service.server.permissions import Authority
from encore.service.server.rates import Rates
from encore.service.server.routes import reply_to
from encore.service.server.service import Service
from encore.service.server.settings import Limits, Rules, UsecaseRules
from encore.service.server.uploads import Body, UploadStream
from encore.storage.abstract_store import AbstractStore
from encore.storage.template import Store

try:
    from starlette.applications import Starlette
except ImportError as error:
    raise UnsupportedError(
        "the server needs starlette and uvicorn, which are not installed: "
        'pip install "encore[server]"'
    ) from error

__all__ = ["Endpoint", "create_app"]

_log = logging.getLogger("encore.service")

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_INLINE = 1 << 18  # bytes of a body that are gathered before anything is done
_PIECE = 1 << 19
_DRAINED = 1 << 23
_THREADS = 8


def create_app(
    store: AbstractStore,
    *,
    authority: Authority | None = None,
    limits: Limits | None = None,
    usecases: Mapping[str, UsecaseRules] | None = None,
    only_named: bool = False,
    clock: Callable[[], float] = time.time,
    sweep_seconds: float | None = 300.0,
) -> Starlette:
    """Return an ASGI application that serves a store.

    Parameters
    ----------
    store : Store
        Whoever passes it in closes it, after the application has ended.
    authority : Authority, optional
        Who may do what; without one everybody may do everything.
    limits : Limits, optional
    usecases : mapping of str to UsecaseRules, optional
        Rules of usecases by name; others have the ordinary ones.
    only_named : bool, optional
        Whether usecases that are not in ``usecases`` are not there.
    clock : callable, optional
        Seconds since the epoch, for what expires.
    sweep_seconds : float, optional
        How often what has expired is removed from the store; nobody sees it any more before that.
        None: never.

    Returns
    -------
    starlette.applications.Starlette
        It may be mounted in another application. ``app.state.service`` is the service.
    """
    if not isinstance(store, Store):
        raise TypeError(f"a service needs a store of encore, not {type(store).__name__}")
    rules = Rules(dict(usecases or {}), only_named)
    service = Service(store, rules, limits or Limits(), authority, clock)
    endpoint = Endpoint(service)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(endpoint.sweep(sweep_seconds))
        try:
            yield
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
            endpoint.close()

    app = Starlette(lifespan=lifespan)
    app.state.service = service
    app.state.endpoint = endpoint
    app.router.default = endpoint
    return app


class Endpoint:
    """The application itself, as ASGI calls it.

    Parameters
    ----------
    service : Service
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._acts = ThreadPoolExecutor(_THREADS, "encore-service")
        self._uploads = ThreadPoolExecutor(service.limits.uploads, "encore-upload")
        rate = service.limits.rate
        self._rates = None if rate is None else Rates(rate)
        self._figures = Figures()

    def stop(self) -> None:
        """Have what would never end come to its end; from any thread, or a signal handler."""
        self._service.stop()

    def close(self) -> None:
        """End the threads, once they have nothing to do; let go of what is kept."""
        self._acts.shutdown()
        self._uploads.shutdown()
        self._service.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        figures = self._figures
        if figures.busy >= self._service.limits.requests:
            await _send_whole(send, Reply(503, [("retry-after", "1")]), "GET")
            return
        figures.busy += 1
        began, status, size = time.perf_counter(), 500, 0
        try:
            reply = await self._answer(scope, receive, send)
            status = reply.status
            size = len(reply.body) if reply.size is None else reply.size
        finally:
            figures.busy -= 1
            figures.note(scope["method"], status, time.perf_counter() - began, size)

    async def sweep(self, seconds: float | None) -> None:
        """Remove what has expired, from time to time."""
        loop = asyncio.get_running_loop()
        while seconds is not None:
            await asyncio.sleep(seconds)
            try:
                await loop.run_in_executor(self._acts, self._service.store.sweep)
            except Exception:
                _log.exception("what has expired could not be removed; it is tried again")

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> Reply:
        request = _request_of(scope)
        body = Body(receive, self._service.limits.object_bytes)
        reply = await self._reply(request, body)
        if not body.has_ended:
            await body.drain(_DRAINED)
            if not body.has_ended:
                reply.headers.append(("connection", "close"))
        if reply.stream is not None:
            await _send_endless(send, receive, reply, reply.stream)
        elif reply.read is None:
            await _send_whole(send, reply, request.method)
        else:
            await self._send_streamed(send, reply)
        return reply

    async def _reply(self, request: Request, body: Body) -> Reply:
        loop = asyncio.get_running_loop()
        pool = self._acts
        if request.path in PATHS and request.method in ("GET", "HEAD"):
            return await self._watched(request.path)
        try:
            self._check_rate(request)
            self._check_length(request)
            head = await body.gather(_INLINE)
            if body.has_ended:
                request.body = Source(head)
            else:
                request.body = Source(None, UploadStream(body, head, loop))
                pool = self._uploads
        except Refused as refused:
            return json_reply(refused.status, {"detail": refused.detail}, refused.headers)
        return await loop.run_in_executor(pool, reply_to, self._service, request)

    async def _watched(self, path: str) -> Reply:
        """Answer whoever watches over the server."""
        if path == "/health":
            return is_alive()
        if path == "/ready":
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._acts, is_ready, self._service.store)
        return self._figures.reply()

    def _check_rate(self, request: Request) -> None:
        wait = 0.0 if self._rates is None else self._rates.wait(request)
        if wait:
            raise Refused(
                429, "too many requests; wait a little", headers=[("retry-after", f"{ceil(wait)}")]
            )

    def _check_length(self, request: Request) -> None:
        """Refuse what says itself that it is too large before any of it has arrived."""
        most, length = self._service.limits.object_bytes, request.header("content-length")
        if most is not None and length is not None and length.isdigit() and int(length) > most:
            raise Refused(413, "the object is larger than is taken here")

    async def _send_streamed(self, send: Send, reply: Reply) -> None:
        loop = asyncio.get_running_loop()
        size, read = reply.size or 0, reply.read
        assert read is not None
        # The next piece is read while this one is sent.
        coming = loop.run_in_executor(self._acts, read, 0, min(_PIECE, size))
        try:
            await _send_start(send, reply, size)
            for start in range(0, size, _PIECE):
                end = min(start + _PIECE, size)
                # What goes wrong from here on breaks the connection: the client misses bytes.
                data = await coming
                more = end < size
                if more:
                    coming = loop.run_in_executor(self._acts, read, end, min(end + _PIECE, size))
                await send({"type": "http.response.body", "body": data, "more_body": more})
        finally:
            await asyncio.gather(coming, return_exceptions=True)
            if reply.close is not None:
                await loop.run_in_executor(self._acts, reply.close)


def _request_of(scope: Scope) -> Request:
    raw: bytes = scope.get("raw_path") or b""
    path = wire_path = raw.partition(b"?")[0].decode("latin-1")
    root = scope.get("root_path", "")
    if root and path.startswith(root + "/"):
        path = path[len(root) :]
    headers = [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
    ]
    client = scope.get("client")
    return Request(
        scope["method"],
        path,
        scope.get("query_string", b"").decode("latin-1"),
        headers,
        "" if client is None else client[0],
        wire_path=wire_path,
    )


async def _send_start(send: Send, reply: Reply, size: int | None) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    if size is not None and reply.status not in (204, 304):
        headers.append((b"content-length", b"%d" % size))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})


async def _send_endless(send: Send, receive: Receive, reply: Reply, stream: Stream) -> None:
    """Send until the stream is ended, or the client has gone."""

    async def send_all() -> None:
        pieces = stream.pieces()
        try:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            await pieces.aclose()  # type: ignore[attr-defined]

    async def wait_for_end() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    await _send_start(send, reply, None)
    tasks = {asyncio.create_task(send_all()), asyncio.create_task(wait_for_end())}
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in done:
        task.result()
    await send({"type": "http.response.body", "body": b""})


async def _send_whole(send: Send, reply: Reply, method: str) -> None:
    size = len(reply.body) if reply.size is None else reply.size
    await _send_start(send, reply, size)
    body = b"" if method == "HEAD" else reply.body
    await send({"type": "http.response.body", "body": body})
