"""The list of samples: one row for each, kept true by the events of the store."""

from __future__ import annotations

import tkinter as tk
from bisect import bisect_left
from collections.abc import Callable
from tkinter import ttk
from typing import Any

from encore.examples.lab_notebook.document import FIELDS, Document
from encore.examples.lab_notebook.look import make_list
from encore.examples.lab_notebook.loop import Loop
from encore.storage.events import StoreDeleteEvent, StoreModificationEvent

_PAUSE = 100  # milliseconds
_WIDTHS = {"material": 120, "operator": 110, "temperature": 120, "notes": 260}
_COLUMNS = {"#0": ("Sample", 140)} | {key: (FIELDS[key], _WIDTHS[key]) for key in FIELDS}


class SampleTable(ttk.Frame):
    """Samples and their fields. The row that is selected is shown by the editor and the plot.

    Parameters
    ----------
    parent : tkinter widget
    document : Document
    loop : Loop
    """

    def __init__(self, parent: tk.Misc, document: Document, loop: Loop) -> None:
        super().__init__(parent)
        self._listeners: list[Callable[[str | None], object]] = []
        self._told: str | None = None
        self._names: list[str] = []  # of the rows, in order
        self.tree = make_list(self, _COLUMNS, stretched="notes")

        self._document = document
        self._doubtful: set[str] = set()
        samples = document.samples
        samples.event_manager.connect(
            StoreModificationEvent, self._changed, filter={"source": samples}, dispatch=loop
        )
        for name, metadata in samples.query():
            self._show(name, metadata)
        self.tree.bind("<<TreeviewSelect>>", lambda event: self._tell())

    @property
    def selected(self) -> str | None:
        """The name of the sample that is selected."""
        return next(iter(self.tree.selection()), None)

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self._names)

    def select(self, name: str) -> None:
        """Select a sample and make it visible."""
        self.tree.selection_set((name,))  # a tuple: Tcl would split a name with a space in it
        self.tree.focus(name)
        self.tree.see(name)

    def on_select(self, listener: Callable[[str | None], object]) -> None:
        """Call ``listener(name)`` when another sample, or none, has been selected."""
        self._listeners.append(listener)

    def _changed(self, event: StoreModificationEvent) -> None:
        if self._document.is_shared:
            self._look_again_soon(event.key)
        if isinstance(event, StoreDeleteEvent):
            self._remove(event.key)
            return
        self._show(event.key, event.metadata)
        # What is new, and what undo has changed, is what people want to look at. What somebody else
        # has done belongs to no transaction here; it would take the fields from whoever types.
        is_ours = event.transaction_id is not None
        if is_ours and (event.action == "set" or event.origin is not None):
            self.select(event.key)

    def _look_again_soon(self, name: str) -> None:
        # What others do and what is done here is announced by different threads, so that of two
        # changes of a sample the earlier one may be announced last.
        if not self._doubtful:
            self.after(_PAUSE, self._look_again)
        self._doubtful.add(name)

    def _look_again(self) -> None:
        names, self._doubtful = self._doubtful, set()
        found = self._document.metadata_of(names)
        for name in names:
            if name in found:
                self._show(name, found[name])
            else:
                self._remove(name)

    def _show(self, name: str, metadata: dict[str, Any]) -> None:
        values = [" ".join(str(metadata.get(field, "")).split()) for field in FIELDS]
        if self.tree.exists(name):
            self.tree.item(name, values=values)
        else:
            place = bisect_left(self._names, name)
            self._names.insert(place, name)
            self.tree.insert("", place, name, text=name, values=values)

    def _remove(self, name: str) -> None:
        if not self.tree.exists(name):
            return
        self._names.remove(name)
        neighbour = self.tree.next(name) or self.tree.prev(name)
        was_selected = self.selected == name
        self.tree.delete(name)
        if was_selected and neighbour:
            self.select(neighbour)
        self._tell()

    def _tell(self) -> None:
        if self.selected != self._told:
            self._told = self.selected
            for listener in self._listeners:
                listener(self._told)
