"""Figures about operations: how long, how much, how fast. ``session`` imports this module."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from encore.storage.wrappers.metrics import MetricsBackend

__all__ = ["Measured", "measure_storage_operation"]

_log = logging.getLogger("encore.service")


class Measured:
    """What becomes known of an operation while it goes on."""

    def __init__(self) -> None:
        self.size: int | None = None
        self.plain_size: int | None = None

    def note(self, size: int, plain_size: int | None = None) -> None:
        """Note how many bytes went over the wire, and how many they were before compression."""
        self.size, self.plain_size = size, plain_size


@contextmanager
def measure_storage_operation(
    backend: MetricsBackend,
    operation: str,
    usecase: str,
    *,
    compression: str | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Measured]:
    """Measure what happens in the block, and tell a metrics backend.

    It is told ``storage.OPERATION.latency`` (seconds), and if a size was noted ``size`` (bytes),
    ``throughput`` (bytes a second), ``inverse_throughput`` (seconds a byte), and
    ``compression_ratio`` (bytes over the wire to bytes before). An operation that fails tells its
    latency only. What the backend raises is logged, and disturbs nobody.

    Parameters
    ----------
    backend : MetricsBackend
    operation : str
        ``"put"``, ``"get"``...
    usecase : str
        A tag of the figures.
    compression : str, optional
        A tag of the figures.
    clock : callable, optional
        Seconds.

    Yields
    ------
    Measured
    """
    measured = Measured()
    began = clock()
    try:
        yield measured
    except BaseException:
        measured.size = None
        raise
    finally:
        tags = {"usecase": usecase}
        if compression is not None:
            tags["compression"] = compression
        seconds = clock() - began
        try:
            _tell(backend, f"storage.{operation}", measured, seconds, tags)
        except Exception:
            _log.exception("the metrics backend fails")


def _tell(
    backend: MetricsBackend, name: str, measured: Measured, seconds: float, tags: dict[str, str]
) -> None:
    backend.distribution(f"{name}.latency", seconds, tags, "second")
    size, plain = measured.size, measured.plain_size
    if size is None:
        return
    backend.distribution(f"{name}.size", size, tags, "byte")
    if plain:
        backend.distribution(f"{name}.compression_ratio", size / plain, tags)
    if size and seconds > 0:
        backend.distribution(f"{name}.throughput", size / seconds, tags, "byte/second")
        backend.distribution(f"{name}.inverse_throughput", seconds / size, tags, "second/byte")
