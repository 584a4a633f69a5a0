"""Bodies of requests: compressed on the way, hashed, and sent again if they can be.

A body of bytes says its digest beforehand. A stream cannot: it is hashed while it is sent, and what
the service says of what has arrived is compared with that. ``session`` imports this module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from encore.service.metadata import repr_digest
from encore.streams import Zstd, chunks_of
from encore.streams.buffers import ChunkedRaw

__all__ = ["Outgoing"]

_PIECE = 1 << 18


class Outgoing:
    """What is to be sent.

    Parameters
    ----------
    contents : bytes-like or binary file-like
        A file-like is read from where it stands, and is not closed.
    compress : bool
        With Zstandard.

    Raises
    ------
    TypeError
        It is neither.

    Attributes
    ----------
    headers : dict of str to str
        That describe the body.
    can_repeat : bool
        Whether it can be sent once more.
    size, plain_size : int
        Bytes that were sent, and what they were before compression; known at the end.
    """

    def __init__(self, contents: Any, *, compress: bool) -> None:
        self._codec = Zstd() if compress else None
        self._stream: Any = None
        self.headers: dict[str, str] = {}
        self.size = self.plain_size = 0
        self._sha256: Any = None
        if isinstance(contents, (bytes, bytearray, memoryview)):
            plain = bytes(contents)
            data = plain if self._codec is None else self._codec.encode_bytes(plain)
            self.body: bytes | Callable[[], Any] = data
            self.size, self.plain_size = len(data), len(plain)
            self._sha256 = hashlib.sha256(data)
            self.headers["content-digest"] = repr_digest(self._sha256.digest())
            self.can_repeat = True
            return
        if not hasattr(contents, "read"):
            raise TypeError(
                f"contents are bytes-like or a binary file-like, not {type(contents).__name__}"
            )
        self._stream = contents
        self._start = _position(contents)
        self.can_repeat = self._start is not None
        self.body = self._opened

    def arrived_whole(self, digest: str | None) -> bool:
        """Whether what the service says has arrived is what was sent; it may say nothing."""
        return digest is None or digest == repr_digest(self._sha256.digest())

    def _opened(self) -> Any:
        """The body from its beginning."""
        if self._start is not None:
            self._stream.seek(self._start)
        self.size = self.plain_size = 0
        self._sha256 = hashlib.sha256()
        plain = self._counted(chunks_of(self._stream, _PIECE))
        chunks = plain if self._codec is None else self._codec.encode(plain)
        return ChunkedRaw(self._hashed(chunks))

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.plain_size += len(chunk)
            yield chunk

    def _hashed(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._sha256.update(chunk)
            self.size += len(chunk)
            yield chunk


def _position(stream: Any) -> int | None:
    """Where a stream stands; None if it cannot go back there."""
    try:
        return stream.tell() if stream.seekable() else None
    except (AttributeError, OSError, ValueError):
        return None
