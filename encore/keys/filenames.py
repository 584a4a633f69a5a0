"""A key <-> the relative path of its file, for every legal key.

The one idea: key ``a/b.txt`` is file ``a/b.txt``, so that a tree of ordinary files is a store as
it stands; `names` says what becomes of the segments that cannot be names. The path `encode_key`
gives is relative by construction: no component is empty, ``.`` or ``..``, none has more than 255
bytes, and the first is never ``.encore``. Joined to a root it stays below that root.

A key has one path, and others for when that one is taken, made by a store that finds a clash:

- `marked_name` of the last component, where a directory has the plain name;
- `clash_name` of any component, where the file system holds the name for the same as another's.

`decode_path` accepts exactly these and is None for every other path, whose file is not a value.
A 32-bit digest keeps the names of a clash apart by accident, not against malice: a store on a file
system that merges names still compares the name in the listing before it overwrites a file.

Whether a path is made for Windows is part of its spelling: a store that is shared between systems
has to fix ``windows`` once and for all.

Stores that keep keys as files import this module; `Place` is for those that walk directories.
"""

from __future__ import annotations

from dataclasses import dataclass

from encore.errors import InvalidKeyError
from encore.keys.escapes import ON_WINDOWS, cut, escape, is_plain
from encore.keys.names import (
    CONTINUED,
    MARKED,
    Part,
    clash_name,
    fits,
    is_marked,
    marked_name,
    read_name,
    write_name,
)
from encore.keys.rules import check_key

__all__ = [
    "ON_WINDOWS",
    "Place",
    "clash_name",
    "decode_path",
    "encode_key",
    "is_marked",
    "marked_name",
]


def encode_key(key: str, *, windows: bool = ON_WINDOWS) -> str:
    """Return the path of the file for `key`, unless something else has that path.

    Parameters
    ----------
    key : str
        A legal key; it is not checked again.
    windows : bool
        Whether the names have to be legal on Windows; by default, whether this is Windows.

    Returns
    -------
    str
        A relative path with ``/`` between its components. No two keys have the same one.
    """
    if is_plain(key, windows=windows):
        return key
    first, *others = key.split("/")
    names = [write_name(first, windows=windows, root=True)]
    names += [write_name(segment, windows=windows, root=False) for segment in others]
    return "/".join(names)


def decode_path(path: str, *, windows: bool = ON_WINDOWS) -> str | None:
    """Return the key of the file at `path`.

    Parameters
    ----------
    path : str
        A relative path with ``/`` between its components, as the system lists the names (bytes
        that are no UTF-8 as lone surrogates).
    windows : bool
        See `encode_key`.

    Returns
    -------
    str or None
        The key, or None if no key is ever kept in such a file.
    """
    if not path:
        return None
    if is_plain(path, windows=windows):
        return _legal(path)
    place = Place()
    *directories, file = path.split("/")
    for name in directories:
        inner = place.directory(name, windows=windows)
        if inner is None:
            return None
        place = inner
    return place.file(file, windows=windows)


@dataclass(frozen=True, slots=True)
class Place:
    """A directory of the tree, and what its names mean there; ``Place()`` is the root.

    Parameters
    ----------
    text : str
        What all keys of this directory begin with; for a finished segment, up to its ``/``.
    pieces : tuple of str
        Inside a chain, the pieces so far of the segment that is being continued.
    clashed : bool
        Inside a chain, whether its first name is in clash form.
    """

    text: str = ""
    pieces: tuple[str, ...] = ()
    clashed: bool = False

    def directory(self, name: str, *, windows: bool = ON_WINDOWS) -> Place | None:
        """Return the place of the directory `name` in this one, None if it holds no keys."""
        if not self.pieces and name.isascii() and name and is_plain(name, windows=windows):
            return Place(f"{self.text}{name}/")
        part = read_name(name, windows=windows, root=not self.text)
        if part is None or part.end == MARKED:
            return None
        text = self.text + part.text
        if part.end == CONTINUED:
            clashed = self.clashed if self.pieces else part.clashed
            return Place(text, (*self.pieces, part.text), clashed)
        return Place(text + "/") if self._ends_with(part, windows=windows) else None

    def file(self, name: str, *, windows: bool = ON_WINDOWS) -> str | None:
        """Return the key of the file `name` in this directory, None if it holds no value."""
        if not self.pieces and name and is_plain(name, windows=windows):
            return _legal(self.text + name)
        part = read_name(name, windows=windows, root=not self.text)
        if part is None or part.end == CONTINUED or not self._ends_with(part, windows=windows):
            return None
        return _legal(self.text + part.text)

    def _ends_with(self, part: Part, *, windows: bool) -> bool:
        """Return whether a segment that ends with `part` here would have been written so."""
        if not self.pieces:
            return True
        pieces = [*self.pieces, part.text]
        segment = "".join(pieces)
        root = len(self.text) == len(segment) - len(part.text)
        body = escape(segment, windows=windows, root=root)
        whole = fits(body, clashed=self.clashed, marked=part.end == MARKED)
        return not whole and cut(segment, windows=windows) == pieces


def _legal(key: str) -> str | None:
    try:
        check_key(key)
    except InvalidKeyError:
        return None
    return key
