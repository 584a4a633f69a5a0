"""A value whose data is decoded as it is read.

`DecodedContent` looks at the encoded content of the base through a `StreamCodec`. Reading on from
where the last read ended goes on with the same decoder; reading further back begins again. Only
``codecs`` imports this module.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from encore.errors import CorruptValueError
from encore.storage.content import BUFFER_SIZE, Content
from encore.storage.template import Staged
from encore.streams import chunks_of
from encore.streams.codec import StreamCodec


class DecodedContent:
    """Encoded content, seen through a codec.

    Parameters
    ----------
    codec : StreamCodec
    encoded : bytes or Content
    plain_size : int or None
        Bytes, decoded; None where only decoding can tell.
    max_bytes : int
        The most that `read` returns.
    """

    def __init__(
        self, codec: StreamCodec, encoded: bytes | Content, plain_size: int | None, max_bytes: int
    ) -> None:
        self._codec = codec
        self._encoded = encoded
        self._size = plain_size
        self._max_bytes = max_bytes
        self._decoder: Iterator[bytes] | None = None
        self._position = 0
        self._left = memoryview(b"")

    @property
    def size(self) -> int:
        """Bytes, decoded; found out by decoding where the encoded form does not tell."""
        if self._size is None:
            with closing(self._decode()) as chunks:
                self._size = sum(map(len, chunks))
        return self._size

    def read(self, start: int, end: int) -> bytes:
        if end - start > self._max_bytes:
            end = start + self._max_bytes + 1  # enough to know, whatever size the data claims
        found = io.BytesIO()
        for chunk in self._pieces(start, end):
            found.write(chunk)
        if found.tell() > self._max_bytes:
            raise CorruptValueError(
                f"the data decodes to more than {self._max_bytes:,} bytes, the limit (max_bytes) "
                "for reading at once; read it as a stream, or give the store a larger limit"
            )
        return found.getvalue()

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        for piece in self._pieces(start, end):
            yield from chunks_of(piece, buffer_size) if len(piece) > buffer_size else (piece,)

    def close(self) -> None:
        self._rewind()
        if not isinstance(self._encoded, bytes):
            self._encoded.close()

    def _decode(self) -> Any:
        encoded = self._encoded
        if isinstance(encoded, bytes):
            return self._codec.decode(chunks_of(encoded, BUFFER_SIZE))
        return self._codec.decode(encoded.chunks(0, encoded.size, BUFFER_SIZE))

    def _rewind(self) -> None:
        decoder, self._decoder = self._decoder, None
        self._position, self._left = 0, memoryview(b"")
        if decoder is not None:
            decoder.close()  # type: ignore[attr-defined]

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The decoded bytes from ``start`` to ``end``, in whatever pieces they come."""
        if self._decoder is None or start < self._position:
            self._rewind()
            self._decoder = self._decode()
        try:
            while self._position < end and self._fill():
                skipped = min(max(start - self._position, 0), len(self._left))
                piece = self._left[skipped : skipped + end - self._position - skipped]
                self._left = self._left[skipped + len(piece) :]
                self._position += skipped + len(piece)
                if piece:
                    yield bytes(piece)
            if self._position == self._size and self._fill():
                # Looking on also lets the checksum behind the data have its word.
                raise CorruptValueError(f"the data goes on beyond its {self._size:,} bytes")
        except Exception:
            self._rewind()  # a decoder that has failed would say next time that this was all
            raise

    def _fill(self) -> bool:
        """Have decoded bytes at hand; False at the end of the data."""
        assert self._decoder is not None
        while not self._left:
            chunk = next(self._decoder, None)
            if chunk is None:
                if self._size is not None and self._position < self._size:
                    raise CorruptValueError(
                        f"the data ends after {self._position:,} of its {self._size:,} bytes"
                    )
                return False
            self._left = memoryview(chunk)
        return True


class EncodedStream(DecodedContent):
    """Data on its way into a base, where it is encoded; whoever reads it here reads it plain."""

    def __init__(self, codec: StreamCodec, staged: Staged) -> None:
        super().__init__(codec, staged, None, sys.maxsize)
        self.staged = staged

    def discard(self) -> None:
        """Take the data away again."""
        self.staged.discard()
