"""The steps of the history, to see and to click on."""

from __future__ import annotations

import time
import tkinter as tk
from tkinter import ttk
from typing import Any, NamedTuple

from encore.examples.lab_notebook.document import Document
from encore.examples.lab_notebook.look import BOLD, FAINT, make_list
from encore.examples.lab_notebook.loop import Loop
from encore.history import HistoryChangedEvent


class _Row(NamedTuple):
    id: str
    text: str
    clock: str = ""
    tag: str = "done"


class HistoryPanel(ttk.Frame):
    """One row for each state: a click goes there.

    The present state is bold; what has been undone, and would be done again, is grey.

    Parameters
    ----------
    parent : tkinter widget
    document : Document
    loop : Loop
    """

    def __init__(self, parent: tk.Misc, document: Document, loop: Loop) -> None:
        super().__init__(parent)
        self._history = history = document.history
        self._shown: dict[str, _Row] = {}
        self.tree = make_list(self, {"#0": ("History", 230), "time": ("Time", 66)}, stretched="#0")
        self.tree.configure(selectmode="none")
        self.tree.tag_configure("present", font=BOLD)
        self.tree.tag_configure("undone", foreground=FAINT)
        self.tree.bind("<Button-1>", self._clicked)
        document.samples.event_manager.connect(
            HistoryChangedEvent, self._refresh, filter={"source": history}, dispatch=loop
        )
        self._refresh()

    def _clicked(self, event: tk.Event[Any]) -> None:
        row = self.tree.identify_row(event.y)
        if row:
            self._history.go_to(self.tree.index(row))

    def _refresh(self, event: HistoryChangedEvent | None = None) -> None:
        rows = [_Row("beginning", "Beginning")]
        for step in self._history.steps:
            clock = time.strftime("%H:%M", time.localtime(step.time))
            rows.append(_Row(str(step.id), step.label, clock, "done" if step.is_done else "undone"))
        index = sum(row.tag == "done" for row in rows) - 1
        rows[index] = rows[index]._replace(tag="present")

        before, self._shown = self._shown, {row.id: row for row in rows}
        self.tree.delete(*(before.keys() - self._shown.keys()))
        for row in rows:
            if row.id not in before:
                self.tree.insert("", "end", row.id)
            if row != before.get(row.id):  # most are as they were
                self.tree.item(row.id, text=row.text, values=(row.clock,), tags=(row.tag,))
        self.tree.see(rows[index].id)
