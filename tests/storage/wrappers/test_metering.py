"""Stores that measure: every figure, what it is tagged with, and that nothing is disturbed."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from typing import Any

import pytest

from encore.errors import ConflictError, OperationCancelled
from encore.events.event_manager import EventManager
from encore.storage.backends.memory import DictStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.events import StoreProgressEvent
from encore.storage.template import Store
from encore.storage.wrappers.codecs import CodecStore, GzipStore
from encore.storage.wrappers.guards import ReadonlyStore
from encore.storage.wrappers.keymaps import PrefixStore
from encore.storage.wrappers.metering import MeteredStore, NoOpMetricsBackend
from encore.streams.compression import Gzip
from encore.testing.sources import Failing, SourceBroke, Trickle, pattern

MIB = 1 << 20


class Figures:
    """A metrics backend that keeps everything."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str, float, dict[str, str], str | None]] = []

    def increment(self, name: str, value: float = 1, tags: Any = None) -> None:
        self.all.append(("increment", name, value, dict(tags), None))

    def gauge(self, name: str, value: float, tags: Any = None) -> None:
        self.all.append(("gauge", name, value, dict(tags), None))

    def distribution(self, name: str, value: float, tags: Any = None, unit: Any = None) -> None:
        self.all.append(("distribution", name, value, dict(tags), unit))

    def take(self, name: str) -> list[tuple[str, float]]:
        """What was told of one kind, as verb (and outcome) and value; then it is forgotten."""
        found = [
            (" ".join(filter(None, (tags.get("verb"), tags.get("outcome")))), value)
            for _, told, value, tags, _ in self.all
            if told == f"store.{name}"
        ]
        self.all = [one for one in self.all if one[1] != f"store.{name}"]
        return found


@pytest.fixture
def figures() -> Figures:
    return Figures()


@pytest.fixture
def store(figures: Figures) -> MeteredStore:
    seconds = itertools.count()  # each look at the clock is a second later
    return MeteredStore(
        DictStore(event_manager=EventManager()), figures, clock=lambda: float(next(seconds))
    )


_OPERATIONS: dict[str, tuple[Callable[[Store], object], list[str]]] = {
    "put": (lambda s: s.put("n", b""), ["put ok"]),
    "put if absent": (lambda s: s.put("n", b"", if_absent=True), ["put ok"]),
    "put a stream": (lambda s: s.put("n", Trickle(pattern(3 * MIB))), ["put ok"]),
    "set_data": (lambda s: s.set_data("a", b""), ["put ok"]),
    "set_metadata": (lambda s: s.set_metadata("a", {}), ["set_metadata ok"]),
    "get": (lambda s: s.get("a"), ["get ok"]),
    "read": (lambda s: s.read("a"), ["get ok"]),
    "range": (lambda s: s.get_data_range("a", 0, 1), ["get ok"]),
    "exists": (lambda s: "n" in s, ["exists ok"]),
    "keys": (lambda s: [*s.keys()], ["keys ok"]),
    "query": (lambda s: [*s.query(x=1)], ["query ok"]),
    "delete": (lambda s: s.delete("a"), ["delete ok"]),
    "copy": (lambda s: s.copy("a", "b"), ["copy ok"]),
    "move": (lambda s: s.move("a", "b"), ["move ok"]),
    "multiset": (lambda s: s.multiset({"a": b"", "b": b""}), ["put ok", "put ok"]),
}


@pytest.mark.parametrize(("act", "expected"), _OPERATIONS.values(), ids=_OPERATIONS)
def test_each_operation_is_counted_and_timed_once(
    store: MeteredStore, figures: Figures, act: Callable[[Store], object], expected: list[str]
) -> None:
    store.base.put("a", b"1")
    act(store)
    assert figures.take("operations") == [(name, 1) for name in expected]
    latencies = figures.take("latency")
    assert [name for name, _ in latencies] == expected
    assert all(seconds >= 1 for _, seconds in latencies)


_OUTCOMES: dict[str, tuple[Callable[[Store], object], str, Any]] = {
    "read": (lambda s: s.read("n"), "get missing", KeyError),
    "get": (lambda s: s.get("n"), "get missing", KeyError),
    "delete": (lambda s: s.delete("n"), "delete missing", KeyError),
    "copy": (lambda s: s.copy("n", "m"), "copy missing", KeyError),
    "conflict": (lambda s: s.put("a", b"", if_absent=True), "put error", ConflictError),
    "source": (lambda s: s.put("a", Failing(b"")), "put error", SourceBroke),
    "interrupted": (
        lambda s: s.put("a", Failing(b"", KeyboardInterrupt())), "put cancelled", KeyboardInterrupt
    ),
}  # fmt: skip


@pytest.mark.parametrize(("act", "expected", "error"), _OUTCOMES.values(), ids=_OUTCOMES)
def test_the_outcome_is_told(
    store: MeteredStore, figures: Figures, act: Callable[[Store], object], expected: str, error: Any
) -> None:
    store.base.put("a", b"1")
    with pytest.raises(error):
        act(store)
    assert figures.take("operations") == [(expected, 1)]
    assert [name for name, _ in figures.take("latency")] == [expected]
    assert figures.take("size") == [], "nothing was written or read"


def test_a_cancelled_write_is_told_as_such(store: MeteredStore, figures: Figures) -> None:
    with (
        store.event_manager.listening(StoreProgressEvent, lambda event: event.cancel()),
        pytest.raises(OperationCancelled),
    ):
        store.put("a", pattern(3 * MIB))
    assert figures.take("operations") == [("put cancelled", 1)]


