"""Changes as they happen, for whoever asks: a stream of server-sent events for each place.

The feed listens to the store once somebody has asked, and keeps the latest changes, so that a
client whose connection broke can go on where it was (``Last-Event-ID``). One that comes too late,
or after the server began anew, is told ``reset``: it has missed something.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from encore.service.server.exchange import Refused, Reply, Request
from encore.service.server.service import Located, Service
from encore.service.server.shelf import UPLOADS, ObjectStore
from encore.storage.events import StoreModificationEvent

__all__ = ["Feed", "follow"]

_MOST_KEPT = 10_000
_MOST_WAITING = 10_000
_BEAT_SECONDS = 10.0


class _Told(NamedTuple):
    """A change: its number, the key in the store, and what it is."""

    number: int
    key: str
    what: dict[str, Any]


class Feed:
    """The changes of one store.

    Parameters
    ----------
    store : ObjectStore
    most_subscribers : int

    Notes
    -----
    *Threads*: changes come from any thread, subscribers from event loops.
    """

    def __init__(self, store: ObjectStore, most_subscribers: int) -> None:
        self._store = store
        self._most = most_subscribers
        self._name = secrets.token_hex(8)
        self._kept: deque[_Told] = deque(maxlen=_MOST_KEPT)
        self._number = 0
        self._lock = threading.Lock()
        self._subscribers: set[_Subscriber] = set()
        self._is_listening = False
        self._has_ended = False
        self.writer = threading.local()  # who makes the changes that this thread is about to make

    def subscribe(self, prefix: str, last_id: str | None) -> _Subscriber:
        """Return a subscriber, which already has what came after ``last_id``."""
        with self._lock:
            if self._has_ended or len(self._subscribers) >= self._most:
                raise Refused(503, "too many follow the changes", headers=[("retry-after", "5")])
            if not self._is_listening:
                self._store.event_manager.connect(
                    StoreModificationEvent, self._note, filter={"source": self._store}
                )
                self._is_listening = True
            found = _Subscriber(self, prefix)
            self._subscribers.add(found)
            missed = self._since(last_id)
            if missed is None:
                found.add_text(self._head("reset"))
            else:
                found.add_text(self._head("hello"))
                for told in missed:
                    self._tell(found, told)
            return found

    def unsubscribe(self, subscriber: _Subscriber) -> None:
        with self._lock:
            self._subscribers.discard(subscriber)

    def stop(self) -> None:
        """End all streams."""
        # No lock: a signal handler may have interrupted whoever holds it.
        self._has_ended = True
        for subscriber in [*self._subscribers]:
            subscriber.end()

    def close(self) -> None:
        """Listen no more."""
        self.stop()
        if self._is_listening:
            self._store.event_manager.disconnect(StoreModificationEvent, self._note)
            self._is_listening = False

    def _head(self, kind: str) -> bytes:
        return f"id: {self._name}-{self._number}\nevent: {kind}\ndata: {{}}\n\n".encode()

    def _since(self, last_id: str | None) -> list[_Told] | None:
        """What came after a number; None if some of it is not known any more."""
        if last_id is None:
            return []
        name, _, number = last_id.rpartition("-")
        if name != self._name or not number.isdigit() or int(number) > self._number:
            return None
        missed = [told for told in self._kept if told.number > int(number)]
        return missed if len(missed) == self._number - int(number) else None

    def _note(self, event: StoreModificationEvent) -> None:
        if event.key.startswith(UPLOADS):
            return
        what = {
            "action": event.action,
            "metadata": event.metadata,
            "origin": event.origin,
            "transaction_id": event.transaction_id,
            "by": getattr(self.writer, "name", None),
        }
        with self._lock:
            self._number += 1
            told = _Told(self._number, event.key, what)
            self._kept.append(told)
            for subscriber in self._subscribers:
                self._tell(subscriber, told)

    def _tell(self, subscriber: _Subscriber, told: _Told) -> None:
        if told.key.startswith(subscriber.prefix):
            key = told.key.removeprefix(subscriber.prefix)
            data = json.dumps({"key": key, **told.what}, separators=(",", ":"))
            text = f"id: {self._name}-{told.number}\nevent: change\ndata: {data}\n\n"
            subscriber.add_text(text.encode())


class _Subscriber:
    """Somebody who follows the changes of a place."""

    def __init__(self, feed: Feed, prefix: str) -> None:
        self._feed = feed
        self._waiting: deque[bytes] = deque()
        self._woken: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_ended = False
        self.prefix = prefix

    def add_text(self, text: bytes) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._has_ended = True  # too slow: it comes again, and is told what it has missed
        else:
            self._waiting.append(text)
        self._wake()

    def end(self) -> None:
        self._has_ended = True
        self._wake()

    def _wake(self) -> None:
        loop, woken = self._loop, self._woken
        if loop is not None and woken is not None and not loop.is_closed():
            loop.call_soon_threadsafe(woken.set)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the stream, until it is ended."""
        self._woken, self._loop = asyncio.Event(), asyncio.get_running_loop()
        try:
            while True:
                self._woken.clear()
                while self._waiting:
                    yield self._waiting.popleft()
                if self._has_ended:
                    return
                if not self._waiting:
                    try:
                        async with asyncio.timeout(_BEAT_SECONDS):
                            await self._woken.wait()
                    except TimeoutError:
                        yield b": still here\n\n"
        finally:
            self._feed.unsubscribe(self)


def follow(service: Service, request: Request, at: Located) -> Reply:
    """Begin a stream of the changes of a place."""
    last = request.header("last-event-id") or request.parameters.get("last_event_id")
    subscriber = service.feed.subscribe(at.prefix, last)
    headers = [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
    ]
    return Reply(200, headers, stream=subscriber)
