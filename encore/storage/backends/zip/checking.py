"""What `verify` looks at in an archive: every entry, and the side-car beside it.

``engine`` imports this module.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from encore.storage.backends.filesystem.locking import FileLock
from encore.storage.backends.filesystem.session import dead_sessions
from encore.storage.backends.filesystem.system import READ, close_folder, open_root
from encore.storage.backends.zip.changes import Log
from encore.storage.backends.zip.failures import translated
from encore.storage.backends.zip.sidecars import DATA, LOCK, LOG, NEW, TMP, Sidecar
from encore.storage.checking import MISSING, ORPHAN, UNKNOWN, Problem, read_everything


def examine(store: Any, repair: bool) -> Iterator[Problem]:
    """What is wrong with a `ZipStore`."""
    view = store._current()
    known = set()
    for problem in _lost(view.log, store._sidecar.path):
        known.add(problem.key)
        yield problem
    yield from read_everything(store, known)
    if not os.path.isdir(store._sidecar.path):
        return
    with translated(store, "verify"), _turn(store, repair):
        log = store._current().log
        found = [*_of_sidecar(store._sidecar.path, log)]
        if repair and any(problem.can_repair for problem in found):
            store._sidecar.sweep(() if log is None else log.files)
            if log is not None:
                log.cut_off()
            still = {*_of_sidecar(store._sidecar.path, log)}
            found = [problem if problem in still else problem.repaired() for problem in found]
    yield from found


@contextmanager
def _turn(store: Any, repair: bool) -> Iterator[None]:
    """Have nobody write meanwhile."""
    if repair:
        with store._unit():
            yield
        return
    sidecar: Sidecar = store._sidecar
    lock = None
    with suppress(OSError):  # where there is no lock, nobody writes
        folder = open_root(sidecar.path)
        try:
            lock = FileLock(folder, LOCK, READ)
        finally:
            close_folder(folder)
    try:
        if lock is not None:
            lock.wait(store.timeout, repr(store))
        yield
    finally:
        if lock is not None:
            lock.close()


def _lost(log: Log | None, path: str) -> Iterator[Problem]:
    """Changes whose data is in a file that is not there; looked at twice, since it may have been
    moved into the archive in that moment."""
    if log is None:
        return
    gone = {name for name in log.files if not os.path.exists(os.path.join(path, name))}
    if not gone or not log.is_current(_size(os.path.join(path, LOG))):
        return
    for key, change in log.changes.copy().items():
        if change is not None and change.file in gone:
            where = os.path.basename(path)
            yield Problem(MISSING, key, f"its data was in {where}/{change.file}, which is gone")


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return -1


def _of_sidecar(path: str, log: Log | None) -> Iterator[Problem]:
    """What is wrong in the side-car; nobody writes."""
    where = os.path.basename(path)
    files = {} if log is None else log.files
    for name in sorted(os.listdir(path)):
        if name == NEW:
            yield Problem(ORPHAN, None, f"{where}/{name} is half of an archive", True)
        elif name.startswith(DATA):
            if name not in files:
                text = f"{where}/{name} belongs to a commit that did not happen"
                yield Problem(ORPHAN, None, text, True)
        elif name not in (LOG, LOCK, TMP):
            yield Problem(UNKNOWN, None, f"encore has not made {where}/{name}; it is left as it is")
    if log is not None and log.seen > log.end:
        text = f"{where}/{LOG} ends with {log.seen - log.end} bytes of a commit that did not happen"
        yield Problem(ORPHAN, None, text, True)
    with suppress(FileNotFoundError):
        folder = open_root(os.path.join(path, TMP))
        try:
            for name, count in dead_sessions(folder):
                text = f"a program that died has left {count} files in {where}/{TMP}/{name}"
                yield Problem(ORPHAN, None, text, True)
        finally:
            close_folder(folder)
