"""The log of changes that are not in the archive yet: one file, which only grows.

`frames` says what stands in it. Only this subpackage imports this module.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from typing import Any

from encore.errors import CorruptValueError, UnsupportedError
from encore.keys.rules import check_key
from encore.storage.backends.zip.frames import FRAME, HEADER, MAGIC, Change, Changes, Frame
from encore.storage.backends.zip.handles import CREATE, READ, WRITE, Handle

# What `Sidecar.adopt` calls them: nothing that could lead elsewhere.
_FILE = re.compile(r"data-[0-9a-f]+")
_MOST = 1 << 63
_NOT_YET = b"\0\0\0\0"
_PIECE = 1 << 20
_MOST_SEARCHED = 1 << 24
_sync = getattr(os, "fdatasync", os.fsync)
_decode = json.JSONDecoder().decode


class Log:
    """The log, open; a version of it that others may have finished with meanwhile.

    Parameters
    ----------
    path : str
    readonly : bool
    is_forgiving : bool, optional
        Take what is good before damage, rather than to refuse all of it.

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

    def __init__(self, path: str, readonly: bool, *, is_forgiving: bool = False) -> None:
        self._is_forgiving = is_forgiving
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
            if self.end < size and not self._is_forgiving:
                self._check_rest(size)
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
            self._take(rows_of(body[:head]), self.end + FRAME.size + head)
            self.end += whole

    def _check_rest(self, size: int) -> None:
        """Make sure that behind the last good frame there is none that counts.

        A crash leaves part of one frame there, and nothing behind it. Other commits behind it mean
        damage; to go on writing would take them away for good.
        """
        head = self.handle.read_at(self.end, FRAME.size)
        if len(head) < FRAME.size or head[:4] == _NOT_YET:
            return
        magic, _, *lengths = FRAME.unpack(head)
        at = self.end + FRAME.size
        if magic == MAGIC and at + sum(lengths) <= size:
            at += sum(lengths)
            is_damaged = self._is_frame(at, size)
        elif magic == MAGIC:
            return
        else:
            rest = self.handle.read_at(self.end, min(size - self.end, _MOST_SEARCHED))
            places = (found.start() for found in re.finditer(MAGIC, rest))
            is_damaged = any(self._is_frame(self.end + place, size) for place in places)
        if is_damaged:
            raise CorruptValueError(
                f"the changes beside the archive are damaged at byte {self.end}, and there are "
                "later ones; ZipStore.recover saves what is good"
            )

    def _is_frame(self, at: int, size: int) -> bool:
        head = self.handle.read_at(at, FRAME.size)
        if len(head) < FRAME.size:
            return False
        magic, crc, *lengths = FRAME.unpack(head)
        if magic != MAGIC or at + FRAME.size + sum(lengths) > size:
            return False
        return bool(zlib.crc32(self.handle.read_at(at + FRAME.size, sum(lengths))) == crc)

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
        self.cut_off()
        if prepare:
            frame = _NOT_YET + frame[4:]
        if not self.end:
            self.handle.write_at(0, HEADER)
            self.end = self.seen = len(HEADER)
        self.handle.write_at(self.end, frame)
        if durable:
            _sync(self.handle.descriptor)

    def cut_off(self) -> None:
        """Remove what a dead writer left behind the last commit; the caller holds the lock."""
        if self.seen > self.end:
            os.ftruncate(self.handle.descriptor, self.end)
            self.seen = self.end

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


def rows_of(text: bytes | memoryview) -> list[Any]:
    """The rows of a list that somebody else may have written, checksum and all.

    Raises
    ------
    CorruptValueError
        It is no such list, or speaks of files that are none of the side-car.
    """
    try:
        rows: list[Any] = _decode(str(text, "utf-8"))
        for row in rows:
            check_key(row[0])
            if len(row) > 1:
                _check(*row)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise CorruptValueError(
            "the changes beside the archive are damaged: a list in the file `changes` is none"
        ) from error
    return rows


def _check(
    key: str,
    text: str,
    size: int,
    created: float,
    modified: float,
    token: str,
    method: int,
    crc: int,
    packed_size: int,
    place: Any,
) -> None:
    offset = 0
    if type(place) is list:
        file, offset = place
        if _FILE.fullmatch(file) is None:
            raise ValueError("this is no file of a side-car")
    elif place is not None:
        offset = place
    if type(text) is not str or type(token) is not str:
        raise TypeError("metadata and token are text")
    if type(created) is not float or type(modified) is not float:
        raise TypeError("times are numbers")
    for number in (size, method, crc, packed_size, offset):
        if type(number) is not int or not 0 <= number < _MOST:
            raise ValueError("this is no size")


def create_log(path: str) -> None:
    """Make an empty log."""
    os.close(os.open(path, CREATE, 0o666))
