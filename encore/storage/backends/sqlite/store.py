"""The store of one file: records, and large data in the same file."""

from __future__ import annotations

from collections.abc import Iterator

from encore.storage.backends.sqlite.checking import examine
from encore.storage.backends.sqlite.large import LargeValues
from encore.storage.checking import Problem


class SqliteStore(LargeValues):
    """A store in one SQLite file.

    Parameters
    ----------
    path : path-like
        The file; it and its directory are made if they are missing. ``":memory:"`` is a store
        that nobody else sees and that is gone when it is closed.
    index : iterable of str, optional
        Metadata fields to index: queries for them are fast. An index stays in the file.
    durability : str, optional
        What a commit survives: ``"process"``, a crash of the program (a power cut may lose the last
        commits, never a part of one), or ``"power"``, that too, at the cost of waiting for the
        disk.
    readonly : bool, optional
        Open an existing file without ever writing to it.
    page_size : int, optional
        Bytes; counts for a new file only. 16384 suits files of mostly large values.
    event_manager, timeout
        See `Store`.

    Raises
    ------
    StoreError
        The path is a directory or another program's database, or cannot be opened.
    CorruptValueError
        The file is no database.
    UnsupportedError
        A newer encore wrote the file.

    Notes
    -----
    *Threads*: each thread has its own connection; readers never wait for writers.
    """

    def _examine(self, repair: bool) -> Iterator[Problem]:
        return examine(self, repair)
