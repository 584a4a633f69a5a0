"""The store: opening a directory and its index, and what the options mean."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from encore.errors import EncoreError, StoreError
from encore.events.abstract_event_manager import BaseEventManager
from encore.storage.backends.filesystem.failures import translate
from encore.storage.backends.filesystem.system import (
    Folder,
    close_folder,
    exists_at,
    make_folder,
    stat_at,
    sync_folder,
)
from encore.storage.backends.hashdir import index as texts
from encore.storage.backends.hashdir.checking import examine
from encore.storage.backends.hashdir.plain import PlainFiles, remove_removed
from encore.storage.backends.hashdir.tree import Place, Tree
from encore.storage.backends.hashdir.writing import OWN_FOLDER, sweep_dead
from encore.storage.backends.sqlite.connections import Settings
from encore.storage.backends.sqlite.document import create
from encore.storage.backends.sqlite.failures import translate as translate_engine
from encore.storage.checking import Problem

_INDEX = "index.db"
_OF_FILESYSTEM_STORE = "format.json"
_DIGITS = 64  # of a SHA-256
_MOST_INLINE = 1 << 20


class HashdirStore(PlainFiles):
    """Immutable files under hashed directories, and their records in an SQLite index.

    For millions of keys, or for large data: a file is as fast as a file, and listings, queries,
    transactions and isolation are those of `SqliteStore`. The data of a key is in a file whose
    path is made of the SHA-256 of the key, ``2d/71/16/42b7....1f3a``; the index is in ``.encore``.

    A tree of plain files with the same layout can be read, replaced and removed as it stands;
    `adopt` makes records of them, so that they are listed too.

    Parameters
    ----------
    path : path-like
        The directory; made if it is missing.
    width : int, optional
        Characters in the name of a directory.
    depth : int, optional
        Directories on the way to a file. Both are fixed when the index is made.
    durability : str, optional
        What a commit survives: ``"process"``, a crash of the program, or ``"power"``, a power cut
        too, at the cost of waiting for the disk.
    readonly : bool, optional
        Refuse every write and make nothing, not even the index.
    index : iterable of str, optional
        Metadata fields to index: queries for them are fast.
    inline_bytes : int, optional
        Data of up to this size, in bytes, is kept in the index. 0, as without, makes a file of
        everything but empty data; 1024 or so suits many small values.
    event_manager, timeout
        See `BackendStore`.

    Raises
    ------
    ValueError
        A number is out of range: there is no file name left, or no directory.
    StoreError
        The path is no directory, has another layout, or cannot be opened.
    UnsupportedError
        A newer encore wrote the index.

    Notes
    -----
    A value of more than 64 KiB holds its file open until it is closed. One that is read in a
    transaction opens it when it is read: after the end of the transaction that may be too late
    (`ConflictError`).

    *Threads*: each thread has its own connection to the index; readers never wait for writers.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        width: int = 2,
        depth: int = 3,
        *,
        durability: str = "process",
        readonly: bool = False,
        index: Iterable[str] = (),
        inline_bytes: int = 0,
        event_manager: BaseEventManager | None = None,
        timeout: float = 5.0,
    ) -> None:
        if width < 1 or depth < 1 or width * depth >= _DIGITS:
            raise ValueError(
                f"width and depth are 1 or more, and width * depth less than {_DIGITS}, the "
                f"digits that a key has; not {width!r} and {depth!r}"
            )
        if not 0 <= inline_bytes <= _MOST_INLINE:
            raise ValueError(f"inline_bytes is 0 to {_MOST_INLINE}, not {inline_bytes!r}")
        self.width, self.depth = width, depth
        self._inline_bytes = inline_bytes
        self._form = texts.index_format(width, depth)
        self._place = os.path.abspath(path)
        super().__init__(
            path,
            index=index,
            durability=durability,
            readonly=readonly,
            event_manager=event_manager,
            timeout=timeout,
        )

    def _file(self) -> str:
        return os.path.join(self._place, OWN_FOLDER, _INDEX)

    def _describe(self) -> dict[str, Any]:
        return {
            **super()._describe(),
            "durability": self._asked.durability,
            "width": self.width,
            "depth": self.depth,
            "inline_bytes": self._inline_bytes,
        }

    # -- opening ----------------------------------------------------------------------------------

    def _open(self) -> None:
        with self._opening:
            try:
                self._tree = self._open_tree()
                super()._open()
                connection = self._settings.connect()
                try:
                    self._check_layout(connection)
                finally:
                    connection.close()
            except BaseException as error:
                self._tree = None
                if isinstance(error, OSError):
                    raise self._not_opened(error) from error
                if isinstance(error, sqlite3.Error):
                    raise translate_engine(error, self, "open") from error
                raise

    def _open_tree(self) -> Tree:
        durable = self._asked.durability == "power"
        if not self._asked.readonly:
            os.makedirs(self._place, exist_ok=True)
        tree = Tree(self._place, self.width, self.depth)
        self._refuse_link(tree.root, OWN_FOLDER)
        if not self._is_private():
            own = make_folder(tree.root, OWN_FOLDER)
            try:
                self._refuse_link(own, _INDEX)
                if exists_at(own, _OF_FILESYSTEM_STORE):
                    raise StoreError(
                        f"{self.path!r} is the directory of a FilesystemStore",
                        store=self,
                        operation="open",
                    )
                if durable and not exists_at(own, _INDEX):
                    sync_folder(tree.root)
            finally:
                close_folder(own)
        return tree

    def _is_private(self) -> bool:
        """Whether there is no index and none may be made: an empty one elsewhere stands in."""
        if os.path.isfile(self._asked.path):
            return False
        own = os.path.dirname(self._asked.path)
        place = own if os.path.isdir(own) else self._place
        return self._asked.readonly or not os.access(place, os.W_OK | os.X_OK)

    def _private_settings(self) -> Settings:
        settings = super()._private_settings()
        create(replace(settings, readonly=False), self._form, lambda connection: None)
        return replace(settings, readonly=True)

    def _refuse_link(self, folder: Folder, name: str) -> None:
        """Nothing is written through a link to somewhere else."""
        with suppress(FileNotFoundError):
            if stat.S_ISLNK(stat_at(folder, name).st_mode):
                raise StoreError(
                    f"{name!r} in {self.path!r} is a symbolic link, and is not followed; remove it",
                    store=self,
                    operation="open",
                )

    def _not_opened(self, error: OSError) -> EncoreError:
        if isinstance(error, (FileExistsError, NotADirectoryError)):
            text = f"{self.path!r} is not a directory"
        elif isinstance(error, FileNotFoundError):
            text = f"there is no directory {self.path!r}"
        else:
            return translate(error, self, "open", writing=not self._asked.readonly)
        return StoreError(text, store=self, operation="open")

    def _check_layout(self, connection: sqlite3.Connection) -> None:
        width, depth = connection.execute(texts.LAYOUT).fetchone()
        if (width, depth) != (self.width, self.depth):
            raise StoreError(
                f"{self.path!r} has directories with width={width}, depth={depth}, and was to be "
                f"opened with width={self.width}, depth={self.depth}",
                store=self,
                operation="open",
            )

    def _is_remembered(self, data: tuple[bool, Place]) -> bool:
        is_new, place = data
        return not is_new and self._fetch_one(texts.REMEMBERED, place) is not None

    def _recover(self, connection: sqlite3.Connection) -> None:
        self._check_layout(connection)
        tree = self._tree
        assert tree is not None
        with suppress(OSError, sqlite3.Error):  # what cannot be done now is done another time
            sweep_dead(tree, partial(texts.is_needed, connection))
            remove_removed(connection, tree)

    def _examine(self, repair: bool) -> Iterator[Problem]:
        return examine(self, repair)
