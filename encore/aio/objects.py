"""The interface of object storages, over the verbs: upload, download, and pages of keys.

A failing upload leaves what was there. Keys are strings, and a prefix is the beginning of one, not
a directory. Only ``store`` imports this module.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import IO, Any, Literal, overload

from encore.aio.iterating import AsyncItems
from encore.aio.reading import ReadingVerbs
from encore.aio.values import AsyncValue
from encore.aio.writing import WritingVerbs
from encore.keys.rules import check_key


class ObjectVerbs(ReadingVerbs, WritingVerbs):
    """What programs expect of an object storage.

    *Threads*: belongs to the tasks of loops.
    """

    async def upload(
        self, data: bytes | IO[bytes], key: str, metadata: Mapping[str, Any] | None = None
    ) -> str:
        """Write data and metadata under a key, and return the key.

        Parameters
        ----------
        data : bytes-like or binary file-like
            A file-like is read by another thread than that of the loop.
        key : str
        metadata : mapping of str to JSON, optional
            ``{}`` without, whatever was there.
        """
        await self.put(key, data, metadata)
        return key

    async def upload_multipart(
        self,
        parts: AsyncIterable[bytes],
        key: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Write parts, in the order in which they come, under a key, and return the key.

        Nobody sees the new object before the last part is there; if one fails, the old one stays.
        """
        if not isinstance(parts, AsyncIterable):
            raise TypeError(
                f"parts come from an asynchronous iterable, not a {type(parts).__name__}; "
                "upload() takes bytes and files"
            )
        await self.put(key, parts, metadata)
        return key

    @overload
    async def download(
        self, key: str, *, stream: Literal[False] = False, chunk_size: int = 8192
    ) -> bytes: ...
    @overload
    async def download(
        self, key: str, *, stream: Literal[True], chunk_size: int = 8192
    ) -> AsyncIterator[bytes]: ...
    async def download(
        self, key: str, *, stream: bool = False, chunk_size: int = 8192
    ) -> bytes | AsyncIterator[bytes]:
        """Return the data of a key, whole or as chunks.

        Parameters
        ----------
        key : str
        stream : bool, optional
            Return an asynchronous iterator instead. Its chunks are of one version of the data,
            whatever is written meanwhile.
        chunk_size : int, optional
            Bytes of a chunk at most.

        Raises
        ------
        KeyNotFoundError
            There is no such key; also where a stream was asked for.
        """
        if chunk_size < 1:
            raise ValueError(f"a chunk has one byte or more, not {chunk_size}")
        if not stream:
            return await self.read(key)
        return await self._stream(key, chunk_size)

    async def _stream(self, key: str, chunk_size: int) -> AsyncIterator[bytes]:
        """The data of a key as chunks."""
        return _chunks_of(await self.get(key), chunk_size)

    def list(self, prefix: str = "", page_size: int = 10) -> AsyncItems[list[str]]:
        """Yield pages of keys: lists of ``page_size``, the last one shorter, none empty.

        Like `AbstractStore.list`, in pages of the size that people look at.
        """
        return AsyncItems(
            self,
            lambda: self._store.list(prefix, page_size),
            most=max(1, 1000 // max(page_size, 1)),
        )

    async def copy(self, source_key: str, dest_key: str) -> str:
        """Copy a value to another key of this store, and return that key.

        Like `AbstractStore.copy`: onto itself nothing happens.
        """
        check_key(dest_key)
        await self._write_long(self._store.copy, source_key, dest_key)
        return dest_key


async def _chunks_of(value: AsyncValue, size: int) -> AsyncIterator[bytes]:
    """The data of a value that nobody needs afterwards."""
    try:
        async for chunk in value.iterdata(size):
            yield chunk
    finally:
        await value.close()
