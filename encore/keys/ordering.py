"""A tree of files, read in the order of its keys.

Listings are in code point order of keys, and a directory walk is not: ``a-b`` and ``a.txt`` come
before ``a/b``, ``a0`` after it. Within one directory the entries are therefore sorted by what
their keys begin with, a directory ``a`` as ``a/``. That would do if nothing overlapped, but

- two directories may mean the same text (``a`` and its clash form), so may two files;
- the keys of a continued name ``x…x%=+`` do not go on with ``/``, so a sibling ``x…xa`` falls
  between them.

The one idea: what an entry's keys begin with is a lower bound for all of them. So the walk keeps a
heap of open directories ordered by their next entry, takes the least, and opens it if it is a
directory; whatever overlaps is merged, and nothing else costs more than a sorted list::

    heap                          taken
    root: a.txt  a/  b            a.txt           the key a.txt
    root: a/  b                   a/              opened
    a: a/x  a/y    root: b        a/x             the key a/x
    a: a/y         root: b        a/y             the key a/y
    root: b                       b               the key b

There is no I/O here: whoever walks says how a directory is listed. Stores that keep keys as files
import this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush, heapreplace
from typing import NamedTuple

from encore.keys.filenames import ON_WINDOWS, Place
from encore.keys.rules import MAX_KEY_BYTES

__all__ = ["Entry", "ordered_entries", "walk_keys"]

_ROOT = Place()


class Entry(NamedTuple):
    """One name in a directory that holds a key, or may hold some; entries sort as their keys do.

    Parameters
    ----------
    text : str
        Of a file, its key. Of a directory, what the keys in it begin with: through ``/``, or
        without it inside a chain. Entries overlap where one directory's text begins another
        entry's.
    is_directory : bool
        Which of the two it is.
    name : str
        As listed. Of two files with one key the first in order counts.
    place : Place or None
        Of a directory, for reading what is in it.
    """

    text: str
    is_directory: bool
    name: str
    place: Place | None


def ordered_entries(
    entries: Iterable[tuple[str, bool]], place: Place = _ROOT, *, windows: bool = ON_WINDOWS
) -> list[Entry]:
    """Sort what a directory holds by key, and leave out what is no key's.

    Parameters
    ----------
    entries : iterable of (str, bool)
        The names in the directory, and whether each is a directory, in any order.
    place : Place
        The directory; the root of the store unless given.
    windows : bool
        See `filenames.encode_key`.

    Returns
    -------
    list of Entry
        In the order of their keys, up to the overlaps that `walk_keys` merges.
    """
    found: list[Entry] = []
    for name, is_directory in entries:
        if is_directory:
            inner = place.directory(name, windows=windows)
            if inner is not None and len(inner.text) <= MAX_KEY_BYTES:
                found.append(Entry(inner.text, True, name, inner))
        else:
            key = place.file(name, windows=windows)
            if key is not None:
                found.append(Entry(key, False, name, None))
    # Names differ within a directory, so the comparison never reaches the places.
    found.sort()
    return found


def walk_keys(
    list_directory: Callable[[str], Iterable[tuple[str, bool]]],
    *,
    within: str = "",
    prefix: str = "",
    start_after: str | None = None,
    windows: bool = ON_WINDOWS,
) -> Iterator[tuple[str, str]]:
    """Yield the keys of a tree in code point order, each once, with the paths of their files.

    Directories are listed one at a time, when the walk comes to them; those that cannot hold a
    key asked for are not. Memory grows with the size of the directories on the way down.

    Parameters
    ----------
    list_directory : callable
        Takes the relative path of a directory (``""`` for the root), gives its names and whether
        each is a directory. What it gives is read to the end at once.
    within : str
        The path of a directory to confine the walk to; keys and paths are still those of the
        whole tree.
    prefix : str
        Yield only keys that begin so.
    start_after : str, optional
        Yield only keys greater than this one.
    windows : bool
        See `filenames.encode_key`.

    Yields
    ------
    key, path : str
        If two files have the same key, the one whose directory, then whose name, sorts first.
    """
    start = _place_of(within, windows=windows)
    if start is None:
        return
    after = start_after or ""  # no key is empty, so all are greater
    # The serial number keeps apart the heads of two directories that compare equal, in the order
    # in which the directories were opened.
    heads: list[tuple[str, bool, int, Entry, str, Iterator[Entry]]] = []
    serial = 0

    def open_directory(place: Place, path: str) -> None:
        nonlocal serial
        entries = ordered_entries(list_directory(path), place, windows=windows)
        rest = iter([entry for entry in entries if _may_hold(entry, prefix, after)])
        for entry in rest:
            heappush(
                heads,
                (entry.text, entry.is_directory, serial, entry, path and path + "/", rest),
            )
            serial += 1
            break

    open_directory(start, within)
    last = None
    while heads:
        text, _, number, entry, parent, rest = heads[0]
        following = next(rest, None)
        if following is None:
            heappop(heads)
        else:
            head = (following.text, following.is_directory, number, following, parent, rest)
            heapreplace(heads, head)
        if entry.place is not None:
            open_directory(entry.place, parent + entry.name)
        elif text != last:
            last = text
            yield text, parent + entry.name


def _place_of(path: str, *, windows: bool) -> Place | None:
    place: Place | None = _ROOT
    for name in path.split("/") if path else ():
        place = place and place.directory(name, windows=windows)
    return place


def _may_hold(entry: Entry, prefix: str, after: str) -> bool:
    text = entry.text
    if not entry.is_directory:
        return text > after and text.startswith(prefix)
    if not (text.startswith(prefix) or prefix.startswith(text)):
        return False
    return text > after or after.startswith(text)
