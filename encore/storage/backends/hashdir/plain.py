"""Plain files, which other programs have put where the file of a key belongs.

A key without a record is looked for as a plain file: it can be read, replaced and removed at once,
but only what has a record is listed. `PlainFiles.adopt` makes records.

Plain files have no version in their name. So the commit that removes one leaves its signature in
the table ``removed`` until the file is gone, and readers take no file for a value that is listed
there. ``store`` imports this module.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from encore.keys.rules import check_key
from encore.storage.backends.filesystem.contents import SMALL, FileContent
from encore.storage.backends.filesystem.failures import translate as translate_os
from encore.storage.backends.filesystem.records import from_file, signature
from encore.storage.backends.filesystem.system import read_all
from encore.storage.backends.hashdir import index
from encore.storage.backends.hashdir.files import FileValues
from encore.storage.backends.hashdir.tree import PLAIN, Place, Tree
from encore.storage.backends.hashdir.versions import Version
from encore.storage.backends.sqlite import statements as sql
from encore.storage.backends.sqlite.failures import translate
from encore.storage.template import Record
from encore.storage.values import Value

_AT_ONCE = 500


class PlainFiles(FileValues):
    """Records and files, and files without records.

    The parameters are those of `HashdirStore`.
    """

    def adopt(self, keys: Iterable[str]) -> int:
        """Make records for files that other programs have put in place, in one transaction.

        From then on these keys are listed, counted and found by queries. Their values stay as they
        are, so no key event is emitted.

        Parameters
        ----------
        keys : iterable of str
            The directory does not tell them: only their digests are in it. Those that have a
            record already are passed over.

        Returns
        -------
        int
            How many records were made.

        Raises
        ------
        KeyNotFoundError
            A key has neither a record nor a file; nothing is adopted then.
        """
        count = 0
        remaining = iter(keys)
        with self.transaction("Adopt files"):
            while batch := [*itertools.islice(remaining, _AT_ONCE)]:
                rows = [row for key in batch if (row := self._row_for(key)) is not None]
                try:
                    count += self._connection().executemany(index.ADOPT, rows).rowcount
                except sqlite3.Error as error:
                    raise translate(error, self, "adopt") from error
        return count

    def _row_for(self, key: str) -> tuple[Any, ...] | None:
        """The record for a plain file; None for a key that has one."""
        check_key(key)
        if super()._has(key):
            return None
        found = self._status(key)
        if found is None:
            raise self._missing(key, "adopt")
        text, created, modified, token = from_file(found)
        return key, token, created, modified, found.st_size, text

    # -- reading ----------------------------------------------------------------------------------

    def _status(self, key: str) -> os.stat_result | None:
        """The status of the plain file of a key, unless it has been removed."""
        with self._translated("get", key, writing=False):
            found = self._files().status(Place(key, PLAIN))
        return None if found is None or self._is_removed(key, found) else found

    def _is_removed(self, key: str, found: os.stat_result) -> bool:
        row = self._fetch_one(index.REMOVED, (key,))
        return row is not None and row[0] == signature(found)

    def _unrecorded(self, key: str) -> Value | None:
        value = self._plain_value(key)
        if value is not None or self._context() is not None:
            return value
        # Somebody may have replaced the file since it was found to have no record.
        row = self._fetch_one(self._finding.one, (key,))
        return None if row is None else self._value(row)

    def _plain_value(self, key: str) -> Value | None:
        place = Place(key, PLAIN)
        descriptor: int | None = None
        try:
            descriptor = self._files().open(place)
            if descriptor is None:
                return None
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or self._is_removed(key, found):
                return None
            content: Any
            size = found.st_size
            if self._context() is not None:
                content = Version(place, size, lambda: self._load_again(place, size))
            elif size <= SMALL:
                content = read_all(descriptor, size)
                size = len(content)
            else:
                content, descriptor = FileContent(descriptor, size), None
        except OSError as error:
            raise translate_os(error, self, "get", key, writing=False) from error
        finally:
            if descriptor is not None:
                os.close(descriptor)
        text, created, modified, token = from_file(found)
        return Value.of(content, text, size, created, modified, token, PLAIN)

    def _has(self, key: str) -> bool:
        if super()._has(key):
            return True
        check_key(key)
        if self._status(key) is not None:
            return True
        return self._context() is None and super()._has(key)  # see `_unrecorded`

    # -- writing ----------------------------------------------------------------------------------

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        if len(data) > self._inline_bytes or self._heard() or self._is_in_place(key):
            return False
        return super()._put_plain(key, data, text)

    def _remove_plain(self, key: str) -> bool:
        if self._heard():
            return False
        check_key(key)
        return not self._is_in_place(key) and super()._remove_plain(key)

    def _is_in_place(self, key: str) -> bool:
        """Whether there is a plain file, removed or not."""
        with self._translated("get", key, writing=False):
            return self._files().status(Place(key, PLAIN)) is not None

    def _replace(self, key: str, old: Value | None, record: Record) -> None:
        content, text, size, created, modified, token = record
        if content is None and old is not None and old.handle == PLAIN:
            self._touch(key)
            row = (key, token, created, modified, size, text, PLAIN, None)
            self._execute(sql.UPSERT, row)
        else:
            super()._replace(key, old, record)

    def _remove(self, key: str, old: Value) -> None:
        super()._remove(key, old)
        if old.handle != PLAIN and self._status(key) is not None:
            self._drop(key, PLAIN)  # or the key would still be there

    def _drop(self, key: str, blob: int) -> None:
        if blob == PLAIN:
            with self._translated("write", key):
                found = self._files().status(Place(key, PLAIN))
            if found is None:
                return
            self._execute(index.REMOVING, (key, signature(found)))
        super()._drop(key, blob)

    def _clear_up(self, places: list[tuple[Place, bool]]) -> None:
        super()._clear_up(places)
        plain = [place.key for place, _ in places if place.version == PLAIN]
        connection, tree = self._owner.connection, self._tree
        if plain and connection is not None and tree is not None:
            # Somebody else may be writing by now, and nobody should wait for this.
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA busy_timeout=0")
                try:
                    forget_removed(connection, tree, plain)
                finally:
                    connection.execute(f"PRAGMA busy_timeout={int(self.timeout * 1000)}")


def remove_removed(connection: sqlite3.Connection, tree: Tree) -> None:
    """Remove plain files whose key is gone, after somebody who did not come to do it."""
    rows = connection.execute(index.ALL_REMOVED).fetchall()
    for key, file in rows:
        place = Place(key, PLAIN)
        found = tree.status(place)
        if found is None:
            tree.prune(place)
        elif signature(found) == file:
            tree.remove(place, prune=True)
    forget_removed(connection, tree, [key for key, _ in rows])


def forget_removed(connection: sqlite3.Connection, tree: Tree, keys: list[str]) -> None:
    """Take keys out of the table of what is to be removed, if that has been done."""
    for key in keys:
        row = connection.execute(index.REMOVED, (key,)).fetchone()
        found = tree.status(Place(key, PLAIN))
        if row is not None and (found is None or signature(found) != row[0]):
            connection.execute(index.FORGET_REMOVED, (key,))
