"""Contents that pass a cache: copied on their way in, and with something to fall back on.

Only ``cached`` and ``caching`` import this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import Any

from encore.errors import StoreError
from encore.storage.content import BUFFER_SIZE, Content
from encore.streams import chunks_of

# What a failing cache, or the disk under it, raises.
CACHE_FAILURES = (StoreError, OSError)


class Copying:
    """A content of the main store that is copied when it has been read from end to end.

    Parameters
    ----------
    content : Content
    keep : callable
        Called once with all of the data, as bytes or as a file.
    failed : callable
        Called with the exception if the data could not be kept aside.
    """

    def __init__(
        self,
        content: Content,
        keep: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._content = content
        self._keep: Callable[[Any], None] | None = keep
        self._failed = failed

    @property
    def size(self) -> int:
        """Bytes."""
        return self._content.size

    def read(self, start: int, end: int) -> bytes:
        data = self._content.read(start, end)
        if start == 0 and len(data) == self.size:
            self._finish(data)
        return data

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        chunks = self._content.chunks(start, end, buffer_size)
        if self._keep is None or start != 0 or end < self.size:
            yield from chunks
            return
        with SpooledTemporaryFile(BUFFER_SIZE) as copy:
            for chunk in chunks:
                self._set_aside(chunk, copy)
                yield chunk
            if self._keep is not None and copy.tell() == self.size:
                copy.seek(0)
                self._finish(copy)

    def _set_aside(self, chunk: bytes, copy: Any) -> None:
        if self._keep is None:
            return
        try:
            copy.write(chunk)
        except OSError as error:  # no room for the copy: the reader shall not suffer
            self._keep = None
            self._failed(error)

    def _finish(self, data: Any) -> None:
        if self._keep is not None:
            keep, self._keep = self._keep, None
            keep(data)

    def close(self) -> None:
        self._content.close()


class Spared:
    """The content of a copy; where that fails, the same version from the main store.

    Parameters
    ----------
    copy : Content
    fetch : callable
        Called with the exception; returns the content of the main store, or raises what there is
        to say.
    """

    def __init__(self, copy: Content, fetch: Callable[[Exception], Content]) -> None:
        self._content = copy
        self._fetch: Callable[[Exception], Content] | None = fetch
        self._size = copy.size

    @property
    def size(self) -> int:
        """Bytes."""
        return self._size

    def read(self, start: int, end: int) -> bytes:
        try:
            return self._content.read(start, end)
        except CACHE_FAILURES as error:
            self._fall_back(error)
            return self._content.read(start, end)

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        try:
            for chunk in self._content.chunks(start, end, buffer_size):
                start += len(chunk)
                yield chunk
        except CACHE_FAILURES as error:
            self._fall_back(error)
            yield from self._content.chunks(start, end, buffer_size)

    def _fall_back(self, error: Exception) -> None:
        if self._fetch is None:
            raise error
        fetch, self._fetch = self._fetch, None
        with ExitStack() as failed:
            failed.callback(self._content.close)
            self._content = fetch(error)

    def close(self) -> None:
        self._content.close()


class InMemory:
    """A content that is bytes, for whoever asks a content.

    Parameters
    ----------
    data : bytes
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, start: int, end: int) -> bytes:
        return self._data[start:end]

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        return chunks_of(self._data[start:end], buffer_size)

    def close(self) -> None:
        """There is nothing to give back."""
