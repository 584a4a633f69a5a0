"""Bodies that a server compressed: undone piece by piece, and never beyond a limit.

Stores ask for data as it is, so this is for servers that compress all the same. Pure: chunks in,
chunks out. ``answers`` imports this module.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

__all__ = ["BadEncoding", "decoded"]

_PIECE = 65536
_GZIP = 31
_ZLIB = 15
_RAW = -15


class BadEncoding(Exception):  # noqa: N818  reads better in its place
    """The body is not what its headers say, or more than is taken."""


def decoded(chunks: Iterator[bytes], encoding: str, limit: int) -> Iterator[bytes]:
    """Yield what chunks were before they were compressed.

    Parameters
    ----------
    chunks : iterator of bytes
    encoding : str
        What ``Content-Encoding`` says.
    limit : int
        Bytes: more than that is refused before it is made.

    Raises
    ------
    BadEncoding
        The encoding is not known, the data is damaged or cut off, or there is too much of it.
    """
    name = encoding.strip().lower()
    if name in ("gzip", "x-gzip"):
        pieces = _members(chunks)
    elif name == "deflate":
        pieces = _deflate(chunks)
    else:
        # Not the name itself: what a server says is not repeated unseen.
        raise BadEncoding("it is encoded in a way that was not asked for and is not known")
    left = limit
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise BadEncoding(f"it is more than {limit} bytes when it is decompressed")
        yield piece


def _members(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """gzip: one member, or several that follow one another."""
    member = zlib.decompressobj(_GZIP)
    begun = False
    for chunk in chunks:
        data = chunk
        while data:
            if member.eof:
                member = zlib.decompressobj(_GZIP)
            begun = True
            yield from _inflate(member, data)
            data = member.unused_data
    if begun and not member.eof:
        raise BadEncoding("the compressed data ends too early")


def _deflate(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """What is called deflate: zlib's format by the standard, and bare in the wild."""
    stream = None
    for chunk in chunks:
        if stream is None:
            # The first byte of the former is 8 in its lower half, and at most 7 in its upper one.
            has_header = chunk[0] & 15 == 8 and chunk[0] >> 4 <= 7
            stream = zlib.decompressobj(_ZLIB if has_header else _RAW)
        if not stream.eof:
            yield from _inflate(stream, chunk)
            surplus = stream.unused_data
        else:
            surplus = chunk
        if surplus:
            raise BadEncoding("something follows the compressed data")
    if stream is not None and not stream.eof:
        raise BadEncoding("the compressed data ends too early")


def _inflate(stream: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    try:
        while data:
            piece = stream.decompress(data, _PIECE)
            if piece:
                yield piece
            data = stream.unconsumed_tail
        while not stream.eof and (piece := stream.decompress(b"", _PIECE)):
            yield piece
    except zlib.error as error:
        raise BadEncoding("the compressed data is damaged") from error
