"""Where the file of a key is, and every system call that touches it.

The SHA-256 of a key, in hexadecimal digits, is cut into names of directories; the rest and a
version are the name of the file: ``2d/71/16/42b7....1f3a``. A file is never written a second time:
another version has another name. A *plain* file, which another program has put there, has no
version in its name.

The root is held open and every step below it names one entry of an open directory, without
following links: there is no key whose file could be elsewhere. Hexadecimal digits mean the same on
every file system.

Only this folder imports this module.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import sha256
from typing import NamedTuple, TypeVar

from encore.storage.backends.filesystem.system import (
    BY_DESCRIPTOR,
    CREATE,
    READ,
    Folder,
    close_folder,
    exists_at,
    mkdir_at,
    open_at,
    open_folder,
    open_root,
    rename_at,
    rmdir_at,
    stat_at,
    sync_folder,
    unlink_at,
)

_T = TypeVar("_T")

#: The version of a plain file.
PLAIN = 0
#: The greatest: what an SQLite integer holds.
MOST_VERSIONS = (1 << 63) - 1

# A link is none: it would lead elsewhere.
_NO_FILE = frozenset((errno.ENOENT, errno.ELOOP, errno.EMLINK))

# How often directories are made again that others remove because they are empty.
_TRIES = 100


class Place(NamedTuple):
    """The file of one version of a key."""

    key: str
    version: int


class Tree:
    """Files below an open directory.

    Parameters
    ----------
    path : str
    width : int
        Characters in the name of a directory.
    depth : int
        Directories on the way to a file.

    Attributes
    ----------
    root : Folder
        Open as long as the tree is.

    Notes
    -----
    *Threads*: any.
    """

    def __init__(self, path: str, width: int, depth: int) -> None:
        self.root: Folder = open_root(path)
        self.width, self.depth = width, depth
        self._cuts = [slice(at, at + width) for at in range(0, width * depth, width)]
        self._rest = slice(width * depth, None)

    def __del__(self) -> None:
        # Not when the store is closed: another thread may be in the middle of a call.
        root, self.root = getattr(self, "root", None), None
        if root is not None:
            close_folder(root)

    def names_of(self, place: Place) -> tuple[list[str], str]:
        """Return the directories on the way to a file, and its name."""
        key, version = place
        digest = sha256(key.encode()).hexdigest()
        name = digest[self._rest]
        return [digest[cut] for cut in self._cuts], f"{name}.{version:x}" if version else name

    # -- reading ----------------------------------------------------------------------------------

    def open(self, place: Place) -> int | None:
        """Return a descriptor of the file, to be closed; None if there is none."""
        names, name = self.names_of(place)
        if not place.version and self._is_nothing(names, name):
            return None
        try:
            folder = self._enter(names)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return open_at(folder, name, READ)
        except OSError as error:
            if error.errno in _NO_FILE:
                return None
            raise
        finally:
            self._leave(folder)

    def status(self, place: Place) -> os.stat_result | None:
        """Return the status of the regular file at a place; None if there is none."""
        names, name = self.names_of(place)
        if not place.version and self._is_nothing(names, name):
            return None
        try:
            folder = self._enter(names)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            found = stat_at(folder, name)
        except FileNotFoundError:
            return None
        finally:
            self._leave(folder)
        return found if stat.S_ISREG(found.st_mode) else None

    def exists(self, path: str) -> bool:
        """Whether anything has this path, as `names_of` gives it, joined by ``/``."""
        return exists_at(self.root, path.replace("/", os.sep))

    # -- writing ----------------------------------------------------------------------------------

    def create(self, place: Place, made: set[tuple[str, ...]]) -> int:
        """Make the file and return its descriptor.

        Parameters
        ----------
        place : Place
        made : set of tuple of str
            Gets the directories that have a new entry, for `sync`.
        """
        return self._within(place, made, lambda folder, name: open_at(folder, name, CREATE))

    def bring(self, source: Folder, name: str, place: Place, made: set[tuple[str, ...]]) -> None:
        """Move a file from another directory of this volume to its place; see `create`."""
        self._within(place, made, lambda folder, new: rename_at(source, name, folder, new))

    def link(self, source: Place, target: Place, made: set[tuple[str, ...]]) -> bool:
        """Give a file a second place; False where this file system does not do that."""
        names, name = self.names_of(source)
        folder = self._enter(names)
        try:
            self._within(target, made, lambda into, new: _link_at(folder, name, into, new))
        except FileNotFoundError:
            raise
        except OSError:
            return False  # no hard links here, or no more of them for this file
        finally:
            self._leave(folder)
        return True

    def remove(self, place: Place, *, prune: bool) -> bool:
        """Remove a file if it is there.

        Parameters
        ----------
        place : Place
        prune : bool
            Whether to remove the directories that are empty then.

        Returns
        -------
        bool
            False if the system refuses; it is to be tried again later.
        """
        names, name = self.names_of(place)
        try:
            self._take_away(names, name, prune)
        except OSError:
            return False
        return True

    def prune(self, place: Place) -> None:
        """Remove the directories on the way to a file as far as they are empty."""
        with suppress(OSError):
            self._take_away(self.names_of(place)[0], None, True)

    def _take_away(self, names: list[str], name: str | None, prune: bool) -> None:
        folders = [self.root]
        try:
            with suppress(FileNotFoundError, NotADirectoryError):
                for inner in names:
                    folders.append(open_folder(folders[-1], inner))
                if name is not None:
                    unlink_at(folders[-1], name)
            if prune:
                with suppress(OSError):  # in the end there is one that is not empty
                    while len(folders) > 1:
                        close_folder(folders.pop())
                        rmdir_at(folders[-1], names[len(folders) - 1])
        finally:
            for folder in folders[1:]:
                close_folder(folder)

    def sync(self, folders: Iterable[tuple[str, ...]]) -> None:
        """Make the entries of directories durable."""
        for names in folders:
            with suppress(FileNotFoundError):  # of a block that was undone: nothing is left in it
                folder = self._enter(names)
                try:
                    sync_folder(folder)
                finally:
                    self._leave(folder)

    # -- directories ------------------------------------------------------------------------------

    def _is_nothing(self, names: list[str], name: str) -> bool:
        """Whether there is no file for certain: one call, where plain files are not expected.

        It follows links, so that there is something does not mean that it is ours.
        """
        return not exists_at(self.root, os.sep.join((*names, name)))

    def _enter(self, names: Iterable[str]) -> Folder:
        folder = self.root
        for name in names:
            try:
                inner = open_folder(folder, name)
            finally:
                self._leave(folder)
            folder = inner
        return folder

    def _leave(self, folder: Folder) -> None:
        if folder is not self.root:
            close_folder(folder)

    def _within(
        self, place: Place, made: set[tuple[str, ...]], act: Callable[[Folder, str], _T]
    ) -> _T:
        """Do something in the directory of a file; directories that are missing are made."""
        names, name = self.names_of(place)
        for tries_left in reversed(range(_TRIES)):
            try:
                folder = self._make(names, made)
                try:
                    return act(folder, name)
                finally:
                    self._leave(folder)
            except FileNotFoundError:
                # Somebody has just removed a directory, since it was empty.
                if not tries_left:
                    raise
        raise AssertionError

    def _make(self, names: list[str], made: set[tuple[str, ...]]) -> Folder:
        folder = self.root
        for depth, name in enumerate(names):
            try:
                try:
                    inner = open_folder(folder, name)
                except FileNotFoundError:
                    with suppress(FileExistsError):
                        mkdir_at(folder, name)
                    made.add(tuple(names[:depth]))
                    inner = open_folder(folder, name)
            finally:
                self._leave(folder)
            folder = inner
        made.add(tuple(names))
        return folder


if BY_DESCRIPTOR:

    def _link_at(source: Folder, name: str, target: Folder, new_name: str) -> None:
        os.link(name, new_name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)

else:

    def _link_at(source: Folder, name: str, target: Folder, new_name: str) -> None:
        os.link(os.path.join(source, name), os.path.join(target, new_name))
