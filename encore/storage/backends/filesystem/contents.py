"""The data of values: a file that is held open, one that is yet to be opened, one not yet in place.

This subpackage and ``hashdir`` import this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from encore.errors import ConflictError, StoreError
from encore.storage.backends.filesystem.system import READ, Folder, open_at, unlink_at

#: Data up to this size, in bytes, is read at once rather than held open.
SMALL = 65536
_MOST_AT_ONCE = 1 << 28


class FileContent:
    """An open file: one version, which stays readable after it has been replaced or removed.

    What other programs write *into* the file shows through: that is out of our hands.

    *Threads*: reads are independent of each other, except on Windows.
    """

    __slots__ = ("_descriptor", "size")

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size

    def fileno(self) -> int:
        if self._descriptor < 0:
            raise ValueError("I/O operation on closed value")
        return self._descriptor

    def read(self, start: int, end: int) -> bytes:
        pieces = [*self.chunks(start, end, _MOST_AT_ONCE)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        while start < end:
            data = _read_at(self.fileno(), min(buffer_size, end - start), start)
            if not data:
                raise ConflictError(
                    "another program has shortened the file while it was being read; get the "
                    "value again"
                )
            start += len(data)
            yield data

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


class FileVersion:
    """A version of a file that is opened when somebody reads it, if it is still there by then.

    Parameters
    ----------
    size : int
        Bytes.
    file : str
        The signature of the version; also what tells that data stays as it is.
    load : callable
        Opens that very version; raises ConflictError where it is there no more.
    """

    __slots__ = ("_content", "_load", "file", "size")

    def __init__(self, size: int, file: str, load: Callable[[], FileContent]) -> None:
        self.size = size
        self.file = file
        self._load = load
        self._content: FileContent | None = None

    def load(self) -> FileContent:
        """Open it for somebody else, who is to close it."""
        return self._load()

    def read(self, start: int, end: int) -> bytes:
        return self._open().read(start, end)

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        return self._open().chunks(start, end, buffer_size)

    def _open(self) -> FileContent:
        if self._content is None:
            self._content = self._load()
        return self._content

    def close(self) -> None:
        if self._content is not None:
            self._content.close()


class StagedFile:
    """Data in a temporary file of ours, not yet under any key.

    Parameters
    ----------
    folder : Folder
    name : str
        Never used again, so that discarding what has been moved to its place does nothing.
    size : int
        Bytes.
    is_dated : bool, optional
        Whether the file has the time of its version: it has been in place before.
    """

    __slots__ = ("_content", "_sealed", "folder", "is_dated", "name", "size")

    def __init__(self, folder: Folder, name: str, size: int, *, is_dated: bool = False) -> None:
        self.folder = folder
        self.name = name
        self.size = size
        self.is_dated = is_dated
        self._sealed = False
        self._content: FileContent | None = None

    def load(self) -> FileContent:
        """Open it once more, for whoever may outlive it."""
        try:
            return FileContent(open_at(self.folder, self.name, READ), self.size)
        except FileNotFoundError:
            raise StoreError("the data of this value has been discarded") from None

    def read(self, start: int, end: int) -> bytes:
        return self._open().read(start, end)

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        return self._open().chunks(start, end, buffer_size)

    def _open(self) -> FileContent:
        if self._content is None:
            self._content = self.load()
        return self._content

    def close(self) -> None:
        if self._content is not None:
            self._content.close()
            self._content = None

    def seal(self, sealed: bool = True) -> None:
        """Have `discard` do nothing: a commit that cannot be undone any more needs the file."""
        self._sealed = sealed

    def discard(self) -> None:
        self.close()
        if not self._sealed:
            with suppress(OSError):  # what cannot be removed now goes with its session
                unlink_at(self.folder, self.name)


def copy_descriptor(source: int, target: int, size: int) -> None:
    """Copy a file, by the kernel where it can: it may share the blocks instead."""
    done = 0
    for by_kernel in (_copy_range, _send):
        while done < size:
            moved = by_kernel(source, target, done, min(size - done, _MOST_AT_ONCE))
            if not moved:
                break
            done += moved
    os.lseek(target, done, os.SEEK_SET)
    while done < size:
        data = _read_at(source, min(1 << 20, size - done), done)
        if not data:
            raise ConflictError("another program has shortened the file while it was being copied")
        done += os.write(target, data)


def _copy_range(source: int, target: int, offset: int, count: int) -> int:
    copy: Any = getattr(os, "copy_file_range", None)
    if copy is None:
        return 0
    try:
        return copy(source, target, count, offset, offset)  # type: ignore[no-any-return]
    except OSError:
        return 0


def _send(source: int, target: int, offset: int, count: int) -> int:
    send: Any = getattr(os, "sendfile", None)
    if send is None:
        return 0
    try:
        os.lseek(target, offset, os.SEEK_SET)
        return send(target, source, offset, count)  # type: ignore[no-any-return]
    except OSError:
        return 0


if hasattr(os, "pread"):

    def _read_at(descriptor: int, count: int, offset: int) -> bytes:
        return os.pread(descriptor, count, offset)

else:

    def _read_at(descriptor: int, count: int, offset: int) -> bytes:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, count)
