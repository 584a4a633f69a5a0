"""An open archive: one version of it, which stays readable after the file has been replaced.

Only this subpackage imports this module.
"""

from __future__ import annotations

import os
from functools import partial

from encore.errors import CorruptValueError, EncoreError, UnsupportedError
from encore.storage.backends.zip.contents import ZipContent
from encore.storage.backends.zip.cursors import Place, damaged, unpack
from encore.storage.backends.zip.directory import Directory
from encore.storage.backends.zip.endings import find_end
from encore.storage.backends.zip.handles import READ, Handle
from encore.storage.backends.zip.headers import LOCAL, LOCAL_MAGIC, Entry, read_entry
from encore.storage.backends.zip.marks import Mark, mark_of, read_elsewhere
from encore.storage.template import Record

#: Entries up to this size, in bytes, are read together with their header.
_SMALL = 1 << 17

Identity = tuple[int, int, int]


def identity_of(found: os.stat_result) -> Identity:
    """What tells one version of a file from another, while the first is held open."""
    return found.st_ino, found.st_mtime_ns, found.st_size


class Archive:
    """One version of an archive.

    Parameters
    ----------
    path : str

    Attributes
    ----------
    handle : Handle
    identity : Identity
    size : int
        Bytes of the file.
    directory : Directory

    Raises
    ------
    CorruptValueError
        It is no archive, or its directory is damaged.

    Notes
    -----
    *Threads*: any.
    """

    def __init__(self, path: str) -> None:
        self.handle = Handle(os.open(path, READ))
        found = os.fstat(self.handle.descriptor)
        self.identity = identity_of(found)
        self.size = found.st_size
        self.mode = found.st_mode & 0o7777
        try:
            self.end = find_end(self.handle, self.size)
            data = self.handle.read_at(self.end.offset, self.end.size)
            if len(data) != self.end.size:
                raise CorruptValueError("its directory is cut off")
            self.directory = Directory(data, self.end.entries)
        except CorruptValueError as error:
            raise CorruptValueError(
                f"{path!r} cannot be opened: {error}; ZipStore.recover saves what is still good",
            ) from error
        self.places = self.directory.places

    def entry(self, at: int) -> Entry:
        """The record at this place of the directory."""
        entry = read_entry(self.directory.data, at)
        shift = self.end.shift
        return entry._replace(offset=entry.offset + shift) if shift else entry

    def record(self, key: str) -> Record | None:
        """What is kept under a key."""
        at = self.places.get(key)
        if at is None:
            return None
        entry = self.entry(at)
        mark = self.mark(key, entry)
        content = self.content(key, entry)
        return content, mark.text, entry.size, mark.created, mark.modified, mark.token

    def content(self, key: str, entry: Entry) -> ZipContent:
        locate = partial(self._locate, key, entry)
        return ZipContent(key, entry.size, entry.method, entry.crc, locate)

    def mark(self, key: str, entry: Entry) -> Mark:
        """What encore knows of an entry, wherever that is kept."""
        try:
            mark = mark_of(entry)
            if mark.elsewhere is None:
                return mark
            at = self.directory.apart.get(mark.elsewhere)
            if at is None:
                raise CorruptValueError(
                    f"the entry {mark.elsewhere!r} with its metadata is missing"
                )
            other = self.entry(at)
            token, text = read_elsewhere(self.content(key, other).read(0, other.size))
            return mark._replace(token=mark.token or token, text=text)
        except EncoreError as error:
            error.key = error.key or key
            raise

    def read(self, key: str) -> bytes | None:
        """Return all of the data under a key: the shortest way for little data."""
        at = self.places.get(key)
        if at is None:
            return None
        entry = self.entry(at)
        packed_size, name = entry.packed_size, entry.name
        if packed_size > _SMALL or entry.size > _SMALL or not entry.is_readable:
            return self.content(key, entry).read(0, entry.size)
        # In our own archives both headers have the same extra fields, so this is all of it.
        data = self.handle.read_at(
            entry.offset, LOCAL.size + len(name) + len(entry.extra) + packed_size
        )
        start = self._data_start(key, entry, data)
        packed = data[start : start + packed_size]
        if len(packed) < packed_size:
            packed = self.handle.read_at(entry.offset + start, packed_size)
        return unpack(packed, packed_size, entry.size, entry.method, entry.crc, key)

    def _locate(self, key: str, entry: Entry) -> Place:
        if not entry.is_readable:
            raise UnsupportedError(
                f"the data of {key!r} in the archive is encrypted, which encore does not read; "
                "unpack it with the program that made the archive",
                key=key,
            )
        header = self.handle.read_at(entry.offset, LOCAL.size + len(entry.name))
        start = self._data_start(key, entry, header)
        return self.handle, entry.offset + start, entry.packed_size

    def _data_start(self, key: str, entry: Entry, header: bytes) -> int:
        """Where the data begins, counted from the local header, which must be the right one."""
        if len(header) < LOCAL.size or header[:4] != LOCAL_MAGIC:
            raise damaged(key, "it has no header")
        name_length = header[26] | header[27] << 8
        if header[LOCAL.size : LOCAL.size + name_length] != entry.name:
            raise damaged(key, "its header has another name")
        return LOCAL.size + name_length + (header[28] | header[29] << 8)