def test_a_listing_that_fails_on_its_way_is_an_error(figures: Figures) -> None:
    class Fails(DictStore):
        def _scan(self, prefix: str, start_after: str | None) -> Any:
            yield "a"
            raise OSError("the medium broke")

    store = MeteredStore(Fails(event_manager=EventManager()), figures)
    with pytest.raises(OSError):
        [*store.keys()]
    assert figures.take("operations") == [("keys ok", 1), ("keys error", 1)]


def test_sizes_are_those_of_plain_data(store: MeteredStore, figures: Figures) -> None:
    for over in (store, PrefixStore(store, "p/"), MeteredStore(GzipStore(store.base), figures)):
        over.put("small", pattern(1000))
        over.put("large", Trickle(pattern(3 * MIB)))
        assert figures.take("size") == [("put", 1000), ("put", 3 * MIB)]
        over.read("small")
        over.get_data_range("small", 10, 30).close()
        for value in (over.get("small"), *(value for _, value in over.items("small"))):
            assert value.read() == pattern(1000)
            value.close()
        assert figures.take("size") == [("get", size) for size in (1000, 20, 1000, 1000)]


def test_large_data_counts_as_far_as_it_has_been_read(figures: Figures, tmp_path: Any) -> None:
    base = SqliteStore(tmp_path / "store.db", event_manager=EventManager())
    seconds = itertools.count()
    with MeteredStore(base, figures, clock=lambda: float(next(seconds))) as store:
        store.put("large", pattern(MIB))
        figures.all.clear()
        with store.get("large") as stream:
            assert stream.read(100000) == pattern(MIB)[:100000]
        ((_, size),) = figures.take("size")
        assert 100000 <= size <= 200000, "as the buffer of the stream has it"
        figures.all.clear()

        value = store.get("large")
        assert b"".join(value.iterdata(65536)) == pattern(MIB)
        assert figures.take("size") == []
        value.close()
        value.close()
        assert figures.take("size") == [("get", MIB)]
        ((verb, rate),) = figures.take("throughput")
        assert verb == "get"
        assert rate == MIB / 16, "16 chunks, one second each"


def test_throughput_is_told_of_streams(store: MeteredStore, figures: Figures) -> None:
    store.put("small", pattern(1000))
    assert figures.take("throughput") == []
    store.put("large", Trickle(pattern(3 * MIB)))
    assert figures.take("throughput") == [("put", 3 * MIB)], "in one second of this clock"


@pytest.mark.parametrize("size", [100000, 3 * MIB])
@pytest.mark.parametrize("is_stream", [False, True])
def test_the_compression_ratio_is_that_of_what_is_stored(
    figures: Figures, size: int, is_stream: bool
) -> None:
    base = DictStore(event_manager=EventManager())
    store = MeteredStore(GzipStore(base), figures)
    data = b"compressible " * (size // 13)
    store.put("a", Trickle(data) if is_stream else data)
    ((verb, ratio),) = figures.take("compression_ratio")
    assert verb == "put"
    assert ratio == len(data) / base.totals()[1] > 10  # type: ignore[operator]


def test_measuring_a_stream_does_not_decode_it(figures: Figures) -> None:
    class OneWay(Gzip):
        def decode(self, chunks: Any) -> Any:
            raise AssertionError("what has been written is read again")

    store = MeteredStore(CodecStore(DictStore(event_manager=EventManager()), OneWay()), figures)
    store.put("a", Trickle(pattern(3 * MIB)))
    assert figures.take("size") == [("put", 3 * MIB)]


def test_there_is_no_ratio_without_a_codec(store: MeteredStore, figures: Figures) -> None:
    store.put("a", pattern(1000))
    assert figures.take("compression_ratio") == []


def test_counting_sets_the_gauge(store: MeteredStore, figures: Figures) -> None:
    store.multiset({"a": b"", "b": b""})
    len(store)
    assert [one for one in figures.all if one[0] == "gauge"] == [
        ("gauge", "store.keys", 2, {"store": "store"}, None)
    ]


def test_figures_have_the_name_and_units() -> None:
    figures = Figures()
    store = MeteredStore(DictStore(event_manager=EventManager()), figures, store_name="plates")
    store.put("a", Trickle(pattern(3 * MIB)))
    store.read("a")
    assert {tags["store"] for _, _, _, tags, _ in figures.all} == {"plates"}
    assert {name: unit for _, name, _, _, unit in figures.all} == {
        "store.operations": None,
        "store.latency": "second",
        "store.size": "byte",
        "store.throughput": "byte/second",
    }


def test_a_backend_that_raises_disturbs_nothing_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(NoOpMetricsBackend):
        def increment(self, *args: Any, **options: Any) -> None:
            raise OSError("no route to the metrics host")

        distribution = gauge = increment

    store = MeteredStore(DictStore(event_manager=EventManager()), Broken())
    store.put("a", b"1")
    store.put("b", Trickle(pattern(3 * MIB)))
    assert store.read("a") == b"1"
    assert len(store) == 2
    with pytest.raises(KeyError):
        store.read("n")
    assert "no route to the metrics host" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_without_a_backend_everything_works() -> None:
    store = MeteredStore(ReadonlyStore(DictStore(event_manager=EventManager())))
    with pytest.raises(PermissionError):
        store.put("a", b"")
    assert len(store) == 0
