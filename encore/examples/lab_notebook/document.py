"""The project: its store, its samples, its history. Knows no window.

A sample is a key: its data is the measurement as CSV, its metadata the fields and the notes. Every
method that changes something is one transaction, and therefore one step of the history, with the
name that people read in the menu. Everything else in this package imports this module.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from encore.config import open_store, parse_address
from encore.errors import ConflictError, KeyNotFoundError
from encore.history import History
from encore.storage.api import PrefixStore, SqliteStore

#: Fields of the metadata, and what they are called on the screen.
FIELDS = {
    "material": "Material",
    "operator": "Operator",
    "temperature": "Temperature",
    "notes": "Notes",
}

_SERVICE = "service:"
_ATTEMPTS = 5
_FEW = 20  # more than these are quicker read with all others


class Document:
    """A project that is open.

    Parameters
    ----------
    path : path-like
        The file, made if it is missing; or the address of a project that a service publishes,
        ``service:http://HOST:PORT/USECASE/SCOPES``.

    Attributes
    ----------
    samples : PrefixStore
        The samples by name. Listen to its events to hear of every change.
    history : History
        Kept in the same file, so that undo survives a restart. Of a service, in memory: it covers
        what was changed through this document.
    is_shared : bool
        Whether others may be changing the project, too.
    """

    PREFIX = "samples/"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.is_shared = self.path.startswith(_SERVICE)
        store: Any = open_store(self.path) if self.is_shared else SqliteStore(path)
        self._store = store
        self.samples = PrefixStore(self._store, self.PREFIX)
        try:
            self.history = History(self._store)
        except BaseException:  # a service that is not there, for example
            self._store.close()
            raise
        if not self.history.steps and not self.history.saved_reachable:
            self.history.mark_saved()  # nothing has been changed yet

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
        """Close the history and the file."""
        self.history.close()
        self._store.close()

    @property
    def title(self) -> str:
        """The name of the project, with a star in front if there are changes since `save`."""
        name = os.path.basename(self.path)
        if self.is_shared:
            name = str(parse_address(self.path)).partition("//")[2]
        return ("" if self.history.is_saved else "*") + name

    def save(self) -> None:
        """Remember this state as the saved one; every change is in the store already.

        In a shared project the mark is this document's own: it tells nothing to others, and of
        what others have changed.
        """
        self.history.mark_saved()

    # -- changing samples -------------------------------------------------------------------------

    def new_sample(self) -> str:
        """Add a sample and return its name."""
        number = 1
        while f"Sample {number}" in self.samples:
            number += 1
        name = f"Sample {number}"
        with self.samples.transaction(f"New {name}"):
            self.samples.put(name, b"", if_absent=True)
        return name

    def delete(self, name: str) -> None:
        """Remove a sample."""
        with self.samples.transaction(f"Delete {name}"):
            self.samples.delete(name)

    def rename(self, name: str, new: str) -> None:
        """Give a sample another name.

        Raises
        ------
        ValueError
            Another sample has that name, or it is empty.
        """
        if not new or new == name:
            raise ValueError("Give the sample a name that is not empty and not its present one.")
        with self.samples.transaction(f"Rename {name} to {new}"):
            if new in self.samples:
                raise ValueError(f"There is a sample called {new} already.")
            self.samples.move(name, new)

    def set_field(self, name: str, field: str, text: str) -> None:
        """Change a field. What is typed into one field in a row is one step."""
        for left in reversed(range(_ATTEMPTS)):
            try:
                with self.samples.transaction(
                    f"Edit {FIELDS[field].lower()} of {name}", merge_key=f"{name}/{field}"
                ):
                    self.samples.update_metadata(name, {field: text})
                return
            except ConflictError:  # somebody has written another field of it meanwhile
                if not left:
                    raise

    # -- reading samples --------------------------------------------------------------------------

    def fields(self, name: str) -> dict[str, str]:
        """Every field of a sample; ``""`` where nothing has been written."""
        metadata = self.samples.get_metadata(name)
        return {field: str(metadata.get(field, "")) for field in FIELDS}

    def metadata_of(self, names: Collection[str]) -> dict[str, dict[str, Any]]:
        """The metadata of those samples that are there."""
        if len(names) > _FEW:
            return {name: found for name, found in self.samples.query() if name in names}
        found = {}
        for name in names:
            with suppress(KeyNotFoundError):
                found[name] = self.samples.get_metadata(name)
        return found

    def curve(self, name: str) -> tuple[tuple[str, str], list[tuple[float, float]]]:
        """The measurement: what the two columns are called, and the points."""
        titles = ("", "")
        points = []
        with self.samples.get_data(name) as data:
            for row in csv.reader(io.TextIOWrapper(data, "utf-8", errors="replace")):
                try:
                    x, y = map(float, row)
                    points.append((x, y))
                except ValueError:  # a heading, a comment, an empty line
                    if len(row) == 2 and not points:
                        titles = (row[0].strip(), row[1].strip())
        return titles, points
