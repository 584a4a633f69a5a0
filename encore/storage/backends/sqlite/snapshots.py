"""Moments of the database that stay readable, and the connections that hold them.

A value that is too large for a row is read while others replace it: see ``chunks``, which imports
this module, as ``large`` does.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections import deque
from typing import Any

from encore.errors import CorruptValueError, StoreError
from encore.storage.backends.sqlite.connections import Held, Settings


class Moment:
    """A moment of the database, held by an open read transaction of a connection of its own.

    Several values read at the same moment share it; the last to let go gives the connection back.
    They are counted: a weak reference could find one that another thread is just giving back. And
    they take turns: from Python 3.13 on, two threads that execute the same text on one connection
    may get one statement, and then read each other's rows.

    *Threads*: any.
    """

    __slots__ = ("__weakref__", "_count", "_counting", "_held", "_leaving", "_pool", "_turn")

    def __init__(self, held: Held, pool: SnapshotPool) -> None:
        self._held: Held | None = held
        self._pool = pool
        self._count = 0
        self._counting = threading.Lock()
        self._leaving: deque[None] = deque()
        self._turn = threading.Lock()

    def share(self) -> Snapshot | None:
        """For one value more; None if the last has let go."""
        with self._counting:
            there = self._held is not None
            if there:
                self._count += 1
        self._settle()
        return Snapshot(self) if there else None

    def leave(self) -> None:
        """For one value less; called from destructors, so it never waits."""
        self._leaving.append(None)
        self._settle()

    def _settle(self) -> None:
        """Count who has left, unless somebody else is counting: he comes here afterwards."""
        while self._leaving and self._counting.acquire(blocking=False):
            held = None
            try:
                while self._leaving:
                    self._leaving.pop()
                    self._count -= 1
                if not self._count:
                    held, self._held = self._held, None
            finally:
                self._counting.release()
            if held is not None:
                self._pool.give_back(held)

    def fetch(self, statement: str, parameters: tuple[Any, ...]) -> list[Any]:
        """Return all rows."""
        with self._turn:
            held = self._held
            if held is None:
                raise StoreError("the store of this value has been closed")
            return held.connection.execute(statement, parameters).fetchall()

    def end(self) -> None:
        """The store is being closed: values that still refer to this moment lose it."""
        self._held = None


class Snapshot:
    """What a value sees of a moment, for as long as the value is there."""

    __slots__ = ("moment",)

    def __init__(self, moment: Moment) -> None:
        self.moment = moment

    def fetch(self, statement: str, parameters: tuple[Any, ...]) -> list[Any]:
        return self.moment.fetch(statement, parameters)

    def missing(self, number: int) -> Exception:
        return CorruptValueError(f"chunk {number} of a value is gone: the file is damaged")

    def __del__(self) -> None:
        self.moment.leave()


class SnapshotPool:
    """Connections for snapshots, kept for reuse.

    *Threads*: any.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: deque[Held] = deque()  # no lock: destructors give back
        self._out: weakref.WeakSet[Moment] = weakref.WeakSet()
        self._closed = False

    def take(self) -> Snapshot:
        """Return a snapshot of what is committed now; the first statement fixes the moment."""
        try:
            held = self._idle.pop()
        except IndexError:
            # Large values pass through once: a cache would only grow.
            held = Held(self._settings.connect(cache_kib=1000))
        held.connection.execute("BEGIN")
        moment = Moment(held, self)
        self._out.add(moment)
        snapshot = moment.share()
        assert snapshot is not None
        return snapshot

    def give_back(self, held: Held) -> None:
        """Take a connection back; called from destructors, so it never raises."""
        try:
            if self._closed:
                return
            held.connection.execute("COMMIT")
        except sqlite3.Error:
            return
        self._idle.append(held)

    def close(self) -> None:
        """Close all of them, those that are out as well."""
        self._closed = True
        for moment in list(self._out):
            moment.end()
        self._idle.clear()
