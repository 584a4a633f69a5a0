"""One chunk of bytes: how it is asked for, checked, and handed on.

Every reader of this room meets the same strangers: sources that are text, that do not block, that
return a ``bytearray`` they will fill again, or more than they were asked for. Here, and only here,
they are turned into ``bytes`` or into an error that says what to do. The other modules of
`encore.streams` import it.
"""

from __future__ import annotations

import io
from typing import Protocol, TypeAlias

BUFFER_SIZE = 1048576
"""Bytes moved at a time where the caller does not say otherwise."""

BytesLike: TypeAlias = bytes | bytearray | memoryview


class BinarySource(Protocol):
    """The little that is asked of a binary file-like object."""

    def read(self, size: int, /) -> BytesLike | None:
        """Return at most ``size`` bytes, and none only at the end."""


def as_bytes(chunk: object) -> bytes:
    """Return a chunk as immutable bytes, copying it only where it could change.

    Parameters
    ----------
    chunk : bytes, bytearray or memoryview
        A memoryview may have any shape, strides and format; its bytes are taken in C order.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if type(chunk) is bytes:
        return chunk
    if isinstance(chunk, memoryview):
        return chunk.tobytes()
    if isinstance(chunk, bytes | bytearray):
        return bytes(chunk)
    if isinstance(chunk, str):
        raise TypeError("got text where bytes belong: open the file in binary mode, or encode()")
    raise TypeError(f"got {type(chunk).__name__} where bytes belong")


def read_chunk(source: BinarySource, size: int) -> bytes:
    """Read at most ``size`` bytes, in one call of the source.

    Parameters
    ----------
    source : binary file-like
        What to read from.
    size : int
        The most to read, in bytes; at least 1.

    Returns
    -------
    bytes
        Empty only at the end of the source.

    Raises
    ------
    TypeError
        If the source is not binary.
    BlockingIOError
        If the source does not block: "nothing yet" cannot be told apart from the end here.
    OSError
        If the source returns more than it was asked for.
    """
    chunk = source.read(size)
    if chunk is None:
        raise BlockingIOError(
            "the source returned None, no data yet: it is in non-blocking mode, "
            "but a blocking stream is needed"
        )
    data = as_bytes(chunk)
    if len(data) > size:
        raise OSError(f"the source returned {len(data)} bytes when asked for at most {size}")
    return data


def check_source(source: object) -> None:
    """Refuse with a `TypeError` what is no file-like object; text shows at the first read."""
    if not callable(getattr(source, "read", None)):
        kind = type(source).__name__
        raise TypeError(f"a binary file-like object with read(n) is needed, got {kind}")


def check_size(name: str, size: int, at_least: int = 1) -> None:
    """Refuse with a `ValueError` a count that is too small."""
    if size < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {size}")


def check_open(stream: io.IOBase) -> None:
    """Refuse with a `ValueError`, as `io` does, a stream that is closed."""
    if stream.closed:
        raise ValueError("I/O operation on closed file")


def close_if_possible(source: object) -> None:
    """Close a source or an iterator that can be closed."""
    close = getattr(source, "close", None)
    if close is not None:
        close()
