"""Names that have to last over a power cut: their directories, opened before and synced after.

A change of names decides, and syncing them comes after it: an error there would be one after the
deed. So what can fail in everyday life, opening the directories, is done before. If the disk itself
then refuses, twice, the names are as they were to be, and nobody knows whether they will stay so.

Only this subpackage imports this module.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from encore.errors import CommitUnknownError
from encore.storage.backends.filesystem.system import Folder, open_to_sync


class NamesToSync:
    """Directories in which names are about to change.

    Parameters
    ----------
    durable : bool
        Whether to wait for the disk; otherwise nothing is done.
    """

    def __init__(self, durable: bool) -> None:
        self._durable = durable
        self._descriptors: list[int] = []

    def add(self, folder: Folder) -> None:
        """Open a directory; OSError if that cannot be done, and nothing has happened."""
        if self._durable:
            descriptor = open_to_sync(folder)
            if descriptor is not None:
                self._descriptors.append(descriptor)

    def sync(self) -> None:
        """Make the names durable, now that they have changed.

        Raises
        ------
        CommitUnknownError
            The disk refuses.
        """
        for descriptor in self._descriptors:
            try:
                os.fsync(descriptor)
            except OSError:
                try:
                    os.fsync(descriptor)
                except OSError as error:
                    raise unknown(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())


def unknown(error: OSError) -> CommitUnknownError:
    """What to raise where the disk refuses to keep what has happened."""
    return CommitUnknownError(
        f"the change is there, and may not survive a power cut: the disk refuses to keep it "
        f"({error}). Look after the disk, then write again"
    )
