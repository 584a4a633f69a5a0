"""Room for a file in the tree: directories made and removed, files that are in the way renamed.

Under the writer lock. Only this subpackage imports this module.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from encore.errors import StoreError
from encore.storage.backends.filesystem.folders import Spot
from encore.storage.backends.filesystem.layout import Tree
from encore.storage.backends.filesystem.system import (
    exists_at,
    is_writable,
    mkdir_at,
    rename_at,
    rmdir_at,
    stat_at,
)


class Placer:
    """Makes room in a tree.

    Parameters
    ----------
    tree : Tree
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def place(self, key: str) -> tuple[Spot, list[str]]:
        """Return the spot for the file of a key: where it is, or where it can be.

        Directories that are missing are made; a file that has the name of one of them gives it up
        and takes its marked name.

        Returns
        -------
        spot : Spot
        made : list of str
            The paths of the directories that were made, to be removed if no file comes.
        """
        path = self._tree.path_of(key)
        spot = self._plain_spot(path) or self._tree.find(key)
        if spot is not None:
            return spot, []
        *names, last = path.split("/")
        made: list[str] = []
        try:
            folder = ""
            for name in names:
                folder = self._enter(folder, name, made)
            spot = self._free_spot(folder, last, made)
        except BaseException:
            self.remove_folders(made)
            raise
        return spot, made

    def _plain_spot(self, path: str) -> Spot | None:
        """Return the spot with this path if a file is there, or can simply be put there."""
        if self._tree.may_clash:
            return None
        try:
            spot = self._tree.parent(path)
        except OSError:
            return None
        is_good = False
        try:
            if exists_at(spot.folder, spot.name):
                there = stat_at(spot.folder, spot.name)
                if stat.S_ISREG(there.st_mode):
                    spot.found = there
                    is_good = True
            else:
                is_good = not exists_at(spot.folder, self._tree.marked(spot.name))
        except FileNotFoundError:
            pass
        finally:
            if not is_good:
                spot.close()
        return spot if is_good else None

    def check(self, key: str) -> list[str]:
        """Make sure that a file of a key can be placed.

        Returns
        -------
        list of str
            The paths of the directories that were made for it.
        """
        spot, made = self.place(key)
        try:
            if not is_writable(spot.folder):
                self.remove_folders(made)
                raise PermissionError(errno.EACCES, "the directory cannot be written", spot.path)
        finally:
            spot.close()
        return made

    def _enter(self, parent: str, name: str, made: list[str]) -> str:
        """Return the path of a directory with this name in ``parent``, with ``/``; make it."""
        spot = self._tree.parent(parent + name)
        try:
            try:
                there = stat_at(spot.folder, spot.name)
            except FileNotFoundError:
                mkdir_at(spot.folder, spot.name)
                made.append(spot.path)
                return spot.path + "/"
            if not self._tree.is_spelled_so(spot.folder, spot.name):
                return self._enter_all(parent, self._tree.clash(name), made)
            if stat.S_ISREG(there.st_mode):
                aside = self._free_spot(parent, self._tree.marked(name), made)
                rename_at(spot.folder, spot.name, aside.folder, aside.name)
                aside.close()
                mkdir_at(spot.folder, spot.name)
                made.append(spot.path)
            elif not stat.S_ISDIR(there.st_mode):
                raise _in_the_way(spot.path, there)
            return spot.path + "/"
        finally:
            spot.close()

    def _enter_all(self, parent: str, names: str, made: list[str]) -> str:
        for name in names.split("/"):
            parent = self._enter(parent, name, made)
        return parent

    def _free_spot(self, parent: str, name: str, made: list[str]) -> Spot:
        """Return the spot for a file: under this name, or another that means the same."""
        *folders, last = name.split("/")
        for folder in folders:
            parent = self._enter(parent, folder, made)
        spot = self._tree.parent(parent + last)
        try:
            there = stat_at(spot.folder, spot.name)
        except FileNotFoundError:
            return spot
        except BaseException:
            spot.close()
            raise
        other = last
        if not self._tree.is_spelled_so(spot.folder, spot.name):
            other = self._tree.clash(last)
        elif stat.S_ISDIR(there.st_mode):
            other = self._tree.marked(last)
        elif stat.S_ISREG(there.st_mode):
            spot.found = there
            return spot
        spot.close()
        if other == last:
            raise _in_the_way(spot.path, there)
        return self._free_spot(parent, other, made)

    def remove_folders(self, paths: Iterable[str]) -> None:
        """Remove directories, the inner ones first, as far as they are empty."""
        for path in sorted(paths, reverse=True):
            with suppress(OSError):
                spot = self._tree.parent(path)
                try:
                    rmdir_at(spot.folder, spot.name)
                    self._tree.forget(path)
                finally:
                    spot.close()

    def prune(self, path: str) -> None:
        """Remove the directories that the removal of a file has left empty; never the root."""
        while (path := path.rpartition("/")[0]) and self._removed(path):
            pass

    def _removed(self, path: str) -> bool:
        try:
            spot = self._tree.parent(path)
        except OSError:
            return False
        try:
            rmdir_at(spot.folder, spot.name)
            self._tree.forget(path)
        except OSError:
            return False
        finally:
            spot.close()
        return True


def _in_the_way(path: str, there: os.stat_result) -> StoreError:
    kind = "a symbolic link, which is not followed," if stat.S_ISLNK(there.st_mode) else "no file"
    return StoreError(
        f"{path!r} in the directory is {kind} and is left as it is; remove it, or use another key"
    )
