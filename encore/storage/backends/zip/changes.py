"""The log of changes that are not in the archive yet: one file, which only grows.

`frames` says what stands in it. Only this subpackage imports this module.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import Any

from encore.errors import CorruptValueError, UnsupportedError
from encore.storage.backends.zip.frames import FRAME, HEADER, MAGIC, Change, Changes, Frame
from encore.storage.backends.zip.handles import CREATE, READ, WRITE, Handle

_NOT_YET = b"\0\0\0\0"
_PIECE = 1 << 20
_sync = getattr(os, "fdatasync", os.fsync)
_decode = json.JSONDecoder().decode


class Log:
    """The log, open; a version of it that others may have finished with meanwhile.

    Attributes
    ----------
    handle : Handle
    inode : int
    changes : Changes
        Everything in it, the last state of each key. Whole commits appear in it at once.
    end : int
        Behind the last good frame.
    seen : int
        The size of the file when it was last looked at.

    Notes
    -----
    *Threads*: `changes` may be read by any; the rest belongs to whoever holds the lock of the view.
    """

    def __init__(self, path: str, readonly: bool) -> None:
        self.handle = Handle(os.open(path, READ if readonly else WRITE))
        self.inode = os.fstat(self.handle.descriptor).st_ino
        self.changes: Changes = {}
        self.files: dict[str, int] = {}
        self.end = self.seen = 0
        self._peeked = b""
        self.catch_up()

    # -- reading ----------------------------------------------------------------------------------

    def is_current(self, size: int) -> bool:
        """Whether nothing has been committed since, if this is now the size of the file."""
        if size != self.seen:
            return False
        return size == self.end or self._peek() == self._peeked

    def _peek(self) -> bytes:
        """How what is behind the last good frame begins; its checksum makes it unlike any other."""
        return self.handle.read_at(self.end, FRAME.size)

    def catch_up(self) -> None:
        """Read what has been committed since."""
        size = os.fstat(self.handle.descriptor).st_size
        if self.end == 0 and size >= len(HEADER):
            self._check_header()
        if self.end:
            self._read_frames(size)
        self.seen = size
        self._peeked = self._peek()

    def _check_header(self) -> None:
        header = self.handle.read_at(0, len(HEADER))
        if header[:-1] != HEADER[:-1]:
            raise CorruptValueError(
                "the changes beside the archive are damaged: the file `changes` in its side-car "
                "does not begin as it should"
            )
        if header != HEADER:
            raise UnsupportedError("the changes beside the archive were written by a newer encore")
        self.end = len(HEADER)

    def _read_frames(self, size: int) -> None:
        base, buffer = self.end, b""
        while True:
            at = self.end - base
            if len(buffer) - at < FRAME.size:
                base, buffer, at = self.end, self.handle.read_at(self.end, _PIECE), 0
                if len(buffer) < FRAME.size:
                    return
            magic, crc, head, length = FRAME.unpack_from(buffer, at)
            whole = FRAME.size + head + length
            if magic != MAGIC or self.end + whole > size:
                return
            if len(buffer) - at < whole:
                base, at = self.end, 0
                buffer = self.handle.read_at(self.end, max(whole, _PIECE))
            body = memoryview(buffer)[at + FRAME.size : at + whole]
            if len(body) != head + length or zlib.crc32(body) != crc:
                return
            self._take(_decode(str(body[:head], "utf-8")), self.end + FRAME.size + head)
            self.end += whole

    def _take(self, rows: list[Any], data: int) -> None:
        """Take in the rows of a frame whose data begins at ``data``."""
        changes: Changes = {}
        for row in rows:
            key = row[0]
            if len(row) == 1:
                changes[key] = None
                continue
            place = row[9]
            if type(place) is int:
                changes[key] = Change._make((*row[1:9], "", data + place))
            elif place is not None:
                file, offset = place
                changes[key] = Change._make((*row[1:9], file, offset))
                self.files[file] = max(self.files.get(file, 0), offset + row[8])
            else:
                old = self.changes.get(key)
                stays = (0, 0, 0, None, 0) if old is None else old[5:]
                size = row[2] if old is None else old.size
                changes[key] = Change._make((row[1], size, *row[3:6], *stays))
        self.changes.update(changes)  # at once, for those who are reading it

    # -- writing ----------------------------------------------------------------------------------

    def write(self, frame: bytes, *, durable: bool, prepare: bool = False) -> None:
        """Write a frame; the caller holds the lock, and has seen everything that is committed.

        With ``prepare`` it does not count before `publish`.
        """
        if self.seen > self.end:
            os.ftruncate(self.handle.descriptor, self.end)  # what a dead writer left
            self.seen = self.end
        if prepare:
            frame = _NOT_YET + frame[4:]
        if not self.end:
            self.handle.write_at(0, HEADER)
            self.end = self.seen = len(HEADER)
        self.handle.write_at(self.end, frame)
        if durable:
            _sync(self.handle.descriptor)

    def publish(self, *, durable: bool) -> None:
        """Have the prepared frame count."""
        self.handle.write_at(self.end, MAGIC)
        if durable:
            _sync(self.handle.descriptor)

    def withdraw(self) -> None:
        """Take a frame away that was written, or half of it, and was not accepted."""
        os.ftruncate(self.handle.descriptor, self.end)
        self.seen = self.end

    def accept(self, frame: Frame, length: int) -> None:
        """Take in a frame that was written, without reading it."""
        self._take(frame.rows, self.end + frame.start)
        self.end += length
        self.seen = self.end

    @property
    def size(self) -> int:
        """Bytes that the changes take, with those in other files."""
        return self.end + sum(self.files.values())


def create_log(path: str) -> None:
    """Make an empty log."""
    os.close(os.open(path, CREATE, 0o666))
