"""Packed data on its way in: a file of the side-car that values are appended to.

A stream on its own has a spool of its own; a transaction has one for all that is large. A commit
moves the file to where its changes look for it, and the bytes stay where they are until they are
copied into the archive.

Only this subpackage imports this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from encore.storage.backends.filesystem.session import Session
from encore.storage.backends.zip.contents import StagedContent, ZipContent
from encore.storage.backends.zip.handles import Handle, Output
from encore.storage.backends.zip.packing import Packing


class Spool:
    """A file that packed data is appended to.

    Parameters
    ----------
    session : Session
        Removes the file if nobody else does.

    Attributes
    ----------
    name : str
        In the folder of the session.
    size : int
        Bytes in it.

    Notes
    -----
    *Threads*: one at a time.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.name, descriptor = session.create()
        self._handle: Handle | None = Handle(descriptor)
        self.size = 0

    def add(self, chunks: Iterable[bytes], method: int, *, alone: bool) -> StagedContent:
        """Append a stream; with ``alone`` discarding it removes the file."""
        packing = Packing(chunks, method)
        output = self._output()
        try:
            for packed in packing:
                output.write(packed)
            output.flush()
        except BaseException:
            del output  # somebody may keep the traceback, which must not keep the file
            raise
        discard = self.remove if alone else None
        return self._content(packing.packed_size, packing.size, method, packing.crc, discard)

    def copy(self, content: ZipContent) -> StagedContent:
        """Append packed data that is elsewhere, as it is."""
        place = content.place()
        output = self._output()
        output.copy(*place)
        output.flush()
        return self._content(place[2], content.size, content.method, content.crc, None)

    def _output(self) -> Output:
        output = Output(self._opened())
        output.position = self.size  # over what was left by a stream that broke off
        return output

    def _content(
        self,
        packed_size: int,
        size: int,
        method: int,
        crc: int,
        discard: Callable[[], None] | None,
    ) -> StagedContent:
        place = (self._opened(), self.size, packed_size)
        self.size += packed_size
        return StagedContent(self, place, size, method, crc, discard)

    def sync(self) -> None:
        """Wait for the disk."""
        os.fsync(self._opened().descriptor)

    def _opened(self) -> Handle:
        assert self._handle is not None, "nothing is added to a file that was removed"
        return self._handle

    def remove(self) -> None:
        """Remove the file, unless it has been moved. Contents that are in it can still be read."""
        self._handle = None
        self._session.remove(self.name)


class Source:
    """A stream whose own errors can be told from those of the disk."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        except BaseException as error:
            self.error = error
            raise
