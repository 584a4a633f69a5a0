"""Where figures go, and how they get there.

A `MetricsBackend` takes figures and knows no store; a `Reporter` gives them their names, tags and
units, and shields the store from what a backend raises. ``metering`` imports this module;
``storage.api`` shows what is public here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from encore.storage.content import Content

_log = logging.getLogger("encore.storage")

Tags = Mapping[str, str]


class MetricsBackend(Protocol):
    """Where figures go: StatsD, Prometheus, a list in a test."""

    def increment(self, name: str, value: float = 1, tags: Tags | None = None) -> None:
        """Add to a counter."""

    def gauge(self, name: str, value: float, tags: Tags | None = None) -> None:
        """Say how high something stands."""

    def distribution(
        self, name: str, value: float, tags: Tags | None = None, unit: str | None = None
    ) -> None:
        """Add one of many values of which mean, median and the like are of interest."""


class NoOpMetricsBackend:
    """A `MetricsBackend` that forgets everything."""

    def increment(self, name: str, value: float = 1, tags: Tags | None = None) -> None:
        """Do nothing."""

    def gauge(self, name: str, value: float, tags: Tags | None = None) -> None:
        """Do nothing."""

    def distribution(
        self, name: str, value: float, tags: Tags | None = None, unit: str | None = None
    ) -> None:
        """Do nothing."""


class Reporter:
    """Hands the figures of one store to a metrics backend.

    *Threads*: any, as far as the backend allows.
    """

    def __init__(self, metrics: MetricsBackend, store_name: str) -> None:
        self._metrics = metrics
        self._store_name = store_name
        self._has_warned = False

    def operation(self, verb: str, outcome: str, seconds: float | None = None) -> None:
        """An operation has ended."""
        tags = self._tags(verb=verb, outcome=outcome)
        self._tell(lambda to: to.increment("store.operations", 1, tags))
        if seconds is not None:
            self._tell(lambda to: to.distribution("store.latency", seconds, tags, "second"))

    def size(self, verb: str, size: int) -> None:
        """So many bytes have been read or written."""
        tags = self._tags(verb=verb)
        self._tell(lambda to: to.distribution("store.size", size, tags, "byte"))

    def flow(self, verb: str, size: int, seconds: float) -> None:
        """So many bytes have passed in so much time."""
        if seconds > 0:
            tags, rate = self._tags(verb=verb), size / seconds
            self._tell(lambda to: to.distribution("store.throughput", rate, tags, "byte/second"))

    def ratio(self, verb: str, plain: int, encoded: int) -> None:
        """So many bytes have become so many others."""
        if encoded:
            tags, ratio = self._tags(verb=verb), plain / encoded
            self._tell(lambda to: to.distribution("store.compression_ratio", ratio, tags))

    def keys(self, count: int) -> None:
        """There are so many keys."""
        self._tell(lambda to: to.gauge("store.keys", count, self._tags()))

    def _tags(self, **more: str) -> Tags:
        return {"store": self._store_name, **more}

    def _tell(self, call: Callable[[MetricsBackend], object]) -> None:
        try:
            call(self._metrics)
        except Exception:
            if not self._has_warned:
                self._has_warned = True
                _log.exception(
                    "the metrics backend of %r fails; this is not logged again", self._store_name
                )


class MeteredContent:
    """A content that tells, when it is closed, how much of it was read, and how fast."""

    def __init__(self, content: Content, reporter: Reporter, clock: Callable[[], float]) -> None:
        self._content = content
        self._reporter = reporter
        self._clock = clock
        self._bytes = 0
        self._seconds = 0.0

    @property
    def size(self) -> int:
        return self._content.size

    def read(self, start: int, end: int) -> bytes:
        begun = self._clock()
        data = self._content.read(start, end)
        self._note(len(data), begun)
        return data

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        chunks = self._content.chunks(start, end, buffer_size)
        while True:
            begun = self._clock()
            chunk = next(chunks, None)
            if chunk is None:
                return
            self._note(len(chunk), begun)
            yield chunk

    def _note(self, size: int, begun: float) -> None:
        self._bytes += size
        self._seconds += self._clock() - begun

    def close(self) -> None:
        self._content.close()
        size, self._bytes = self._bytes, 0
        if size:
            self._reporter.size("get", size)
            self._reporter.flow("get", size, self._seconds)
