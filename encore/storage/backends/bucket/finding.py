"""The reading half of the store: hooks of the template in terms of requests.

Only ``changing`` imports this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from encore.errors import StoreError
from encore.keys.rules import check_key
from encore.storage.backends.bucket.client import WORKERS
from encore.storage.backends.bucket.contents import ObjectContent, StagedObject
from encore.storage.backends.bucket.engine import BucketEngine
from encore.storage.backends.bucket.names import name_of
from encore.storage.backends.bucket.reading import Seen
from encore.storage.metadata import decode_metadata, select_metadata
from encore.storage.template import Record
from encore.storage.values import Value


class FindingStore(BucketEngine):
    """A store that can be read; see `BucketStore`."""

    def _lookup(self, key: str) -> Record | None:
        check_key(key)
        seen = (self._bucket or self._ready()).reader.load(key)
        return None if seen is None else seen.record

    def _pending_record(self, key: str) -> tuple[bool, Record | None]:
        """Whether the caller's transaction has changed a key, and what to."""
        for level in reversed(self._overlay() or ()):
            if key in level:
                return True, level[key]
        return False, None

    def _shown(self, record: Record | None) -> Record | None:
        """An uncommitted record for somebody who may close its data, and read it until the end."""
        if record is None:
            return None
        if isinstance(record[0], ObjectContent):
            return (record[0].again(), *record[1:])
        if isinstance(record[0], StagedObject):
            record[0].deferred = self._deferred
        return record

    def _find(self, key: str) -> Value | None:
        check_key(key)
        changed, record = self._pending_record(key)
        if not changed:
            reader = (self._bucket or self._ready()).reader
            seen = reader.look(key) if self._only_looks() else reader.load(key)
            if self._owner.overlay is not None:
                self._seen[key] = seen
            record = None if seen is None else seen.record
        else:
            record = self._shown(record)
        return None if record is None else Value.of(*record)  # type: ignore[arg-type]

    def get_metadata(self, key: str, select: Iterable[str] | None = None) -> dict[str, Any]:
        with self._looking_only():
            return super().get_metadata(key, select)

    def multiget_metadata(
        self, keys: Iterable[str], select: Iterable[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        names = None if select is None else [*select]
        for key, record in self._look_at(keys):
            if record is None:
                raise self._missing(key, "multiget_metadata")
            yield select_metadata(decode_metadata(record[1]), names)

    def _find_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Value | None]]:
        reader = (self._bucket or self._ready()).reader
        for key, record in self._each(keys, reader.load, WORKERS):  # they may be a few MiB each
            yield key, None if record is None else Value.of(*record)  # type: ignore[arg-type]

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        for key, record in self._look_at(self._scan(prefix, None)):
            if record is not None:
                yield key, Value.of(*record)  # type: ignore[arg-type]

    def _look_at(self, keys: Iterable[str]) -> Iterator[tuple[str, Record | None]]:
        return self._each(keys, (self._bucket or self._ready()).reader.look, 4 * WORKERS)

    def _each(
        self, keys: Iterable[str], ask: Callable[[str], Seen | None], ahead: int
    ) -> Iterator[tuple[str, Record | None]]:
        """The records of keys, several requests at a time, as the caller sees them."""

        def found(key: str) -> tuple[str, Record | None]:
            seen = ask(key)
            return key, None if seen is None else seen.record

        def checked() -> Iterator[str]:
            for key in keys:
                check_key(key)
                yield key

        for key, record in (self._bucket or self._ready()).reader.each(found, checked(), ahead):
            changed, pending = self._pending_record(key)
            yield key, self._shown(pending) if changed else record

    def _read(self, key: str) -> bytes | None:
        check_key(key)
        if self._owner.overlay is not None:
            return super()._read(key)
        return (self._bucket or self._ready()).reader.read(key)

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        check_key(key)
        if start < end and self._owner.overlay is None:
            try:
                name = name_of(key)
                return (self._bucket or self._ready()).client.read(name, range=(start, end))[1]
            except StoreError:
                pass  # servers disagree on ranges beyond the end, or of nothing
        with self._looking_only():
            return super()._read_range(key, start, end)

    def _has(self, key: str) -> bool:
        with self._looking_only():
            return self._find(key) is not None

    def _keys(self, prefix: str, start_after: str | None) -> Iterator[str]:
        listing = (self._bucket or self._ready()).listing  # a closed store says so here
        return (key for key, _ in listing.keys(prefix, start_after))

    def _sum(self, prefix: str) -> tuple[int, int | None]:
        if self._overlay():
            return super()._sum(prefix)
        count = size = 0
        for _, found in (self._bucket or self._ready()).listing.keys(prefix, None):
            count += 1
            size += found.size
        return count, size
