"""Copying whole stores, and what it costs to be watched at it."""

from __future__ import annotations

import io
import itertools
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from encore.events.api import EventManager
from encore.storage.api import SqliteStore, copy_store
from encore.terminal import ProgressDisplay
from tests.benchmarks import raw_sqlite as raw
from tests.benchmarks.files import replace_file
from tests.benchmarks.harness import (
    MIB,
    Contender,
    Lab,
    Pattern,
    Trial,
    Work,
    at_least,
    at_most,
    benchmark,
    fresh_keys,
    fresh_values,
)
from tests.benchmarks.sqlite_single import BOTH

_SIZE = 10_240


def _count(lab: Lab) -> int:
    return lab.pick(10_000, 2_000)


def _tree(lab: Lab, count: int) -> Path:
    """Plain files of 10 KiB in 100 directories."""
    root: Path = lab.enter(lab.scratch()) / "tree"
    for group in range(100):
        (root / f"{group:02d}").mkdir(parents=True)
    for key in fresh_keys(count):
        (root / key).write_bytes(os.urandom(_SIZE))
    return root


def _database(lab: Lab, count: int) -> Path:
    path: Path = lab.enter(lab.scratch()) / "s.db"
    with SqliteStore(path) as store:
        store.multiset(fresh_keys(count), fresh_values(count, _SIZE))
    return path


def _trial(
    lab: Lab,
    count: int,
    source: Any,
    target: Callable[[Path], Any],
    limit: Callable[[Path], Work],
) -> Trial:
    def encore() -> Generator[Work, None, None]:
        with lab.scratch() as directory, target(directory / "target") as store:
            yield lambda: copy_store(source, store)
            assert len(store) == count

    def by_hand() -> Generator[Work, None, None]:
        with lab.scratch() as directory:
            yield limit(directory)

    return Trial({"encore": encore, "R": by_hand}, count, repeats=5)


@benchmark("copy directory to sqlite", unit="keys/s", goals=[at_least(0.65, "R")], places=BOTH)
def directory_to_sqlite(lab: Lab) -> Trial:
    """10,000 files of 10 KiB, plain ones that no store has written, into an empty store.

    R: `os.walk`, each file opened, read and closed, a row and a chunk row for it by `execute`, all
    in one transaction.
    """
    from encore.storage.api import FilesystemStore

    count = _count(lab)
    tree = _tree(lab, count)

    def limit(directory: Path) -> Work:
        connection = raw.create(directory / "r.db")

        def work() -> None:
            execute, number = connection.execute, itertools.count(1)
            execute("BEGIN IMMEDIATE")
            for folder, _, names in os.walk(tree):
                group = folder[len(str(tree)) + 1 :]
                for name in names:
                    handle = os.open(f"{folder}/{name}", os.O_RDONLY)
                    data = os.read(handle, _SIZE + 1)
                    os.close(handle)
                    blob = next(number) << 24
                    execute(raw.ADD_CHUNK, (blob, data))
                    execute(
                        raw.PUT_BLOB,
                        (f"{group}/{name}", hex(raw.next_token()), raw.time(), len(data), blob),
                    )
            execute("COMMIT")

        return work

    return _trial(lab, count, lab.enter(FilesystemStore(tree)), SqliteStore, limit)


@benchmark("copy sqlite to directory", unit="keys/s", goals=[at_least(0.6, "R")], places=BOTH)
def sqlite_to_directory(lab: Lab) -> Trial:
    """10,000 values of 10 KiB into an empty directory.

    R: one cursor over keys and data; for each a temporary file, one write, one rename; directories
    made as they come. It keeps neither times nor tokens, and is not atomic as a whole.
    """
    from encore.storage.api import FilesystemStore

    count = _count(lab)
    path = _database(lab, count)

    def limit(directory: Path) -> Work:
        connection = raw.open_file(path)
        root, temporary = _target(directory)

        def work() -> None:
            seen: set[str] = set()
            rows = connection.execute(
                "SELECT key, chunk.data FROM kv JOIN chunk ON chunk.id=kv.blob ORDER BY key"
            )
            for number, (key, data) in enumerate(rows):
                _make_group(root, key, seen)
                replace_file(root, f"{temporary}/{number}", key, data)

        return work

    return _trial(lab, count, lab.enter(SqliteStore(path)), FilesystemStore, limit)


@benchmark("copy directory to directory", unit="keys/s", goals=[at_least(0.5, "R")], places=BOTH)
def directory_to_directory(lab: Lab) -> Trial:
    """10,000 files of 10 KiB into an empty directory.

    R: `os.walk`, each file read; for each a temporary file, one write, one rename; directories
    made as they come. It keeps neither times nor tokens, and is not atomic as a whole.
    """
    from encore.storage.api import FilesystemStore

    count = _count(lab)
    tree = _tree(lab, count)

    def limit(directory: Path) -> Work:
        root, temporary = _target(directory)

        def work() -> None:
            seen: set[str] = set()
            numbers = itertools.count()
            for folder, _, names in os.walk(tree):
                group = folder[len(str(tree)) + 1 :]
                for name in names:
                    handle = os.open(f"{folder}/{name}", os.O_RDONLY)
                    data = os.read(handle, _SIZE + 1)
                    os.close(handle)
                    key = f"{group}/{name}"
                    _make_group(root, key, seen)
                    replace_file(root, f"{temporary}/{next(numbers)}", key, data)

        return work

    return _trial(lab, count, lab.enter(FilesystemStore(tree)), FilesystemStore, limit)


def _target(directory: Path) -> tuple[str, str]:
    (directory / "target").mkdir()
    (directory / "temporary").mkdir()
    return str(directory / "target"), str(directory / "temporary")


def _make_group(root: str, key: str, seen: set[str]) -> None:
    group = key.rpartition("/")[0]
    if group not in seen:
        os.mkdir(f"{root}/{group}")
        seen.add(group)


@benchmark(
    "copy 1 GiB with a bar",
    unit="s",
    goals=[at_most(1.02, "no bar")],
    places=("tmpfs",),
    quick=False,  # what is copied in a moment is copied in less than drawing a bar takes
)
def bar(lab: Lab) -> Trial:
    """SqliteStore to SqliteStore, a bar drawn into a `StringIO`; seconds of the processor."""
    size = 1024 * MIB
    lab.warm(2 * size)
    path: Path = lab.enter(lab.scratch()) / "s.db"
    with SqliteStore(path) as store:
        store.put("large", Pattern(size))
        with ProgressDisplay(store.event_manager, mode="on", file=io.StringIO()):
            store.to_file("large", path.with_name("loads tqdm"))

    def contender(*, watched: bool) -> Contender:
        def run() -> Generator[Work, None, None]:
            manager = EventManager()
            drawn = io.StringIO()
            with (
                lab.scratch() as directory,
                SqliteStore(path, event_manager=manager) as source,
                SqliteStore(directory / "t.db", event_manager=manager) as target,
            ):
                target.put("warm", b"warm")

                def work() -> float:
                    began = time.process_time()
                    if watched:
                        with ProgressDisplay(manager, mode="on", file=drawn):
                            copy_store(source, target)
                    else:
                        copy_store(source, target)
                    return time.process_time() - began

                yield work
                assert bool(drawn.getvalue()) == watched

        return run

    contenders = {"encore": contender(watched=True), "no bar": contender(watched=False)}
    return Trial(contenders, repeats=5)
