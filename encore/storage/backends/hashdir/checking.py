"""What `verify` looks at in a hashed directory: the index, the files, and whether they agree.

A file whose name is of a version ought to have a record, or a place in the list of whoever writes
it. The names of files do not tell keys, so those that the index knows are gathered in a temporary
database, which needs no memory however many there are, and the directories are walked beside it.
What seems wrong is looked at once more, since others may be writing. ``store`` imports this module.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import islice
from typing import Any

from encore.storage.backends.filesystem.session import dead_sessions
from encore.storage.backends.filesystem.system import (
    Folder,
    close_folder,
    list_folder,
    open_folder,
)
from encore.storage.backends.hashdir import index
from encore.storage.backends.hashdir.plain import remove_removed
from encore.storage.backends.hashdir.tree import Place, Tree
from encore.storage.backends.hashdir.writing import OWN_FOLDER, SESSIONS, places_of, sweep_dead
from encore.storage.backends.sqlite.checking import begin, records, structure, unreadable
from encore.storage.checking import (
    DAMAGE,
    MISSING,
    ORPHAN,
    UNKNOWN,
    Problem,
    read_everything,
)

_VERSION = re.compile(r"[0-9a-f]+\.[0-9a-f]{1,16}")
_AT_ONCE = 10_000


def examine(store: Any, repair: bool) -> Iterator[Problem]:
    """What is wrong with a `HashdirStore`."""
    try:
        yield from _examine(store, store._files(), repair)
    except sqlite3.Error as error:
        yield unreadable(store, error)


def _examine(store: Any, tree: Tree, repair: bool) -> Iterator[Problem]:
    yield from structure(store, repair)
    connection = begin(store)
    try:
        removed = connection.execute(index.ALL_REMOVED).fetchall()
        suspects = [*records(connection, partial(_whole, tree))]
    finally:
        connection.close()
    known = set()
    for problem in _once_more(store, tree, suspects):
        known.add(problem.key)
        yield problem
    yield from read_everything(store, known)
    yield from _unused(store, tree)
    yield from _left(store, tree, removed, repair)


# -- from records to files ------------------------------------------------------------------------


def _whole(
    tree: Tree, connection: sqlite3.Connection, key: str, size: int, version: int
) -> Iterator[Problem]:
    place = Place(key, version)
    found = tree.status(place)
    names, name = tree.names_of(place)
    path = "/".join((*names, name))
    if found is None:
        yield Problem(MISSING, key, f"its file {path} is gone")
    elif found.st_size != size:
        yield Problem(DAMAGE, key, f"its file {path} has {found.st_size:,} bytes, not {size:,}")


def _once_more(store: Any, tree: Tree, suspects: list[Problem]) -> Iterator[Problem]:
    """Those problems that are still there, of keys that others may have replaced meanwhile."""
    for problem in suspects:
        if problem.key is None:
            yield problem
            continue
        connection = begin(store)
        try:
            yield from records(connection, partial(_whole, tree), problem.key)
        finally:
            connection.close()


# -- from files to records ------------------------------------------------------------------------


def _unused(store: Any, tree: Tree) -> Iterator[Problem]:
    suspects = [*_unrecorded(store, tree, _walk(tree, tree.root, 0, ""))]
    if not suspects:
        return
    # Whoever was writing one of them may be done by now; and what is on a list is being written.
    listed = {"/".join((*names, name)) for names, name in map(tree.names_of, _listed(tree))}
    left = [path for path in suspects if path not in listed and tree.exists(path)]
    for path in _unrecorded(store, tree, left):
        yield Problem(
            UNKNOWN,
            None,
            f"the file {path} belongs to no record, and no program left it; it is left as it is",
        )


def _unrecorded(store: Any, tree: Tree, paths: Any) -> Iterator[str]:
    """Those files that no record, and no history, has."""
    with closing(sqlite3.connect("")) as known:  # in a temporary file, if it grows
        known.execute("CREATE TABLE known(path TEXT PRIMARY KEY) WITHOUT ROWID")
        connection = begin(store)
        try:
            for statement in index.recorded(connection):
                for places in _batches(connection.execute(statement)):
                    rows = []
                    for place in places:
                        names, name = tree.names_of(Place(*place))
                        rows.append(("/".join((*names, name)),))
                    known.executemany("INSERT OR IGNORE INTO known VALUES(?)", rows)
        finally:
            connection.close()
        for path in paths:
            if known.execute("SELECT 1 FROM known WHERE path=?", (path,)).fetchone() is None:
                yield path


def _batches(rows: Any) -> Iterator[list[Any]]:
    while batch := [*islice(rows, _AT_ONCE)]:
        yield batch


def _walk(tree: Tree, folder: Folder, depth: int, path: str) -> Iterator[str]:
    """The paths of all files whose names are of versions."""
    width, most = tree.width, tree.depth
    for entry in sorted(list_folder(folder), key=lambda entry: entry.name):
        name = entry.name
        if depth == most:
            if _VERSION.fullmatch(name) and entry.is_file(follow_symlinks=False):
                yield path + name
        elif len(name) == width and entry.is_dir(follow_symlinks=False):
            with suppress(OSError):  # somebody has just removed it, since it was empty
                inner = open_folder(folder, name)
                try:
                    yield from _walk(tree, inner, depth + 1, f"{path}{name}/")
                finally:
                    close_folder(inner)


# -- what waits -----------------------------------------------------------------------------------


def _sessions(tree: Tree) -> Folder | None:
    with suppress(OSError):
        own = open_folder(tree.root, OWN_FOLDER)
        try:
            return open_folder(own, SESSIONS)
        finally:
            close_folder(own)
    return None


def _listed(tree: Tree) -> Iterator[Place]:
    """The files on the lists of all that write."""
    parent = _sessions(tree)
    if parent is None:
        return
    try:
        for entry in list(list_folder(parent)):
            if entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    folder = open_folder(parent, entry.name)
                    try:
                        yield from places_of(folder)
                    finally:
                        close_folder(folder)
    finally:
        close_folder(parent)


def _left(store: Any, tree: Tree, removed: list[Any], repair: bool) -> Iterator[Problem]:
    """What the dead have left, and plain files that nobody has come to remove."""
    parent = _sessions(tree)
    dead = [] if parent is None else [*dead_sessions(parent)]
    if parent is not None:
        close_folder(parent)
    connection = begin(store)
    try:
        still = {*connection.execute(index.ALL_REMOVED)}.intersection(removed)
    finally:
        connection.close()
    texts = [
        f"a program that died has left {count} files in .encore/{SESSIONS}/{name}"
        for name, count in dead
    ]
    if still:
        texts.append(f"{len(still)} files of removed keys have not been removed yet")
    is_mended = repair and bool(texts) and _clear_up(store, tree)
    for text in texts:
        yield Problem(ORPHAN, None, text, can_repair=True, is_repaired=is_mended)


def _clear_up(store: Any, tree: Tree) -> bool:
    connection = store._settings.connect()
    try:
        sweep_dead(tree, partial(index.is_needed, connection))
        remove_removed(connection, tree)
    except (OSError, sqlite3.Error):
        return False
    finally:
        connection.close()
    return True
