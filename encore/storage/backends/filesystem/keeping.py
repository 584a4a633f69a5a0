"""Versions of files that a history keeps: by a second name of the same file, never by copying.

A *hard link* takes no time and no room, whatever the size. While a version is in place its link and
the file of the tree are one; when it is replaced or removed the link is all that is left of it, out
of the reach of other programs. Bringing it back is the same the other way round: a link in the
folder of the session, which takes its place in the tree by one rename. So a version is one file for
its whole life, with the time and the inode that its record speaks of.

The name of a link says what it was a link to, so that a version into which another program has
written meanwhile is not taken for what it was. That can happen only to files that are in place: to
the version before and after a change of metadata, which are one file.

Where a file system has no links, versions are copied. Only this subpackage imports this module.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from encore.errors import ConflictError, CorruptValueError
from encore.storage.backends.filesystem.contents import (
    SMALL,
    FileContent,
    FileVersion,
    StagedFile,
    copy_descriptor,
)
from encore.storage.backends.filesystem.records import signature
from encore.storage.backends.filesystem.session import Session
from encore.storage.backends.filesystem.system import (
    CREATE,
    READ,
    Folder,
    link_at,
    open_at,
    read_all,
    set_time,
    stat_at,
    unlink_at,
    write_all,
)
from encore.storage.transactions.owners import new_token

_NAME = re.compile(r"[0-9a-f]+\.[0-9a-f]+\.-?[0-9a-f]+\.[0-9a-f]+")


class KeptFiles:
    """Versions that are kept in the folder of the session: they go with it, however it ends.

    Parameters
    ----------
    store : FilesystemStore
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    def _session(self) -> Session:
        self._store._writer_of_files()
        session: Session = self._store._directory.own.session
        return session

    def _folder(self) -> Folder:
        """Where they are."""
        return self._session().folder

    # -- keeping ----------------------------------------------------------------------------------

    def keep(self, key: str, content: Any) -> str:
        with self._store._translated("keep", key):
            if isinstance(content, FileVersion):
                return self._keep_file(key, content.file)
            folder = self._folder()
            if isinstance(content, StagedFile):
                found = stat_at(content.folder, content.name)
                return _link(content.folder, content.name, found, folder)
            return self._keep_bytes(content, folder)

    def keep_at(self, source: Folder, name: str, found: os.stat_result) -> str:
        """Keep a file that is in place.

        Raises
        ------
        ConflictError
            It is another file by now.
        """
        folder = self._folder()
        with suppress(FileNotFoundError):
            kept = _link(source, name, found, folder)
            if _is_unchanged(kept, stat_at(folder, kept)):
                return kept
            unlink_at(folder, kept)
        raise _changing(name, self._store)

    def _keep_file(self, key: str, file: str) -> str:
        """Keep the file that is in place, if it is the version that was looked up."""
        spot = self._store._directory.tree.find(key)
        if spot is not None:
            try:
                if signature(spot.found) == file:
                    return self.keep_at(spot.folder, spot.name, spot.found)
            finally:
                spot.close()
        raise _changing(key, self._store)

    def _keep_bytes(self, data: bytes, folder: Folder) -> str:
        name = new_token()
        descriptor = open_at(folder, name, CREATE)
        try:
            write_all(descriptor, data)
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        kept = _link(folder, name, found, folder)
        unlink_at(folder, name)
        return kept

    def flush(self) -> None: ...

    def release(self, kept: Sequence[str]) -> None:
        if kept:
            folder = self._folder()
            for name in filter(_is_name, kept):
                with suppress(OSError):
                    unlink_at(folder, name)

    def close(self) -> None: ...

    # -- reading, and bringing back ---------------------------------------------------------------

    def is_same(self, kept: Any, content: Any) -> bool:
        one, other = _file_of(kept), _file_of(content)
        return one is not None and one == other

    def content(self, kept: str, key: str) -> StagedFile | FileVersion:
        with self._store._translated("undo", key):
            folder, session = self._folder(), self._session()
            found = self._status(kept, folder)
            if self._is_in_place(key, found):
                return self._store._peek(key)[0]  # type: ignore[no-any-return]
            name = session.new_name()
            _duplicate(folder, kept, found, session.folder, name)
            return StagedFile(session.folder, name, found.st_size, is_dated=True)

    def _is_in_place(self, key: str, found: os.stat_result) -> bool:
        # Renaming one name of a file to another of the same does nothing, so it has to be known.
        spot = self._store._directory.tree.find(key)
        if spot is None:
            return False
        spot.close()
        there = spot.found
        return (there.st_ino, there.st_dev) == (found.st_ino, found.st_dev)

    def open(self, kept: str, size: int) -> bytes | FileContent:
        with self._store._translated("get", writing=False):
            folder = self._folder()
            self._status(kept, folder)
            try:
                descriptor = open_at(folder, kept, READ)
            except FileNotFoundError:
                self._refuse("is missing")
            if size > SMALL:
                return FileContent(descriptor, size)
            try:
                return read_all(descriptor, size)
            finally:
                os.close(descriptor)

    def size(self, kept: str) -> int | None:
        with suppress(OSError, CorruptValueError):
            return self._status(kept, self._folder()).st_size
        return None

    def _status(self, kept: str, folder: Folder) -> os.stat_result:
        if not _is_name(kept):
            self._refuse("has a name that is none")
        try:
            found = stat_at(folder, kept)
        except FileNotFoundError:
            self._refuse("is missing")
        if not _is_unchanged(kept, found):
            self._refuse("was changed by another program, which wrote into its file,")
        return found

    def _refuse(self, why: str) -> NoReturn:
        raise CorruptValueError(
            f"an earlier version in {self._store!r} {why} and cannot be brought back; "
            "on_conflict='skip' leaves such a key as it is, forget(key) drops what is kept of it",
            store=self._store,
        )


