"""The stores under stress: how each is opened, what it may leave behind, and broken ones.

A broken store does on purpose what a store must not, so that each harness can show that it would
notice.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from encore.events.event_manager import EventManager
from encore.keys import check_key
from encore.storage.api import (
    DictStore,
    FilesystemStore,
    HashdirStore,
    SqliteStore,
    StagedStore,
    ZipStore,
)


@dataclass(frozen=True)
class Stressed:
    """A store under stress.

    Attributes
    ----------
    name : str
    open : callable
        ``open(root, **options)`` returns a store whose data is below the directory ``root``.
    residue : callable
        ``residue(root)`` lists what a closed store has left that belongs to no key.
    tolerated : str
        What may stay, if a repair removes it, as `verify` says it.
    """

    name: str
    make: Callable[..., Any]
    residue: Callable[[Path], list[str]]
    tolerated: str = ""

    def open(self, root: Path, **options: Any) -> Any:
        return self.make(root, event_manager=EventManager(), **options)


# -- what is left behind --------------------------------------------------------------------------


def _of_sqlite(root: Path) -> list[str]:
    found = [name for name in os.listdir(root) if name != "store.db"]
    with closing(sqlite3.connect(root / "store.db")) as connection:
        (health,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if health != "ok":
            found.append(health)
        for (blob,) in connection.execute("SELECT blob FROM staging"):
            found.append(f"staged blob {blob}")
        for (blob,) in connection.execute(
            "SELECT DISTINCT id >> 24 FROM chunk EXCEPT SELECT blob >> 24 FROM kv"
            " WHERE blob IS NOT NULL"
        ):
            found.append(f"blob {blob} of no key")
    return found


def _data_files(tree: Path) -> list[str]:
    return [
        os.path.join(place, name)
        for place, _, names in os.walk(tree)
        if ".encore" not in Path(place).parts
        for name in names
    ]


def _of_filesystem(root: Path) -> list[str]:
    tree = root / "tree"
    if not tree.exists():
        return []
    own = tree / ".encore"
    found = [str(path) for name in ("tmp", "txn") for path in (own / name).rglob("*")]
    files = _data_files(tree)
    # Who dies between removing data and its sidecar leaves one that says so, and nothing else.
    sidecars = [path.read_bytes() for path in (own / "meta").glob("*")]
    told = [text for text in sidecars if b'"gone":true' not in text.splitlines()[-1]]
    with FilesystemStore(tree, readonly=True) as store:
        if len(store) != len(files):
            found.append(f"for {len(store)} keys: {files}")
        if len(told) > len(store):
            found.append(f"{len(told)} sidecars for {len(store)} keys")
    return found


def _of_hashdir(root: Path) -> list[str]:
    tree = root / "tree"
    if not tree.exists():
        return []
    own = tree / ".encore"
    found = [str(path) for path in (own / "sessions").glob("*")]
    found += [name for name in os.listdir(own) if name not in ("index.db", "sessions")]
    with closing(sqlite3.connect(own / "index.db")) as connection:
        (health,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        (needed,) = connection.execute("SELECT count(*) FROM kv WHERE blob IS NOT NULL").fetchone()
    if health != "ok":
        found.append(health)
    files = _data_files(tree)
    if len(files) != needed:
        found.append(f"for {needed} records: {files}")
    return found


def _of_zip(root: Path) -> list[str]:
    found = [name for name in os.listdir(root) if name != "store.zip"]
    if (root / "store.zip").exists():
        with zipfile.ZipFile(root / "store.zip") as archive:
            bad = archive.testzip()
        if bad is not None:
            found.append(f"{bad} is damaged")
    return found


SQLITE = Stressed("sqlite", lambda root, **o: SqliteStore(root / "store.db", **o), _of_sqlite)
FILESYSTEM = Stressed(
    "filesystem",
    lambda root, **o: FilesystemStore(root / "tree", **o),
    _of_filesystem,
    # Who dies between removing a file and its sidecar leaves the latter: some hundred bytes.
    tolerated="which is removed",
)
HASHDIR = Stressed("hashdir", lambda root, **o: HashdirStore(root / "tree", **o), _of_hashdir)
ZIP = Stressed("zip", lambda root, **o: ZipStore(root / "store.zip", **o), _of_zip)

STORES = [SQLITE, FILESYSTEM, HASHDIR, ZIP]

#: In memory: only threads can contend for it.
DICT = Stressed("dict", lambda root, **o: DictStore(**o), lambda root: [])

# -- broken on purpose ----------------------------------------------------------------------------


class InPlaceStore(StagedStore):
    """Writes each file where it stays, one after the other, without a journal."""

    def __init__(self, path: Path, durability: str = "process", **options: Any) -> None:
        super().__init__(**options)
        self.path = path
        path.mkdir(exist_ok=True)

    def _lookup(self, key: str) -> Any:
        check_key(key)
        try:
            with open(self.path / quote(key, safe=""), "rb") as file:
                head = file.readline()
                data = file.read()
        except FileNotFoundError:
            return None
        try:
            return (data, *json.loads(head))
        except ValueError:
            return (data, "{}", len(data), 0.0, 0.0, "torn")

    def _keys(self, prefix: str, start_after: str | None) -> Iterator[str]:
        keys = sorted(unquote(name) for name in os.listdir(self.path))
        return (
            key
            for key in keys
            if key.startswith(prefix) and (start_after is None or key > start_after)
        )

    def _stage(self, chunks: Iterator[bytes]) -> Any:
        return _Joined(b"".join(chunks))

    def _apply(self, batch: Any) -> None:
        for key, record in batch.items():
            place = self.path / quote(key, safe="")
            if record is None:
                place.unlink(missing_ok=True)
            else:
                with open(place, "wb") as file:
                    file.write(json.dumps(record[1:]).encode() + b"\n")
                    file.write(record[0])


class _Joined(bytes):
    size = property(len)

    def discard(self) -> None: ...


class UnlockedStore(FilesystemStore):
    """Lets other processes write while a transaction is open."""

    def _enter_writer(self, timeout: float) -> None:
        super()._enter_writer(timeout)
        super()._leave_writer()

    def _leave_writer(self) -> None: ...


class DirtyStore(DictStore):
    """Shows every thread what another one has not committed yet."""

    def _lookup(self, key: str) -> Any:
        for level in reversed(self._pending or ()):
            if key in level:
                return level[key]
        return super()._lookup(key)


class StaleStore(DictStore):
    """Believes for a moment what it has read, also where it is about to write."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._believed: dict[str, tuple[float, Any]] = {}

    def _lookup(self, key: str) -> Any:
        at, record = self._believed.get(key, (0.0, None))
        if record is None or time.monotonic() - at > 0.002:
            record = super()._lookup(key)
            if key.startswith("count/"):
                self._believed[key] = (time.monotonic(), record)
        return record


