"""A stream on its way into several stores.

Only ``mirroring`` imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from encore.storage.template import Staged, Store
from encore.storage.values import BUFFER_SIZE


class MirroredStream:
    """A stream that is staged in the first of several stores, and from there in the rest.

    Parameters
    ----------
    parts : list of Store
    key : str
    chunks : iterator of bytes
    """

    def __init__(self, parts: list[Store], key: str, chunks: Iterator[bytes]) -> None:
        self.contents: list[Staged] = []
        try:
            for part in parts:
                self.contents.append(part._take_stream(key, chunks))
                chunks = self.chunks(0, self.size, BUFFER_SIZE)
        except BaseException:
            self.discard()
            raise

    @property
    def size(self) -> int:
        """Bytes."""
        return self.contents[0].size

    def read(self, start: int, end: int) -> bytes:
        return self.contents[0].read(start, end)

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        return self.contents[0].chunks(start, end, buffer_size)

    def close(self) -> None:
        with ExitStack() as all_of_them:
            for content in self.contents:
                all_of_them.callback(content.close)

    def discard(self) -> None:
        with ExitStack() as all_of_them:
            for content in self.contents:
                all_of_them.callback(content.discard)
