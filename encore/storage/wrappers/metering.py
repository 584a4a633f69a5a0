"""Wrappers that measure: how often, how long, how much.

`MeteredStore` takes the time and counts bytes; ``metrics`` knows what becomes of the figures.
``storage.api`` shows what is public here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from encore.errors import KeyNotFoundError, OperationCancelled
from encore.storage.template import Entry, Staged, Store
from encore.storage.values import BUFFER_SIZE, Value
from encore.storage.wrappers.codecs import CodecStore
from encore.storage.wrappers.intercepting import Intent
from encore.storage.wrappers.metrics import (
    MeteredContent,
    MetricsBackend,
    NoOpMetricsBackend,
    Reporter,
)
from encore.storage.wrappers.observers import WatchingStore

__all__ = ["MeteredStore", "MetricsBackend", "NoOpMetricsBackend"]

_T = TypeVar("_T")


class _Arrived(threading.local):
    """What this thread has streamed into the base last, and how long it was before encoding."""

    staged_id: int | None = None
    plain_bytes = 0


class MeteredStore(WatchingStore):
    """The keys and values of ``base``, with figures of every operation for a metrics backend.

    ===========================  ===============================================================
    ``store.operations``         counter: one for each operation
    ``store.latency``            distribution, ``second``: how long it took; for a listing, until
                                 it begins
    ``store.size``               distribution, ``byte``: data written, or read
    ``store.throughput``         distribution, ``byte/second``: of data larger than a buffer, while
                                 it is taken in, or read
    ``store.compression_ratio``  distribution: size before, through size after encoding, of what is
                                 written; where ``base`` is a ``CodecStore``
    ``store.keys``               gauge: how many keys there are, whenever somebody counts them
    ===========================  ===============================================================

    All have the tag ``store`` (the name) and, but for the gauge, ``verb``: ``get``, ``exists``,
    ``keys``, ``query``, ``put``, ``set_metadata``, ``delete``, ``copy`` or ``move``. The first two
    have ``outcome`` besides: ``ok``, ``missing`` (no such key), ``error`` or ``cancelled`` (which
    interruptions are too).

    Parameters
    ----------
    base : Store
    metrics : MetricsBackend, optional
        Without one the figures are forgotten. What it raises is logged, once.
    store_name : str, optional
        For the tag ``store``.
    clock : callable, optional
        Seconds, from any beginning.

    Notes
    -----
    Small data counts as read when its value is got, larger data as far as it has been read when its
    value is closed. The compression ratio costs a look at the encoded value in the base.

    *Threads*: as the base; the metrics backend is called in the thread that uses the store.
    """

    def __init__(
        self,
        base: Store,
        metrics: MetricsBackend | None = None,
        *,
        store_name: str = "store",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(base)
        self.metrics = NoOpMetricsBackend() if metrics is None else metrics
        self.clock = clock
        self._reporter = Reporter(self.metrics, store_name)
        self._arrived = _Arrived()

    def _operation(self, verb: str, key: str, intent: Intent) -> _Measure:
        return _Measure(verb, self._reporter, self.clock)

    def _passing(self, verb: str, key: str, found: Iterator[_T]) -> Iterator[_T]:
        try:
            yield from found
        except Exception:
            self._reporter.operation(verb, "error")
            raise

    # -- reading ----------------------------------------------------------------------------------

    def _find(self, key: str) -> Value | None:
        with self._operation("get", key, Intent.READ) as measure:
            value: Value | None = self._inner._find(key)
            measure.is_missing = value is None
        return None if value is None else self._metered(value)

    def _read(self, key: str) -> bytes | None:
        with self._operation("get", key, Intent.READ) as measure:
            return measure.read(self._inner._read(key))

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        with self._operation("get", key, Intent.READ) as measure:
            return measure.read(self._inner._read_range(key, start, end))

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        return ((key, self._metered(value)) for key, value in super()._find_all(prefix))

    def _count(self) -> int:
        count = super()._count()
        self._reporter.keys(count)
        return count

    def _metered(self, value: Value) -> Value:
        content = value.content
        if isinstance(content, bytes):
            self._reporter.size("get", len(content))
            return value
        return Value.of(
            MeteredContent(content, self._reporter, self.clock),
            value.metadata_text,
            value.size,
            value.created or 0.0,
            value.modified or 0.0,
            value.token,
            value.handle,
        )

    # -- writing ----------------------------------------------------------------------------------

    def _take_stream(self, key: str, chunks: Iterator[bytes]) -> Staged:
        size = 0

        def passing() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                size += len(chunk)
                yield chunk

        begun = self.clock()
        staged: Staged = self._inner._take_stream(key, passing())
        self._reporter.flow("put", size, self.clock() - begun)
        self._arrived.staged_id, self._arrived.plain_bytes = id(staged), size
        return staged

    def _write(
        self,
        entry: Entry,
        buffer_size: int = BUFFER_SIZE,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        with self._operation("put", entry.key, Intent.WRITE) as measure:
            content = self._receive(entry, buffer_size, if_absent, if_token)
            measure.size = size = self._plain_size(content)
            self._inner._write_content(entry, content, if_absent, if_token)
        self._tell_ratio(entry.key, size)

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        with self._operation("put", entry.key, Intent.WRITE) as measure:
            measure.size = size = self._plain_size(content)
            self._inner._write_content(entry, content, if_absent, if_token)
        self._tell_ratio(entry.key, size)

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        with self._operation("put", key, Intent.WRITE) as measure:
            measure.size = size = len(data)
            if not self._inner._put_plain(key, data, text):
                self._inner._write_content(Entry(key, data, text), data)
        self._tell_ratio(key, size)
        return True

    def _plain_size(self, content: bytes | Staged) -> int:
        if isinstance(content, bytes):
            return len(content)
        # Asking what has been staged beneath a codec for its size would decode it.
        arrived = self._arrived
        return arrived.plain_bytes if arrived.staged_id == id(content) else content.size

    def _tell_ratio(self, key: str, size: int) -> None:
        if not isinstance(self.base, CodecStore):
            return
        stored = self.base.base._find(key)
        if stored is not None:
            self._reporter.ratio("put", size, stored.size or 0)
            stored.close()


class _Measure:
    """One operation: from when to when, and how it ended."""

    __slots__ = ("_begun", "_clock", "_reporter", "_verb", "is_missing", "size")

    def __init__(self, verb: str, reporter: Reporter, clock: Callable[[], float]) -> None:
        self._verb = verb
        self._reporter = reporter
        self._clock = clock
        self.is_missing = False
        self.size: int | None = None

    def read(self, data: bytes | None) -> bytes | None:
        """Note what has been read; None: there is no such key."""
        self.is_missing = data is None
        self.size = None if data is None else len(data)
        return data

    def __enter__(self) -> Self:
        self._begun = self._clock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        seconds = self._clock() - self._begun
        self._reporter.operation(self._verb, self._outcome(error), seconds)
        if error is None and self.size is not None:
            self._reporter.size(self._verb, self.size)

    def _outcome(self, error: BaseException | None) -> str:
        if error is None:
            return "missing" if self.is_missing else "ok"
        if isinstance(error, KeyNotFoundError):
            return "missing"
        is_failure = isinstance(error, Exception) and not isinstance(error, OperationCancelled)
        return "error" if is_failure else "cancelled"