def _changing(name: str, store: Any) -> ConflictError:
    return ConflictError(
        f"{name!r} was changed by another program while it was being replaced; try again",
        store=store,
    )


def _file_of(content: Any) -> str | None:
    """The signature of a file that is kept, or in place."""
    if isinstance(content, FileVersion):
        return content.file
    return content.partition(".")[2] if isinstance(content, str) else None


def _is_name(kept: str) -> bool:
    """Whether a log that somebody else may have written names a kept file, and not any other."""
    return _NAME.fullmatch(kept) is not None


def _is_unchanged(kept: str, found: os.stat_result) -> bool:
    """Whether a kept file is what it was; a copy of the directory may have other inodes."""
    return kept.endswith(f".{found.st_mtime_ns:x}.{found.st_size:x}")


def _link(source: Folder, name: str, found: os.stat_result, folder: Folder) -> str:
    """Keep a file, and return the name that it has there."""
    token = new_token()
    kept = f"{token}.{signature(found)}"
    try:
        link_at(source, name, folder, kept)
    except FileNotFoundError:
        raise
    except OSError:
        kept = f"{token}.0.{found.st_mtime_ns:x}.{found.st_size:x}"
        _copy(source, name, found, folder, kept)
    return kept


def _duplicate(
    source: Folder, name: str, found: os.stat_result, folder: Folder, new_name: str
) -> None:
    try:
        link_at(source, name, folder, new_name)
    except FileNotFoundError:
        raise
    except OSError:
        _copy(source, name, found, folder, new_name)


def _copy(source: Folder, name: str, found: os.stat_result, folder: Folder, new_name: str) -> None:
    """Where there are no links, or no more of them."""
    old = open_at(source, name, READ)
    try:
        new = open_at(folder, new_name, CREATE, stat.S_IMODE(found.st_mode))
        try:
            copy_descriptor(old, new, found.st_size)
            set_time(new, found.st_mtime_ns)
        finally:
            os.close(new)
    finally:
        os.close(old)
