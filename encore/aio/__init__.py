"""The asynchronous faces of stores: every verb awaited, nothing written twice.

==================  ================================================================
`store`             `AsyncStore`, over any store
`reading`           the verbs, each a line
`writing`
`objects`           upload, download, pages
`transactions`      owned by a task
`events`            ``async for event in store.events()``
`values`            values, and streams of their data
`iterating`         asynchronous iteration over what stores yield
`sources`           asynchronous data on its way in
`core`              how a verb gets to a thread, opening and closing
`sessions`          a thread for a task with a transaction
`turns`             who may write, and who is next
`calls`             there and back
`threads`           where the work is done
`mailbox`           from threads to the loop
`copying`           `async_copy_store` and its kin
`backends`          `AsyncSqliteStore` and other names; made by `making`
`wrappers`
`bucket`            `AsyncBucketStore`
==================  ================================================================

Built on ``storage``; configurations, the ``encore`` command and applications import it. Importing
it starts nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from encore.aio.backends import (
        AsyncDictStore,
        AsyncDynamicURLStore,
        AsyncFilesystemStore,
        AsyncHashdirStore,
        AsyncHttpStore,
        AsyncNullStore,
        AsyncSqliteStore,
        AsyncStaticURLStore,
        AsyncZipStore,
    )
    from encore.aio.bucket import AsyncBucketStore
    from encore.aio.copying import (
        async_clear_store,
        async_copy_store,
        async_sync_stores,
    )
    from encore.aio.events import AsyncEvents
    from encore.aio.iterating import AsyncItems
    from encore.aio.making import face_for
    from encore.aio.store import AsyncStore
    from encore.aio.transactions import (
        AsyncSeveralTransactions,
        AsyncTransaction,
        transaction,
    )
    from encore.aio.values import (
        AsyncData,
        AsyncValue,
    )
    from encore.aio.wrappers import (
        AsyncBase64Store,
        AsyncBufferStore,
        AsyncCachingStore,
        AsyncExceptionLoggingStore,
        AsyncExpiringStore,
        AsyncGzipStore,
        AsyncHashPrefixStore,
        AsyncJoinedStore,
        AsyncJsonStore,
        AsyncKeyValidatingStore,
        AsyncLoggingStore,
        AsyncMeteredStore,
        AsyncMirroringStore,
        AsyncMountedStore,
        AsyncNotifyingStore,
        AsyncPrefixStore,
        AsyncReadonlyStore,
        AsyncRegexValidatingStore,
        AsyncRoutingStore,
        AsyncSimpleAuthStore,
        AsyncTextEncodingStore,
        AsyncUrlEncodingStore,
        AsyncUrlValidatingStore,
        AsyncWriteonlyStore,
        AsyncZstdStore,
    )

_HOMES = {
    "AsyncBase64Store": "encore.aio.wrappers",
    "AsyncBucketStore": "encore.aio.bucket",
    "AsyncBufferStore": "encore.aio.wrappers",
    "AsyncCachingStore": "encore.aio.wrappers",
    "AsyncData": "encore.aio.values",
    "AsyncDictStore": "encore.aio.backends",
    "AsyncDynamicURLStore": "encore.aio.backends",
    "AsyncEvents": "encore.aio.events",
    "AsyncExceptionLoggingStore": "encore.aio.wrappers",
    "AsyncExpiringStore": "encore.aio.wrappers",
    "AsyncFilesystemStore": "encore.aio.backends",
    "AsyncGzipStore": "encore.aio.wrappers",
    "AsyncHashPrefixStore": "encore.aio.wrappers",
    "AsyncHashdirStore": "encore.aio.backends",
    "AsyncHttpStore": "encore.aio.backends",
    "AsyncItems": "encore.aio.iterating",
    "AsyncJoinedStore": "encore.aio.wrappers",
    "AsyncJsonStore": "encore.aio.wrappers",
    "AsyncKeyValidatingStore": "encore.aio.wrappers",
    "AsyncLoggingStore": "encore.aio.wrappers",
    "AsyncMeteredStore": "encore.aio.wrappers",
    "AsyncMirroringStore": "encore.aio.wrappers",
    "AsyncMountedStore": "encore.aio.wrappers",
    "AsyncNotifyingStore": "encore.aio.wrappers",
    "AsyncNullStore": "encore.aio.backends",
    "AsyncPrefixStore": "encore.aio.wrappers",
    "AsyncReadonlyStore": "encore.aio.wrappers",
    "AsyncRegexValidatingStore": "encore.aio.wrappers",
    "AsyncRoutingStore": "encore.aio.wrappers",
    "AsyncSeveralTransactions": "encore.aio.transactions",
    "AsyncSimpleAuthStore": "encore.aio.wrappers",
    "AsyncSqliteStore": "encore.aio.backends",
    "AsyncStaticURLStore": "encore.aio.backends",
    "AsyncStore": "encore.aio.store",
    "AsyncTextEncodingStore": "encore.aio.wrappers",
    "AsyncTransaction": "encore.aio.transactions",
    "AsyncUrlEncodingStore": "encore.aio.wrappers",
    "AsyncUrlValidatingStore": "encore.aio.wrappers",
    "AsyncValue": "encore.aio.values",
    "AsyncWriteonlyStore": "encore.aio.wrappers",
    "AsyncZipStore": "encore.aio.backends",
    "AsyncZstdStore": "encore.aio.wrappers",
    "async_clear_store": "encore.aio.copying",
    "async_copy_store": "encore.aio.copying",
    "async_sync_stores": "encore.aio.copying",
    "face_for": "encore.aio.making",
    "transaction": "encore.aio.transactions",
}

__all__ = [
    "AsyncBase64Store",
    "AsyncBucketStore",
    "AsyncBufferStore",
    "AsyncCachingStore",
    "AsyncData",
    "AsyncDictStore",
    "AsyncDynamicURLStore",
    "AsyncEvents",
    "AsyncExceptionLoggingStore",
    "AsyncExpiringStore",
    "AsyncFilesystemStore",
    "AsyncGzipStore",
    "AsyncHashPrefixStore",
    "AsyncHashdirStore",
    "AsyncHttpStore",
    "AsyncItems",
    "AsyncJoinedStore",
    "AsyncJsonStore",
    "AsyncKeyValidatingStore",
    "AsyncLoggingStore",
    "AsyncMeteredStore",
    "AsyncMirroringStore",
    "AsyncMountedStore",
    "AsyncNotifyingStore",
    "AsyncNullStore",
    "AsyncPrefixStore",
    "AsyncReadonlyStore",
    "AsyncRegexValidatingStore",
    "AsyncRoutingStore",
    "AsyncSeveralTransactions",
    "AsyncSimpleAuthStore",
    "AsyncSqliteStore",
    "AsyncStaticURLStore",
    "AsyncStore",
    "AsyncTextEncodingStore",
    "AsyncTransaction",
    "AsyncUrlEncodingStore",
    "AsyncUrlValidatingStore",
    "AsyncValue",
    "AsyncWriteonlyStore",
    "AsyncZipStore",
    "AsyncZstdStore",
    "async_clear_store",
    "async_copy_store",
    "async_sync_stores",
    "face_for",
    "transaction",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
