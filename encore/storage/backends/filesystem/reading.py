"""Reading without a lock: which version of a file is there, and what belongs to it.

A reader opens the file (or looks at it, where nobody wants the data), takes its signature, reads
the sidecar and takes the record that fits; `sidecars` says why this never mixes two versions. If
none fits, the reader looks once more whether the file is still in place, and begins anew if it is
not: then it came late, and there is something newer to be read.

Only this subpackage imports this module.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

from encore.errors import ConflictError
from encore.storage.backends.filesystem.contents import SMALL, FileContent, FileVersion
from encore.storage.backends.filesystem.folders import Spot
from encore.storage.backends.filesystem.layout import OWN_FOLDER, Tree
from encore.storage.backends.filesystem.own import open_sidecars
from encore.storage.backends.filesystem.records import (
    Fields,
    adopted,
    fitting,
    from_file,
    sidecar_name,
    signature,
)
from encore.storage.backends.filesystem.sidecars import Sidecars
from encore.storage.backends.filesystem.system import (
    READ,
    exists_at,
    is_removed,
    open_at,
    read_all,
    stat_at,
)
from encore.storage.template import Record

# How often a reader begins anew before it gives up; each time a writer was faster.
_TRIES = 1000


class Reader:
    """Reads keys of a tree.

    *Threads*: any.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._opening = threading.Lock()
        self.sidecars: Sidecars | None = open_sidecars(tree.root)

    def close(self) -> None:
        self.sidecars = None  # its folder is closed when no thread reads it any more

    def has(self, key: str) -> bool:
        """Whether there is a file of a key."""
        spot = self._tree.find(key, links=True)
        if spot is None:
            return False
        spot.close()
        return True

    def read(self, key: str) -> bytes | None:
        """Return the data of a key, None if it is not there."""
        opened = self._open(key)
        if opened is None:
            return None
        descriptor, found, spot = opened
        try:
            return read_all(descriptor, found.st_size)
        finally:
            os.close(descriptor)
            spot.close()

    def load(self, key: str) -> Record | None:
        """Return the record of a key, its data read or held open."""
        for _ in range(_TRIES):
            opened = self._open(key)
            if opened is None:
                return None
            descriptor, found, spot = opened
            try:
                fields = self._fields(key, found, spot)
                if fields is None:
                    continue
                size = found.st_size
                content: bytes | FileContent
                if size > SMALL:
                    content = FileContent(descriptor, size)
                    descriptor = -1
                else:
                    content = read_all(descriptor, size)
                    size = len(content)
                return (content, fields.text, size, *fields[1:])
            finally:
                spot.close()
                if descriptor >= 0:
                    os.close(descriptor)
        raise _too_busy(key)

    def peek(self, key: str) -> Record | None:
        """Return the record of a key, its data not opened before somebody reads it."""
        for _ in range(_TRIES):
            spot = self._tree.find(key, links=True)
            if spot is None:
                return None
            record = self._peek_at(key, spot)
            if record is not None:
                return record
        raise _too_busy(key)

    def all(self, prefix: str, *, load: bool) -> Iterator[tuple[str, Record]]:
        """Yield the keys with a prefix and their records.

        Parameters
        ----------
        prefix : str
        load : bool
            Whether to read small data at once; else none is opened.
        """
        with closing(_Neighbours(self._tree)) as neighbours:
            for key, path in self._tree.keys(prefix, None):
                record = None
                with suppress(OSError):
                    spot = neighbours.spot(path)
                    record = self._load_at(key, spot) if load else None
                    if record is None:
                        there = stat_at(spot.folder, spot.name)
                        if stat.S_ISREG(there.st_mode):  # a link is looked up where it leads
                            spot.found = there
                            record = self._peek_at(key, spot)
                record = record or self.peek(key)
                if record is not None:
                    yield key, record

    def _load_at(self, key: str, spot: Spot) -> Record | None:
        """Return the record of small data at a spot; None where it is large, or something is up."""
        opened = _open_at(spot)
        if opened is None:
            return None
        descriptor, found, _ = opened
        try:
            if found.st_size > SMALL:
                return None
            fields = self._fields(key, found, spot)
            if fields is None:
                return None
            content = read_all(descriptor, found.st_size)
            return (content, fields.text, len(content), *fields[1:])
        finally:
            os.close(descriptor)

    # -- the inside -------------------------------------------------------------------------------

    def _open(self, key: str) -> tuple[int, os.stat_result, Spot] | None:
        """Open the file of a key; the spot is to be closed."""
        if not self._tree.folding:
            try:
                opened = _open_at(self._tree.parent(self._tree.path_of(key)))
            except OSError:  # what it is, the thorough way will say
                opened = None
            if opened is not None:
                return opened
        for _ in range(_TRIES):
            there = self._tree.find(key, links=True)
            if there is None:
                return None
            opened = _open_at(there)
            if opened is not None:
                return opened
        raise _too_busy(key)

    def _peek_at(self, key: str, spot: Spot) -> Record | None:
        """Return the record of the file found at a spot, None if it is there no more."""
        found = spot.found
        assert found is not None
        try:
            fields = self._fields(key, found, spot)
        finally:
            spot.close()
        if fields is None:
            return None
        file = signature(found)
        content = FileVersion(found.st_size, file, lambda: self._open_version(key, file))
        return (content, fields.text, found.st_size, *fields[1:])

    def _fields(self, key: str, found: os.stat_result, spot: Spot) -> Fields | None:
        """Return what belongs to a version, None if it is no longer in place."""
        sidecars = self.sidecars or self._open_sidecars()
        if sidecars is None:
            return from_file(found)
        file = signature(found)
        lines = sidecars.read(sidecar_name(key))
        if not lines and is_removed(sidecars.folder):
            self.close()  # with the whole own folder; there may be another by now
            return self._fields(key, found, spot)
        fields = fitting(lines, file) if lines else None
        if fields is not None:
            return fields
        with suppress(FileNotFoundError):
            if signature(stat_at(spot.folder, spot.name)) == file:
                return adopted(lines, found)
        return None

    def _open_sidecars(self) -> Sidecars | None:
        if not exists_at(self._tree.root, OWN_FOLDER):
            return None  # quicker than to try, and asked for every file of a plain tree
        with self._opening:
            if self.sidecars is None:
                self.sidecars = open_sidecars(self._tree.root)
            return self.sidecars

    def _open_version(self, key: str, file: str) -> FileContent:
        opened = self._open(key)
        if opened is not None:
            descriptor, found, spot = opened
            spot.close()
            if signature(found) == file:
                return FileContent(descriptor, found.st_size)
            os.close(descriptor)
        raise ConflictError(
            f"{key!r} has been replaced or removed since this value was looked up; get it again",
            key=key,
        )


class _Neighbours:
    """Spots of files that come in the order of a listing: most share a directory."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._directory: Spot | None = None

    def spot(self, path: str) -> Spot:
        """Return the spot with this path; it need not be closed."""
        outer, slash, name = path.rpartition("/")
        directory = self._directory
        if directory is None or directory.path != outer + slash:
            self.close()
            self._directory = directory = self._tree.parent(outer + slash)
        return Spot(directory.folder, name, path, None)

    def close(self) -> None:
        directory, self._directory = self._directory, None
        if directory is not None:
            directory.close()


def _open_at(spot: Spot) -> tuple[int, os.stat_result, Spot] | None:
    """Open the regular file at a spot; None, and the spot closed, if there is none."""
    try:
        descriptor = open_at(spot.folder, spot.name, READ)
    except FileNotFoundError:
        spot.close()
        return None
    except BaseException:
        spot.close()
        raise
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode):
        return descriptor, found, spot
    os.close(descriptor)
    spot.close()
    return None


def _too_busy(key: str) -> ConflictError:
    return ConflictError(
        f"{key!r} was replaced again and again while it was being read; try again", key=key
    )