class LeakyStore(FilesystemStore):
    """Keeps a descriptor of each step open, and a file."""

    def _apply(self, batch: Any) -> None:
        super()._apply(batch)
        with suppress(OSError):
            os.dup(1)
            with open(f"{self.path}/.encore/{time.time_ns()}", "wb") as file:
                file.write(bytes(50_000))


class ForgetfulStore(SqliteStore):
    """Drops, when it is opened, the last step of its history: as if that came after the data."""

    def _open(self) -> None:
        super()._open()
        with closing(sqlite3.connect(self.path)) as connection, suppress(sqlite3.OperationalError):
            last = "SELECT max(id) FROM history_step"
            connection.execute(f"DELETE FROM history_step WHERE id = ({last})")
            connection.commit()


def _unsynced(store: Stressed) -> Stressed:
    """A store that promises to survive power cuts, and does not wait for the disk."""

    def make(root: Path, **options: Any) -> Any:
        return store.make(root, **{**options, "durability": "process"})

    return Stressed(f"unsynced-{store.name}", make, store.residue)


def _nothing(root: Path) -> list[str]:
    return []


IN_PLACE = Stressed("in-place", lambda root, **o: InPlaceStore(root / "tree", **o), _nothing)
UNLOCKED = Stressed("unlocked", lambda root, **o: UnlockedStore(root / "tree", **o), _nothing)
STALE = Stressed("stale", lambda root, **o: StaleStore(**o), _nothing)
DIRTY = Stressed("dirty", lambda root, **o: DirtyStore(**o), _nothing)
LEAKY = Stressed("leaky", lambda root, **o: LeakyStore(root / "tree", **o), _of_filesystem)
FORGETFUL = Stressed("forgetful", lambda root, **o: ForgetfulStore(root / "f.db", **o), _nothing)
BROKEN = [IN_PLACE, UNLOCKED, DIRTY, STALE, LEAKY, FORGETFUL, *map(_unsynced, STORES)]

BY_NAME = {store.name: store for store in [*STORES, DICT, *BROKEN]}
