"""What is in the store: the archive, and over it the changes that are not in it yet.

A view is one version of the archive and the log beside it; `watching` says which one counts.

Only this subpackage imports this module.
"""

from __future__ import annotations

import heapq
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from encore.keys.rules import prefix_end
from encore.storage.backends.zip.archives import Archive
from encore.storage.backends.zip.changes import Log
from encore.storage.backends.zip.contents import ZipContent
from encore.storage.backends.zip.cursors import Place, unpack
from encore.storage.backends.zip.frames import Change, Changes
from encore.storage.backends.zip.handles import READ, Handle
from encore.storage.backends.zip.headers import Entry
from encore.storage.template import Record

_NO_CHANGES: Changes = {}


class View:
    """One version of the archive, and the log beside it.

    Attributes
    ----------
    archive : Archive
    log : Log or None
    changes : Changes
        Those of the log; they may grow.

    Notes
    -----
    *Threads*: any.
    """

    def __init__(self, archive: Archive, log: Log | None, sidecar: str) -> None:
        self.archive = archive
        self.log = log
        self.changes = _NO_CHANGES if log is None else log.changes
        self._sidecar = sidecar

    def record(self, key: str) -> Record | None:
        """What is kept under a key."""
        if key not in self.changes:
            return self.archive.record(key)
        change = self.changes[key]
        if change is None:
            return None
        content = self.content(key, change)
        if content is None:
            return None
        return (
            content, change.text, content.size, change.created, change.modified, change.token,
        )  # fmt: skip

    def content(self, key: str, change: Change) -> ZipContent | None:
        """The data of a change; None if it was to stay, and another program has removed it."""
        file = change.file
        if file is None:
            entry = self.entry(key)
            return None if entry is None else self.archive.content(key, entry)
        handle = self._open(file, key)
        place: Place = (handle, change.offset, change.packed_size)
        return ZipContent(key, change.size, change.method, change.crc, lambda: place)

    def entry(self, key: str) -> Entry | None:
        """The entry of a key in the archive."""
        at = self.archive.places.get(key)
        return None if at is None else self.archive.entry(at)

    def _open(self, file: str, key: str) -> Handle:
        if file == "":
            assert self.log is not None
            return self.log.handle
        # Opened for each value: kept open, they could be more than a process may have, and a weak
        # reference can bring a handle back that is just being closed.
        return Handle(os.open(os.path.join(self._sidecar, file), READ))

    def read(self, key: str) -> bytes | None:
        """Return all of the data under a key."""
        if key not in self.changes:
            return self.archive.read(key)
        change = self.changes[key]
        if change is None:
            return None
        if change.file == "":
            assert self.log is not None
            packed = self.log.handle.read_at(change.offset, change.packed_size)
            return unpack(packed, change.packed_size, change.size, change.method, change.crc, key)
        content = self.content(key, change)
        return None if content is None else content.read(0, content.size)

    def has(self, key: str) -> bool:
        if key not in self.changes:
            return key in self.archive.places
        return self._is_there(key, self.changes[key])

    def created(self, key: str) -> float | None:
        """When a key was made; None where it is not there."""
        if key not in self.changes:
            entry = self.entry(key)
            return None if entry is None else self.archive.mark(key, entry).created
        change = self.changes[key]
        return change.created if change is not None and self._is_there(key, change) else None

    def _is_there(self, key: str, change: Change | None) -> bool:
        return change is not None and (change.file is not None or key in self.archive.places)

    def count(self) -> int:
        places = self.archive.places
        count = len(places)
        for key, change in self.changes.copy().items():
            count += self._is_there(key, change) - (key in places)
        return count

    def keys(self, prefix: str, start_after: str | None) -> Iterator[str]:
        """The keys in order, as they are now."""
        changes = self.changes.copy()  # at once: a commit is in it, or is not
        found = _within(self.archive.directory.keys, prefix, start_after)
        if not changes:
            return found
        new = [
            key
            for key, change in changes.items()
            if key.startswith(prefix)
            and (start_after is None or key > start_after)
            and self._is_there(key, change)
        ]
        new.sort()
        return heapq.merge((key for key in found if key not in changes), new)


def _within(keys: list[str], prefix: str, start_after: str | None) -> Iterator[str]:
    start = bisect_left(keys, prefix)
    if start_after is not None:
        start = max(start, bisect_right(keys, start_after))
    stop = prefix_end(prefix)
    end = len(keys) if stop is None else bisect_left(keys, stop, start)
    return (keys[at] for at in range(start, end))
