"""Bytes in motion: streams cut into chunks, chunks read as streams, one stream read by several.

This is the face of the room. Everything here works on binary file-like objects and on iterators
of bytes, one buffer at a time, so memory stays flat however long the stream. Nothing here knows
stores or events, and anybody above may import it.
"""

from __future__ import annotations

from encore.streams.buffers import BufferIteratorIO, buffer_iterator, chunks_of
from encore.streams.chunks import BUFFER_SIZE, BinarySource, BytesLike
from encore.streams.readers import HashingReader, RangeReader, hash_chunks
from encore.streams.tee import TeeReader, tee

__all__ = [
    "BUFFER_SIZE",
    "BinarySource",
    "BufferIteratorIO",
    "BytesLike",
    "HashingReader",
    "RangeReader",
    "TeeReader",
    "buffer_iterator",
    "chunks_of",
    "hash_chunks",
    "tee",
]
