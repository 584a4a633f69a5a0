"""Where in the tree the file of a key is, and where it is to be.

A key is turned into a path by `encode_key` and in no other way, and the path is walked from the
root one directory at a time, following no link. A link to a regular file below the root is a key
that can be read: where it leads is found out by name, then walked to from the root like any other
path. Other links, and what is neither a directory nor a regular file, hold no keys; none of them is
ever replaced.

A file is looked for under its plain path, then under the other names that `encore.keys.filenames`
describes: *marked* where a directory has the plain name, in *clash form* where the file system
holds the name for the same as another. On a file system that does that, a name counts only if the
directory lists it in this spelling. Of several files with one key, as copying trees by hand can
make them, the first found counts; all go when the key is removed.

Only this subpackage imports this module.
"""

from __future__ import annotations

import itertools
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from encore.keys.filenames import clash_name, encode_key, marked_name
from encore.keys.ordering import walk_keys
from encore.storage.backends.filesystem.folders import Handle, KeptFolders, Spot
from encore.storage.backends.filesystem.system import (
    Folder,
    close_folder,
    exists_at,
    list_folder,
    open_folder,
    raise_trouble,
    stat_at,
)

OWN_FOLDER = ".encore"


class Tree:
    """The files below a root.

    Parameters
    ----------
    root : Folder
        Open; belongs to the caller.
    place : str
        Its path, for finding out where links lead.
    folding : bool
        Whether the file system merges names that differ in case or composition only.
    windows : bool
        Whether names are made for Windows.
    may_clash : bool
        Whether there may be names in clash form; looking for them takes time.
    """

    def __init__(
        self, root: Folder, place: str, folding: bool, windows: bool, may_clash: bool = True
    ) -> None:
        self.root = root
        self.place = place
        self.folding = folding
        self.windows = windows
        self.may_clash = may_clash
        self.has_links = False  # whether one has been met
        self._kept: KeptFolders | None = None

    def path_of(self, key: str) -> str:
        """Return the plain path of a key."""
        return encode_key(key, windows=self.windows)

    def clash(self, name: str) -> str:
        """Return the clash form of a name."""
        return clash_name(name, windows=self.windows)

    def marked(self, name: str) -> str:
        """Return the marked form of a name."""
        return marked_name(name, windows=self.windows)

    # -- walking ----------------------------------------------------------------------------------

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep the directories open that this thread enters meanwhile."""
        if self._kept is not None:
            yield
            return
        self._kept = kept = KeptFolders(self.root)
        try:
            yield
        finally:
            self._kept = None
            kept.close()

    def forget(self, path: str) -> None:
        """A directory has been removed."""
        if self._kept is not None:
            self._kept.forget(path)

    def parent(self, path: str) -> Spot:
        """Return the spot with this path; OSError if its directory is not there."""
        outer, _, last = path.rpartition("/")
        if not outer:
            return Spot(self.root, last, path, None)
        kept = self._kept
        if kept is not None and kept.thread == threading.get_ident():
            handle = kept.enter(outer)
            return Spot(handle.folder, last, path, handle)
        folder, is_root = self.root, True
        for name in outer.split("/"):
            around = folder
            try:
                folder = open_folder(around, name)
            finally:
                if not is_root:
                    close_folder(around)
            is_root = False
        return Spot(folder, last, path, Handle(folder, is_kept=False))

    def find(self, key: str, *, links: bool = False) -> Spot | None:
        """Return the spot where the file of a key is, None if there is none.

        With ``links`` it may be where a link leads, to be read only.
        """
        spots = self.find_all(key, first=True, links=links)
        return spots[0] if spots else None

    def find_all(self, key: str, *, first: bool = False, links: bool = False) -> list[Spot]:
        """Return every spot with a file of a key, the one that counts first."""
        path = self.path_of(key)
        found: list[Spot] = []
        if not self.may_clash:
            folder, slash, last = path.rpartition("/")
            candidates: Iterable[str] = (path, folder + slash + self.marked(last))
        elif first and not self.folding:
            candidates = itertools.chain((path,), self._forms(path))
        else:
            candidates = self._forms(path)
        try:
            for candidate in candidates:
                self._look(candidate, found, links)
                if first and found:
                    break
        except BaseException:
            for spot in found:
                spot.close()
            raise
        return found

    def is_link(self, key: str) -> bool:
        """Whether the file of a key is a link, and so not to be written."""
        return self.has_links and self.find(key) is None and self.find(key, links=True) is not None

    def _follow(self, path: str) -> Spot | None:
        """Return the spot of the regular file below the root that a link leads to."""
        self.has_links = True
        inside = _end_of(self.place, path)
        if inside is None:
            return None
        try:
            spot = self.parent(inside)
        except OSError as error:
            raise_trouble(error)
            return None
        with suppress(FileNotFoundError):
            there = stat_at(spot.folder, spot.name)
            if stat.S_ISREG(there.st_mode):
                spot.found = there
                return spot
        spot.close()
        return None

    def _look(self, path: str, found: list[Spot], links: bool) -> None:
        """Add the spot with this path if a regular file is there."""
        try:
            spot = self.parent(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            if exists_at(spot.folder, spot.name):  # an exception would take longer
                there = stat_at(spot.folder, spot.name)
                if stat.S_ISREG(there.st_mode) and self.is_spelled_so(spot.folder, spot.name):
                    spot.found = there
                    found.append(spot)
                elif links and stat.S_ISLNK(there.st_mode):
                    target = self._follow(path)
                    if target is not None:
                        found.append(target)
        except FileNotFoundError:
            pass
        finally:
            if spot.found is None:
                spot.close()

    def _forms(self, path: str) -> Iterator[str]:
        """Yield the paths that the file of a key can have, in directories that are there."""
        *names, last = path.split("/")
        folders = [""]
        for name in names:
            forms = (name, self.clash(name))
            folders = [
                folder + form + "/"
                for folder in folders
                for form in forms
                if self._is_folder(folder + form)
            ]
        clashed = self.clash(last)
        last_forms = {last, self.marked(last), clashed, self.marked(clashed)}
        # Sorted as listings are, so that they agree on which of several files counts.
        yield from (folder + form for folder in folders for form in sorted(last_forms))

    def _is_folder(self, path: str) -> bool:
        try:
            spot = self.parent(path + "/")
        except OSError as error:
            raise_trouble(error)
            return False
        spot.close()
        if not self.folding:
            return True
        spot = self.parent(path)
        try:
            return self.is_spelled_so(spot.folder, spot.name)
        finally:
            spot.close()

    def is_spelled_so(self, folder: Folder, name: str) -> bool:
        """Whether an entry that is there is listed in its directory under this very name."""
        if not self.folding:
            return True
        return any(entry.name == name for entry in list_folder(folder))

    # -- listing ----------------------------------------------------------------------------------

    def keys(self, prefix: str, start_after: str | None) -> Iterator[tuple[str, str]]:
        """Yield keys in order, lazily, with the paths of their files."""
        return walk_keys(
            self._list,
            within=self._within(prefix),
            prefix=prefix,
            start_after=start_after,
            windows=self.windows,
        )

    def _list(self, path: str) -> Iterable[tuple[str, bool]]:
        try:
            spot = self.parent(path + "/") if path else Spot(self.root, "", "", None)
        except OSError as error:
            raise_trouble(error)
            return []  # removed meanwhile, or a link
        try:
            return [
                (entry.name, is_folder)
                for entry in list_folder(spot.folder)
                if (is_folder := entry.is_dir(follow_symlinks=False))
                or entry.is_file(follow_symlinks=False)
                or (entry.is_symlink() and self._leads_to_file(path, entry.name))
                if path or entry.name != OWN_FOLDER
            ]
        finally:
            spot.close()

    def _leads_to_file(self, path: str, name: str) -> bool:
        target = self._follow(f"{path}/{name}" if path else name)
        if target is None:
            return False
        target.close()
        return True

    def _within(self, prefix: str) -> str:
        """Return a directory that all keys with the prefix are in, as far as is easily told."""
        within = ""
        names = self.path_of(prefix).split("/")[:-1] if prefix else []
        for name in names:
            if self.folding or (self.may_clash and self._is_folder(within + self.clash(name))):
                break
            within += name + "/"
        return within[:-1]


def _end_of(root: str, path: str) -> str | None:
    """Return the path from the root at which a link ends, None if that is not below the root."""
    root = os.path.realpath(root)
    end = os.path.relpath(os.path.realpath(os.path.join(root, path)), root).replace(os.sep, "/")
    outside = end.partition("/")[0] in ("..", ".", OWN_FOLDER) or os.path.isabs(end)
    return None if outside else end
