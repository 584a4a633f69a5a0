"""What a transaction holds of files: versions not opened yet, and what a thread has under way.

``reading`` and ``files`` import this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from encore.storage.backends.filesystem.contents import FileContent, FileVersion
from encore.storage.backends.hashdir.tree import Place
from encore.storage.backends.sqlite.connections import SqliteOwner


class FileOwner(SqliteOwner):
    """What a store with files knows of the calling thread.

    Attributes
    ----------
    is_listed : bool
        Whether there are files of this transaction on the writer's list.
    made : set of tuple of str
        Directories with new entries, which a durable commit has to wait for.
    """

    is_listed: bool = False
    made: set[tuple[str, ...]] | None = None


class Version(FileVersion):
    """A version that is opened when somebody reads it; in a transaction it does not go."""

    __slots__ = ("place",)

    def __init__(self, place: Place, size: int, load: Callable[[], FileContent]) -> None:
        super().__init__(size, f"{place.version:x}", load)
        self.place = place


class Duplicate:
    """Data that is to have a second place, under another key.

    Parameters
    ----------
    version : Version
    """

    def __init__(self, version: Version) -> None:
        self.place = version.place
        self.size = version.size
        self._version = version
        self.read, self.chunks, self.close = version.read, version.chunks, version.close

    def open(self) -> int:
        """Return a descriptor of the data, to be closed."""
        return os.dup(self._version._open().fileno())

    def discard(self) -> None:
        """There is nothing yet to be taken away."""
