"""Bytes in motion: streams cut into chunks, chunks read as streams, one stream read by several.

============= =============================================================
`buffers`     from streams to chunks, and back
`readers`     a range of a stream, a hash of what passes
`tee`         one source, several readers
`codec`       `StreamCodec`: a stream turned into another one, and back
`compression` `Gzip`, `Zstd`
`encodings`   `Base64`, `TextEncoding`, `Identity`
============= =============================================================

This is the face of the room. Everything here works on binary file-like objects and on iterators
of bytes, one buffer at a time, so memory stays flat however long the stream. Nothing here knows
stores or events, and anybody above may import it. The codecs are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from encore.streams.buffers import BufferIteratorIO, buffer_iterator, chunks_of
from encore.streams.chunks import BUFFER_SIZE, BinarySource, BytesLike
from encore.streams.readers import HashingReader, RangeReader, hash_chunks
from encore.streams.tee import TeeReader, tee

if TYPE_CHECKING:
    from encore.streams.codec import StreamCodec, blocks, closes_source
    from encore.streams.compression import Gzip, Zstd
    from encore.streams.encodings import Base64, Identity, TextEncoding

_HOMES = {
    "Base64": "encore.streams.encodings",
    "Gzip": "encore.streams.compression",
    "Identity": "encore.streams.encodings",
    "StreamCodec": "encore.streams.codec",
    "TextEncoding": "encore.streams.encodings",
    "Zstd": "encore.streams.compression",
    "blocks": "encore.streams.codec",
    "closes_source": "encore.streams.codec",
}

__all__ = [
    "BUFFER_SIZE",
    "Base64",
    "BinarySource",
    "BufferIteratorIO",
    "BytesLike",
    "Gzip",
    "HashingReader",
    "Identity",
    "RangeReader",
    "StreamCodec",
    "TeeReader",
    "TextEncoding",
    "Zstd",
    "blocks",
    "buffer_iterator",
    "chunks_of",
    "closes_source",
    "hash_chunks",
    "tee",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
