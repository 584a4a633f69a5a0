"""The verbs that are made of other verbs, and of nothing else.

They call ``self``, so a wrapper that guards or translates the verbs they are made of has guarded
and translated these too. ``template`` imports this module.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import IO, Any

from encore.keys.globs import glob_prefix, glob_to_regex
from encore.storage.abstract_store import AbstractStore
from encore.storage.files import read_file, write_file
from encore.storage.mapping import StoreMapping
from encore.storage.progress import watched
from encore.storage.values import BUFFER_SIZE


class CompositeVerbs(AbstractStore):
    """Verbs derived from `get`, `set`, `keys`, `exists` and their kin.

    *Threads*: as the store that inherits them.
    """

    # -- one key ----------------------------------------------------------------------------------

    def get_data(self, key: str) -> IO[bytes]:
        return self.get(key).data

    def to_bytes(self, key: str) -> bytes:
        return self.read(key)

    def to_file(self, key: str, path: Any, buffer_size: int = BUFFER_SIZE) -> None:
        value = self.get(key)
        try:
            chunks = watched(self, key, value.iterdata(buffer_size), value.size, "Reading")
            write_file(path, chunks)
        finally:
            value.close()

    def from_bytes(self, key: str, data: bytes, buffer_size: int = BUFFER_SIZE) -> None:
        self.set_data(key, data, buffer_size)

    def from_file(self, key: str, path: Any, buffer_size: int = BUFFER_SIZE) -> None:
        with read_file(path) as stream:
            self.set_data(key, stream, buffer_size)

    # -- as a container ---------------------------------------------------------------------------

    def __contains__(self, key: object) -> bool:
        return self.exists(key)  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        return True  # an empty store is a store; counting a large one is no test for None

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def mapping(self) -> StoreMapping:
        return StoreMapping(self)

    def list(self, prefix: str = "", page_size: int = 1000) -> Iterator[list[str]]:
        if page_size < 1:
            raise ValueError(f"a page has at least one key, not {page_size}")
        return _pages(self.keys(prefix), page_size)

    def glob(self, pattern: str) -> Iterator[str]:
        fits = glob_to_regex(pattern).fullmatch
        return (key for key in self.keys(glob_prefix(pattern)) if fits(key))

    # -- several keys -----------------------------------------------------------------------------

    def multiget_data(self, keys: Iterable[str]) -> Iterator[IO[bytes]]:
        return map(attrgetter("data"), self.multiget(keys))  # which holds on to none of them

    def multiset_data(
        self,
        keys: Iterable[str] | Mapping[str, Any],
        datas: Iterable[Any] | None = None,
        buffer_size: int = BUFFER_SIZE,
    ) -> None:
        with self.transaction("Set the data of several keys"):
            for key, data in pairs(keys, datas):
                self.set_data(key, data, buffer_size)

    def multiset_metadata(
        self,
        keys: Iterable[str] | Mapping[str, Any],
        metadatas: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        with self.transaction("Set the metadata of several keys"):
            for key, metadata in pairs(keys, metadatas):
                self.set_metadata(key, metadata)

    def multiupdate_metadata(
        self,
        keys: Iterable[str] | Mapping[str, Any],
        metadatas: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        with self.transaction("Update the metadata of several keys"):
            for key, metadata in pairs(keys, metadatas):
                self.update_metadata(key, metadata)


def pairs(
    keys: Iterable[str] | Mapping[str, Any], values: Iterable[Any] | None
) -> Iterator[tuple[str, Any]]:
    """Pair keys with values; a mapping alone brings both.

    Raises
    ------
    ValueError
        There are more of one than of the other.
    """
    if isinstance(keys, Mapping):
        if values is not None:
            raise TypeError("give a mapping, or keys and values, not both")
        return iter(keys.items())
    if values is None:
        raise TypeError("values are missing; give keys and values, or one mapping")
    return zip(keys, values, strict=True)


def _pages(keys: Iterator[str], page_size: int) -> Iterator[list[str]]:
    while page := [*itertools.islice(keys, page_size)]:
        yield page
