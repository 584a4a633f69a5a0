"""Data to be written: reproducible bytes, and the streams that strangers hand in.

Pure Python; every module of this package may import it.
"""

from __future__ import annotations

import random
from functools import lru_cache

_BLOCK = 65521  # a prime: no boundary of a chunk or buffer falls on the beginning of the pattern

MIB = 1 << 20

#: Sizes in bytes on both sides of every threshold that a store is likely to have.
SIZES = (0, 1, 1023, 1024, 1025, 65535, 65536, 65537, MIB, MIB + 1, 3 * MIB)


@lru_cache(maxsize=64)
def _block(seed: int) -> bytes:
    return random.Random(seed).randbytes(_BLOCK)


@lru_cache(maxsize=256)  # the same object again: whoever keeps what it generated keeps little
def pattern(size: int, seed: int = 0) -> bytes:
    """Return ``size`` bytes, the same for the same seed, and others for another."""
    block = _block(seed)
    return block[:size] if size <= _BLOCK else (block * (size // _BLOCK + 1))[:size]


class SourceBroke(Exception):  # noqa: N818  what happened, as the test tells it
    """What a `Failing` source raises."""


class Trickle:
    """A source with nothing but ``read``: no length, no seeking, short reads.

    Parameters
    ----------
    data : bytes
    piece : int
        The most that one read gives, in bytes.
    """

    def __init__(self, data: bytes, piece: int = 7001) -> None:
        self._data = data
        self._piece = piece
        self.position = 0
        self.largest_read = 0

    def read(self, size: int = -1) -> bytes:
        self.largest_read = max(self.largest_read, len(self._data) if size < 0 else size)
        if size < 0:
            size = len(self._data)
        chunk = self._data[self.position : self.position + min(size, self._piece)]
        self.position += len(chunk)
        return chunk


class Failing(Trickle):
    """A source that raises once it has given all of its data.

    Parameters
    ----------
    data : bytes
        What comes before the failure.
    error : BaseException, optional
    """

    def __init__(self, data: bytes, error: BaseException | None = None) -> None:
        super().__init__(data, 65536)
        self._error = SourceBroke("the source broke") if error is None else error

    def read(self, size: int = -1) -> bytes:
        chunk = super().read(size)
        if not chunk and size != 0:
            raise self._error
        return chunk


class Generated:
    """A long stream that is never in memory.

    Parameters
    ----------
    size : int
        Bytes.
    """

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        take = self._left if size < 0 else min(size, self._left)
        self._left -= take
        return pattern(take)
