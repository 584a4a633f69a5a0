"""The register of stores: one line each, and the whole conformance suite runs over it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from servers import BUCKET, prefix_for

from encore.service import Client, ServiceStore
from encore.storage.backends.bucket import BucketStore
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.hashdir import HashdirStore
from encore.storage.backends.http import DynamicURLStore
from encore.storage.backends.memory import DictStore
from encore.storage.backends.sqlite import SqliteStore
from encore.storage.backends.zip import ZipStore
from encore.storage.template import Store
from encore.storage.wrappers.authorizing import SimpleAuthStore, hash_password
from encore.storage.wrappers.base import WrapperStore
from encore.storage.wrappers.caching import CachingStore
from encore.storage.wrappers.codecs import Base64Store, GzipStore, ZstdStore
from encore.storage.wrappers.exception_logging import ExceptionLoggingStore
from encore.storage.wrappers.expiring import ExpiringStore, TimeToIdle
from encore.storage.wrappers.guards import KeyValidatingStore
from encore.storage.wrappers.joining import JoinedStore, MountedStore, RoutingStore
from encore.storage.wrappers.keymaps import HashPrefixStore, PrefixStore, UrlEncodingStore
from encore.storage.wrappers.metering import MeteredStore, NoOpMetricsBackend
from encore.storage.wrappers.mirroring import MirroringStore
from encore.storage.wrappers.observers import LoggingStore, NotifyingStore
from encore.storage.wrappers.typed import BufferStore, JsonStore, TextEncodingStore

#: Addresses of the servers that are running, by the fixture that has started them.
SERVERS: dict[str, str] = {}
#: Clients that stores share, since making one costs more than most tests, in the same way.
CLIENTS: dict[str, Any] = {}


@dataclass(frozen=True)
class StoreUnderTest:
    """One store, and how a test gets it.

    Attributes
    ----------
    name : str
    open : callable
        ``open(directory, **options)`` returns a store whose data is in that directory.
    shared : bool
        Whether opening the same directory twice gives two doors to the same data.
    keeps : bool
        Whether data outlives `close`.
    needs : str
        The fixture that starts the server of the store, if there is one; it says in `SERVERS`
        where the server is.
    examples : int, optional
        Fewer random programs than usual, for a store that is slow to answer.
    is_sampled : bool
        Whether only a sample of the laws is examined every day, and all of them when asked for.
    """

    name: str
    open: Callable[..., Store]
    shared: bool = True
    keeps: bool = True
    needs: str = ""
    examples: int | None = None
    is_sampled: bool = False

    def __str__(self) -> str:
        return self.name

    def reopen(self, store: Any, directory: Path, **options: Any) -> Store | None:
        """Another door to the data of ``store``, if there can be one."""
        return self.open(directory, **options) if self.shared else None


def _on_rest_server(directory: Path, **options: Any) -> Store:
    space = f"{SERVERS['rest_server']}/{quote(str(directory), safe='')}"
    return DynamicURLStore(f"{space}/values", f"{space}/query", **options)


def _on_object_server(directory: Path, **options: Any) -> Store:
    session = Client(SERVERS["object_server"]).session("tests", of=prefix_for(directory))
    return ServiceStore(session, follow=False, **options)


def _in_bucket(directory: Path, **options: Any) -> Store:
    client = CLIENTS["bucket_server"]
    return BucketStore(BUCKET, prefix=prefix_for(directory), client=client, **options)


STORES = [
    StoreUnderTest("dict", lambda directory, **options: DictStore(**options), shared=False),
    StoreUnderTest("sqlite", lambda directory, **o: SqliteStore(directory / "store.db", **o)),
    StoreUnderTest(
        "sqlite-memory",
        lambda directory, **o: SqliteStore(":memory:", **o),
        shared=False,
        keeps=False,
        is_sampled=True,
    ),
    StoreUnderTest("filesystem", lambda directory, **o: FilesystemStore(directory, **o)),
    StoreUnderTest(
        "dynamic-url", _on_rest_server, needs="rest_server", examples=5, is_sampled=True
    ),
    StoreUnderTest(
        "service", _on_object_server, needs="object_server", examples=5, is_sampled=True
    ),
    StoreUnderTest("bucket", _in_bucket, needs="bucket_server", examples=5, is_sampled=True),
    StoreUnderTest("zip", lambda directory, **o: ZipStore(directory / "store.zip", **o)),
    StoreUnderTest("hashdir", lambda directory, **o: HashdirStore(directory, **o)),
]


def notifying(base: Store) -> Store:
    """A store that calls somebody after each write."""
    store = NotifyingStore(base)
    store.on_change(lambda store, action, key, error: None)
    return store


class AuthorizedStore(SimpleAuthStore):
    """A store that the same user always opens: the laws of opening know no credentials."""

    def __init__(self, base: Store) -> None:
        super().__init__(base, {"user": _CHEAP_HASH})
        self.connect()

    def connect(self, credentials: Any = None) -> None:
        super().connect(credentials or {"username": "user", "password": "secret"})


_CHEAP_HASH = hash_password("secret", ln=1, r=1, p=1)

# Wrappers, each with what makes it out of a base.
WRAPPERS: dict[str, Callable[[Store], Store]] = {
    "prefix": lambda base: PrefixStore(base, "project/"),
    "hash-prefix": HashPrefixStore,
    "url-encoding": UrlEncodingStore,
    "validating": lambda base: KeyValidatingStore(base, lambda key: None),
    "gzip": GzipStore,
    "zstd": ZstdStore,
    "base64": Base64Store,
    "text": lambda base: Base64Store(TextEncodingStore(base)),
    "json": lambda base: WrapperStore(JsonStore(base)),
    "buffer": lambda base: WrapperStore(BufferStore(base)),
    "notifying": lambda base: notifying(base),
    "logging": LoggingStore,
    "exception-logging": ExceptionLoggingStore,
    "metered": lambda base: MeteredStore(base, NoOpMetricsBackend()),
    "expiring": lambda base: ExpiringStore(base, default=TimeToIdle(3600)),
    "auth": lambda base: AuthorizedStore(base),
}


# Stores of several stores, each with what makes it out of two.
COMPOSED: dict[str, Callable[[Store, Store], Store]] = {
    "joined": lambda one, other: JoinedStore([one, other]),
    "mounted": lambda one, other: MountedStore("a", one, other),
    "routing": lambda one, other: RoutingStore(
        [("a", one), (re.compile(".*[b-m]"), other), ("", one)]
    ),
    "mirroring": lambda one, other: MirroringStore([one, other]),
    "caching": CachingStore,
    "caching-never": lambda one, other: CachingStore(
        one, other, validate="never", max_items=3, negative_ttl=60.0
    ),
}


def over(entry: StoreUnderTest, name: str) -> StoreUnderTest:
    """A wrapper over a store of the register."""
    wrap = WRAPPERS[name]
    return StoreUnderTest(
        f"{name}({entry.name})",
        lambda directory, **options: wrap(entry.open(directory, **options)),
        entry.shared,
        entry.keeps,
        entry.needs,
        entry.examples,
    )


def of_two(name: str, one: StoreUnderTest, other: StoreUnderTest) -> StoreUnderTest:
    """A store of two stores of the register."""
    compose = COMPOSED[name]

    def open_both(directory: Path, **options: Any) -> Store:
        for part in ("one", "other"):
            (directory / part).mkdir(exist_ok=True)
        return compose(
            one.open(directory / "one", **options), other.open(directory / "other", **options)
        )

    return StoreUnderTest(
        f"{name}({one.name},{other.name})",
        open_both,
        # Two caches over one store of copies would not know what the other has removed.
        one.shared and other.shared and not name.startswith("caching"),
        one.keeps and other.keeps,
        one.needs or other.needs,
        one.examples or other.examples,
    )


_BY_NAME = {entry.name: entry for entry in STORES}

_DICT = _BY_NAME["dict"]
_OTHERS = [entry for entry in STORES if entry.name not in ("dict", "sqlite-memory")]

# Every wrapper alone. Every law is examined every day on one of them, and a sample of the laws on
# the others; random programs are played on all of them.
_EVERY_LAW = {"prefix"}
WRAPPED = [over(_DICT, name) for name in WRAPPERS]
WRAPPED += [of_two(name, _DICT, _DICT) for name in COMPOSED]
WRAPPED = [
    replace(entry, is_sampled=entry.name.partition("(")[0] not in _EVERY_LAW, examples=5)
    for entry in WRAPPED
]

# Every wrapper over every backend, and every two wrappers.
STACKS = [over(entry, name) for name in WRAPPERS for entry in _OTHERS]
STACKS += [of_two(name, entry, _DICT) for name in COMPOSED for entry in _OTHERS]
STACKS += [of_two(name, _DICT, entry) for name in COMPOSED for entry in _OTHERS]
# The service keeps lifetimes itself, and refuses a field of that name.
STACKS = [entry for entry in STACKS if entry.name != "expiring(service)"]
PAIRS = [over(over(_DICT, inner), outer) for outer in WRAPPERS for inner in WRAPPERS]
PAIRS += [over(of_two(inner, _DICT, _DICT), outer) for outer in WRAPPERS for inner in COMPOSED]
PAIRS += [of_two(outer, over(_DICT, inner), _DICT) for outer in COMPOSED for inner in WRAPPERS]
PAIRS += [
    of_two(outer, of_two(inner, _DICT, _DICT), _DICT) for outer in COMPOSED for inner in COMPOSED
]

# One of each kind, for every day.
SAMPLED = [
    over(_BY_NAME["sqlite"], "gzip"),
    over(_BY_NAME["filesystem"], "prefix"),
    of_two("caching", _BY_NAME["sqlite"], _DICT),
    of_two("mirroring", _BY_NAME["sqlite"], _BY_NAME["filesystem"]),
]
SAMPLED = [replace(entry, is_sampled=True) for entry in SAMPLED]
