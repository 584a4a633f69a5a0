"""Moments of the database that stay readable, and the connections that hold them.

A value that is too large for a row is read while others replace it: see ``chunks``, which imports
this module, as ``large`` does.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref

from encore.errors import CorruptValueError, StoreError
from encore.storage.backends.sqlite.connections import Held, Settings


class Moment:
    """A moment of the database, held by an open read transaction of a connection of its own.

    Several values read at the same moment share it; the last to let go gives the connection back.
    They are counted: a weak reference could find one that another thread is just giving back.

    *Threads*: any.
    """

    __slots__ = ("__weakref__", "_count", "_held", "_lock", "_pool")

    def __init__(self, held: Held, pool: SnapshotPool) -> None:
        self._held: Held | None = held
        self._pool = pool
        self._count = 0
        self._lock = threading.RLock()  # a destructor may come at any time

    def share(self) -> Snapshot | None:
        """For one value more; None if the last has let go."""
        with self._lock:
            self._count += 1  # first, so that a destructor between here and there is not the last
            if self._held is None:
                return None
        return Snapshot(self)

    def leave(self) -> None:
        """For one value less."""
        with self._lock:
            self._count -= 1
            if self._count:
                return
            held, self._held = self._held, None
        if held is not None:
            self._pool.give_back(held)

    def connection(self) -> sqlite3.Connection:
        held = self._held
        if held is None:
            raise StoreError("the store of this value has been closed")
        return held.connection

    def end(self) -> None:
        """The store is being closed: values that still refer to this moment lose it."""
        held, self._held = self._held, None
        if held is not None:
            held.close()


class Snapshot:
    """What a value sees of a moment, for as long as the value is there."""

    __slots__ = ("moment",)

    def __init__(self, moment: Moment) -> None:
        self.moment = moment

    def connection(self) -> sqlite3.Connection:
        return self.moment.connection()

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
        self._idle: list[Held] = []
        self._out: weakref.WeakSet[Moment] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False

    def take(self) -> Snapshot:
        """Return a snapshot of what is committed now; the first statement fixes the moment."""
        with self._lock:
            held = self._idle.pop() if self._idle else None
        if held is None:
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
                held.close()
                return
            held.connection.execute("COMMIT")
        except sqlite3.Error:
            return
        with self._lock:
            self._idle.append(held)

    def close(self) -> None:
        """Close all of them, those that are out as well."""
        self._closed = True
        for moment in list(self._out):
            moment.end()
        with self._lock:
            idle, self._idle = self._idle, []
        for held in idle:
            held.close()
