"""Does a file system merge names that we tell apart? The one place of this room with I/O.

The one idea: ask the file system for an entry under another spelling, its case swapped or its
accents composed or decomposed; if it answers with the very same file, it merges names. The answer
is about one directory: ext4 and NTFS decide it per directory.

Stores that keep keys as files import this module.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from uuid import uuid4

__all__ = ["folds_names", "folds_names_by_writing"]

# Entries looked at before giving up: most directories tell by their first one.
_MAX_ENTRIES = 200


def folds_names(directory: str | os.PathLike[str]) -> bool | None:
    """Return whether `directory` merges names, as far as can be told without writing.

    Parameters
    ----------
    directory : str or path-like
        An existing directory; only entries in it are looked at.

    Returns
    -------
    bool or None
        True if it merges names that differ in case, or in Unicode normalisation; False if not;
        None if the entries do not tell, for example because all names are ASCII.
    """
    told: dict[str, bool] = {}
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in islice(entries, _MAX_ENTRIES)]
    except OSError:
        return None
    for name in names:
        for what, spelling in _other_spellings(name):
            if what in told:
                continue
            merged = _is_same(directory, name, spelling)
            if merged:
                return True
            if merged is False:
                told[what] = False
        if len(told) == 2:
            return False
    # Case alone does not settle it: ZFS and APFS can keep case apart and merge é with é.
    return None


#: How the names of files begin that are made to find out. No key has such a name
#: (`filenames.decode_path` refuses the escape), whoever may see it.
PROBE = "%=Probe-"


def folds_names_by_writing(directory: str | os.PathLike[str]) -> bool:
    """Return whether `directory` merges names, by making a file in it and removing it again.

    Parameters
    ----------
    directory : str or path-like
        An existing, writable directory.

    Returns
    -------
    bool
        See `folds_names`.

    Raises
    ------
    OSError
        If the file cannot be made.
    """
    name = f"{PROBE}\u00e9-{uuid4().hex}"
    path = Path(directory, name)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        return any(_is_same(directory, name, other) for _, other in _other_spellings(name))
    finally:
        path.unlink()


def _other_spellings(name: str) -> Iterator[tuple[str, str]]:
    """Yield the names that some file system holds for the same, and what they differ in."""
    swapped = name.swapcase()
    # ß and its like change their length: whether that is folding is another question.
    if swapped != name and swapped.swapcase() == name:
        yield "case", swapped
    if not name.isascii():
        from unicodedata import normalize

        for spelling in (normalize("NFC", name), normalize("NFD", name)):
            if spelling != name:
                yield "normalisation", spelling


def _is_same(directory: str | os.PathLike[str], name: str, other: str) -> bool | None:
    """Return whether two names are one entry, None if that cannot be told."""
    try:
        ours = os.lstat(os.path.join(directory, name))
    except OSError:
        return None
    try:
        theirs = os.lstat(os.path.join(directory, other))
    except FileNotFoundError:
        return False
    except OSError:
        return None
    if (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino):
        return False
    # Two hard links to one file look the same; directories have no hard links.
    return True if stat.S_ISDIR(ours.st_mode) or ours.st_nlink == 1 else None
