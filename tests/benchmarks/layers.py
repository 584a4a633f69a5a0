"""What one more wrapper costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Generator

from encore.events.event_manager import EventManager
from encore.storage.api import DictStore, PrefixStore, Store
from tests.benchmarks.harness import (
    Lab,
    Trial,
    Work,
    at_most,
    benchmark,
    fresh_keys,
    fresh_values,
)

_LAYERS = range(4)
_TURNS = 40  # short ones: what slows the machine down meanwhile misses some of them

Act = Callable[[Store, list[tuple[str, bytes]]], None]


def _stack(layers: int) -> Store:
    store: Store = DictStore(event_manager=EventManager())
    for number in range(layers):
        store = PrefixStore(store, f"{number}/")
    return store


def _put(store: Store, items: list[tuple[str, bytes]]) -> None:
    put = store.put
    for key, value in items:
        put(key, value)


def _read(store: Store, items: list[tuple[str, bytes]]) -> None:
    read = store.read
    for key, _ in items:
        read(key)


def _slope(seconds: list[float]) -> float:
    return statistics.linear_regression([*_LAYERS], seconds).slope


def _trial(act: Act, count: int) -> Trial:
    """Microseconds for each layer: the slope over stacks of 0 to 3, which take turns."""

    def encore() -> Generator[Work, None, None]:
        items = [*zip(fresh_keys(count), fresh_values(count), strict=True)]
        stores = [_stack(layers) for layers in _LAYERS]
        for store in stores:
            _put(store, items)  # so that every put replaces, and every read finds

        def work() -> float:
            best = [float("inf")] * len(stores)
            for _ in range(_TURNS):
                for layers, store in enumerate(stores):
                    began = time.perf_counter()
                    act(store, items)
                    best[layers] = min(best[layers], time.perf_counter() - began)
            return _slope(best) / count * 1e6

        yield work

    return Trial({"encore": encore})


@benchmark("one more layer, put", unit="µs", goals=[at_most(1.5)])
def put(lab: Lab) -> Trial:
    """`PrefixStore` over `DictStore`, once to three times, values of 100 B."""
    return _trial(_put, lab.pick(2_000, 1_000))


@benchmark("one more layer, read", unit="µs", goals=[at_most(0.7)])
def read(lab: Lab) -> Trial:
    """The same, reading."""
    return _trial(_read, lab.pick(2_000, 1_000))
