"""What happens to one key: put, record, remove. Each is whole or absent, for readers and crashes.

::

    put       temporary file complete   record appended   RENAME           (set aside, prune: no
    record                              RECORD APPENDED                     key changes by that)
    remove                              record ``gone``   UNLINK           sidecar removed

Capitals mark the step that decides. What comes before it is invisible (`sidecars` says why), and
what comes after it is cleaning, which the next writer or the next opening does as well. A temporary
file is named after the sidecar that speaks of it; if it is still there when its session is found
dead, the record is taken back. Moving a file to its marked name changes neither its inode nor its
time, so its record still fits.

All of it happens under the writer lock. Only this subpackage imports this module.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from encore.storage.backends.filesystem.folders import Spot
from encore.storage.backends.filesystem.layout import Tree
from encore.storage.backends.filesystem.placing import Placer
from encore.storage.backends.filesystem.records import (
    Fields,
    from_file,
    gone_line,
    in_place,
    line_of,
    sidecar_name,
    signature,
)
from encore.storage.backends.filesystem.session import Session
from encore.storage.backends.filesystem.sidecars import Sidecars
from encore.storage.backends.filesystem.syncing import NamesToSync
from encore.storage.backends.filesystem.system import (
    Folder,
    chmod_at,
    exists_at,
    rename_at,
    stat_at,
    unlink_at,
)


class Publisher:
    """Changes the files of a tree and their sidecars, one key at a time.

    Parameters
    ----------
    tree : Tree
    sidecars : Sidecars
    session : Session
    durable : bool
        Whether to wait for the disk.
    """

    def __init__(self, tree: Tree, sidecars: Sidecars, session: Session, durable: bool) -> None:
        self.tree = tree
        self.placer = Placer(tree)
        self.sidecars = sidecars
        self.session = session
        self.durable = durable

    def put(
        self,
        key: str,
        folder: Folder,
        temporary: str,
        fields: Fields,
        *,
        needs_record: bool = True,
    ) -> None:
        """Give a temporary file its place, with its record.

        Without a record only where none is needed to tell it from what was there before.
        """
        name = sidecar_name(key)
        spot, made = self.placer.place(key)
        try:
            new = stat_at(folder, temporary)
            if spot.found is not None and spot.found.st_mode != new.st_mode:
                chmod_at(folder, temporary, stat.S_IMODE(spot.found.st_mode))
            undo: Callable[[], None] | None = None
            needs_record = needs_record and fields != from_file(new)
            if needs_record or spot.found is not None or self.sidecars.exists(name):
                undo = self.record(key, name, spot.found, signature(new), fields)
            with self._way_to(spot) as way:
                try:
                    rename_at(folder, temporary, spot.folder, spot.name)
                except BaseException:
                    # An interruption may come after the deed.
                    if undo is not None and exists_at(folder, temporary):
                        undo()
                    raise
                way.sync()
        except BaseException:
            self.placer.remove_folders(made)
            raise
        finally:
            spot.close()

    def record(
        self, key: str, name: str, old: os.stat_result | None, file: str, fields: Fields
    ) -> Callable[[], None]:
        """Append the record of a version; returns what takes it back."""

        def make(known: bytes) -> tuple[bytes, bytes]:
            kept = b"" if old is None else in_place(known, key, old)[0]
            return kept, line_of(key, file, fields)

        return self.sidecars.append(name, make)

    def note(self, key: str, fields: Fields) -> None:
        """Record other metadata for the version that is in place."""
        spot = self.tree.find(key)
        if spot is None or spot.found is None:
            return  # another program has removed it since
        spot.close()
        self.record(key, sidecar_name(key), spot.found, signature(spot.found), fields)

    def remove(self, key: str) -> None:
        """Remove every file of a key, the one that counts last, and its sidecar."""
        name = sidecar_name(key)
        spots = self.tree.find_all(key)
        try:
            for spot in reversed(spots):
                assert spot.found is not None
                with NamesToSync(self.durable) as names:
                    names.add(spot.folder)
                    if spot is spots[0] and self.sidecars.exists(name):
                        self._remove_recorded(key, name, spot)
                    else:
                        unlink_at(spot.folder, spot.name)
                    names.sync()
        finally:
            for spot in spots:
                spot.close()
        with suppress(OSError):  # the key is gone: what is left of its sidecar says so
            self.sidecars.remove(name)
        for spot in spots:
            self.placer.prune(spot.path)

    def _remove_recorded(self, key: str, name: str, spot: Spot) -> None:
        """Remove a file that has a sidecar of this name."""
        assert spot.found is not None
        # What is there may have no record yet, if others have made it: it needs one as long as the
        # file is there, or it would lose its metadata first.
        make = partial(_gone_after_kept, key, spot.found)
        undo = self.sidecars.append(name, make, shorten=False)
        try:
            unlink_at(spot.folder, spot.name)
        except BaseException:
            if exists_at(spot.folder, spot.name):
                undo()
            raise

    def sync_again(self, key: str) -> None:
        """Make durable that a key has got its file: whoever did that may not have come so far."""
        spot = self.tree.find(key) if self.durable else None
        if spot is not None:
            try:
                with self._way_to(spot) as way:
                    way.sync()
            finally:
                spot.close()

    def _way_to(self, spot: Spot) -> NamesToSync:
        """What makes the name of a file durable, and the names of the directories it is in."""
        way = NamesToSync(self.durable)
        path = spot.path if self.durable else ""
        try:
            way.add(spot.folder)
            while path := path.rpartition("/")[0]:
                outer = self.tree.parent(path)
                try:
                    with suppress(PermissionError):  # it may be entered, and not be listed
                        way.add(outer.folder)
                finally:
                    outer.close()
        except BaseException:
            way.close()
            raise
        return way

    def forget(self, purpose: str, found: os.stat_result) -> None:
        """Take back what was recorded of a temporary file that never got its place."""
        self.sidecars.drop(purpose, signature(found))


def _gone_after_kept(key: str, found: os.stat_result, known: bytes) -> tuple[bytes, bytes]:
    return in_place(known, key, found)[0], gone_line(key, signature(found))
