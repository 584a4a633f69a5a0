"""Data on its way in, and the list by which the files of the dead are found.

A file is there before its record is committed, and stays a moment after its record has gone. Who
dies meanwhile leaves it behind, and nobody can look through millions of files for it. So a store
that writes keeps a *list*, and puts the name of a file on it before it makes the file, or before it
commits that the file is not needed. When the store is opened later the lists of the dead are gone
through: a file that its record does not point at is removed.

Long streams go to the session's folder first, since a store learns their key only when they have
arrived, and are moved to their place; that folder is emptied the same way.

What session is dead the kernel tells: see ``filesystem.session``. Only this folder imports this
module.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from encore.keys.rules import check_key
from encore.storage.backends.filesystem.contents import StagedFile, copy_descriptor
from encore.storage.backends.filesystem.session import Session, sweep
from encore.storage.backends.filesystem.system import (
    APPEND,
    READ,
    Folder,
    close_folder,
    exists_at,
    make_folder,
    open_at,
    open_folder,
    read_all,
    write_all,
)
from encore.storage.backends.filesystem.writing import write_chunks
from encore.storage.backends.hashdir.tree import MOST_VERSIONS, Place, Tree

#: What no key of the store can name.
OWN_FOLDER = ".encore"

SESSIONS = "sessions"
_LIST = "list"
# A list of this many bytes is begun anew once nothing on it is undecided.
_LONG_LIST = 1 << 20


class Writer:
    """One store that writes to a tree.

    Parameters
    ----------
    tree : Tree
    durable : bool
        Whether to wait for the disk.

    Attributes
    ----------
    session : Session
        Where data waits for its place.

    Notes
    -----
    *Threads*: any. Each transaction calls `settle` once if it has called `note`.
    """

    def __init__(self, tree: Tree, durable: bool) -> None:
        self._tree = tree
        self._durable = durable
        own = make_folder(tree.root, OWN_FOLDER)
        try:
            self._parent = make_folder(own, SESSIONS)
        finally:
            close_folder(own)
        try:
            self.session = Session(self._parent)
            try:
                self._list = open_at(self.session.folder, _LIST, APPEND)
            except BaseException:
                self.session.close()
                raise
        except BaseException:
            close_folder(self._parent)
            raise
        self._listing = threading.Lock()
        self._length = 0
        self._synced = 0  # of that, what the disk has
        self._undecided = 0
        self._remaining: list[Place] = []  # what the system has refused to remove

    # -- the list ---------------------------------------------------------------------------------

    def note(self, places: Iterable[Place], *, first: bool) -> None:
        """Put files on the list.

        Parameters
        ----------
        places : iterable of Place
        first : bool
            Whether these are the first ones of their transaction.
        """
        # Keys have no NUL, so it can end an entry.
        data = b"".join(b"%x %b\0" % (place.version, place.key.encode()) for place in places)
        with self._listing:
            write_all(self._list, data)
            self._length += len(data)
            self._undecided += first

    def settle(self) -> None:
        """A transaction is over, and what it left behind has been removed."""
        with self._listing:
            self._undecided -= 1
            if self._length > _LONG_LIST and not self._undecided and not self._remaining:
                with suppress(OSError):
                    os.ftruncate(self._list, 0)
                    self._length = self._synced = 0

    def remove(self, place: Place, *, prune: bool) -> None:
        """Remove a file for good; what the system refuses now, a later session does."""
        if not self._tree.remove(place, prune=prune):
            self._remaining.append(place)

    def sync(self) -> None:
        """Make the list durable, if it is not already."""
        length = self._length
        if length != self._synced:
            os.fsync(self._list)
            self._synced = length

    # -- data -------------------------------------------------------------------------------------

    def write(self, place: Place, data: bytes, made: set[tuple[str, ...]]) -> None:
        """Write small data to its place."""
        self._fill(place, made, lambda descriptor: write_all(descriptor, data))

    def duplicate(
        self, source: Place, load: Callable[[], int], target: Place, made: set[tuple[str, ...]]
    ) -> None:
        """Give the data of a file another place: the same file if that can be, else a copy.

        Parameters
        ----------
        source : Place
            Linked only if it has a version: what other programs have put there they may change.
        load : callable
            Opens it.
        target : Place
        made : set
            See `Tree.create`.
        """
        if source.version and self._tree.link(source, target, made):
            return
        descriptor = load()
        try:
            size = os.fstat(descriptor).st_size
            self._fill(target, made, lambda copy: copy_descriptor(descriptor, copy, size))
        finally:
            os.close(descriptor)

    def _fill(self, place: Place, made: set[tuple[str, ...]], fill: Callable[[int], None]) -> None:
        descriptor = self._tree.create(place, made)
        try:
            fill(descriptor)
            if self._durable:
                self.sync()  # first, or a power cut may leave a file that is on no list
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    # -- the end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Remove the list and the folder, unless something is to be removed later."""
        self._remaining = [
            place for place in self._remaining if not self._tree.remove(place, prune=True)
        ]
        if self._remaining or self._undecided:
            self.let_go()
            return
        os.close(self._list)
        self.session.close()
        close_folder(self._parent)

    def let_go(self) -> None:
        """Close what is open, and leave everything to those who come later, or to the parent."""
        os.close(self._list)
        self.session.let_go()
        close_folder(self._parent)


def stage(session: Session, chunks: Iterator[bytes], *, durable: bool) -> StagedFile:
    """Write a stream to a file that has no place yet."""
    name, descriptor = session.create()
    try:
        try:
            size = write_chunks(chunks, descriptor)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        session.remove(name)
        raise
    return StagedFile(session.folder, name, size)


def sweep_dead(tree: Tree, is_needed: Callable[[Place], bool]) -> None:
    """Remove what dead sessions have left.

    Parameters
    ----------
    tree : Tree
    is_needed : callable
        Whether a record points at a file.
    """

    def go_through(folder: Folder) -> bool:
        refused = 0
        for place in places_of(folder):
            if not is_needed(place):
                refused += not tree.remove(place, prune=True)
        return not refused

    if not exists_at(tree.root, OWN_FOLDER):
        return
    own = open_folder(tree.root, OWN_FOLDER)
    try:
        parent = make_folder(own, SESSIONS)
    finally:
        close_folder(own)
    try:
        sweep(parent, may_go=go_through)
    finally:
        close_folder(parent)


def places_of(folder: Folder) -> list[Place]:
    """The files on the list of a session."""
    try:
        descriptor = open_at(folder, _LIST, READ)
    except FileNotFoundError:
        return []
    try:
        return read_places(read_all(descriptor))
    finally:
        os.close(descriptor)


def read_places(text: bytes) -> list[Place]:
    """The files that the text of a list names; what is damaged of it names none."""
    places = []
    for entry in text.split(b"\0")[
        :-1
    ]:  # what has no end was not finished, and its file never made
        version, _, key = entry.partition(b" ")
        with suppress(ValueError):
            place = Place(key.decode(), int(version, 16))
            check_key(place.key)
            if 0 < place.version <= MOST_VERSIONS:
                places.append(place)
    return places
