"""Opening stores for commands: what is read must be there, what is written stays whole.

A store that is only read is never made by a typing error, and never changed. A store that was made
for a command that then failed is taken away again, provided that it is still empty.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from encore.cli.arguments import UsageError
from encore.config import Address
from encore.errors import EncoreError, StoreError
from encore.storage.abstract_store import AbstractStore


@dataclass(slots=True)
class Target:
    """A store that a command writes to.

    Attributes
    ----------
    store : AbstractStore
    address : Address
    left : str
        What has become of it if the command does not come to its end.
    """

    store: AbstractStore
    address: Address
    left: str = "is as it was"


@contextmanager
def opened_source(address: Address) -> Iterator[AbstractStore]:
    """Open a store that is there, to be read only.

    Raises
    ------
    StoreError
        It is not there.
    """
    _check_exists(address)
    with address.open(**_as_taken(address, readonly=True, follow=False)) as store:
        yield store


@contextmanager
def opened_target(address: Address, *, create: bool = True, **options: Any) -> Iterator[Target]:
    """Open a store to be written; options that are None are left to the store.

    An exception that passes gets a note that says what has become of the store.

    Raises
    ------
    StoreError
        It is not there, and ``create`` is false.
    """
    if not create:
        _check_exists(address)
    is_new = not address.exists()
    given = {name: value for name, value in options.items() if value is not None}
    target = Target(address.open(**given, **_as_taken(address, follow=False)), address)
    try:
        target.store.connect()
        yield target
        target.store.close()
    except BaseException as error:
        is_empty = is_new and _is_empty(target.store)
        with suppress(EncoreError):  # what went wrong first is what to report
            target.store.close()
        if is_empty:
            _take_away(address)
            if address.exists():
                target.left = "is new and empty"
        error.add_note(f"{address} {target.left}")
        raise


def check_apart(source: Address, target: Address, *, deleting: bool = False) -> None:
    """Refuse to copy a store onto or into itself.

    Parameters
    ----------
    source, target : Address
    deleting : bool, optional
        Whether files of the target that the source does not have are removed.

    Raises
    ------
    UsageError
        The copy would change what it reads, or read what it writes.
    """
    if source.local_path is None or target.local_path is None:
        return
    inner, outer = os.path.realpath(source.local_path), os.path.realpath(target.local_path)
    if inner == outer or _is_same_file(inner, outer):
        raise UsageError(f"{source} and {target} are the same store")
    if _contains(inner, outer):
        raise UsageError(f"{target} lies inside the source {source}; put it somewhere else")
    if deleting and _contains(outer, inner):
        raise UsageError(f"{source} lies inside {target}, and --delete would remove it")


def check_not_overwritten(source: AbstractStore, source_at: Address, target: Address) -> None:
    """Refuse to copy a store over the very file it is in.

    Raises
    ------
    UsageError
        The source lies inside the target, and has a key that is its own name there.
    """
    if source_at.local_path is None or target.local_path is None:
        return
    inner, outer = os.path.realpath(source_at.local_path), os.path.realpath(target.local_path)
    if _contains(outer, inner):
        key = os.path.relpath(inner, outer).replace(os.sep, "/")
        if source.exists(key):
            raise UsageError(f"{source_at} has a key {key!r}, which {target} would write over it")


def _as_taken(address: Address, **options: Any) -> dict[str, Any]:
    """Those options that this kind of store takes; no command waits for what others change."""
    known = address.scheme.options()
    return {name: value for name, value in options.items() if name in known}


def _check_exists(address: Address) -> None:
    if not address.exists():
        raise StoreError(f"there is no {address.place} {address.local_path!r}")


def _is_same_file(one: str, other: str) -> bool:
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)


def _contains(directory: str, path: str) -> bool:
    return path.startswith(os.path.join(directory, ""))


def _is_empty(store: AbstractStore) -> bool:
    try:
        return next(store.keys(limit=1), None) is None
    except EncoreError:
        return False


def _take_away(address: Address) -> None:
    path = address.local_path
    assert path is not None
    with suppress(OSError):
        if address.place == "directory":
            os.rmdir(path)
        elif not any(os.path.exists(f"{path}-{part}") for part in ("wal", "shm", "journal")):
            # None of these is left unless somebody else has the file open.
            os.unlink(path)
