"""From records to files: data on its way in, and the short way for a small value.

This subpackage and ``hashdir`` import this module.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress

from encore.storage.backends.filesystem.contents import (
    FileContent,
    StagedFile,
    copy_descriptor,
)
from encore.storage.backends.filesystem.own import Own
from encore.storage.backends.filesystem.records import (
    Fields,
    file_time,
    in_place,
    line_of,
    seconds,
    sidecar_name,
    signature,
)
from encore.storage.backends.filesystem.system import (
    Folder,
    exists_at,
    open_at,
    rename_at,
    set_time,
    set_time_at,
    stat_at,
    sync_folder,
    write_all,
)
from encore.storage.metadata import EMPTY
from encore.storage.template import Record
from encore.storage.transactions.owners import new_token


class Writer:
    """Writes records into a store's own folder and its tree.

    *Threads*: `stage` and `duplicate` any; the others under the writer lock.
    """

    def __init__(self, own: Own) -> None:
        self._tree = own.publisher.tree
        self._sidecars = own.sidecars
        self._session = own.session
        self._durable = own.durable

    # -- data on its way in -----------------------------------------------------------------------

    def stage(self, write: Callable[[int], int]) -> StagedFile:
        """Make a temporary file; ``write`` fills the descriptor and returns the size in bytes."""
        session = self._session
        name, descriptor = session.create()
        try:
            try:
                size = write(descriptor)
                if self._durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except BaseException:
            session.remove(name)
            raise
        return StagedFile(session.folder, name, size)

    def duplicate(self, content: FileContent) -> StagedFile:
        """Copy an open file, by the kernel where it can."""

        def write(descriptor: int) -> int:
            copy_descriptor(content.fileno(), descriptor, content.size)
            return content.size

        return self.stage(write)

    def complete(self, record: Record, purpose: str, time: int | None = None) -> str:
        """Bring the data of a record into a file with its final time.

        Parameters
        ----------
        record : Record
        purpose : str
            See `Session.create`.
        time : int, optional
            Nanoseconds; default: the time of modification in the record.

        Returns
        -------
        str
            The name of the file, in the folder of the session.
        """
        content, session = record[0], self._session
        if time is None:
            time = file_time(record[4], record[5])
        if isinstance(content, StagedFile):
            name = content.name
            if purpose:
                name = session.new_name(purpose)
                rename_at(content.folder, content.name, session.folder, name)
                content.name = name
            if not self._durable and set_time_at(session.folder, name, time):
                return name
            descriptor = open_at(session.folder, name, os.O_RDWR)
        else:
            assert isinstance(content, bytes)
            name, descriptor = session.create(purpose)
        try:
            try:
                if isinstance(content, bytes):
                    write_all(descriptor, content)
                set_time(descriptor, time)
                if self._durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except BaseException:
            if isinstance(content, bytes):
                session.remove(name)
            raise
        return name

    # -- the short way ----------------------------------------------------------------------------

    def put_plain(self, key: str, data: bytes, text: str) -> bool:
        """Put small data where nothing is out of the ordinary. False: nothing done."""
        tree = self._tree
        path = tree.path_of(key)
        if "/" not in path:
            return self._put_at(tree.root, path, key, data, text)
        try:
            spot = tree.parent(path)
        except OSError:
            return False
        try:
            return self._put_at(spot.folder, spot.name, key, data, text)
        finally:
            spot.close()

    def _put_at(self, folder: Folder, target: str, key: str, data: bytes, text: str) -> bool:
        session, sidecars = self._session, self._sidecars
        sidecar = sidecar_name(key)
        old: os.stat_result | None = None
        try:
            old = stat_at(folder, target)
        except FileNotFoundError:
            if sidecars.exists(sidecar):
                return False
        if old is not None and not stat.S_ISREG(old.st_mode):
            return False
        now = session.tick()
        name, descriptor = session.create(sidecar)
        undo = None
        try:
            try:
                new = self._fill(descriptor, data, now, old)
            finally:
                os.close(descriptor)
            if old is not None or text != EMPTY or not session.has_exact_times:
                file = signature(new)

                def make(known: bytes) -> tuple[bytes, bytes]:
                    modified = created = seconds(now)
                    kept = b""
                    if old is not None:
                        kept, created = in_place(known, key, old)
                    return kept, line_of(key, file, Fields(text, created, modified, new_token()))

                undo = sidecars.append(sidecar, make)
            rename_at(session.folder, name, folder, target)
            if self._durable:
                sync_folder(folder)
        except BaseException:
            if exists_at(session.folder, name):
                if undo is not None:
                    with suppress(OSError):
                        undo()
                session.remove(name)
            raise
        return True

    def _fill(
        self, descriptor: int, data: bytes, time: int, old: os.stat_result | None
    ) -> os.stat_result:
        """Complete a file that is to take the place of ``old``, and return its status."""
        write_all(descriptor, data)
        set_time(descriptor, time)
        new = os.fstat(descriptor)
        if old is not None and old.st_mode != new.st_mode:
            os.chmod(descriptor, stat.S_IMODE(old.st_mode))
        if self._durable:
            os.fsync(descriptor)
        return new


def write_chunks(chunks: Iterator[bytes], descriptor: int) -> int:
    """Write chunks to a file and return how many bytes they had."""
    size = 0
    for chunk in chunks:
        write_all(descriptor, chunk)
        size += len(chunk)
    return size


class Source(Iterator[bytes]):
    """Chunks of the caller's; remembers an error of theirs, which is not the store's."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.error: BaseException | None = None

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except OSError as error:
            self.error = error
            raise
