"""A thread that follows the changes of a place, from the moment that it is started.

What broke is begun again where it was. ``store`` imports this module.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from encore.errors import EncoreError
from encore.service.client.remote import RemotePlace
from encore.storage.backends.http.answers import Answer

__all__ = ["Follower", "RemoteChange"]

_log = logging.getLogger("encore.service")

_PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)
_MOST_EVENT = 1 << 26


class RemoteChange(NamedTuple):
    """A change that somebody has made.

    Attributes
    ----------
    key : str
    action : str
        ``"set"``, ``"update"`` or ``"delete"``.
    metadata : dict
    origin : str or None
    by : str or None
        Which client.
    """

    key: str
    action: str
    metadata: dict[str, Any]
    origin: str | None
    by: str | None


class Follower:
    """Follows the changes of a place, and tells them.

    Parameters
    ----------
    remote : RemotePlace
    tell : bound method
        Held weakly; called with each `RemoteChange`, from a thread of this one.
    missed : bound method
        Held weakly; called when changes have been missed that the service does not know any more.

    Notes
    -----
    *Threads*: any may stop it.
    """

    def __init__(
        self,
        remote: RemotePlace,
        tell: Callable[[RemoteChange], object],
        missed: Callable[[], object],
    ) -> None:
        self._remote = remote
        self._tell = weakref.WeakMethod(tell)
        self._missed = weakref.WeakMethod(missed)
        self._stop = threading.Event()
        self._began = threading.Event()
        self._answer: Answer | None = None
        self._last_id: str | None = None
        self._thread = threading.Thread(target=self._run, name="encore-follow", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until changes are being followed; return whether they are."""
        return self._began.wait(seconds)

    def stop(self) -> None:
        """Follow no longer; the thread has ended when this returns, unless it is the caller's."""
        self._stop.set()
        answer = self._answer
        if answer is not None:
            _cut(answer)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._follow()
                failures = 0
            except EncoreError as error:
                if not self._stop.is_set():
                    _log.debug("the changes cannot be followed: %s", error)
            except Exception:
                if not self._stop.is_set():
                    _log.exception("the changes cannot be followed")
            self._stop.wait(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    def _follow(self) -> None:
        """One connection, from its beginning to its end."""
        headers = {"accept": "text/event-stream"}
        if self._last_id is not None:
            headers["last-event-id"] = self._last_id
        url = self._remote.url("objects:events")
        with self._remote.open(url, self._remote.about("follow"), headers=headers) as answer:
            self._answer = answer
            if self._stop.is_set():  # whoever stops this may have looked before
                return
            try:
                for name, kind, data in _events(answer):
                    if self._stop.is_set():
                        return
                    self._take(kind, data)
                    self._last_id = name or self._last_id
            finally:
                self._answer = None

    def _take(self, kind: str, data: str) -> None:
        if kind == "change":
            tell = self._tell()
            found = json.loads(data)
            if tell is not None:
                change = RemoteChange(
                    found["key"], found["action"], found["metadata"], found["origin"], found["by"]
                )
                tell(change)
        elif kind == "reset":
            missed = self._missed()
            if missed is not None:
                missed()
        self._began.set()


def _cut(answer: Answer) -> None:
    """Break the connection of an answer that another thread is waiting for."""
    response: Any = answer._raw._response.raw
    # Closing it would wait for that thread, or take its socket away from under it.
    with (
        suppress(OSError, ValueError, AttributeError),
        socket.socket(fileno=os.dup(response.fileno())) as connection,
    ):
        connection.shutdown(socket.SHUT_RDWR)


def _events(answer: Answer) -> Iterator[tuple[str | None, str, str]]:
    """The events of a stream: identifier, kind, data."""
    fields: dict[str, str] = {}
    # Byte by byte: a larger piece would be waited for until it is full.
    line = bytearray()
    for byte in answer.chunks(1):
        if byte != b"\n":
            line += byte
            if len(line) > _MOST_EVENT:
                raise ValueError("an event is longer than any that is meant")
            continue
        text = line.decode()
        line.clear()
        if text:
            name, _, value = text.partition(":")
            fields[name] = value.removeprefix(" ")
        elif fields:
            if "data" in fields:
                yield fields.get("id"), fields.get("event", "message"), fields["data"]
            fields = {}
