"""The names people import: every store, and what moves data between them.

Each is loaded on first use, so that a program which needs one store pays for one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from encore.storage.abstract_store import AbstractStore
    from encore.storage.backend import BackendStore
    from encore.storage.backends.bucket import BucketStore
    from encore.storage.backends.filesystem import FilesystemStore
    from encore.storage.backends.hashdir import HashdirStore
    from encore.storage.backends.http import DynamicURLStore, HttpStore, Retries, StaticURLStore
    from encore.storage.backends.memory import DictStore
    from encore.storage.backends.null import NullStore
    from encore.storage.backends.sqlite import SqliteStore
    from encore.storage.backends.zip import ZipStore
    from encore.storage.checking import Problem
    from encore.storage.copying import CopyResult, clear_store, copy_store, sync_stores
    from encore.storage.template import Store
    from encore.storage.transactions.contexts import (
        DummyTransactionContext,
        SimpleTransactionContext,
    )
    from encore.storage.transactions.staging import StagedStore
    from encore.storage.values import Value
    from encore.storage.wrappers.authorizing import SimpleAuthStore, hash_password
    from encore.storage.wrappers.base import WrapperStore
    from encore.storage.wrappers.cache_index import CacheStats
    from encore.storage.wrappers.caching import CachingStore
    from encore.storage.wrappers.codecs import Base64Store, CodecStore, GzipStore, ZstdStore
    from encore.storage.wrappers.exception_logging import ExceptionLoggingStore
    from encore.storage.wrappers.expiring import ExpiringStore, Expiry, TimeToIdle, TimeToLive
    from encore.storage.wrappers.guards import (
        KeyValidatingStore,
        ReadonlyStore,
        RegexValidatingStore,
        UrlValidatingStore,
        WriteonlyStore,
    )
    from encore.storage.wrappers.intercepting import Intent, InterceptingStore
    from encore.storage.wrappers.joining import JoinedStore, MountedStore, RoutingStore
    from encore.storage.wrappers.keymaps import (
        HashPrefixStore,
        KeyMapStore,
        PrefixStore,
        UrlEncodingStore,
    )
    from encore.storage.wrappers.metering import MeteredStore, MetricsBackend, NoOpMetricsBackend
    from encore.storage.wrappers.mirroring import MirroringStore
    from encore.storage.wrappers.observers import LoggingStore, NotifyingStore
    from encore.storage.wrappers.typed import BufferStore, JsonStore, TextEncodingStore

_HOMES = {
    "AbstractStore": "encore.storage.abstract_store",
    "BackendStore": "encore.storage.backend",
    "Base64Store": "encore.storage.wrappers.codecs",
    "BucketStore": "encore.storage.backends.bucket",
    "BufferStore": "encore.storage.wrappers.typed",
    "CacheStats": "encore.storage.wrappers.cache_index",
    "CachingStore": "encore.storage.wrappers.caching",
    "CodecStore": "encore.storage.wrappers.codecs",
    "CopyResult": "encore.storage.copying",
    "DictStore": "encore.storage.backends.memory",
    "DummyTransactionContext": "encore.storage.transactions.contexts",
    "DynamicURLStore": "encore.storage.backends.http",
    "ExceptionLoggingStore": "encore.storage.wrappers.exception_logging",
    "ExpiringStore": "encore.storage.wrappers.expiring",
    "Expiry": "encore.storage.wrappers.expiring",
    "FilesystemStore": "encore.storage.backends.filesystem",
    "GzipStore": "encore.storage.wrappers.codecs",
    "HashPrefixStore": "encore.storage.wrappers.keymaps",
    "HashdirStore": "encore.storage.backends.hashdir",
    "HttpStore": "encore.storage.backends.http",
    "Intent": "encore.storage.wrappers.intercepting",
    "InterceptingStore": "encore.storage.wrappers.intercepting",
    "JoinedStore": "encore.storage.wrappers.joining",
    "JsonStore": "encore.storage.wrappers.typed",
    "KeyMapStore": "encore.storage.wrappers.keymaps",
    "KeyValidatingStore": "encore.storage.wrappers.guards",
    "LoggingStore": "encore.storage.wrappers.observers",
    "MeteredStore": "encore.storage.wrappers.metering",
    "MetricsBackend": "encore.storage.wrappers.metering",
    "MirroringStore": "encore.storage.wrappers.mirroring",
    "MountedStore": "encore.storage.wrappers.joining",
    "NoOpMetricsBackend": "encore.storage.wrappers.metering",
    "NotifyingStore": "encore.storage.wrappers.observers",
    "NullStore": "encore.storage.backends.null",
    "PrefixStore": "encore.storage.wrappers.keymaps",
    "Problem": "encore.storage.checking",
    "ReadonlyStore": "encore.storage.wrappers.guards",
    "RegexValidatingStore": "encore.storage.wrappers.guards",
    "Retries": "encore.storage.backends.http",
    "RoutingStore": "encore.storage.wrappers.joining",
    "SimpleAuthStore": "encore.storage.wrappers.authorizing",
    "SimpleTransactionContext": "encore.storage.transactions.contexts",
    "SqliteStore": "encore.storage.backends.sqlite",
    "StagedStore": "encore.storage.transactions.staging",
    "StaticURLStore": "encore.storage.backends.http",
    "Store": "encore.storage.template",
    "TextEncodingStore": "encore.storage.wrappers.typed",
    "TimeToIdle": "encore.storage.wrappers.expiring",
    "TimeToLive": "encore.storage.wrappers.expiring",
    "UrlEncodingStore": "encore.storage.wrappers.keymaps",
    "UrlValidatingStore": "encore.storage.wrappers.guards",
    "Value": "encore.storage.values",
    "WrapperStore": "encore.storage.wrappers.base",
    "WriteonlyStore": "encore.storage.wrappers.guards",
    "ZipStore": "encore.storage.backends.zip",
    "ZstdStore": "encore.storage.wrappers.codecs",
    "clear_store": "encore.storage.copying",
    "copy_store": "encore.storage.copying",
    "hash_password": "encore.storage.wrappers.authorizing",
    "sync_stores": "encore.storage.copying",
}

__all__ = [
    "AbstractStore",
    "BackendStore",
    "Base64Store",
    "BucketStore",
    "BufferStore",
    "CacheStats",
    "CachingStore",
    "CodecStore",
    "CopyResult",
    "DictStore",
    "DummyTransactionContext",
    "DynamicURLStore",
    "ExceptionLoggingStore",
    "ExpiringStore",
    "Expiry",
    "FilesystemStore",
    "GzipStore",
    "HashPrefixStore",
    "HashdirStore",
    "HttpStore",
    "Intent",
    "InterceptingStore",
    "JoinedStore",
    "JsonStore",
    "KeyMapStore",
    "KeyValidatingStore",
    "LoggingStore",
    "MeteredStore",
    "MetricsBackend",
    "MirroringStore",
    "MountedStore",
    "NoOpMetricsBackend",
    "NotifyingStore",
    "NullStore",
    "PrefixStore",
    "Problem",
    "ReadonlyStore",
    "RegexValidatingStore",
    "Retries",
    "RoutingStore",
    "SimpleAuthStore",
    "SimpleTransactionContext",
    "SqliteStore",
    "StagedStore",
    "StaticURLStore",
    "Store",
    "TextEncodingStore",
    "TimeToIdle",
    "TimeToLive",
    "UrlEncodingStore",
    "UrlValidatingStore",
    "Value",
    "WrapperStore",
    "WriteonlyStore",
    "ZipStore",
    "ZstdStore",
    "clear_store",
    "copy_store",
    "hash_password",
    "sync_stores",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
