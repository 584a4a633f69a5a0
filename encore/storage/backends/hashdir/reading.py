"""Reading: from a record to the file of its version.

Every record that anybody can see has its file. Only who has read a record just before may come too
late for the file, and looks again. Who holds a large value holds its file open, and keeps it so.

``files`` imports this module.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from encore.errors import ConflictError, CorruptValueError
from encore.keys.rules import check_key
from encore.storage.backends.filesystem.contents import SMALL, FileContent
from encore.storage.backends.filesystem.failures import translate
from encore.storage.backends.filesystem.system import read_all
from encore.storage.backends.hashdir.tree import Place, Tree
from encore.storage.backends.hashdir.versions import FileOwner, Version
from encore.storage.backends.sqlite import statements as sql
from encore.storage.backends.sqlite.records import Records
from encore.storage.content import clip
from encore.storage.metadata import decode_metadata, select_metadata
from encore.storage.transactions.owners import OwnerState
from encore.storage.values import Value

# How often a reader looks again; each time a writer was faster.
_TRIES = 1000


class FilesRead(Records):
    """Records, and the data of files.

    The parameters are those of `HashdirStore`.
    """

    _owner: FileOwner
    _inline_bytes = 0
    _tree: Tree | None = None

    def _new_owner(self) -> OwnerState:
        return FileOwner()

    def _files(self) -> Tree:
        """Where the files are; opens the store on its first use."""
        tree = self._tree
        if tree is None:
            self._opened()
            tree = self._tree
            assert tree is not None
        return tree

    @contextmanager
    def _translated(
        self, operation: str, key: str | None = None, *, writing: bool = True
    ) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise translate(error, self, operation, key, writing=writing) from error

    # -- reading ----------------------------------------------------------------------------------

    def _unrecorded(self, key: str) -> Value | None:
        """The value of a key that has no record."""
        return None

    def _find(self, key: str) -> Value | None:
        check_key(key)
        row = self._fetch_one(self._finding.one, (key,))
        return self._unrecorded(key) if row is None else self._value(row)

    def _find_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Value | None]]:
        for key, value in super()._find_many(keys):
            yield key, self._unrecorded(key) if value is None else value

    def _value(self, row: tuple[Any, ...]) -> Value | None:
        for _ in range(_TRIES):
            key, text, size, created, modified, token, blob, data = row
            content: Any = data
            if blob is not None:
                place = Place(key, blob)
                if self._context() is None:
                    content = self._load(place, size)
                else:
                    content = Version(place, size, partial(self._load_again, place, size))
            if content is not None:
                return Value.of(content, text, size, created, modified, token, blob)
            row = self._fetch_one(self._finding.one, (key,))
            if row is None:
                return self._unrecorded(key)
            if row[6] == blob:
                raise self._damaged(key, "its file is missing" if blob else "it has no data")
        raise ConflictError(
            f"{key!r} was replaced again and again while it was being read; try again", key=key
        )

    def _load(self, place: Place, size: int) -> bytes | FileContent | None:
        """Read a small file, or hold a large one open; None if it is not there."""
        tree = self._tree or self._files()
        descriptor: int | None = None
        try:
            descriptor = tree.open(place)
            if descriptor is None:
                return None
            if size <= SMALL:
                data = read_all(descriptor, size)
                if len(data) != size:
                    raise self._damaged(place.key, f"its file has {len(data)} bytes, not {size}")
                return data
            content, descriptor = self._hold(descriptor, place, size), None
            return content
        except OSError as error:
            raise translate(error, self, "get", place.key, writing=False) from error
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _hold(self, descriptor: int, place: Place, size: int) -> FileContent:
        """A content that has an open file; the caller keeps it if that is not as it should be."""
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            raise self._damaged(place.key, f"its file has {status.st_size} bytes, not {size}")
        return FileContent(descriptor, size)

    def _load_again(self, place: Place, size: int) -> FileContent:
        """Open a file for a value that was read in a transaction."""
        with self._translated("get", place.key, writing=False):
            descriptor = self._files().open(place)
            if descriptor is None:
                raise ConflictError(
                    f"{place.key!r} has been replaced, removed or undone since this value was "
                    "read in a transaction; get it again",
                    key=place.key,
                )
            try:
                return self._hold(descriptor, place, size)
            except BaseException:
                os.close(descriptor)
                raise

    def _damaged(self, key: str, how: str) -> CorruptValueError:
        return CorruptValueError(f"{key!r} in {self!r} is damaged: {how}", key=key, store=self)

    def _read(self, key: str) -> bytes | None:
        check_key(key)
        row = self._fetch_one(sql.PLACE, (key,))
        if row is not None:
            size, blob, data = row
            if blob is None:
                return data  # type: ignore[no-any-return]
            content = self._load(Place(key, blob), size)
            if isinstance(content, bytes):
                return content
            if content is not None:
                try:
                    return content.read(0, size)
                finally:
                    content.close()
        value = self._find(key)
        if value is None:
            return None
        try:
            return value.read()
        finally:
            value.close()

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        value = self._find(key)
        if value is None:
            return None
        try:
            content: Any = value.content
            start, end = clip(start, end, value.size or 0)
            return content[start:end] if type(content) is bytes else content.read(start, end)
        finally:
            value.close()

    def get_metadata(self, key: str, select: Iterable[str] | None = None) -> dict[str, Any]:
        check_key(key)
        row = self._fetch_one(self._finding.one, (key,))
        if row is None:  # never opens a file for a key that has a record
            return super().get_metadata(key, select)
        return select_metadata(decode_metadata(row[1]), select)
