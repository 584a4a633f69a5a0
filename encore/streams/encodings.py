"""Other ways to write the same bytes: base64, the encodings of text, and as they are.

Both encodings read strictly: what they would not have written themselves is an error, never a
guess. Anybody may import this through `encore.streams`.
"""

from __future__ import annotations

import binascii
import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

from encore.errors import CorruptValueError
from encore.streams.buffers import chunks_of
from encore.streams.chunks import BytesLike
from encore.streams.codec import PIECE_BYTES, StreamCodec, blocks, closes_source

__all__ = ["Base64", "Identity", "TextEncoding"]

# Whole groups of 3 bytes, of 4 letters; and of text, what is less than 1 MiB in any encoding.
_PLAIN_BLOCK_BYTES = 3 * 131072
_BASE64_BLOCK_BYTES = 4 * 131072
_TEXT_BLOCK_BYTES = 262144

# Python has these as encodings of text, but what they make of a text is not made of its parts.
_NOT_FOR_STREAMS = frozenset({"idna", "punycode", "undefined"})
_SAME_SIZE = frozenset({"utf-8", "ascii"})


@dataclass(frozen=True, slots=True)
class Identity(StreamCodec):
    """Bytes as they are."""

    @closes_source
    def encode(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        return chunks

    @closes_source
    def decode(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        return chain.from_iterable(chunks_of(chunk, PIECE_BYTES) for chunk in chunks)

    def plain_size(self, encoded_size: int, tail: bytes) -> int | None:
        return encoded_size


@dataclass(frozen=True, slots=True)
class Base64(StreamCodec):
    """Base64 (RFC 4648, section 4): the standard alphabet, padded, in one line.

    Notes
    -----
    Decoding takes only what encoding gives: no other characters, no line ends, all of the padding,
    and no bits that say nothing.
    """

    tail_bytes: ClassVar[int] = 2

    @closes_source
    def encode(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks(chunks, _PLAIN_BLOCK_BYTES):
            yield binascii.b2a_base64(block, newline=False)

    def encode_bytes(self, data: bytes) -> bytes:
        return binascii.b2a_base64(data, newline=False)

    @closes_source
    def decode(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        padded = False
        for block in blocks(chunks, _BASE64_BLOCK_BYTES):
            if padded:
                raise CorruptValueError("this is not base64: it goes on behind the padding")
            piece = _from_base64(block)
            padded = 4 * len(piece) != 3 * len(block)
            yield piece

    def plain_size(self, encoded_size: int, tail: bytes) -> int | None:
        if encoded_size % 4 or len(tail) < min(encoded_size, 2):
            return None
        padding = 2 if tail.endswith(b"==") else int(tail.endswith(b"="))
        return encoded_size // 4 * 3 - padding


def _from_base64(block: BytesLike) -> bytes:
    try:
        piece = binascii.a2b_base64(block, strict_mode=True)
    except binascii.Error as error:
        raise CorruptValueError(f"this is not base64, or it is damaged: {error}") from error
    # Strict as that is, it lets pass what stands behind the data in the last letter before padding.
    if binascii.b2a_base64(piece[-(len(piece) % 3 or 3) :], newline=False) != block[-4:]:
        raise CorruptValueError(
            "this is not base64, or it is damaged: its last letters hold too much"
        )
    return piece


@dataclass(frozen=True, slots=True)
class TextEncoding(StreamCodec):
    """Text in another encoding: UTF-8 on the plain side, ``encoding`` on the encoded side.

    With ``"utf-8"`` it merely sees to it that data is valid UTF-8.

    Parameters
    ----------
    encoding : str
        A name that ``codecs.lookup`` knows, of an encoding of text.

    Raises
    ------
    ValueError
        If there is no such encoding, or it is not one for streams of text (``idna``, ``punycode``).
        From encoding: the data is not UTF-8, or ``encoding`` cannot hold the text. A few encodings
        of Japanese and Chinese write two characters as one, ``¥`` as a backslash; what would come
        back as another text is refused, too.
    CorruptValueError
        From decoding: the data is no text in ``encoding``.

    Notes
    -----
    ``"utf-16"`` and ``"utf-32"`` write a byte order mark, and the byte order of the machine;
    ``"utf-16-le"`` and the like say which one, and write no mark.
    """

    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        try:
            "".encode(self.encoding)
        except LookupError as error:
            raise ValueError(f"TextEncoding needs an encoding of text: {error}") from error
        except UnicodeError:
            pass  # "undefined", which refuses even this
        if self._name in _NOT_FOR_STREAMS:
            raise ValueError(f"the encoding {self.encoding!r} is not one for streams of text")

    @property
    def _name(self) -> str:
        return codecs.lookup(self.encoding).name

    @closes_source
    def encode(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        return self._checked(chunks, ValueError) if self._is_utf8 else self._written(chunks)

    @closes_source
    def decode(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        return self._checked(chunks, CorruptValueError) if self._is_utf8 else self._read(chunks)

    def plain_size(self, encoded_size: int, tail: bytes) -> int | None:
        return encoded_size if self._name in _SAME_SIZE else None

    @property
    def _is_utf8(self) -> bool:
        return self._name == "utf-8"

    def _checked(self, chunks: Iterator[bytes], refusal: type[ValueError]) -> Iterator[bytes]:
        for _, block in _texts(blocks(chunks, _TEXT_BLOCK_BYTES), "utf-8", refusal):
            if block:
                yield bytes(block)

    def _written(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        writer = codecs.getincrementalencoder(self.encoding)()
        reader = codecs.getincrementaldecoder(self.encoding)()
        unread = ""
        for text, block in _texts(blocks(chunks, _TEXT_BLOCK_BYTES), "utf-8", ValueError):
            try:
                piece = writer.encode(text, not block)
                back = reader.decode(piece, not block)
            except UnicodeError as error:
                raise ValueError(f"{self.encoding} cannot hold this text: {_why(error)}") from error
            # A writer may wait for the character that follows, so the reader may lag behind.
            unread += text
            if not unread.startswith(back) or (not block and back != unread):
                raise ValueError(
                    f"{self.encoding} cannot hold this text: it would come back as another one"
                )
            unread = unread[len(back) :]
            if piece:
                yield piece

    def _read(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        encoded = blocks(chunks, _TEXT_BLOCK_BYTES)
        for text, _ in _texts(encoded, self.encoding, CorruptValueError):
            try:
                piece = text.encode()
            except UnicodeEncodeError as error:  # lone surrogates, in UTF-7
                raise CorruptValueError(
                    f"this is no text in {self.encoding}: {_why(error)}"
                ) from error
            if piece:
                yield piece


def _texts(
    encoded: Iterator[BytesLike], encoding: str, refusal: type[ValueError]
) -> Iterator[tuple[str, BytesLike]]:
    """Yield the texts of some blocks with the blocks, and at last what is left, with none."""
    reader = codecs.getincrementaldecoder(encoding)()
    for block in chain(encoded, (b"",)):
        try:
            text = reader.decode(block, not block)
        except UnicodeError as error:
            raise refusal(f"this is no text in {encoding}: {_why(error)}") from error
        yield text, block


def _why(error: UnicodeError) -> str:
    # Its positions are those in a block, which say nothing to anybody.
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object[error.start]!a}: {error.reason}"
    return getattr(error, "reason", None) or str(error)
