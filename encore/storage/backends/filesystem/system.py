"""System calls on names within an open directory: never a path that somebody else may bend.

The one idea: a directory is held open, and every call names one entry of it. No call follows a
symbolic link, so what was reached from the root lies below the root, whatever other programs
rename meanwhile. Where the system knows no such calls (Windows) a folder is its path instead, and a
link is looked for before it is entered.

This subpackage and ``hashdir`` import this module.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import suppress
from typing import Any

#: An open directory: a descriptor, or on Windows its path.
Folder = Any

_TIME_BY_DESCRIPTOR = os.utime in os.supports_fd
_TIME_BY_NAME = os.utime in os.supports_dir_fd and os.utime in os.supports_follow_symlinks
BY_DESCRIPTOR = os.open in os.supports_dir_fd and os.scandir in os.supports_fd

_LINK: Any = {"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}

_CLOEXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# Not to wait at a named pipe for somebody who writes into it.
READ = os.O_RDONLY | _CLOEXEC | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0)
CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | _CLOEXEC | _NOFOLLOW
APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | _CLOEXEC | _NOFOLLOW
_LIST = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _CLOEXEC
# Enough for naming entries, and allowed for directories that may not be listed.
_ENTER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | _CLOEXEC | _NOFOLLOW

# Read at once where the size is not known.
_PIECE = 65536
# From here on, in bytes, a single call may return less than there is.
_LARGE = 1 << 30


if BY_DESCRIPTOR:

    def open_root(path: str) -> Folder:
        return os.open(path, _LIST)

    def open_folder(parent: Folder, name: str) -> Folder:
        """Open a directory in a directory; OSError if it is missing, a link, or something else."""
        return os.open(name, _ENTER, dir_fd=parent)

    def close_folder(folder: Folder) -> None:
        os.close(folder)

    def open_at(folder: Folder, name: str, flags: int, mode: int = 0o666) -> int:
        return os.open(name, flags, mode, dir_fd=folder)

    def stat_at(folder: Folder, name: str) -> os.stat_result:
        return os.lstat(name, dir_fd=folder)

    def exists_at(folder: Folder, name: str) -> bool:
        return os.access(name, os.F_OK, dir_fd=folder)

    def is_writable(folder: Folder) -> bool:
        return os.access(".", os.W_OK | os.X_OK, dir_fd=folder)

    def rename_at(source: Folder, name: str, target: Folder, new_name: str) -> None:
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)

    def link_at(source: Folder, name: str, target: Folder, new_name: str) -> None:
        """Give a file another name; OSError where the file system has no such links."""
        os.link(name, new_name, src_dir_fd=source, dst_dir_fd=target, **_LINK)

    def unlink_at(folder: Folder, name: str) -> None:
        os.unlink(name, dir_fd=folder)

    def mkdir_at(folder: Folder, name: str) -> None:
        os.mkdir(name, dir_fd=folder)

    def rmdir_at(folder: Folder, name: str) -> None:
        os.rmdir(name, dir_fd=folder)

    def chmod_at(folder: Folder, name: str, mode: int) -> None:
        os.chmod(name, mode, dir_fd=folder)

    def is_removed(folder: Folder) -> bool:
        return os.fstat(folder).st_nlink == 0

    def list_folder(folder: Folder) -> Generator[os.DirEntry[str], None, None]:
        descriptor = os.open(".", _LIST, dir_fd=folder)
        try:
            with os.scandir(descriptor) as entries:
                yield from entries
        finally:
            os.close(descriptor)

    def open_to_sync(folder: Folder) -> int | None:
        """Open a directory to make the names in it durable; None where that cannot be done."""
        return os.open(".", _LIST, dir_fd=folder)

else:

    def open_root(path: str) -> Folder:
        if not os.path.isdir(path):
            raise NotADirectoryError(20, "not a directory", path)
        return path

    def open_folder(parent: Folder, name: str) -> Folder:
        path = os.path.join(parent, name)
        found = os.lstat(path)
        reparse = getattr(found, "st_file_attributes", 0) & 0x400
        if reparse or not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(20, "not a directory, or a link", path)
        return path

    def close_folder(folder: Folder) -> None:
        pass

    def open_at(folder: Folder, name: str, flags: int, mode: int = 0o666) -> int:
        return os.open(os.path.join(folder, name), flags, mode)

    def stat_at(folder: Folder, name: str) -> os.stat_result:
        return os.lstat(os.path.join(folder, name))

    def exists_at(folder: Folder, name: str) -> bool:
        return os.path.lexists(os.path.join(folder, name))

    def is_writable(folder: Folder) -> bool:
        return True

    def rename_at(source: Folder, name: str, target: Folder, new_name: str) -> None:
        os.replace(os.path.join(source, name), os.path.join(target, new_name))

    def link_at(source: Folder, name: str, target: Folder, new_name: str) -> None:
        os.link(os.path.join(source, name), os.path.join(target, new_name), **_LINK)

    def unlink_at(folder: Folder, name: str) -> None:
        os.unlink(os.path.join(folder, name))

    def mkdir_at(folder: Folder, name: str) -> None:
        os.mkdir(os.path.join(folder, name))

    def rmdir_at(folder: Folder, name: str) -> None:
        os.rmdir(os.path.join(folder, name))

    def chmod_at(folder: Folder, name: str, mode: int) -> None:
        os.chmod(os.path.join(folder, name), mode)

    def is_removed(folder: Folder) -> bool:
        return not os.path.isdir(folder)

    def list_folder(folder: Folder) -> Generator[os.DirEntry[str], None, None]:
        with os.scandir(folder) as entries:
            yield from entries

    def open_to_sync(folder: Folder) -> int | None:
        return None


def sync_folder(folder: Folder) -> None:
    """Make the names in a directory durable, where that can be done."""
    descriptor = open_to_sync(folder)
    if descriptor is not None:
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# Errors that say nothing about what is there.
_TROUBLE = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO))


def raise_trouble(error: OSError) -> None:
    """Raise an error that is not to be taken for the answer that something is not there."""
    if error.errno in _TROUBLE:
        raise error


def set_time(descriptor: int, nanoseconds: int) -> None:
    """Give an open file its modification time, where the system can."""
    if _TIME_BY_DESCRIPTOR:
        try:  # noqa: SIM105  it is called for each write
            os.utime(descriptor, ns=(nanoseconds, nanoseconds))
        except (OverflowError, OSError):
            pass  # a time that this file system cannot hold: the record has it


def set_time_at(folder: Folder, name: str, nanoseconds: int) -> bool:
    """Give a file its modification time without opening it; False where that cannot be done."""
    if not _TIME_BY_NAME:
        return False
    try:
        os.utime(name, ns=(nanoseconds, nanoseconds), dir_fd=folder, follow_symlinks=False)
    except (OverflowError, OSError):
        return False
    return True


def make_folder(parent: Folder, name: str) -> Folder:
    """Open a directory in a directory, making it if it is missing."""
    try:
        return open_folder(parent, name)
    except FileNotFoundError:
        with suppress(FileExistsError):
            mkdir_at(parent, name)
        return open_folder(parent, name)


def read_all(descriptor: int, size: int = _PIECE) -> bytes:
    """Return everything from where the descriptor stands; ``size`` is what is expected."""
    data = os.read(descriptor, size + 1)
    if len(data) <= size < _LARGE:
        return data
    pieces = [data]
    while data := os.read(descriptor, max(_PIECE, min(size, _LARGE))):
        pieces.append(data)
    return b"".join(pieces)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data: a nearly full disk takes less than it is given."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])
