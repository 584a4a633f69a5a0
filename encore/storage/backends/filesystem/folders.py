"""Places in open directories, and directories kept open while a writer goes through many keys.

Walking from the root for each key means opening the same directories again and again: most of the
time of a commit of thousands of keys. Only this subpackage imports this module.
"""

from __future__ import annotations

import itertools
import os
import threading

from encore.storage.backends.filesystem.system import Folder, close_folder, open_folder

_MOST_OPEN = 64


class Handle:
    """An open directory that somebody uses.

    Attributes
    ----------
    folder : Folder
    users : int
        How many do.
    """

    __slots__ = ("folder", "is_kept", "users")

    def __init__(self, folder: Folder, is_kept: bool) -> None:
        self.folder = folder
        self.is_kept = is_kept
        self.users = 0 if is_kept else 1

    def release(self) -> None:
        """One user less; without any it is closed, unless it is kept."""
        self.users -= 1
        if not self.is_kept and self.users == 0:
            close_folder(self.folder)


class Spot:
    """A place for a file: a name in an open directory, and what is there.

    Attributes
    ----------
    folder : Folder
    name : str
    path : str
        From the root.
    found : os.stat_result or None
        Of the regular file that is there.
    """

    __slots__ = ("_handle", "folder", "found", "name", "path")

    def __init__(self, folder: Folder, name: str, path: str, handle: Handle | None) -> None:
        self.folder = folder
        self.name = name
        self.path = path
        self.found: os.stat_result | None = None
        self._handle = handle

    def close(self) -> None:
        """Give the directory back, unless it is the root."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.release()


class KeptFolders:
    """The directories that one thread has entered, by their path from the root.

    Parameters
    ----------
    root : Folder

    Notes
    -----
    *Threads*: belongs to the thread that made it.
    """

    def __init__(self, root: Folder) -> None:
        self._root = root
        self._kept: dict[str, Handle] = {}
        self.thread = threading.get_ident()

    def enter(self, path: str) -> Handle:
        """Return the directory with this path, in use; OSError if it is not there."""
        handle = self._kept.get(path) or self._walk(path.split("/"))
        handle.users += 1
        return handle

    def _walk(self, names: list[str]) -> Handle:
        """Open a directory, from the innermost one around it that is open already."""
        # No recursion: a key may have a thousand directories.
        paths = list(itertools.accumulate(names, "{}/{}".format))
        kept = [depth for depth, path in enumerate(paths) if path in self._kept]
        begin = kept[-1] + 1 if kept else 0
        handle = self._kept[paths[begin - 1]] if begin else Handle(self._root, is_kept=True)
        for name, path in zip(names[begin:], paths[begin:], strict=True):
            folder = open_folder(handle.folder, name)
            handle = self._kept[path] = Handle(folder, is_kept=True)
            if len(self._kept) > _MOST_OPEN:
                self._forget_oldest(handle)
        return handle

    def forget(self, path: str) -> None:
        """The directory has been removed: a new one of this name is another."""
        handle = self._kept.pop(path, None)
        if handle is not None:
            self._let_go(handle)

    def close(self) -> None:
        """Close them all."""
        while self._kept:
            self._let_go(self._kept.popitem()[1])

    def _forget_oldest(self, newest: Handle) -> None:
        for path, handle in self._kept.items():
            if handle.users == 0 and handle is not newest:
                self.forget(path)
                return

    def _let_go(self, handle: Handle) -> None:
        handle.is_kept = False
        if handle.users == 0:
            close_folder(handle.folder)
