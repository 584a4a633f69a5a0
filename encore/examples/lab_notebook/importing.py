"""Copying a directory of measurements into the project. Knows no window.

A directory is a store as it stands, and so is every corner of the project: an import is a copy
from store to store. `import_dialog` runs it in a thread.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from encore.events.api import CancelToken
from encore.examples.lab_notebook.document import Document
from encore.keys.maps import KeyMap
from encore.storage.api import CopyResult, FilesystemStore, KeyMapStore, copy_store

_ENDING = ".csv"


@dataclass(frozen=True, slots=True)
class CsvFiles(KeyMap):
    """The files that end in ``.csv``, called by what stands before it; others are invisible."""

    def to_base(self, key: str) -> str:
        return key + _ENDING

    def from_base(self, key: str) -> str | None:
        return key.removesuffix(_ENDING) or None if key.endswith(_ENDING) else None

    def prefix_to_base(self, prefix: str) -> str:
        return prefix

    def longest_key(self, limit: int) -> int:
        return limit - len(_ENDING)


def import_directory(document: Document, directory: str, cancel: CancelToken) -> CopyResult:
    """Add every CSV file of a directory as a sample, as one step. Samples of that name stay.

    Parameters
    ----------
    document : Document
    directory : str
    cancel : CancelToken
        Stops the import from any thread.

    Returns
    -------
    CopyResult
        ``keys``: how many have been added; ``skipped``: how many were there.

    Raises
    ------
    OperationCancelled
        Nothing has been changed then, nor when anything else goes wrong.
    """
    files = FilesystemStore(directory, readonly=True)
    name = os.path.basename(os.path.abspath(directory))
    with files, document.samples.transaction(f"Import {name}"):
        return copy_store(
            KeyMapStore(files, CsvFiles()), document.samples, overwrite=False, cancel=cancel
        )
