"""DictStore."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Generator

from encore.storage.api import DictStore
from tests.benchmarks.harness import (
    Contender,
    Lab,
    Trial,
    Work,
    at_least,
    benchmark,
    fresh_keys,
    fresh_values,
    peer,
)


@benchmark("dict put", goals=[at_least(1_000_000)])
def put(lab: Lab) -> Trial:
    """100 B under new keys. R: a plain ``dict``. minimalkv: its store in memory."""
    count = lab.pick(100_000, 50_000)

    def encore() -> Generator[Work, None, None]:
        keys, values = fresh_keys(count), fresh_values(count)
        store = DictStore()
        store.put("warm", b"warm")

        def work() -> None:
            put = store.put
            for key, value in zip(keys, values, strict=True):
                put(key, value)

        yield work
        assert len(store) == count + 1

    def plain() -> Generator[Work, None, None]:
        keys, values = fresh_keys(count), fresh_values(count)
        target: dict[str, bytes] = {}

        def work() -> None:
            for key, value in zip(keys, values, strict=True):
                target[key] = value  # noqa: PERF403  as the others do

        yield work

    return Trial({"encore": encore, "R": plain, "minimalkv": _minimalkv_put(count)}, count)


def _minimalkv_put(count: int) -> Contender | None:
    minimalkv = peer("minimalkv.memory")
    if minimalkv is None:
        return None

    def contender() -> Generator[Work, None, None]:
        keys, values = _plain_keys(count), fresh_values(count)
        store = minimalkv.DictStore()

        def work() -> None:
            put = store.put
            for key, value in zip(keys, values, strict=True):
                put(key, value)

        yield work

    return contender


def _plain_keys(count: int) -> list[str]:
    """minimalkv takes no slashes."""
    return [key.replace("/", "_") for key in fresh_keys(count)]


@benchmark("dict read", goals=[at_least(2, "minimalkv")])
def read(lab: Lab) -> Trial:
    """100 B by key, in random order. R: a plain ``dict``. minimalkv: ``store.get``."""
    count = lab.pick(100_000, 50_000)
    keys, values = fresh_keys(count), fresh_values(count)
    store = DictStore()
    store.multiset(keys, values)
    plain_dict = dict(zip(keys, values, strict=True))
    random.shuffle(keys)

    def encore() -> Generator[Work, None, None]:
        def work() -> None:
            read = store.read
            for key in keys:
                read(key)

        yield work

    def plain() -> Generator[Work, None, None]:
        def work() -> None:
            for key in keys:
                plain_dict[key]

        yield work

    return Trial({"encore": encore, "R": plain, "minimalkv": _minimalkv_read(count)}, count)


def _minimalkv_read(count: int) -> Contender | None:
    minimalkv = peer("minimalkv.memory")
    if minimalkv is None:
        return None
    keys = _plain_keys(count)
    store = minimalkv.DictStore()
    for key, value in zip(keys, fresh_values(count), strict=True):
        store.put(key, value)
    random.shuffle(keys)

    def contender() -> Generator[Work, None, None]:
        def work() -> None:
            get = store.get
            for key in keys:
                get(key)

        yield work

    return contender


@benchmark("dict prefix", unit="prefixes/s", goals=[at_least(10, "scan")])
def prefix(lab: Lab) -> Trial:
    """The keys under each of 100 prefixes, 1 % of 100,000 each; one key is put before each.

    R: a list kept sorted, `bisect_left` twice, a slice. Scan: ``startswith`` for every key of a
    dictionary, sorted.
    """
    count = 100_000
    keys = fresh_keys(count)
    store = DictStore()
    store.multiset(keys, fresh_values(count))
    ordered, plain = sorted(keys), dict.fromkeys(keys)
    prefixes = [f"{number:02d}/" for number in range(100)]
    assert [*store.keys("07/")] == [key for key in ordered if key.startswith("07/")]
    numbers = iter(range(1 << 30))

    def encore(*, touched: bool) -> Contender:
        def contender() -> Generator[Work, None, None]:
            def work() -> None:
                for prefix in prefixes:
                    if touched:
                        store.put(f"zz/{next(numbers)}", b"")
                    [*store.keys(prefix)]

            yield work

        return contender

    def limit() -> Generator[Work, None, None]:
        def work() -> None:
            for prefix in prefixes:
                ordered[bisect_left(ordered, prefix) : bisect_left(ordered, prefix[:-1] + "0")]

        yield work

    def scan() -> Generator[Work, None, None]:
        def work() -> None:
            for prefix in prefixes:
                sorted(key for key in plain if key.startswith(prefix))

        yield work

    contenders = {
        "encore": encore(touched=False),
        "R": limit,
        "scan": scan,
        "after each a put": encore(touched=True),
    }
    return Trial(contenders, len(prefixes), repeats=5)
