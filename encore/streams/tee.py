"""One source, several readers, each at its own pace.

`tee` reads the source once and keeps every chunk until the slowest reader has it: in memory up to
a limit, on disk beyond. The idea is a log of numbered chunks (`_Log`) with one place in it per
reader (`_Place`, an iterator); a `TeeReader` is only the file-like face of a place. Anybody may
import this through `encore.streams`.

::

    chunk      0     1     2     3     4     5
             gone  gone  memory memory disk  next to be read from the source
                          ^                  ^
                          slowest place      fastest place
"""

from __future__ import annotations

import io
import threading
from types import TracebackType

from encore.streams.buffers import READ_AHEAD, ChunkedRaw
from encore.streams.chunks import BUFFER_SIZE, BinarySource, check_size, check_source, read_chunk
from encore.streams.spill import Slot, SpillFile

# What a bytes object and its entry in a dictionary take, about: sources that trickle must not make
# a limit in bytes meaningless.
_CHUNK_OVERHEAD = 128


def tee(
    filelike: BinarySource,
    n: int = 2,
    buffer_size: int = BUFFER_SIZE,
    max_memory: int = 16 * 1048576,
) -> tuple[TeeReader, ...]:
    """Return ``n`` readers that each read all of one source.

    Readers in step share one chunk. A reader that runs ahead keeps what the slower ones still
    need; a reader that is closed or forgotten needs nothing. The source is read only as far as
    the fastest reader asks, and **not closed**: who opened it closes it, after the readers.

    Parameters
    ----------
    filelike : binary file-like
        What to read, from where it stands. Nobody else should read it meanwhile.
    n : int
        How many readers; at least 1.
    buffer_size : int
        Bytes asked of the source at a time.
    max_memory : int
        Bytes kept in memory for slower readers; what exceeds it waits in an anonymous temporary
        file, which is closed when nobody is left to read.

    Returns
    -------
    tuple of TeeReader

    Raises
    ------
    TypeError
        If the source has no ``read``. Text shows at the first read.
    ValueError
        If a size is out of range.
    """
    check_source(filelike)
    check_size("n", n)
    check_size("buffer_size", buffer_size)
    check_size("max_memory", max_memory, at_least=0)
    log = _Log(filelike, buffer_size, max_memory)
    # Readers may not add more to the memory of a lock step than a fraction of its one chunk.
    read_ahead = max(1, min(READ_AHEAD, buffer_size // 8))
    places = [log.new_place() for _ in range(n)]
    return tuple(TeeReader(place, read_ahead) for place in places)


class TeeReader(io.BufferedReader):
    """One of the readers that `tee` returns; a binary stream that cannot seek.

    What the source raises is raised at its place, after the bytes before it, to every reader that
    gets there, and again by each later read.

    Notes
    -----
    *Threads*: each reader may live in a thread of its own, waiting at most for another's read
    of the source. Closing never waits.
    """

    def __init__(self, place: _Place, read_ahead: int) -> None:
        self._chunks = ChunkedRaw(place)
        self._read_ahead = read_ahead
        super().__init__(self._chunks, read_ahead)

    def read(self, size: int | None = -1, /) -> bytes:
        # Readers in step that ask for whole chunks get the same object, not a copy each. Only
        # possible with nothing in the buffer, which is when both positions agree.
        if size is not None and size >= self._read_ahead and self.tell() == self._chunks.tell():
            return self._chunks.take(size)
        return super().read(size)


class _Place:
    """How far one reader has come: the iterator of the chunks that it still needs."""

    def __init__(self, log: _Log) -> None:
        self._log = log
        self.next_chunk = 0
        self.closed = False

    def __iter__(self) -> _Place:
        return self

    def __next__(self) -> bytes:
        chunk = self._log.chunk_for(self)
        if not chunk:
            raise StopIteration
        return chunk

    def close(self) -> None:
        self.closed = True
        self._log.tidy()


class _Log:
    """The chunks between the slowest place and the fastest.

    Notes
    -----
    *Threads*: everything happens under one lock, reading the source included. Closing a place
    may happen anywhere, in a finaliser that interrupts the very thread that holds the lock too;
    so it only leaves a note, and whoever has the lock, or could have it at once, acts on it.
    """

    def __init__(self, source: BinarySource, buffer_size: int, max_memory: int) -> None:
        self._source: BinarySource | None = source
        self._buffer_size = buffer_size
        self._max_memory = max_memory
        self._lock = threading.Lock()
        self._untidy = False
        self._places: list[_Place] = []
        self._kept: dict[int, bytes | Slot] = {}
        self._first = 0  # the oldest chunk kept
        self._end = 0  # the next chunk to come from the source
        self._memory_bytes = 0
        self._spill = SpillFile()
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None

    def new_place(self) -> _Place:
        place = _Place(self)
        self._places.append(place)
        return place

    def chunk_for(self, place: _Place) -> bytes:
        """Return the next chunk for a place and move it on; empty at the end."""
        try:
            with self._lock:
                if place.next_chunk == self._end:
                    chunk = self._pull()
                    place.next_chunk = self._end
                else:
                    kept = self._kept[place.next_chunk]
                    chunk = self._spill.get(kept) if isinstance(kept, Slot) else kept
                    place.next_chunk += 1
                self._drop_unneeded()
                return chunk
        finally:
            if self._untidy:
                self.tidy()

    def tidy(self) -> None:
        """Forget the places that are closed, now or as soon as the lock is free."""
        self._untidy = True
        # Whoever holds the lock looks at the note after letting go, so no note is lost.
        while self._untidy and self._lock.acquire(blocking=False):
            try:
                self._untidy = False
                self._places = [place for place in self._places if not place.closed]
                self._drop_unneeded()
            finally:
                self._lock.release()

    def _pull(self) -> bytes:
        """Take the next chunk from the source and keep it for the others."""
        if self._error is not None:
            raise self._error.with_traceback(self._traceback)
        if self._source is None:
            return b""
        try:
            chunk = read_chunk(self._source, self._buffer_size)
            if not chunk:
                self._source = None  # a growing file might go on; the readers do not
                return b""
            full_disk = self._keep(chunk)
        except BaseException as error:
            # An interrupt too: a chunk may be lost with it, and nobody may read past the gap.
            self._error, self._traceback = error, error.__traceback__
            raise
        if full_disk is not None:
            raise full_disk  # for this reader, which ran ahead; the others find the chunk kept
        return chunk

    def _keep(self, chunk: bytes) -> OSError | None:
        """Add a chunk to the log, in memory if need be when the disk refuses it."""
        full_disk = None
        cost = len(chunk) + _CHUNK_OVERHEAD
        if self._memory_bytes + cost > self._max_memory and len(self._places) > 1:
            # The newest goes to disk: it is needed last.
            try:
                self._park(chunk)
                return None
            except OSError as error:
                full_disk = error
        self._kept[self._end] = chunk
        self._memory_bytes += cost
        self._end += 1
        return full_disk

    def _park(self, chunk: bytes) -> None:
        last = self._kept.get(self._end - 1)
        at_end = sum(place.next_chunk == self._end for place in self._places)
        # Small chunks become one, or their entries would fill the memory instead; unless somebody
        # beside the reader that this chunk is for has the last one already.
        if isinstance(last, Slot) and last.length + len(chunk) <= self._buffer_size and at_end == 1:
            longer = self._spill.extend(last, chunk)
            if longer is not None:
                self._kept[self._end - 1] = longer
                return
        self._kept[self._end] = self._spill.put(chunk)
        self._end += 1

    def _drop_unneeded(self) -> None:
        needed = min((place.next_chunk for place in self._places), default=self._end)
        while self._first < needed:
            kept = self._kept.pop(self._first)
            self._first += 1
            if isinstance(kept, Slot):
                self._spill.free(kept)
            else:
                self._memory_bytes -= len(kept) + _CHUNK_OVERHEAD
        if not self._places:
            self._source = None
