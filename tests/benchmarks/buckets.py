"""Buckets, on a real S3 server of this machine, beside obstore by itself.

Both sides share one client, so that what is compared is what encore adds: metadata and tokens with
each write, one version with each read, keys in order. The server does most of the work, and the
requests of a real one would take ten times as long.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from typing import Any

from tests.benchmarks.harness import (
    MIB,
    Lab,
    Pattern,
    Trial,
    Work,
    at_least,
    benchmark,
    fresh_keys,
    fresh_values,
)
from tests.benchmarks.sqlite_single import metadata_of

_numbers = itertools.count()
_PART = 8 * MIB


def _client(lab: Lab) -> Any:
    from tests.servers import BucketServer

    return lab.enter(BucketServer()).client


@benchmark("bucket put", goals=[at_least(0.8, "R")])
def put(lab: Lab) -> Trial:
    """New keys with 100 B and metadata, one by one. R: `obstore.put` with the metadata."""
    from encore.storage.api import BucketStore

    client, count = _client(lab), lab.pick(1_000, 300)
    attributes = {"encoremetadata": '{"kind":"x","n":1}'}

    def encore() -> Generator[Work, None, None]:
        keys, values = fresh_keys(count), fresh_values(count)
        metadatas = [metadata_of(number) for number in range(count)]
        with BucketStore("encore", prefix=f"e{next(_numbers)}", client=client) as store:
            store.connect()

            def work() -> None:
                for key, value, metadata in zip(keys, values, metadatas, strict=True):
                    store.put(key, value, metadata)

            yield work
            assert len(store) == count

    def raw() -> Generator[Work, None, None]:
        keys, values, prefix = fresh_keys(count), fresh_values(count), f"r{next(_numbers)}"

        def work() -> None:
            for key, value in zip(keys, values, strict=True):
                client.put(f"{prefix}/{key}", value, attributes=attributes)

        yield work

    return Trial({"encore": encore, "R": raw}, count)


@benchmark("bucket replace", goals=[at_least(0.8, "R")])
def replace(lab: Lab) -> Trial:
    """The same keys again, by the store that wrote them. R: `obstore.put`."""
    from encore.storage.api import BucketStore

    client, count = _client(lab), lab.pick(1_000, 300)
    keys = fresh_keys(count)
    store = lab.enter(BucketStore("encore", prefix="replace", client=client))
    for key in keys:
        store.put(key, b"old", {"n": 1})

    def encore() -> Generator[Work, None, None]:
        values = fresh_values(count)

        def work() -> None:
            for key, value in zip(keys, values, strict=True):
                store.put(key, value, {"n": 2})

        yield work

    def raw() -> Generator[Work, None, None]:
        values = fresh_values(count)

        def work() -> None:
            for key, value in zip(keys, values, strict=True):
                client.put(f"replaced/{key}", value, attributes={"n": "2"})

        yield work

    return Trial({"encore": encore, "R": raw}, count)


@benchmark("bucket multiset", goals=[at_least(0.8, "R")])
def multiset(lab: Lab) -> Trial:
    """New keys in one transaction. R: `obstore.put` on 8 threads."""
    from concurrent.futures import ThreadPoolExecutor

    from encore.storage.api import BucketStore

    client, count = _client(lab), lab.pick(1_000, 300)
    pool = lab.enter(ThreadPoolExecutor(8))

    def encore() -> Generator[Work, None, None]:
        values = dict(zip(fresh_keys(count), fresh_values(count), strict=True))
        with BucketStore("encore", prefix=f"e{next(_numbers)}", client=client) as store:
            store.connect()
            yield lambda: store.multiset(values)

    def raw() -> Generator[Work, None, None]:
        items, prefix = [*zip(fresh_keys(count), fresh_values(count), strict=True)], next(_numbers)

        def write(item: tuple[str, bytes]) -> None:
            client.put(f"r{prefix}/{item[0]}", item[1], attributes={"n": "2"})

        yield lambda: [*pool.map(write, items)]

    return Trial({"encore": encore, "R": raw}, count)


@benchmark("bucket read", goals=[at_least(0.8, "R")])
def read(lab: Lab) -> Trial:
    """100 B by key. R: `obstore.get` and all of its bytes."""
    from encore.storage.api import BucketStore

    client, count = _client(lab), lab.pick(1_000, 300)
    keys = fresh_keys(count)
    store = lab.enter(BucketStore("encore", prefix="read", client=client))
    store.multiset(keys, fresh_values(count))

    def encore() -> Generator[Work, None, None]:
        def work() -> None:
            for key in keys:
                store.read(key)

        yield work

    def raw() -> Generator[Work, None, None]:
        def work() -> None:
            for key in keys:
                bytes(client.get(f"read/{key}").bytes())

        yield work

    return Trial({"encore": encore, "R": raw}, count)


@benchmark("bucket list", unit="keys/s", goals=[at_least(0.8, "R")])
def list_keys(lab: Lab) -> Trial:
    """All keys of 100 folders. R: `obstore.list`, and sorting, which this server needs."""
    from encore.storage.api import BucketStore

    client, count = _client(lab), lab.pick(4_000, 1_000)
    keys = fresh_keys(count)
    store = lab.enter(BucketStore("encore", prefix="list", client=client))
    store.multiset(keys, fresh_values(count))

    def encore() -> Generator[Work, None, None]:
        yield lambda: [*store.keys()]

    def raw() -> Generator[Work, None, None]:
        def work() -> None:
            pages = client.list("list", chunk_size=1000)
            assert len(sorted(meta["path"] for page in pages for meta in page)) == count

        yield work

    return Trial({"encore": encore, "R": raw}, count)


@benchmark("bucket 256 MiB in", unit="MiB/s", goals=[at_least(0.8, "R")])
def large_in(lab: Lab) -> Trial:
    """One value from a stream. R: `obstore.put` of the chunks, in parts of the same size."""
    from encore.storage.api import BucketStore

    client, size = _client(lab), lab.pick(256, 64) * MIB
    store = lab.enter(BucketStore("encore", prefix="in", client=client))

    def encore() -> Generator[Work, None, None]:
        source = Pattern(size)
        yield lambda: store.put("large", source)
        assert store.get("large").size == size

    def raw() -> Generator[Work, None, None]:
        source = Pattern(size)
        yield lambda: client.put("raw", iter(lambda: source.read(MIB), b""), chunk_size=_PART)

    return Trial({"encore": encore, "R": raw}, size // MIB, repeats=5)


@benchmark("bucket 256 MiB out", unit="MiB/s", goals=[at_least(0.8, "R")])
def large_out(lab: Lab) -> Trial:
    """All of the value, in pieces of 1 MiB. R: the stream of `obstore.get`."""
    from encore.storage.api import BucketStore

    client, size = _client(lab), lab.pick(256, 64) * MIB
    store = lab.enter(BucketStore("encore", prefix="out", client=client))
    store.put("large", Pattern(size))

    def encore() -> Generator[Work, None, None]:
        yield lambda: sum(len(chunk) for chunk in store.get("large").iterdata())

    def raw() -> Generator[Work, None, None]:
        yield lambda: sum(len(chunk) for chunk in client.get("out/large").stream(MIB))

    return Trial({"encore": encore, "R": raw}, size // MIB, repeats=5)
