"""A store as a plain dictionary of bytes, for code that knows dictionaries only."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from encore.storage.abstract_store import AbstractStore


class StoreMapping(MutableMapping[str, bytes]):
    """A ``MutableMapping[str, bytes]`` over a store: a view, not a copy.

    Assignment keeps the metadata of a key that is there.

    *Threads*: as the store.
    """

    def __init__(self, store: AbstractStore) -> None:
        self.store = store

    def __getitem__(self, key: str) -> bytes:
        return self.store.read(key)

    def __setitem__(self, key: str, data: bytes) -> None:
        self.store.set_data(key, data)

    def __delitem__(self, key: str) -> None:
        self.store.delete(key)

    def __contains__(self, key: object) -> bool:
        return key in self.store

    def __iter__(self) -> Iterator[str]:
        return self.store.keys()

    def __len__(self) -> int:
        return len(self.store)

    def __repr__(self) -> str:
        return f"<mapping of {self.store!r}>"
