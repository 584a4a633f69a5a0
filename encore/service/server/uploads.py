"""Bodies on their way from the event loop to a thread.

A small body is gathered before its handler is called. A larger one is pulled by the handler's
thread, a piece at a time, so that no more than a piece of it is in memory; the client waits
meanwhile, because nobody reads from its socket. Only ``application`` imports this module.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from encore.service.server.exchange import Refused

__all__ = ["Body", "UploadStream"]

_PIECE = 1 << 19
_IDLE_SECONDS = 60.0

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Body:
    """The body of a request, in the event loop.

    Parameters
    ----------
    receive : callable
        Of ASGI.
    most : int, optional
        Bytes; a larger one is refused.
    """

    def __init__(self, receive: Receive, most: int | None) -> None:
        self._receive = receive
        self._left = most
        self.has_ended = False

    async def gather(self, least: int) -> bytes:
        """Return at least so many bytes, or what is left of it.

        Raises
        ------
        Refused
            It is too large (413), does not go on (408), or the client has gone (400).
        """
        pieces: list[bytes] = []
        size = 0
        while not self.has_ended and size < least:
            piece = await self._next()
            pieces.append(piece)
            size += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise Refused(408, "the rest of the body does not arrive") from None
        if message["type"] != "http.request":
            raise Refused(400, "the body was cut off")
        self.has_ended = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        if self._left is not None:
            self._left -= len(piece)
            if self._left < 0:
                raise Refused(413, "the object is larger than is taken here")
        return piece

    async def drain(self, most: int) -> None:
        """Read what nobody wants, so that the client gets to reading the answer."""
        self._left = None
        try:
            while not self.has_ended and most > 0:
                most -= len(await self._next())
        except Refused:
            self.has_ended = True


class UploadStream(io.RawIOBase):
    """The body of a request, in the thread of its handler.

    Parameters
    ----------
    body : Body
    head : bytes
        What has been gathered of it.
    loop : asyncio.AbstractEventLoop
        Where the rest is.
    """

    def __init__(self, body: Body, head: bytes, loop: asyncio.AbstractEventLoop) -> None:
        self._body = body
        self._piece = memoryview(head)
        self._loop = loop

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._piece:
            self._piece = memoryview(self._pulled())
        size = min(len(buffer), len(self._piece))
        buffer[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size

    def read(self, size: int | None = -1) -> bytes:
        """Return up to so many bytes, none only at the end."""
        if size is None or size < 0:
            return self.readall()
        if not self._piece:
            self._piece = memoryview(self._pulled())
        data = self._piece[:size]
        self._piece = self._piece[size:]
        return bytes(data)

    def _pulled(self) -> bytes:
        if self._body.has_ended:
            return b""
        return asyncio.run_coroutine_threadsafe(self._body.gather(_PIECE), self._loop).result()
