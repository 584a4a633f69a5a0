"""Asynchronous names of the stores over other stores: each takes what its wrapper takes.

Anybody may import what is public here from the face of the room.
"""

from __future__ import annotations

from encore.aio.making import face_of, face_over, face_over_several, face_over_two
from encore.storage.wrappers.authorizing import SimpleAuthStore
from encore.storage.wrappers.caching import CachingStore
from encore.storage.wrappers.codecs import Base64Store, GzipStore, ZstdStore
from encore.storage.wrappers.exception_logging import ExceptionLoggingStore
from encore.storage.wrappers.expiring import ExpiringStore
from encore.storage.wrappers.guards import (
    KeyValidatingStore,
    ReadonlyStore,
    RegexValidatingStore,
    UrlValidatingStore,
    WriteonlyStore,
)
from encore.storage.wrappers.joining import JoinedStore, MountedStore, RoutingStore
from encore.storage.wrappers.keymaps import HashPrefixStore, PrefixStore, UrlEncodingStore
from encore.storage.wrappers.metering import MeteredStore
from encore.storage.wrappers.mirroring import MirroringStore
from encore.storage.wrappers.observers import LoggingStore, NotifyingStore
from encore.storage.wrappers.typed import BufferStore, JsonStore, TextEncodingStore

AsyncBase64Store = face_over(Base64Store)
AsyncBufferStore = face_over(BufferStore)
AsyncCachingStore = face_over_two(CachingStore)
AsyncExceptionLoggingStore = face_over(ExceptionLoggingStore)
AsyncExpiringStore = face_over(ExpiringStore)
AsyncGzipStore = face_over(GzipStore)
AsyncHashPrefixStore = face_over(HashPrefixStore)
AsyncJoinedStore = face_over_several(JoinedStore)
AsyncJsonStore = face_over(JsonStore)
AsyncKeyValidatingStore = face_over(KeyValidatingStore)
AsyncLoggingStore = face_over(LoggingStore)
AsyncMeteredStore = face_over(MeteredStore)
AsyncMirroringStore = face_over_several(MirroringStore)
AsyncMountedStore = face_of(MountedStore)
AsyncNotifyingStore = face_over(NotifyingStore)
AsyncPrefixStore = face_over(PrefixStore)
AsyncReadonlyStore = face_over(ReadonlyStore)
AsyncRegexValidatingStore = face_over(RegexValidatingStore)
AsyncRoutingStore = face_of(RoutingStore)
AsyncSimpleAuthStore = face_over(SimpleAuthStore)
AsyncTextEncodingStore = face_over(TextEncodingStore)
AsyncUrlEncodingStore = face_over(UrlEncodingStore)
AsyncUrlValidatingStore = face_over(UrlValidatingStore)
AsyncWriteonlyStore = face_over(WriteonlyStore)
AsyncZstdStore = face_over(ZstdStore)
