"""The verbs that read: what each does is said in `AbstractStore`, where it is written once.

Only ``store`` imports this module.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import Any

from encore.aio.core import AsyncCore
from encore.aio.iterating import AsyncItems
from encore.aio.sources import as_iterable
from encore.aio.values import AsyncData, AsyncValue
from encore.storage.checking import Problem
from encore.storage.metadata import as_json
from encore.storage.values import BUFFER_SIZE, KeyEntry

# How many items are fetched at once: values may hold files and megabytes, keys are small.
_KEYS, _VALUES = 1000, 8


class ReadingVerbs(AsyncCore):
    """`AbstractStore` for loops: reading, listing and searching.

    *Threads*: belongs to the tasks of loops.
    """

    async def info(self) -> dict[str, Any]:
        """See `AbstractStore.info`; ``face`` is the name of this class."""
        return {**await self._read(self._store.info), "face": type(self).__name__}

    async def verify(self, *, repair: bool = False) -> Sequence[Problem]:
        """See `AbstractStore.verify`."""
        if repair:
            return await self._write_long(self._store.verify, repair=True)
        return await self._read(self._store.verify)

    # -- one key ----------------------------------------------------------------------------------

    async def get(self, key: str) -> AsyncValue:
        """See `AbstractStore.get`."""
        return AsyncValue(self, await self._read(self._store.get, key))

    async def get_data(self, key: str) -> AsyncData:
        """See `AbstractStore.get_data`."""
        stream = await self._read(self._store.get_data, key)
        return AsyncData(self, lambda: stream)

    async def get_data_range(
        self, key: str, start: int | None = None, end: int | None = None
    ) -> AsyncData:
        """See `AbstractStore.get_data_range`."""
        stream = await self._read(self._store.get_data_range, key, start, end)
        return AsyncData(self, lambda: stream)

    async def get_metadata(self, key: str, select: Iterable[str] | None = None) -> dict[str, Any]:
        """See `AbstractStore.get_metadata`."""
        return await self._read(self._store.get_metadata, key, select)

    async def read(self, key: str) -> bytes:
        """See `AbstractStore.read`."""
        return await self._read(self._store.read, key)

    async def to_bytes(self, key: str) -> bytes:
        """See `AbstractStore.to_bytes`."""
        return await self._read(self._store.to_bytes, key)

    async def to_file(self, key: str, path: Any, buffer_size: int = BUFFER_SIZE) -> None:
        """See `AbstractStore.to_file`."""
        await self._read_long(self._store.to_file, key, path, buffer_size)

    async def exists(self, key: str) -> bool:
        """See `AbstractStore.exists`."""
        return await self._read(self._store.exists, key)

    async def count(self) -> int:
        """The number of keys: what ``len`` is for a synchronous store."""
        return await self._read(self._store.__len__)

    # -- listing and searching --------------------------------------------------------------------

    def keys(
        self, prefix: str = "", start_after: str | None = None, limit: int | None = None
    ) -> AsyncItems[str]:
        """See `AbstractStore.keys`."""
        return AsyncItems(self, lambda: self._store.keys(prefix, start_after, limit), most=_KEYS)

    def __aiter__(self) -> AsyncItems[str]:
        return self.keys()

    def items(self, prefix: str = "") -> AsyncItems[tuple[str, AsyncValue]]:
        """See `AbstractStore.items`."""
        return AsyncItems(
            self,
            lambda: self._store.items(prefix),
            most=_VALUES,
            shape=lambda item: (item[0], AsyncValue(self, item[1])),
        )

    def entries(self, prefix: str = "") -> AsyncItems[KeyEntry]:
        """See `AbstractStore.entries`."""
        return AsyncItems(self, lambda: self._store.entries(prefix), most=_KEYS)

    async def totals(self, prefix: str = "") -> tuple[int, int | None]:
        """See `AbstractStore.totals`."""
        return await self._read(self._store.totals, prefix)

    def glob(self, pattern: str) -> AsyncItems[str]:
        """See `AbstractStore.glob`."""
        return AsyncItems(self, lambda: self._store.glob(pattern), most=_KEYS)

    def query(
        self,
        select: Iterable[str] | None = None,
        where: Mapping[str, Any] | None = None,
        **equals: Any,
    ) -> AsyncItems[tuple[str, dict[str, Any]]]:
        """See `AbstractStore.query`."""
        wanted = as_json({**(where or {}), **equals})  # as they are now
        names = None if select is None else [*select]
        return AsyncItems(self, lambda: self._store.query(names, wanted), most=_KEYS)

    def query_keys(self, where: Mapping[str, Any] | None = None, **equals: Any) -> AsyncItems[str]:
        """See `AbstractStore.query_keys`."""
        wanted = as_json({**(where or {}), **equals})
        return AsyncItems(self, lambda: self._store.query_keys(wanted), most=_KEYS)

    # -- several at once --------------------------------------------------------------------------

    def multiget(self, keys: Iterable[str] | AsyncIterable[str]) -> AsyncItems[AsyncValue]:
        """See `AbstractStore.multiget`."""
        return AsyncItems(
            self,
            lambda: self._store.multiget(as_iterable(keys)),
            most=_VALUES,
            shape=lambda value: AsyncValue(self, value),
        )

    def multiget_data(self, keys: Iterable[str] | AsyncIterable[str]) -> AsyncItems[AsyncData]:
        """See `AbstractStore.multiget_data`."""
        return AsyncItems(
            self,
            lambda: self._store.multiget_data(as_iterable(keys)),
            most=_VALUES,
            shape=lambda stream: AsyncData(self, lambda: stream),
        )

    def multiget_metadata(
        self, keys: Iterable[str] | AsyncIterable[str], select: Iterable[str] | None = None
    ) -> AsyncItems[dict[str, Any]]:
        """See `AbstractStore.multiget_metadata`."""
        return AsyncItems(
            self, lambda: self._store.multiget_metadata(as_iterable(keys), select), most=_KEYS
        )
