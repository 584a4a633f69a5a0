"""Data on its way, parked in temporary files: what has no known end, and what is yet to be sent.

The stores of this package import this module.
"""

from __future__ import annotations

import io
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from encore.errors import StoreError

__all__ = ["Body", "SpooledData"]

_PIECE = 1 << 20


class SpooledData:
    """Data in an anonymous temporary file, which is gone with the last who knows of it.

    *Threads*: reads are independent of each other.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        file: IO[bytes] = tempfile.TemporaryFile(prefix="encore-http-", buffering=0)  # noqa: SIM115
        self._file = file
        self._reading = threading.Lock()
        self._closer = weakref.finalize(self, file.close)
        self.size = 0
        try:
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    view = view[file.write(view) :]
                self.size += len(chunk)
        except BaseException:
            self._closer()
            raise

    def read(self, start: int, end: int) -> bytes:
        pieces = [*self.chunks(start, end, _PIECE)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        while start < end:
            count = min(buffer_size, end - start)
            if hasattr(os, "pread"):
                data = os.pread(self._file.fileno(), count, start)
            else:
                with self._reading:
                    self._file.seek(start)
                    data = self._file.read(count)
            if not data:
                raise StoreError("a temporary file has been cut short")
            start += len(data)
            yield data

    def close(self) -> None:
        """Nothing: others may know of it."""

    def discard(self) -> None:
        """Nothing: others may know of it."""


class Body(io.RawIOBase):
    """A head and then data, as a body to be sent: of known length, in small pieces.

    Parameters
    ----------
    head : bytes
    size : int
        Of the data, in bytes.
    read : callable
        ``read(start, end)`` returns bytes of the data.
    """

    def __init__(self, head: bytes, size: int, read: Callable[[int, int], bytes]) -> None:
        self._head = head
        self._read = read
        self._length = len(head) + size
        self._position = 0

    def __len__(self) -> int:
        return self._length

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        head = len(self._head)
        begin = self._position
        end = min(begin + len(buffer), head if begin < head else self._length)
        data = self._head[begin:end] if begin < head else self._read(begin - head, end - head)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
