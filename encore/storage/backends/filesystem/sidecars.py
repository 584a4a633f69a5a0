"""Metadata beside the data: for each key a short file of records, one JSON object a line.

The one idea: a record says which version of the data it belongs to, by the *signature* of the file
(inode, modification time in nanoseconds, size), and a reader takes the record that fits the file it
has found. So a record may be written before its data takes the place of the old: as long as the old
file is there the old record counts, and from the rename on the new one. That single rename switches
data and metadata together, for readers and over a crash::

    a.txt (inode 7)                          sidecar of a.txt
    version 1                                {file: 7...}
    version 1, the new one beside it         {file: 7...} {file: 9...}     still the first counts
    version 2 (inode 9), after the rename    {file: 7...} {file: 9...}     now the second

Why that is sound:

- *Old and new never look alike.* The new file exists beside the old before it replaces it, so their
  inodes differ. An inode that is used again later meets only records of dead versions, and of the
  records that fit the last one counts.
- *A torn record is none.* Records are appended, each under a checksum; a reader that meets half of
  one, or a crash that leaves half of one, takes those before it. The next writer begins a new line.
- *A record is there as long as its file is.* When the sidecar has grown it is replaced, in one
  rename, by one with the record of the file in place and the new one. A removal first appends a
  record of kind ``gone``, then removes the data, then the sidecar.
- *No record fits.* Either another program has changed the file, or the reader came late: its file
  was replaced and the records went on. It looks whether the file is still in place, and begins anew
  if not. If it is, somebody edited it: it keeps metadata and ``created`` of the last record, and
  gets its time and its token from the file. After ``gone`` nothing is kept: a file that appears
  later is a new one.
- *No sidecar*: everything comes from the file, the token from its time and size. This is enough for
  a new key without metadata, since our files get a modification time that no version before had,
  and for a new key whose record would say nothing else.

Only this subpackage imports this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from encore.storage.backends.filesystem.records import CRC_LENGTH
from encore.storage.backends.filesystem.syncing import NamesToSync
from encore.storage.backends.filesystem.system import (
    APPEND,
    READ,
    Folder,
    exists_at,
    open_at,
    read_all,
    rename_at,
    sync_folder,
    unlink_at,
    write_all,
)

# A sidecar is rewritten when it is longer than this and than its new record warrants, in bytes.
_LONG = 4096
_NEWLINE = 10


class Sidecars:
    """The sidecars of a store, in their folder.

    Parameters
    ----------
    folder : Folder
    rewrite : callable
        Writes bytes to a new temporary file and returns its folder and name.
    durable : bool
        Whether to wait for the disk.
    """

    def __init__(
        self, folder: Folder, rewrite: Callable[[bytes], tuple[Folder, str]] | None, durable: bool
    ) -> None:
        self.folder = folder
        self._rewrite = rewrite
        self._durable = durable

    def read(self, name: str) -> bytes:
        """Return the records of a sidecar, torn ones included; nothing if there is none."""
        try:
            descriptor = open_at(self.folder, name, READ)
        except FileNotFoundError:
            return b""
        try:
            return read_all(descriptor, _LONG * 2)
        finally:
            os.close(descriptor)

    def exists(self, name: str) -> bool:
        return exists_at(self.folder, name)

    def append(
        self, name: str, make: Callable[[bytes], tuple[bytes, bytes]], *, shorten: bool = True
    ) -> Callable[[], None]:
        """Append records to a sidecar, and return what takes them away again.

        Parameters
        ----------
        name : str
        make : callable
            Takes the records that are there; returns the record of the version in place, empty
            where there is no such version, and what is new.
        shorten : bool
            Whether records of other versions may be dropped.
        """
        descriptor = open_at(self.folder, name, APPEND)
        try:
            known = read_all(descriptor, _LONG * 2)
            kept, new = make(known)
            if shorten and len(known) > _LONG + 3 * len(new):
                self.replace(name, kept + new)
                return lambda: self.replace(name, known)
            try:
                if kept and kept not in known:
                    new = kept + new
                write_all(descriptor, b"\n" + new if known and known[-1] != _NEWLINE else new)
                if self._durable:
                    os.fsync(descriptor)
                    if not known:
                        sync_folder(self.folder)
            except BaseException:
                self._cut(name, len(known))
                raise
            return lambda: self._cut(name, len(known))
        finally:
            os.close(descriptor)

    def replace(self, name: str, lines: bytes) -> None:
        """Put exactly these records into a sidecar, in one step."""
        assert self._rewrite is not None, "only a store that has prepared itself writes"
        folder, temporary = self._rewrite(lines)
        with NamesToSync(self._durable) as names:
            names.add(self.folder)
            rename_at(folder, temporary, self.folder, name)
            names.sync()

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            unlink_at(self.folder, name)

    def drop(self, name: str, file: str) -> None:
        """Forget what was recorded of a version that never came to be."""
        known = self.read(name)
        mark = f'"file":"{file}"'.encode()
        lines = [line for line in known.split(b"\n") if line]
        kept = [line for line in lines if not line.startswith(mark, CRC_LENGTH)]
        if not kept:
            self.remove(name)
        elif len(kept) < len(lines):
            self.replace(name, b"\n".join(kept) + b"\n")

    def _cut(self, name: str, length: int) -> None:
        """Take back what was appended."""
        if length == 0:
            self.remove(name)
            return
        descriptor = open_at(self.folder, name, APPEND)
        try:
            os.ftruncate(descriptor, length)
        finally:
            os.close(descriptor)
