"""Chunks parked on disk while somebody slower still needs them.

A `SpillFile` is an anonymous temporary file used as a set of slots: put a chunk, get it back as
often as needed, free it. Space is used again, so the file grows with what is parked at one time,
not with what ever was. `encore.streams.tee` uses it; whoever does keeps the lock.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a chunk is: ``length`` bytes from ``offset``."""

    offset: int
    length: int


class SpillFile:
    """An anonymous temporary file of chunks, made at the first one.

    Notes
    -----
    *Threads*: none of its own; callers take turns.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._end = 0
        self._live = 0
        self._free: dict[int, list[int]] = {}  # length -> offsets; chunks are nearly all one size

    def put(self, chunk: bytes) -> Slot:
        """Park a chunk. An `OSError` (disk full) parks nothing."""
        offsets = self._free.get(len(chunk))
        offset = offsets[-1] if offsets else self._end
        self._write(offset, chunk)
        if offsets:
            offsets.pop()
        self._live += 1
        return Slot(offset, len(chunk))

    def extend(self, slot: Slot, chunk: bytes) -> Slot | None:
        """Return a slot with a chunk added, or None if it is not the last in the file."""
        end = slot.offset + slot.length
        if end != self._end:
            return None
        self._write(end, chunk)
        return Slot(slot.offset, slot.length + len(chunk))

    def get(self, slot: Slot) -> bytes:
        """Return a parked chunk; it stays."""
        file = self._opened()
        file.seek(slot.offset)
        chunk = file.read(slot.length)
        while len(chunk) < slot.length:  # one call moves 2 GiB at most
            more = file.read(slot.length - len(chunk))
            if not more:
                raise OSError("the temporary file of a tee was cut short")
            chunk += more
        return chunk

    def free(self, slot: Slot) -> None:
        """Give the space of a chunk back; with the last chunk the file goes."""
        self._live -= 1
        if self._live:
            self._free.setdefault(slot.length, []).append(slot.offset)
        else:
            self.close()

    def close(self) -> None:
        """Forget everything. A later `put` begins anew."""
        if self._file is not None:
            self._closer()
            self._file = None
        self._end = self._live = 0
        self._free.clear()

    def _write(self, offset: int, chunk: bytes) -> None:
        file = self._opened()
        file.seek(offset)
        with memoryview(chunk) as view:
            written = 0
            while written < len(view):
                written += file.write(view[written:])
        self._end = max(self._end, offset + len(chunk))

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            import tempfile  # costs an import of its own, and few tees ever spill

            # Unbuffered: a buffer would keep what a full disk refused, and fail again at close.
            file = tempfile.TemporaryFile(prefix="encore-tee-", buffering=0)  # noqa: SIM115
            self._file = file
            # Also when a whole cycle is collected, where the file could go first and complain.
            self._closer = weakref.finalize(self, file.close)
        return self._file
