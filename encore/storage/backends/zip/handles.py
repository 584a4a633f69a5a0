"""Open files that close themselves, read at places, and copied without looking at the bytes.

A value that somebody holds refers to the file it is in. The file is closed when the last of them
lets go, and may have been replaced and removed long before. Only this subpackage imports this
module.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from encore.errors import CorruptValueError

_CLOEXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
READ = os.O_RDONLY | _CLOEXEC
WRITE = os.O_RDWR | _CLOEXEC
CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | _CLOEXEC
_PIECE = 1 << 20
_MOST_AT_ONCE = 1 << 30
_FARTHEST = 1 << 62
# Below this, in bytes, handing the bytes over costs less than asking the kernel to.
_BY_HAND = 65536


class Handle:
    """A descriptor that is closed when nobody refers to it any more.

    *Threads*: any; reads do not disturb each other.
    """

    __slots__ = ("__weakref__", "_lock", "descriptor")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._lock = None if hasattr(os, "pread") else threading.Lock()

    def __del__(self) -> None:
        os.close(self.descriptor)

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes; fewer where the file ends."""
        if offset > _FARTHEST:
            return b""  # an archive may say anything; the system takes so much and no more
        if self._lock is None and count <= _MOST_AT_ONCE:
            data = os.pread(self.descriptor, count, offset)
            if len(data) == count or not data:
                return data
            return self._rest(data, offset, count)
        return self._rest(b"", offset, count)

    def _rest(self, data: bytes, offset: int, count: int) -> bytes:
        pieces = [data]
        done = len(data)
        while done < count:
            piece = self._once(offset + done, min(count - done, _MOST_AT_ONCE))
            if not piece:
                break
            pieces.append(piece)
            done += len(piece)
        return b"".join(pieces)

    def _once(self, offset: int, count: int) -> bytes:
        if self._lock is None:
            return os.pread(self.descriptor, count, offset)
        with self._lock:
            os.lseek(self.descriptor, offset, os.SEEK_SET)
            return os.read(self.descriptor, count)

    def write_at(self, offset: int, data: bytes) -> None:
        """Write all of the data: a nearly full disk takes less than it is given."""
        view = memoryview(data)
        while view:
            if self._lock is None:
                written = os.pwrite(self.descriptor, view, offset)
            else:
                with self._lock:
                    os.lseek(self.descriptor, offset, os.SEEK_SET)
                    written = os.write(self.descriptor, view)
            view = view[written:]
            offset += written


class Output:
    """A file that is written from its beginning to its end.

    Small pieces are gathered. ``position`` is where the next byte will be.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._pieces: list[bytes] = []
        self._waiting = 0
        self.position = 0

    def write(self, data: bytes) -> None:
        self._pieces.append(data)
        self._waiting += len(data)
        self.position += len(data)
        if self._waiting >= _PIECE:
            self.flush()

    def flush(self) -> None:
        if self._pieces:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._handle.write_at(self.position - self._waiting, data)
            self._pieces, self._waiting = [], 0

    def copy(self, source: Handle, offset: int, count: int) -> None:
        """Append a range of another file, by the kernel where it can: it may share the blocks."""
        if count <= _BY_HAND:
            self.write(_whole(source.read_at(offset, count), count))
            return
        self.flush()
        end = offset + count
        while offset < end:
            moved = _copy_range(source, self._handle, offset, self.position, end - offset)
            if not moved:
                break
            offset += moved
            self.position += moved
        while offset < end:
            piece = _whole(source.read_at(offset, min(_PIECE, end - offset)), 1)
            self._handle.write_at(self.position, piece)
            offset += len(piece)
            self.position += len(piece)


def _whole(data: bytes, count: int) -> bytes:
    if len(data) < count:
        raise CorruptValueError("the file is shorter than what it says it holds")
    return data


def _copy_range(source: Handle, target: Handle, offset: int, to: int, count: int) -> int:
    copy: Any = getattr(os, "copy_file_range", None)
    if copy is None:
        return 0
    count = min(count, _MOST_AT_ONCE)
    try:
        return copy(source.descriptor, target.descriptor, count, offset, to)  # type: ignore[no-any-return]
    except OSError:
        return 0  # copying by hand says what is wrong, if anything is
