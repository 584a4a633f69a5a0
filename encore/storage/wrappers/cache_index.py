"""The books of a cache: which copies there are, how good they are, and which go first.

Knows keys, sizes and tokens, and no store. Only ``cached`` and ``caching`` import this module.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

# How many keys are remembered to have been dropped, or not to be there.
_REMEMBERED = 10000


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache has been good for.

    Attributes
    ----------
    hits, misses : int
        Reads that were answered from the cache, and those that were not.
    evictions : int
        Copies that went to make room.
    errors : int
        Times that the cache failed and was left out.
    items, bytes : int
        What is in it now.
    """

    hits: int
    misses: int
    evictions: int
    errors: int
    items: int
    bytes: int


class Copy(NamedTuple):
    """A copy: its size in bytes, the version it is of, and when it was known to be good.

    ``since`` is None for what an earlier program has left: its age is not known.
    """

    size: int
    token: str
    since: float | None


@dataclass(slots=True)
class Flight:
    """Somebody fetches a key. ``waited``: somebody else has just done so."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    waited: bool = False


class CacheIndex:
    """The least-recently-used order of copies, and the limits.

    Parameters
    ----------
    max_bytes, max_items : int or None
    max_age : float or None
        Seconds.
    negative_ttl : float
        Seconds for which a missing key stays missing.
    clock : callable
        Returns seconds.

    Notes
    -----
    *Threads*: any; one lock, held for moments.
    """

    def __init__(
        self,
        max_bytes: int | None,
        max_items: int | None,
        max_age: float | None,
        negative_ttl: float,
        clock: Callable[[], float],
    ) -> None:
        self._max_bytes = max_bytes
        self._max_items = max_items
        self._max_age = max_age
        self._negative_ttl = negative_ttl
        self._clock = clock
        self._lock = threading.Lock()
        self._copies: OrderedDict[str, Copy] = OrderedDict()
        self._missing: OrderedDict[str, float] = OrderedDict()
        self._flights: dict[str, Flight] = {}
        self._drops = self._forgotten_drops = 0
        self._dropped: dict[str, int] = {}
        self._bytes = self._hits = self._misses = self._evictions = self._errors = 0

    def find(self, key: str) -> Copy | None:
        """The copy of a key; None if there is none that is young enough."""
        with self._lock:
            copy = self._copies.get(key)
            if copy is None:
                return None
            if copy.since is not None and self._age_limit(copy.since) <= self._clock():
                return None
            self._copies.move_to_end(key)
            return copy

    def _age_limit(self, since: float) -> float:
        return math.inf if self._max_age is None else since + self._max_age

    def confirm(self, key: str, copy: Copy) -> None:
        """Note that a copy whose age was not known is good now."""
        if copy.since is not None:
            return
        with self._lock:
            if self._copies.get(key) is copy:
                self._copies[key] = copy._replace(since=self._clock())

    def fits(self, size: int | None) -> bool:
        """Whether a value may be copied at all."""
        return size is not None and (self._max_bytes is None or size <= self._max_bytes)

    def version(self, key: str) -> int:
        """A mark, by which `add` knows whether the key has been dropped meanwhile."""
        with self._lock:
            return self._drops

    def _is_stale(self, key: str, version: int | None) -> bool:
        if version is None:
            return False
        return version < self._forgotten_drops or self._dropped.get(key, 0) > version

    def add(self, key: str, size: int, token: str, version: int | None) -> list[str]:
        """Note a copy; return the keys whose copies have to go, which may be this one."""
        with self._lock:
            if self._is_stale(key, version):
                return [key]
            self._remove(key)
            self._missing.pop(key, None)
            self._copies[key] = Copy(size, token, None if version is None else self._clock())
            self._bytes += size
            evicted = []
            while self._is_full():
                oldest = next(iter(self._copies))
                self._remove(oldest)
                evicted.append(oldest)
            self._evictions += len(evicted)
            return evicted

    def _is_full(self) -> bool:
        if self._max_items is not None and len(self._copies) > self._max_items:
            return True
        return self._max_bytes is not None and self._bytes > self._max_bytes

    def _remove(self, key: str) -> bool:
        copy = self._copies.pop(key, None)
        if copy is None:
            return False
        self._bytes -= copy.size
        return True

    def drop(self, key: str) -> bool:
        """Forget a key, and what is being fetched of it; return whether there was a copy."""
        with self._lock:
            self._drops += 1
            self._dropped[key] = self._drops
            if len(self._dropped) > _REMEMBERED:
                self._dropped.clear()
                self._forgotten_drops = self._drops
            self._missing.pop(key, None)
            return self._remove(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._drops += 1
            self._forgotten_drops = self._drops
            self._dropped.clear()
            self._copies.clear()
            self._missing.clear()
            self._bytes = 0

    def note_missing(self, key: str, version: int) -> None:
        """Remember for a while that a key is not there."""
        if self._negative_ttl <= 0:
            return
        with self._lock:
            if not self._is_stale(key, version):
                self._missing[key] = self._clock() + self._negative_ttl
                while len(self._missing) > _REMEMBERED:
                    self._missing.popitem(last=False)

    def is_missing(self, key: str) -> bool:
        """Whether a key is remembered not to be there."""
        if not self._missing:
            return False
        with self._lock:
            return self._missing.get(key, 0.0) > self._clock()

    @contextmanager
    def flight(self, key: str) -> Iterator[Flight]:
        """Let one caller at a time fetch a key."""
        with self._lock:
            flight = self._flights.setdefault(key, Flight())
            flight.users += 1
        try:
            with flight.lock:
                yield flight
                flight.waited = True
        finally:
            with self._lock:
                flight.users -= 1
                if not flight.users:
                    self._flights.pop(key, None)

    def count(self, *, hit: bool) -> None:
        """Count a read."""
        with self._lock:
            if hit:
                self._hits += 1
            else:
                self._misses += 1

    def count_error(self) -> None:
        """Count a failure of the cache."""
        with self._lock:
            self._errors += 1

    def stats(self) -> CacheStats:
        """The counts until now."""
        with self._lock:
            return CacheStats(
                self._hits,
                self._misses,
                self._evictions,
                self._errors,
                len(self._copies),
                self._bytes,
            )
