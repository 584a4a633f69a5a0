"""The verbs that write: what each does is said in `AbstractStore`, where it is written once.

Wherever those take data, these take an asynchronous iterable of chunks, too; wherever those take
several of something, an asynchronous iterable of it. Only ``store`` imports this module.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any

from encore.aio.core import AsyncCore
from encore.aio.sources import as_data, as_items, as_iterable, as_value, as_values
from encore.storage.values import BUFFER_SIZE

Keys = Iterable[str] | AsyncIterable[str] | Mapping[str, Any]
Values = Iterable[Any] | AsyncIterable[Any] | None


class WritingVerbs(AsyncCore):
    """`AbstractStore` for loops: writing.

    *Threads*: belongs to the tasks of loops.
    """

    async def put(
        self,
        key: str,
        data: Any,
        metadata: Mapping[str, Any] | None = None,
        *,
        buffer_size: int = BUFFER_SIZE,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        """See `AbstractStore.put`."""
        await self._write_data(
            data,
            self._store.put,
            key,
            as_data(data),
            metadata,
            buffer_size=buffer_size,
            if_absent=if_absent,
            if_token=if_token,
        )

    async def set(self, key: str, value: Any, buffer_size: int = BUFFER_SIZE) -> None:
        """See `AbstractStore.set`."""
        await self._write_data(value, self._store.set, key, as_value(value), buffer_size)

    async def set_data(self, key: str, data: Any, buffer_size: int = BUFFER_SIZE) -> None:
        """See `AbstractStore.set_data`."""
        await self._write_data(data, self._store.set_data, key, as_data(data), buffer_size)

    async def set_metadata(self, key: str, metadata: Mapping[str, Any]) -> None:
        """See `AbstractStore.set_metadata`."""
        await self._write(self._store.set_metadata, key, metadata)

    async def update_metadata(self, key: str, metadata: Mapping[str, Any]) -> None:
        """See `AbstractStore.update_metadata`."""
        await self._write(self._store.update_metadata, key, metadata)

    async def from_bytes(self, key: str, data: bytes, buffer_size: int = BUFFER_SIZE) -> None:
        """See `AbstractStore.from_bytes`."""
        await self._write_data(data, self._store.from_bytes, key, data, buffer_size)

    async def from_file(self, key: str, path: Any, buffer_size: int = BUFFER_SIZE) -> None:
        """See `AbstractStore.from_file`."""
        await self._write_long(self._store.from_file, key, path, buffer_size)

    async def delete(self, key: str, missing_ok: bool = False) -> None:
        """See `AbstractStore.delete`."""
        await self._write(self._store.delete, key, missing_ok)

    async def move(self, source: str, target: str) -> None:
        """See `AbstractStore.move`."""
        await self._write_long(self._store.move, source, target)

    async def clear(self, prefix: str = "") -> None:
        """See `AbstractStore.clear`."""
        await self._write_long(self._store.clear, prefix)

    # -- several at once --------------------------------------------------------------------------

    async def multiset(
        self, keys: Keys, values: Values = None, buffer_size: int = BUFFER_SIZE
    ) -> None:
        """See `AbstractStore.multiset`."""
        await self._write_several(self._store.multiset, keys, values, buffer_size)

    async def multiset_data(
        self, keys: Keys, datas: Values = None, buffer_size: int = BUFFER_SIZE
    ) -> None:
        """See `AbstractStore.multiset_data`."""
        await self._write_several(self._store.multiset_data, keys, datas, buffer_size)

    async def multiset_metadata(
        self,
        keys: Keys,
        metadatas: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]] | None = None,
    ) -> None:
        """See `AbstractStore.multiset_metadata`."""
        await self._write_several(self._store.multiset_metadata, keys, metadatas)

    async def multiupdate_metadata(
        self,
        keys: Keys,
        metadatas: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]] | None = None,
    ) -> None:
        """See `AbstractStore.multiupdate_metadata`."""
        await self._write_several(self._store.multiupdate_metadata, keys, metadatas)

    async def import_values(
        self,
        items: Iterable[tuple[str, Any]] | AsyncIterable[tuple[str, Any]],
        buffer_size: int = BUFFER_SIZE,
    ) -> None:
        """See `AbstractStore.import_values`; an `AsyncValue` of any store will do."""

        def write() -> None:
            self._store.import_values(as_items(items), buffer_size)

        await self._write_long(write)

    # -- what they have in common -----------------------------------------------------------------

    async def _write_data(self, data: Any, verb: Any, *args: Any, **kwargs: Any) -> None:
        """Short data is written and that is that; anything longer can be stopped."""
        if isinstance(data, tuple) and data:
            data = data[0]
        if type(data) is bytes and len(data) <= BUFFER_SIZE:
            await self._write(verb, *args, **kwargs)
        else:
            await self._write_long(verb, *args, **kwargs)

    async def _write_several(self, verb: Any, keys: Any, values: Any, *args: Any) -> None:
        def write() -> None:  # asynchronous iterables are read by the worker, item by item
            if isinstance(keys, Mapping):
                verb(as_values(keys), values, *args)
            else:
                verb(as_iterable(keys), as_values(values), *args)

        await self._write_long(write)
