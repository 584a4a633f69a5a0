"""Buckets without threads in between: reads are requests of the loop itself.

Names, translations of errors and everything that is written are those of `BucketStore`; what is
here is only the way of a request. It may be taken whenever nothing uncommitted could be meant.
Anybody may import what is public here from the face of the room.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from encore.aio.core import AsyncCore
from encore.aio.sessions import session_here
from encore.aio.store import AsyncStore
from encore.keys.builder import KeyBuilder
from encore.keys.rules import check_key
from encore.storage.backends.bucket import BucketStore
from encore.storage.backends.bucket.client import Client, load_obstore
from encore.storage.backends.bucket.failures import ObjectMissing
from encore.storage.backends.bucket.names import name_of

__all__ = ["AsyncBucketStore"]


class AsyncBucketStore(AsyncStore):
    """The objects of an S3 bucket, for the tasks of a loop.

    ``read``, ``exists`` and ``download`` of any number of tasks go to the server side by side.
    Everything else, and everything in a transaction, is done as for other stores.

    Parameters
    ----------
    bucket_name : str
    readers, key_builder
        See `AsyncStore`.
    **options
        See `BucketStore`.

    Notes
    -----
    *Threads*: as `AsyncStore`.
    """

    _store: BucketStore

    def __init__(
        self,
        bucket_name: str,
        endpoint_url: str | None = None,
        s3_access_key: str | None = None,
        s3_secret_key: str | None = None,
        region: str | None = None,
        prefix: str = "",
        client: Any = None,
        *,
        readers: int = 8,
        key_builder: KeyBuilder | None = None,
        **options: Any,
    ) -> None:
        store = BucketStore(
            bucket_name,
            endpoint_url,
            s3_access_key,
            s3_secret_key,
            region,
            prefix,
            client,
            **options,
        )
        AsyncCore.__init__(self, store, readers=readers, key_builder=key_builder)

    @classmethod
    def over(cls, store: BucketStore) -> AsyncBucketStore:
        """A face of a store that is there already."""
        face = cls.__new__(cls)
        AsyncCore.__init__(face, store, readers=8)
        return face

    async def read(self, key: str) -> bytes:
        """See `AbstractStore.read`."""
        client = await self._client_here()
        if client is None:
            return await super().read(key)
        with client._translated("get", key):
            result = await self._get(client, key)
            return bytes(await result.bytes_async())

    async def exists(self, key: str) -> bool:
        """See `AbstractStore.exists`."""
        client = await self._client_here()
        if client is None:
            return await super().exists(key)
        check_key(key)
        name = name_of(key)
        try:
            with client._translated("get", name):
                await load_obstore().head_async(client._store, client._prefix + name)
        except ObjectMissing:
            return False
        return True

    async def _stream(self, key: str, chunk_size: int) -> AsyncIterator[bytes]:
        client = await self._client_here()
        if client is None:
            return await super()._stream(key, chunk_size)
        with client._translated("get", key):
            return _chunks(client, key, await self._get(client, key), chunk_size)

    async def _get(self, client: Client, key: str) -> Any:
        check_key(key)
        name = name_of(key)
        try:
            with client._translated("get", name):
                return await load_obstore().get_async(client._store, client._prefix + name)
        except ObjectMissing:
            raise self._store._missing(key, "read") from None

    async def _client_here(self) -> Client | None:
        """The open bucket, if what is committed is what the task means."""
        if self.is_closed or session_here() is not None:
            return None
        bucket = self._store._bucket
        if bucket is None:
            bucket = await self._read(self._store._ready)
        return bucket.client


async def _chunks(client: Client, key: str, result: Any, size: int) -> AsyncIterator[bytes]:
    """The data of one version, in pieces of up to ``size`` bytes."""
    with client._translated("get", key):
        async for piece in result.stream(max(size, 1 << 18)):
            view = memoryview(piece)
            for at in range(0, len(view), size):
                yield bytes(view[at : at + size])
