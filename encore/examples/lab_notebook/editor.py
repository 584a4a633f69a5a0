"""The fields of one sample, to be typed into."""

from __future__ import annotations

import tkinter as tk
from tkinter import ttk
from typing import Literal

from encore.errors import KeyNotFoundError
from encore.examples.lab_notebook.document import FIELDS, Document
from encore.examples.lab_notebook.look import GAP, style_text
from encore.examples.lab_notebook.loop import Loop
from encore.storage.events import StoreSetEvent, StoreUpdateEvent


class Editor(ttk.Frame):
    """Writes every key stroke to the document, and shows what the document says.

    Neither of the two needs to know of the other: where the text is what the document says
    already, nothing is written; where the document says what is in the text already, nothing is
    shown.

    Parameters
    ----------
    parent : tkinter widget
    document : Document
    loop : Loop
    """

    def __init__(self, parent: tk.Misc, document: Document, loop: Loop) -> None:
        super().__init__(parent)
        self._document = document
        self._name: str | None = None
        self._is_showing = False
        self.name = ttk.Entry(self)
        self.name.bind("<Return>", lambda event: self._rename())
        self._add_row("Name", self.name)
        self.entries: dict[str, ttk.Entry] = {}
        self._texts: dict[str, tk.StringVar] = {}
        for field in list(FIELDS)[:-1]:
            self._add_entry(field)
        self.notes = tk.Text(self, height=5, width=40, wrap="word")
        style_text(self.notes)
        self.notes.bind("<<Modified>>", lambda event: self._notes_typed())
        self._add_row(FIELDS["notes"], self.notes)
        self.columnconfigure(1, weight=1)
        self.rowconfigure(len(FIELDS), weight=1)
        self.show(None)

        samples = document.samples
        for kind in (StoreSetEvent, StoreUpdateEvent):
            samples.event_manager.connect(
                kind, self._changed, filter={"source": samples}, dispatch=loop
            )

    def show(self, name: str | None) -> None:
        """Show another sample, or none."""
        self._document.history.stop_merging()
        self._name = name
        self.name.configure(state="normal")  # or nothing could be shown either
        self.name.delete(0, "end")
        self.name.insert(0, name or "")
        self._refresh()

    def _add_entry(self, field: str) -> None:
        self._texts[field] = text = tk.StringVar(self)
        text.trace_add("write", lambda *names: self._typed(field, text.get()))
        self.entries[field] = ttk.Entry(self, textvariable=text)
        self._add_row(FIELDS[field], self.entries[field])

    def _add_row(self, title: str, widget: tk.Widget) -> None:
        row = self.grid_size()[1]
        label = ttk.Label(self, text=title)
        label.grid(row=row, column=0, sticky="nw", padx=(0, GAP), pady=GAP // 2)
        widget.grid(row=row, column=1, sticky="nsew", pady=GAP // 2)
        # What is typed after coming back is another step.
        widget.bind("<FocusOut>", lambda event: self._document.history.stop_merging())

    def _typed(self, field: str, text: str) -> None:
        name = self._name
        if self._is_showing or name is None:
            return
        if text != self._document.fields(name)[field]:
            self._document.set_field(name, field, text)

    def _notes_typed(self) -> None:
        if self.notes.edit_modified():
            self.notes.edit_modified(False)  # or Tk would not tell again
            self._typed("notes", self.notes.get("1.0", "end-1c"))

    def _rename(self) -> None:
        if self._name is not None:
            self._document.rename(self._name, self.name.get().strip())

    def _changed(self, event: StoreUpdateEvent) -> None:
        if event.key == self._name:
            self._refresh()

    def _refresh(self) -> None:
        try:
            fields = {} if self._name is None else self._document.fields(self._name)
        except KeyNotFoundError:  # somebody has been quicker than the event
            fields = {}
        self._is_showing = True  # what changes here has not been typed
        try:
            self._show(fields)
        finally:
            self._is_showing = False
        state: Literal["normal", "disabled"] = "normal" if fields else "disabled"
        for entry in (self.name, *self.entries.values()):
            entry.configure(state=state)
        self.notes.configure(state=state)

    def _show(self, fields: dict[str, str]) -> None:
        for field, text in self._texts.items():
            if text.get() != fields.get(field, ""):
                text.set(fields.get(field, ""))
        if self.notes.get("1.0", "end-1c") != fields.get("notes", ""):
            self.notes.configure(state="normal")
            cursor = self.notes.index("insert")
            self.notes.replace("1.0", "end", fields.get("notes", ""))
            self.notes.mark_set("insert", cursor)
            self.notes.edit_modified(False)
