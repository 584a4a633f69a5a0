"""One run of a copy: values on their way, their counts, their progress, and whether they arrived.

``copying`` decides what is to be copied and imports this module.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from encore.errors import CorruptValueError
from encore.events.progress_events import CancelToken
from encore.storage.abstract_store import AbstractStore
from encore.storage.content import BUFFER_SIZE
from encore.storage.events import StoreProgressStartEvent
from encore.storage.progress import StoreProgressManager
from encore.storage.values import Value

_VERIFIED_AT_ONCE = 500

Progress = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What a copy did, or with ``dry_run`` would do.

    Attributes
    ----------
    keys : int
        Values written.
    bytes : int
        Their data, in bytes.
    skipped : int
        Keys that were left as they were in the target.
    deleted : int
        Keys removed from the target.
    """

    keys: int = 0
    bytes: int = 0
    skipped: int = 0
    deleted: int = 0


class Transfer:
    """One run: its counts, its progress, and the values on their way."""

    def __init__(
        self,
        source: AbstractStore,
        target: AbstractStore,
        progress: Progress | None,
        cancel: CancelToken | None,
        *,
        dry_run: bool,
        verify: bool,
    ) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._cancel = cancel
        self._dry_run = dry_run
        self._verify = verify
        self._digests: dict[str, str] = {}
        self.keys = self.bytes = self.skipped = self.deleted = 0

    def run(
        self,
        verb: str,
        items: Iterator[tuple[str, Value]],
        prefix: str,
        transaction: bool | int,
    ) -> CopyResult:
        manager = self._target.event_manager
        watched = manager.wants(StoreProgressStartEvent, self._target)
        total = self._source.totals(prefix)[1] if watched else None
        with StoreProgressManager(
            manager,
            self._target,
            message=f"{verb} {_short_name(self._source)} to {_short_name(self._target)}",
            steps=-1 if total is None else total,
            unit="B",
            cancel=self._cancel,
        ) as tell:
            self._tell = tell
            if self._dry_run:
                for _key, value in items:
                    self._count(value.size or 0)
                    self.keys += 1
                    value.close()
            else:
                self._write(verb, items, transaction)
        return CopyResult(self.keys, self.bytes, self.skipped, self.deleted)

    def _write(
        self, verb: str, items: Iterator[tuple[str, Value]], transaction: bool | int
    ) -> None:
        together: AbstractContextManager[Any] = nullcontext()
        if transaction is True:
            together = self._target.transaction(verb)
            at_once = _VERIFIED_AT_ONCE if self._verify else None
        else:
            at_once = max(int(transaction), 1)
        with together:
            for batch in _batches(items, at_once):
                with self._target.transaction(verb):
                    self._target.import_values(self._passing(batch))
                    self._check()
                    self._tell.cancel_token.raise_if_cancelled()

    def _passing(self, items: Iterable[tuple[str, Value]]) -> Iterator[tuple[str, Value]]:
        """Hand each value over, and count it as its data goes by."""
        for key, value in items:
            content = value.content
            if isinstance(content, bytes):
                yield key, value
                self._count(len(content))
                if self._verify:
                    self._digests[key] = hashlib.sha256(content).hexdigest()
            else:
                passing = value.with_content(_Passing(content, self._count, self._verify))
                yield key, passing
                if self._verify:
                    self._digests[key] = passing.content.hexdigest()  # type: ignore[union-attr]
            self.keys += 1
            value.close()

    def _count(self, size: int) -> None:
        self.bytes += size
        self._tell(step=self.bytes)
        if self._progress is not None:
            self._progress(step=self.bytes)

    def _check(self) -> None:
        for key, digest in self._digests.items():
            if digest_of(self._target, key) != digest:
                raise CorruptValueError(
                    f"{key!r} did not read back from {self._target!r} as it was written",
                    key=key,
                    store=self._target,
                    operation="copy",
                )
        self._digests.clear()


class _Passing:
    """A content that tells how much of it has been read, and its digest in the end."""

    def __init__(self, content: Any, count: Callable[[int], None], hashed: bool) -> None:
        self._content = content
        self._count = count
        self._hash = hashlib.sha256() if hashed else None

    @property
    def size(self) -> int:
        return self._content.size  # type: ignore[no-any-return]

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        for chunk in self._content.chunks(start, end, buffer_size):
            yield chunk
            self._count(len(chunk))
            if self._hash is not None:
                self._hash.update(chunk)

    def read(self, start: int, end: int) -> bytes:
        return b"".join(self.chunks(start, end, BUFFER_SIZE))

    def close(self) -> None:
        self._content.close()

    def hexdigest(self) -> str:
        assert self._hash is not None
        return self._hash.hexdigest()


def _short_name(store: AbstractStore) -> str:
    """What a person would call the store, in the little room beside a bar."""
    path = getattr(store, "path", None)
    return os.path.basename(os.path.abspath(path)) if path else type(store).__name__


def _batches(
    items: Iterator[tuple[str, Value]], at_once: int | None
) -> Iterator[Iterable[tuple[str, Value]]]:
    """Cut a stream into batches; each must be read to its end before the next."""
    if at_once is None:
        yield items
        return
    for first in items:
        yield itertools.chain([first], itertools.islice(items, at_once - 1))


def digest_of(store: AbstractStore, key: str) -> str:
    """Return the SHA-256 of a value, in hexadecimal digits."""
    hashed = hashlib.sha256()
    value = store.get(key)
    try:
        for chunk in value.iterdata():
            hashed.update(chunk)
    finally:
        value.close()
    return hashed.hexdigest()
