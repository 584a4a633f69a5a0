"""What `verify` looks at in a directory: values, and what `.encore` says of them.

Looking changes nothing: not even the own folder comes into being. While the own folder is looked at
nobody may write, since a record is there before its file is. ``engine`` imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from encore.storage.backends.filesystem.journal import DAMAGED, classify
from encore.storage.backends.filesystem.layout import OWN_FOLDER, Tree
from encore.storage.backends.filesystem.locking import FileLock
from encore.storage.backends.filesystem.own import ASIDE, LOCK
from encore.storage.backends.filesystem.records import judge, sidecar_name
from encore.storage.backends.filesystem.session import dead_sessions
from encore.storage.backends.filesystem.sidecars import Sidecars
from encore.storage.backends.filesystem.system import (
    READ,
    Folder,
    close_folder,
    list_folder,
    open_folder,
)
from encore.storage.checking import (
    DAMAGE,
    MISSING,
    ORPHAN,
    UNFINISHED,
    UNKNOWN,
    Problem,
    read_everything,
)


def examine(store: Any, repair: bool) -> Iterator[Problem]:
    """What is wrong with a `FilesystemStore`."""
    tree: Tree = store._ready().tree
    yield from read_everything(store)
    with store._translated("verify", writing=False), _turn(store, repair) as own:
        found = [*_of_own(tree)]
        if own is not None and any(problem.can_repair for problem in found):
            own.recover()  # finishes what was decided, and sweeps up
            _drop_gone(tree, own.sidecars)
            still = {*_of_own(tree)}
            found = [problem if problem in still else problem.repaired() for problem in found]
    yield from found


@contextmanager
def _turn(store: Any, repair: bool) -> Iterator[Any]:
    """Have nobody write meanwhile; with ``repair``, the own folder as a writer has it."""
    directory = store._directory
    if repair:
        with store._unit():
            yield directory.own
        return
    lock = None
    with suppress(OSError):  # where there is no lock, nobody writes
        own = open_folder(directory.tree.root, OWN_FOLDER)
        try:
            lock = FileLock(own, LOCK, READ)
        finally:
            close_folder(own)
    try:
        if lock is not None:
            lock.wait(store.timeout, repr(store))
        yield None
    finally:
        if lock is not None:
            lock.close()


def _of_own(tree: Tree) -> Iterator[Problem]:
    """What is wrong in the own folder; nobody writes."""
    for entry in list_folder(tree.root):
        if entry.name.startswith(ASIDE):
            yield Problem(ORPHAN, None, f"{entry.name} was being removed by a program that died")
    for name, look in (("txn", _of_lists), ("tmp", _of_sessions)):
        folder = _inside(tree, name)
        if folder is not None:
            try:
                yield from look(folder)
            finally:
                close_folder(folder)
    folder = _inside(tree, "meta")
    if folder is not None:
        try:
            for entry in list_folder(folder):
                yield from _of_sidecar(tree, Sidecars(folder, None, False), entry.name)
        finally:
            close_folder(folder)


def _inside(tree: Tree, name: str) -> Folder | None:
    with suppress(OSError):
        own = open_folder(tree.root, OWN_FOLDER)
        try:
            return open_folder(own, name)
        finally:
            close_folder(own)
    return None


def _of_lists(folder: Folder) -> Iterator[Problem]:
    undecided = 0
    for name in sorted(entry.name for entry in list_folder(folder)):
        kind = classify(folder, name)
        where = f"{OWN_FOLDER}/txn/{name}"
        if kind == "decided":
            text = f"a commit is decided and not carried out: {where}; some keys may be old still"
            yield Problem(UNFINISHED, None, text, can_repair=True)
        elif kind == "damaged":
            end = "" if name.endswith(DAMAGED) else "; the next writer puts the list aside"
            text = (
                f"a commit was decided, and its list of changes is damaged: {where}; some keys may "
                f"be as they were before{end}"
            )
            yield Problem(DAMAGE, None, text)
        elif kind == "undecided":
            undecided += 1
        else:
            yield Problem(UNKNOWN, None, f"encore has not made {where}; it is left as it is")
    if undecided:
        text = f"{undecided} lists of commits that did not happen are left in {OWN_FOLDER}/txn"
        yield Problem(ORPHAN, None, text, can_repair=True)


def _of_sessions(folder: Folder) -> Iterator[Problem]:
    for name, count in dead_sessions(folder):
        text = f"a program that died has left {count} files in {OWN_FOLDER}/tmp/{name}"
        yield Problem(ORPHAN, None, text, can_repair=True)


# -- metadata beside files ------------------------------------------------------------------------


def _of_sidecar(tree: Tree, sidecars: Sidecars, name: str) -> Iterator[Problem]:
    where = f"{OWN_FOLDER}/meta/{name}"
    try:
        lines = sidecars.read(name)
    except OSError as error:
        yield Problem(UNKNOWN, None, f"{where} cannot be read: {error.strerror}")
        return
    if not lines:
        return  # somebody died just before the first record
    verdict = judge(lines)
    if verdict.key is None or sidecar_name(verdict.key) != name:
        yield Problem(DAMAGE, None, f"{where} has no good record: the metadata of a key is lost")
        return
    spot = tree.find(verdict.key)
    if spot is None:
        yield _without_file(verdict.key, where, is_gone=verdict.is_gone)
        return
    found = spot.found
    assert found is not None
    spot.close()
    if verdict.is_damaged(found):
        text = f"its record in {where} is damaged; metadata is that of an earlier version, or none"
        yield Problem(DAMAGE, verdict.key, text)
    elif verdict.problem:
        yield Problem(DAMAGE, verdict.key, f"{verdict.problem} ({where})")


def _without_file(key: str, where: str, *, is_gone: bool) -> Problem:
    if is_gone:
        return Problem(ORPHAN, None, f"{where} is left of {key!r}, which is removed", True)
    return Problem(
        MISSING,
        None,
        f"there is metadata of {key!r} in {where}, and no file: another program has removed it; "
        "if it comes back, it gets its metadata back",
    )


def _drop_gone(tree: Tree, sidecars: Sidecars) -> None:
    """Remove the sidecars of keys whose removal came to all but that."""
    for name in [entry.name for entry in list_folder(sidecars.folder)]:
        verdict = judge(sidecars.read(name))
        if verdict.key is not None and verdict.is_gone and sidecar_name(verdict.key) == name:
            spot = tree.find(verdict.key)
            if spot is None:
                sidecars.remove(name)
            else:
                spot.close()
