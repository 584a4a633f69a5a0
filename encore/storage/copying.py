"""Copying between stores: whole, in part, or only what differs.

All of it streams: two ordered listings are merged, values pass in pieces, and nothing is collected
but counts. Progress is told by the target's event manager, in bytes.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from encore.errors import CorruptValueError
from encore.events.progress_events import CancelToken
from encore.storage.abstract_store import AbstractStore
from encore.storage.events import StoreProgressStartEvent
from encore.storage.progress import StoreProgressManager
from encore.storage.values import BUFFER_SIZE, KeyEntry, Value

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


def copy_store(
    source: AbstractStore,
    target: AbstractStore,
    *,
    prefix: str = "",
    overwrite: bool = True,
    transaction: bool | int = True,
    verify: bool = False,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    dry_run: bool = False,
) -> CopyResult:
    """Copy every value of one store into another, with metadata and times.

    Parameters
    ----------
    source, target : AbstractStore
    prefix : str, optional
        Only keys that begin with it.
    overwrite : bool, optional
        Replace what the target has under the same keys; else leave it.
    transaction : bool or int, optional
        True: one transaction, so that a failure or a cancel leaves the target untouched. A number:
        one for each so many keys. False: each key by itself.
    verify : bool, optional
        Read every value back and compare its SHA-256 before the commit.
    progress : callable, optional
        Called as ``progress(step=bytes so far)``, besides the events.
    cancel : CancelToken, optional
        Stops the copy from any thread; so does ``event.cancel()`` on a progress event.
    dry_run : bool, optional
        Write nothing, only count.

    Returns
    -------
    CopyResult

    Raises
    ------
    OperationCancelled
        Somebody asked for it; the current transaction is undone.
    CorruptValueError
        A value did not read back as it was written.
    """
    _check_pair(source, target)
    copy = _Copy(source, target, progress, cancel, dry_run=dry_run, verify=verify)

    def wanted() -> Iterator[tuple[str, Value]]:
        for key, value in source.items(prefix):
            if not overwrite and target.exists(key):
                copy.skipped += 1
                value.close()
            else:
                yield key, value

    return copy.run("Copying", wanted(), prefix, transaction)


def sync_stores(
    source: AbstractStore,
    target: AbstractStore,
    delete: bool = False,
    compare: str = "token",
    *,
    prefix: str = "",
    transaction: bool | int = True,
    verify: bool = False,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    dry_run: bool = False,
) -> CopyResult:
    """Make one store hold what another does, copying only what is missing or differs.

    Parameters
    ----------
    source, target : AbstractStore
    delete : bool, optional
        Remove from the target what the source does not have.
    compare : str, optional
        What makes two values the same: ``"token"`` (one is an unchanged copy of the other, made
        by `copy_store` or `sync_stores`), ``"size"``, or ``"digest"`` (SHA-256 of both, which
        reads everything).
    prefix, transaction, verify, progress, cancel, dry_run
        As for `copy_store`.

    Returns
    -------
    CopyResult
    """
    _check_pair(source, target)
    if compare not in _SAME:
        raise ValueError(f"compare is one of {', '.join(_SAME)}, not {compare!r}")
    same = _SAME[compare]
    copy = _Copy(source, target, progress, cancel, dry_run=dry_run, verify=verify)

    def wanted() -> Iterator[tuple[str, Value]]:
        for ours, theirs in _side_by_side(source.entries(prefix), target.entries(prefix)):
            if ours is None:
                assert theirs is not None
                if delete:
                    copy.deleted += 1
                    if not dry_run:
                        target.delete(theirs.key, missing_ok=True)
            elif theirs is not None and same(source, target, ours, theirs):
                copy.skipped += 1
            else:
                yield ours.key, source.get(ours.key)

    return copy.run("Syncing", wanted(), prefix, transaction)


def clear_store(store: AbstractStore, prefix: str = "") -> int:
    """Remove every key that begins with ``prefix``, in one transaction.

    Returns
    -------
    int
        How many there were.
    """
    with store.transaction(f"Clear {prefix}".strip()):
        count = sum(1 for _ in store.keys(prefix))
        store.clear(prefix)
    return count


class _Copy:
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
        total = self._source.totals(prefix)[1] if watched else -1
        with StoreProgressManager(
            manager,
            self._target,
            message=f"{verb} {self._source!r} to {self._target!r}",
            steps=total,
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
            if _digest(self._target, key) != digest:
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
        self.size: int = content.size

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


def _batches(
    items: Iterator[tuple[str, Value]], at_once: int | None
) -> Iterator[Iterable[tuple[str, Value]]]:
    """Cut a stream into batches; each must be read to its end before the next."""
    if at_once is None:
        yield items
        return
    for first in items:
        yield itertools.chain([first], itertools.islice(items, at_once - 1))


def _side_by_side(
    ours: Iterator[KeyEntry], theirs: Iterator[KeyEntry]
) -> Iterator[tuple[KeyEntry | None, KeyEntry | None]]:
    """Merge two ordered listings; what one side lacks is None there."""
    left, right = next(ours, None), next(theirs, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.key < right.key):
            yield left, None
            left = next(ours, None)
        elif left is None or right.key < left.key:
            yield None, right
            right = next(theirs, None)
        else:
            yield left, right
            left, right = next(ours, None), next(theirs, None)


def _digest(store: AbstractStore, key: str) -> str:
    hashed = hashlib.sha256()
    value = store.get(key)
    try:
        for chunk in value.iterdata():
            hashed.update(chunk)
    finally:
        value.close()
    return hashed.hexdigest()


_SAME: dict[str, Callable[[AbstractStore, AbstractStore, KeyEntry, KeyEntry], bool]] = {
    "token": lambda _source, _target, ours, theirs: ours.token == theirs.token,
    "size": lambda _source, _target, ours, theirs: ours.size == theirs.size,
    "digest": lambda source, target, ours, theirs: (
        ours.size == theirs.size and _digest(source, ours.key) == _digest(target, theirs.key)
    ),
}


def _check_pair(source: AbstractStore, target: AbstractStore) -> None:
    if source is target:
        raise ValueError(f"{source!r} cannot be copied onto itself")
