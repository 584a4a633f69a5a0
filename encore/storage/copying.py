"""Copying between stores: whole, in part, or only what differs.

All of it streams: two ordered listings are merged, values pass in pieces, and nothing is collected
but counts. Progress is told by the target's event manager, in bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from encore.events.progress_events import CancelToken
from encore.storage.abstract_store import AbstractStore
from encore.storage.content import KeyEntry
from encore.storage.transfers import CopyResult, Progress, Transfer, digest_of
from encore.storage.values import Value

__all__ = ["CopyResult", "clear_store", "copy_store", "sync_stores"]


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
    copy = Transfer(source, target, progress, cancel, dry_run=dry_run, verify=verify)

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
    copy = Transfer(source, target, progress, cancel, dry_run=dry_run, verify=verify)

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


_SAME: dict[str, Callable[[AbstractStore, AbstractStore, KeyEntry, KeyEntry], bool]] = {
    "token": lambda _source, _target, ours, theirs: ours.token == theirs.token,
    "size": lambda _source, _target, ours, theirs: ours.size == theirs.size,
    "digest": lambda source, target, ours, theirs: (
        ours.size == theirs.size and digest_of(source, ours.key) == digest_of(target, theirs.key)
    ),
}


def _check_pair(source: AbstractStore, target: AbstractStore) -> None:
    if source is target:
        raise ValueError(f"{source!r} cannot be copied onto itself")
