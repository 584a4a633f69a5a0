"""From data to what stands in the archive, at once or a piece at a time.

Only this subpackage imports this module.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from encore.storage.backends.zip.headers import DEFLATED, STORED

METHODS = {"stored": STORED, "deflated": DEFLATED}
_LEVEL = 6
_RAW = -15  # deflate without header and checksum, window of 32 KiB
_SMALL = 2048


def pack(data: bytes, method: int) -> tuple[int, bytes]:
    """Return how the data is kept, and as what: stored, if packing does not make it smaller."""
    if method == STORED or len(data) < 8:
        return STORED, data
    if len(data) <= _SMALL:
        # A window and a table that suit so little: clearing those of the usual size takes longer
        # than packing.
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -12, 4)
        packed = packer.compress(data) + packer.flush()
    else:
        packed = zlib.compress(data, _LEVEL, wbits=_RAW)
    return (STORED, data) if len(packed) >= len(data) else (method, packed)


class Packing:
    """A stream on its way in.

    Attributes
    ----------
    size, packed_size : int
        Bytes so far; complete when the iterator has come to its end.
    crc : int
    """

    def __init__(self, chunks: Iterable[bytes], method: int) -> None:
        self._chunks = chunks
        self._method = method
        self.size = self.packed_size = self.crc = 0

    def __iter__(self) -> Iterator[bytes]:
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW) if self._method else None
        for chunk in self._chunks:
            self.size += len(chunk)
            self.crc = zlib.crc32(chunk, self.crc)
            packed = chunk if packer is None else packer.compress(chunk)
            if packed:
                self.packed_size += len(packed)
                yield packed
        if packer is not None:
            packed = packer.flush()
            self.packed_size += len(packed)
            yield packed
