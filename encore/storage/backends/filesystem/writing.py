"""From records to files: data on its way in, and the short way for a small value.

This subpackage and ``hashdir`` import this module.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from encore.storage.backends.filesystem.contents import (
    FileContent,
    StagedFile,
    copy_descriptor,
)
from encore.storage.backends.filesystem.own import Own
from encore.storage.backends.filesystem.records import (
    file_time,
)
from encore.storage.backends.filesystem.system import (
    READ,
    open_at,
    rename_at,
    set_time,
    set_time_at,
    write_all,
)
from encore.storage.template import Record


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

    def stage(self, write: Callable[[int], int], mode: int = 0o666) -> StagedFile:
        """Make a temporary file; ``write`` fills the descriptor and returns the size in bytes."""
        session = self._session
        name, descriptor = session.create(mode=mode)
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

        return self.stage(write, stat.S_IMODE(os.fstat(content.fileno()).st_mode))

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
            is_dated = content.is_dated
            if not self._durable and (is_dated or set_time_at(session.folder, name, time)):
                return name
            descriptor = open_at(session.folder, name, READ if is_dated else os.O_RDWR)
        else:
            assert isinstance(content, bytes)
            is_dated = False
            name, descriptor = session.create(purpose)
        try:
            try:
                if isinstance(content, bytes):
                    write_all(descriptor, content)
                if not is_dated:
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
