"""The size of compressed data, written behind it, and the loop that decodes such data.

A compressed stream does not begin with its plain size, which nobody knows then, and to count it
means to decode everything. So the encoders of this room end with one more member (gzip) or frame
(zstd) that every decoder reads as nothing, and that holds two sizes. Because the second is that of
the encoded data, a marker that something was put before or behind, as when two files are
concatenated, is seen to speak of something else. Only `compression` imports this module.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from encore.errors import CorruptValueError
from encore.streams.codec import PIECE_BYTES

__all__ = ["SIZES_BYTES", "Member", "Members", "SizeMarker"]

# Little-endian: plain size, size of the encoded data before the marker; CRC-32 of these 16 bytes.
_SIZES = struct.Struct("<QQ")
_CHECK = struct.Struct("<L")

#: What the head has to announce, in bytes.
SIZES_BYTES = _SIZES.size + _CHECK.size

# What is fed at a time. What a decoder has not used is copied after every piece and every member,
# so this bounds the cost of data that decodes to a thousand times as much, and of tiny members.
_FEED_BYTES = 65536


class Member(Protocol):
    """One member or frame being decoded, as `zlib`, `isal` and `zstd` have it."""

    @property
    def eof(self) -> bool:
        """Whether its end has been reached, and its checksum was right."""

    @property
    def unused_data(self) -> bytes:
        """What came behind its end."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class SizeMarker:
    """A member without data that holds how much data the others have.

    Parameters
    ----------
    head, foot : bytes
        What stands before and behind the `SIZES_BYTES` bytes of the sizes.
    """

    head: bytes
    foot: bytes

    @property
    def length(self) -> int:
        """Of the whole marker, in bytes."""
        return len(self.head) + SIZES_BYTES + len(self.foot)

    def write(self, plain_size: int, encoded_size: int) -> bytes:
        """Return the marker to put behind ``encoded_size`` bytes that hold ``plain_size``."""
        sizes = _SIZES.pack(plain_size, encoded_size)
        return self.head + sizes + _CHECK.pack(zlib.crc32(sizes)) + self.foot

    def read(self, encoded_size: int, tail: bytes) -> int | None:
        """Return the plain size from the end of data of ``encoded_size`` bytes, marker included.

        None if there is no marker at the end, if it is damaged, or if it speaks of other data.
        """
        found = bytes(tail[-self.length :])
        if len(found) < self.length or not found.startswith(self.head):
            return None
        plain_size, before = _SIZES.unpack_from(found, len(self.head))
        told = before == encoded_size - self.length and found == self.write(plain_size, before)
        return plain_size if told else None


@dataclass(frozen=True, slots=True)
class Members:
    """How the members of one format are read, one after another.

    Parameters
    ----------
    begin : callable
        Returns what decodes the next member.
    refusals : tuple of exception types
        What that raises when the data is damaged.
    marker : SizeMarker
        Compared with the data, if there is one.
    what : str
        What the data should be, for people.
    padding : bytes
        Any of these bytes may stand between members and behind the last.
    """

    begin: Callable[[], Member]
    refusals: tuple[type[Exception], ...]
    marker: SizeMarker
    what: str
    padding: bytes = b""

    def decode(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the data of all members, at most `PIECE_BYTES` at a time.

        Raises
        ------
        CorruptValueError
            If the data is damaged, ends within a member, or is not what the marker says.
        """
        tail, encoded_size, plain_size = b"", 0, 0
        member: Member | None = None
        for data in _fed(chunks):
            tail = (data if len(data) >= self.marker.length else tail + data)[-self.marker.length :]
            unused = data if member or not encoded_size else data.lstrip(self.padding)
            encoded_size += len(data)
            while unused:
                if member is None:
                    member = self.begin()
                try:
                    for piece in _pieces(member, unused):
                        plain_size += len(piece)
                        yield piece
                except self.refusals as error:
                    message = f"this is not {self.what}, or it is damaged: {error}"
                    raise CorruptValueError(message) from error
                if not member.eof:
                    break
                unused = member.unused_data.lstrip(self.padding)
                member = None
        if member is not None or not encoded_size:
            raise CorruptValueError(
                f"this is {self.what} that ends too early, after {encoded_size:,} bytes"
            )
        told = self.marker.read(encoded_size, tail)
        if told is not None and told != plain_size:
            raise CorruptValueError(
                f"this is {self.what} with {plain_size:,} bytes of data, but {told:,} were "
                "written: parts of it are missing, or come from elsewhere"
            )

    def decode_small(self, data: bytes, max_bytes: int | None) -> bytes | None:
        """Return the data of one member with a marker at once; None where that cannot be.

        The generators above cost twice as much as the library takes for a small value. None says
        nothing about what is wrong; that is for `decode` to find out.
        """
        size = self.marker.read(len(data), data)
        if size is None or size > (
            PIECE_BYTES if max_bytes is None else min(max_bytes, PIECE_BYTES)
        ):
            return None
        member = self.begin()
        try:
            plain = member.decompress(data, size + 1)
        except self.refusals:
            return None
        only = member.eof and len(member.unused_data) == self.marker.length
        return plain if only and len(plain) == size else None


def _fed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for begin in range(0, len(chunk), _FEED_BYTES):
            yield chunk[begin : begin + _FEED_BYTES]


def _pieces(member: Member, data: bytes) -> Iterator[bytes]:
    """Yield what comes of some encoded bytes, up to the end of the member at most."""
    while True:
        piece = member.decompress(data, PIECE_BYTES)
        if piece:
            yield piece
        # zlib hands back what it has not used, zstd keeps it.
        data = getattr(member, "unconsumed_tail", b"")
        if member.eof or (not data and len(piece) < PIECE_BYTES):
            return
