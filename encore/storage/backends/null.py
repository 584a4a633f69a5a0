"""The store that keeps nothing: for measuring, and where a store is asked for but none is wanted.

Writes are accepted and forgotten, every key is missing, every listing is empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from encore.keys.rules import check_key
from encore.storage.template import Record, Staged
from encore.storage.transactions.changes import ChangeSet
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.staging import Batch, StagedStore
from encore.storage.values import Value


class NullStore(StagedStore):
    """A store that keeps nothing: sources are read to their end, and what they give is dropped.

    Transactions begin and end as on any store, hooks included; there is never a change to tell.
    For the parameters see `DictStore`.
    """

    def _lookup(self, key: str) -> Record | None:
        check_key(key)
        self._opened()
        return None

    def _keys(self, prefix: str, start_after: str | None) -> Iterator[str]:
        self._opened()
        return iter(())

    def _stage(self, chunks: Iterator[bytes]) -> Staged:
        return _Nothing(sum(map(len, chunks)))

    def _replace(self, key: str, old: Value | None, record: Record) -> None: ...

    def _apply(self, batch: Batch) -> None: ...

    def _announce_end(self, context: SimpleTransactionContext, changes: ChangeSet | None) -> None:
        super()._announce_end(context, None)


@dataclass
class _Nothing:
    size: int

    def read(self, start: int, end: int) -> bytes:
        return b""

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None: ...

    def discard(self) -> None: ...
