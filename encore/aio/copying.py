"""Copying between asynchronous stores.

The copy itself is the synchronous one, run as one write of the target. Here values are read ahead
for it, several at a time, where that pays: where asking for each takes longer than reading it.
Anybody may import what is public here from the face of the room.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from encore.aio.calls import ask
from encore.aio.sessions import session_here
from encore.aio.store import AsyncStore
from encore.events.progress_events import CancelToken
from encore.storage import copying
from encore.storage.template import Store
from encore.storage.transfers import CopyResult, Progress
from encore.storage.values import Value
from encore.storage.wrappers.base import WrapperStore, stores_beneath

__all__ = ["async_clear_store", "async_copy_store", "async_sync_stores"]

#: Stores that are asked over a network.
_REMOTE = frozenset(("BucketStore", "DynamicURLStore", "StaticURLStore"))
#: Data of up to so many bytes is read ahead; more is a stream, which needs nobody to wait for it.
_READ_AHEAD = 1 << 20
_TOLD_SECONDS = 0.05


async def async_copy_store(
    source: AsyncStore,
    target: AsyncStore,
    *,
    prefix: str = "",
    overwrite: bool = True,
    transaction: bool | int = True,
    verify: bool = False,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    dry_run: bool = False,
    concurrency: int = 8,
) -> CopyResult:
    """Copy every value of one store into another, with metadata and times.

    Cancelling the task stops the copy at the next piece of data and undoes what the transaction
    under way has written, as a ``cancel`` token and ``event.cancel()`` do.

    Parameters
    ----------
    source, target : AsyncStore
    prefix, overwrite, transaction, verify, cancel, dry_run
        See `copy_store`.
    progress : callable, optional
        Called in the loop, some 20 times a second, as ``progress(step=bytes so far)``. What it
        raises ends the copy.
    concurrency : int, optional
        How many values are asked for at once, where the source is on a network.

    Returns
    -------
    CopyResult
    """
    copy = _Copy(source, target, concurrency)
    return await copy.run(
        copying.copy_store,
        prefix=prefix,
        overwrite=overwrite,
        transaction=transaction,
        verify=verify,
        progress=copy.told(progress),
        cancel=cancel,
        dry_run=dry_run,
    )


async def async_sync_stores(
    source: AsyncStore,
    target: AsyncStore,
    *,
    delete: bool = False,
    compare: str = "token",
    prefix: str = "",
    transaction: bool | int = True,
    verify: bool = False,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    dry_run: bool = False,
    concurrency: int = 8,
) -> CopyResult:
    """Make a target like the source, by copying only what differs.

    Parameters
    ----------
    source, target : AsyncStore
    prefix, delete, compare, transaction, verify, cancel, dry_run
        See `sync_stores`.
    progress, concurrency
        See `async_copy_store`.

    Returns
    -------
    CopyResult
    """
    copy = _Copy(source, target, concurrency)
    return await copy.run(
        copying.sync_stores,
        prefix=prefix,
        delete=delete,
        compare=compare,
        transaction=transaction,
        verify=verify,
        progress=copy.told(progress),
        cancel=cancel,
        dry_run=dry_run,
    )


async def async_clear_store(store: AsyncStore, prefix: str = "", *, concurrency: int = 8) -> int:
    """Remove every key that begins with ``prefix``, in one transaction, and return their number.

    Parameters
    ----------
    store : AsyncStore
    prefix : str, optional
    concurrency : int, optional
        How many requests at once the store may be asked for. Every store there is removes many
        keys with one.
    """
    _check(concurrency)
    return await store._write_long(copying.clear_store, store.store, prefix)


class _Copy:
    """One run: where it happens, and who is told."""

    def __init__(self, source: AsyncStore, target: AsyncStore, concurrency: int) -> None:
        _check(concurrency)
        self._source = source
        self._target = target
        self._concurrency = concurrency
        self._tell: Progress | None = None
        self._told_at = 0.0
        self._done = self._told = -1

    def told(self, progress: Progress | None) -> Progress | None:
        """Progress for the copy, which calls the one of the caller in the loop."""
        self._tell = progress
        return None if progress is None else self._hear

    def _hear(self, step: int) -> None:
        self._done = step
        now = time.monotonic()
        if now - self._told_at >= _TOLD_SECONDS:
            self._told_at, self._told = now, step
            tell = self._tell
            assert tell is not None
            ask(lambda: tell(step=step))

    async def run(self, copy: Callable[..., CopyResult], **options: Any) -> CopyResult:
        source, target = self._source.store, self._target.store
        is_apart = session_here() is None  # else it may have to read what is not committed
        if is_apart and self._concurrency > 1 and _is_remote(source):
            source = _ReadingAhead(source, self._concurrency)
        # Parts of a copy are writes of their own, between which others have their turn.
        whole = options["transaction"] is True and not options["dry_run"]
        make = self._target._write_long if whole else self._target._read_long
        result = await make(copy, source, target, **options)
        if self._tell is not None and self._done != self._told:
            self._tell(step=self._done)
        return result


def _check(concurrency: int) -> None:
    if concurrency < 1:
        raise ValueError(f"concurrency is 1 or more, not {concurrency}")


def _is_remote(store: Store) -> bool:
    return any(type(one).__name__ in _REMOTE for one in (store, *stores_beneath(store)))


class _ReadingAhead(WrapperStore):
    """A store whose small values are read before they are asked for, several at a time."""

    def __init__(self, base: Store, concurrency: int) -> None:
        super().__init__(base)
        self._concurrency = concurrency

    def __repr__(self) -> str:
        return repr(self.base)

    @property
    def path(self) -> Any:
        """Where the base is, for progress."""
        return getattr(self.base, "path", None)

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        waiting: deque[tuple[str, Future[Value]]] = deque()
        with ThreadPoolExecutor(self._concurrency, "encore-aio ahead") as pool:
            try:
                for key, value in super()._find_all(prefix):
                    waiting.append((key, pool.submit(_loaded, value)))
                    if len(waiting) >= 2 * self._concurrency:
                        key, future = waiting.popleft()
                        yield key, future.result()
                while waiting:
                    key, future = waiting.popleft()
                    yield key, future.result()
            finally:
                for _, future in waiting:
                    future.cancel()


def _loaded(value: Value) -> Value:
    """A value whose data is in memory, if it is not much."""
    if isinstance(value.content, bytes) or value.size is None or value.size > _READ_AHEAD:
        return value
    try:
        data = value.read()
        text, created, modified = value.metadata_text, value.created or 0.0, value.modified or 0.0
        return Value.of(data, text, value.size, created, modified, value.token)
    finally:
        value.close()
