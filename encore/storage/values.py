"""Values: what ``get`` returns and ``set`` takes.

A `Value` is a small record (metadata, size, times, token) and a *content*: either bytes, or an
object that reads ranges of a version of the data that will not change under it. Backends make
values with `Value.of`; applications make them with the constructor.
"""

from __future__ import annotations

import io
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import IO, Any

from encore.storage.content import BUFFER_SIZE, Content, ContentIO, KeyEntry, clip
from encore.storage.metadata import EMPTY, decode_metadata, encode_metadata
from encore.streams import chunks_of

__all__ = ["BUFFER_SIZE", "Content", "KeyEntry", "Value", "gather", "split_value"]


class Value:
    """A value: a byte stream with metadata.

    Parameters
    ----------
    data : bytes-like or binary file-like
        The data. A file-like is read once, from where it stands.
    metadata : mapping of str to JSON, optional
        Copied.
    created, modified : float, optional
        Seconds since the epoch, UTC. Kept by ``copy_store``; ``set`` gives new ones.

    Attributes
    ----------
    size : int or None
        Bytes; None for a stream of unknown length.
    created, modified : float or None
        Seconds since the epoch, UTC.
    token : str
        Changes with every write of the key; ``""`` for a value that was never in a store.

    Notes
    -----
    A value that came from a store is one version, whole: writes that happen later do not show
    through it. Close it (``with value as data:``) or let it go; until then it may hold a file or
    a snapshot.

    *Threads*: a value belongs to one thread at a time.
    """

    __slots__ = (
        "_content",
        "_metadata",
        "_stream",
        "_text",
        "created",
        "handle",
        "modified",
        "size",
        "token",
    )

    def __init__(
        self,
        data: Any = b"",
        metadata: Mapping[str, Any] | None = None,
        *,
        created: float | None = None,
        modified: float | None = None,
    ) -> None:
        self._text = encode_metadata(metadata)
        self._metadata: dict[str, Any] | None = None
        self._stream: IO[bytes] | None = None
        self._content: Any
        if isinstance(data, (bytes, bytearray, memoryview)):
            self._content = bytes(data)
            self.size: int | None = len(self._content)
        else:
            self._content = _OneShot(data)
            self.size = None
        self.created = created
        self.modified = modified
        self.token = ""
        self.handle: Any = None

    @classmethod
    def of(
        cls,
        content: bytes | Content,
        text: str,
        size: int | None,
        created: float,
        modified: float,
        token: str,
        handle: Any = None,
    ) -> Value:
        """Make a value from what a backend keeps; ``text`` is the metadata as JSON.

        A backend may leave in ``handle`` what it wants to know again of where it found it.
        """
        self = object.__new__(cls)
        self._content = content
        self._text = text
        self._metadata = None
        self._stream = None
        self.size = size
        self.created = created
        self.modified = modified
        self.token = token
        self.handle = handle
        return self

    def __repr__(self) -> str:
        return f"<Value of {self.size} bytes, metadata {self._text[:60]}>"

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata, a dictionary that belongs to the caller."""
        if self._metadata is None:
            self._metadata = decode_metadata(self._text)
        return self._metadata

    @property
    def metadata_text(self) -> str:
        """The metadata as compact JSON; what stores exchange."""
        return self._text if self._metadata is None else encode_metadata(self._metadata)

    @property
    def content(self) -> bytes | Content:
        """The data as a backend left it: bytes, or a content read in ranges."""
        return self._content  # type: ignore[no-any-return]

    def content_or_stream(self, buffer_size: int) -> bytes | Iterator[bytes]:
        """The data for whoever writes it elsewhere: bytes, or chunks to be read once."""
        return self._content if isinstance(self._content, bytes) else self.iterdata(buffer_size)

    def with_content(self, content: Content) -> Value:
        """Return this value with the same data seen through another content."""
        text, created, modified = self.metadata_text, self.created or 0.0, self.modified or 0.0
        return Value.of(content, text, self.size, created, modified, self.token)

    @property
    def data(self) -> IO[bytes]:
        """The data as a readable, seekable binary stream; the same one at each access."""
        if self._stream is None:
            self._stream = self.range()
        return self._stream

    def range(self, start: int | None = None, end: int | None = None) -> IO[bytes]:
        """Return a readable binary stream over the bytes from ``start`` to ``end`` (exclusive).

        Parameters
        ----------
        start, end : int, optional
            Offsets in bytes; a range beyond the end of the data is cut off there.

        Raises
        ------
        ValueError
            An offset is negative.
        """
        content = self._content
        if isinstance(content, bytes):
            start, end = clip(start, end, len(content))
            return io.BytesIO(content[start:end])
        if isinstance(content, _OneShot):
            if start or end is not None:
                raise ValueError("a value over a one-shot stream has no ranges")
            return content.take()
        start, end = clip(start, end, content.size)
        return io.BufferedReader(ContentIO(content, start, end), 65536)

    def iterdata(
        self,
        buffer_size: int = BUFFER_SIZE,
        progress: Callable[..., Any] | None = None,
    ) -> Iterator[bytes]:
        """Yield the data, from the beginning, in chunks of up to ``buffer_size`` bytes.

        Parameters
        ----------
        buffer_size : int, optional
            Bytes.
        progress : callable, optional
            Called as ``progress(step=bytes so far)`` after each chunk.
        """
        content = self._content
        if isinstance(content, bytes):
            chunks = chunks_of(content, buffer_size)
        elif isinstance(content, _OneShot):
            chunks = chunks_of(content.take(), buffer_size)
        else:
            # Asking a decoded content for its size might mean reading it twice.
            end = sys.maxsize if self.size is None else content.size
            chunks = content.chunks(0, end, buffer_size)
        if progress is None:
            yield from chunks
            return
        done = 0
        for chunk in chunks:
            yield chunk
            done += len(chunk)
            progress(step=done)

    def read(self) -> bytes:
        """Return all of the data, from the beginning."""
        content = self._content
        if isinstance(content, bytes):
            return content
        if isinstance(content, _OneShot):
            return content.take().read()
        return content.read(0, sys.maxsize if self.size is None else content.size)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Give back what the value holds. Closing twice is fine."""
        if self._stream is not None:
            self._stream.close()
        if not isinstance(self._content, (bytes, _OneShot)):
            self._content.close()

    def __enter__(self) -> IO[bytes]:
        return self.data

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _OneShot:
    """A stream of the caller's, that can be read once and says so the second time."""

    def __init__(self, stream: Any) -> None:
        if not hasattr(stream, "read"):
            raise TypeError(
                f"data must be bytes-like or a binary file-like, not {type(stream).__name__}"
            )
        self._stream: Any = stream

    def take(self) -> IO[bytes]:
        if self._stream is None:
            raise ValueError("the stream of this value has been read already, and cannot be again")
        stream, self._stream = self._stream, None
        return stream  # type: ignore[no-any-return]


def split_value(value: Any) -> tuple[Any, str]:
    """Return what ``set`` was given as data and metadata text.

    Parameters
    ----------
    value : Value, (data, metadata) or data
        Data is bytes-like or a binary file-like.
    """
    if isinstance(value, Value):
        content = value.content
        return (content if isinstance(content, bytes) else value), value.metadata_text
    if isinstance(value, tuple):
        if len(value) != 2:
            raise TypeError(f"a value is (data, metadata), not a tuple of {len(value)}")
        return value[0], encode_metadata(value[1])
    return value, EMPTY


def gather(chunks: Iterator[bytes], limit: int) -> bytes | Iterator[bytes]:
    """Return all of the chunks as bytes if they are at most ``limit`` bytes, else all as chunks."""
    head: list[bytes] = []
    size = 0
    for chunk in chunks:
        head.append(chunk)
        size += len(chunk)
        if size > limit:
            return itertools.chain(head, chunks)
    return b"".join(head)
