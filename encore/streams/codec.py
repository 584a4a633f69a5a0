"""`StreamCodec`: a stream of bytes turned into another one, and back.

What a codec is, and the two tools that every codec is written with: `closes_source`, so that
whoever drops a half-read stream drops what feeds it, and `blocks`, so that what comes out does not
depend on how the data was cut. A codec knows no store and does no I/O. The other codecs of
`encore.streams` import this module, and so may anybody who writes one.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import wraps
from typing import ClassVar, TypeVar

from encore.errors import CorruptValueError
from encore.streams.chunks import BytesLike, as_bytes, check_size, close_if_possible

__all__ = ["PIECE_BYTES", "StreamCodec", "blocks", "closes_source"]

#: The most that a decoder of this room hands out at a time, in bytes.
PIECE_BYTES = 1048576

_Codec = TypeVar("_Codec", bound="StreamCodec")


class StreamCodec(ABC):
    """An incremental encoder and decoder; equal, hashable and printable by its configuration.

    Subclasses are frozen, slotted dataclasses with two generator methods under `closes_source`.
    Encoding is deterministic: the same data gives the same bytes, however it is cut, whether by
    `encode` or by `encode_bytes`.

    Attributes
    ----------
    tail_bytes : int
        How many bytes from the end of the encoded data `plain_size` wants to see.

    Notes
    -----
    *Threads*: a codec holds no state, so any number of threads may share it. Each stream belongs to
    one thread at a time.
    """

    __slots__ = ()

    tail_bytes: ClassVar[int] = 0

    @abstractmethod
    def encode(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the encoded form of a stream, in constant memory.

        Parameters
        ----------
        chunks : iterable of bytes-like
            The plain data, cut in any way. What it raises passes through.

        Returns
        -------
        iterator of bytes
            Has ``close()``, which closes ``chunks`` too if that can be closed.

        Raises
        ------
        ValueError
            From the iterator: this codec cannot hold the data.
        """

    @abstractmethod
    def decode(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield what was encoded, in constant memory, at most about 1 MiB at a time.

        Parameters
        ----------
        chunks : iterable of bytes-like
            The encoded data, cut in any way. What it raises passes through.

        Returns
        -------
        iterator of bytes
            Has ``close()``, which closes ``chunks`` too if that can be closed. The data is known to
            be whole and right only when the iterator has ended: checksums stand at the end.

        Raises
        ------
        CorruptValueError
            From the iterator: the data is damaged, ends too early, or is of another kind.
        """

    def encode_bytes(self, data: bytes) -> bytes:
        """Return the encoded form of ``data``: the bytes that `encode` gives."""
        return b"".join(self.encode((data,)))

    def decode_bytes(self, data: bytes, max_bytes: int | None = None) -> bytes:
        """Return what was encoded as ``data``.

        Parameters
        ----------
        data : bytes
        max_bytes : int, optional
            Give up beyond so many bytes of plain data; not much more than that is ever held.

        Raises
        ------
        CorruptValueError
            If the data is damaged, ends too early, is of another kind or longer than ``max_bytes``.
        """
        if max_bytes is not None:
            check_size("max_bytes", max_bytes, at_least=0)
        # Unlike a list of pieces that are joined, this never holds the data twice.
        plain = io.BytesIO()
        with closing(self.decode((data,))) as pieces:  # type: ignore[type-var]
            for piece in pieces:
                if max_bytes is not None and plain.tell() + len(piece) > max_bytes:
                    raise CorruptValueError(
                        f"{len(data):,} bytes were not decoded by {self!r}: they hold more than "
                        f"max_bytes={max_bytes:,} allows; if that is meant, raise max_bytes or "
                        "read the data as a stream"
                    )
                plain.write(piece)
        return plain.getvalue()

    def plain_size(self, encoded_size: int, tail: bytes) -> int | None:
        """Return the size of the plain data without decoding it.

        Parameters
        ----------
        encoded_size : int
            Of all of the encoded data, in bytes.
        tail : bytes
            The last `tail_bytes` bytes of it, or more; less only if that is all there is.

        Returns
        -------
        int or None
            In bytes; None where only decoding could tell. Whether the data is undamaged is another
            question.
        """
        return None


class _Transformed(Iterator[bytes]):
    """What comes out of a generator over a source; the end of one is the end of the other."""

    # A generator alone would not do: closing one that has not begun does not run a line of it.

    __slots__ = ("_pieces", "_source")

    def __init__(self, pieces: Iterator[bytes], source: object) -> None:
        self._pieces = pieces
        self._source = source

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the generator and what feeds it."""
        pieces, self._pieces = self._pieces, iter(())
        source, self._source = self._source, None
        try:
            close_if_possible(pieces)
        finally:
            close_if_possible(source)


def closes_source(
    method: Callable[[_Codec, Iterator[bytes]], Iterator[bytes]],
) -> Callable[[_Codec, Iterable[bytes]], Iterator[bytes]]:
    """Decorate a generator method of a codec: the source is closed when its stream ends.

    Whether the stream ends by itself, by an error, or because it is closed, begun or not. The
    method gets an iterator of ``bytes``, whatever kind of bytes-like the source gives.
    """

    @wraps(method)
    def stream(self: _Codec, chunks: Iterable[bytes]) -> Iterator[bytes]:
        source = iter(chunks)
        return _Transformed(method(self, map(as_bytes, source)), source)

    return stream


def blocks(chunks: Iterable[BytesLike], size: int) -> Iterator[BytesLike]:
    """Cut a stream anew, into blocks of exactly ``size`` bytes, of which the last may be shorter.

    An engine that is always fed the same blocks always writes the same bytes; most of them look at
    how much input there is at a time. A block that lies within a chunk is not copied.

    Parameters
    ----------
    chunks : iterable of bytes-like
    size : int
        In bytes.

    Yields
    ------
    bytes, bytearray or memoryview
        Not empty.
    """
    held = bytearray()
    for chunk in chunks:
        if not held and len(chunk) == size:
            yield chunk
            continue
        view = memoryview(chunk)
        if held:
            begin = size - len(held)
            held += view[:begin]
            view = view[begin:]
            if len(held) == size:
                yield held
                held = bytearray()  # not cleared: the receiver may still hold the block
        while len(view) >= size:
            yield view[:size]
            view = view[size:]
        held += view
    if held:
        yield held
