"""The window: puts the parts side by side, and tells them which sample is selected.

A project that a service publishes may be open in many windows. Each shows what the others change.
Undo covers what was done in this window since it was opened, and so does the star in the title:
everything is at the service at once, and "Save" only marks how far this window has come.
"""

from __future__ import annotations

import tkinter as tk
import traceback
from tkinter import filedialog, ttk
from types import TracebackType

from encore.errors import EncoreError
from encore.examples.lab_notebook.commands import Command, add_button, add_menu, follow
from encore.examples.lab_notebook.document import Document
from encore.examples.lab_notebook.editor import Editor
from encore.examples.lab_notebook.history_panel import HistoryPanel
from encore.examples.lab_notebook.import_dialog import ImportDialog
from encore.examples.lab_notebook.look import GAP, dress
from encore.examples.lab_notebook.loop import Loop
from encore.examples.lab_notebook.plot import Plot
from encore.examples.lab_notebook.table import SampleTable
from encore.examples.lab_notebook.words import UNDO_REST, state_of, words_for
from encore.history import HistoryChangedEvent
from encore.history.actions import RedoAction, UndoAction
from encore.storage.events import StoreDeleteEvent, StoreModificationEvent, StoreSetEvent

_WARNING = "Warning.Status.TLabel"


class Window:
    """A project in a window.

    Parameters
    ----------
    root : tkinter.Tk
        Destroyed when the window is closed.
    document : Document
        Closed by whoever opened it.
    """

    def __init__(self, root: tk.Tk, document: Document) -> None:
        dress(root)
        self.root = root
        self.document = document
        self.loop = Loop(root)
        self._import: ImportDialog | None = None
        self._is_closing = False
        self._build_commands()
        self._build_parts()
        self.table.on_select(self.editor.show)
        self.table.on_select(self.plot.show)

        manager, samples = document.samples.event_manager, document.samples
        manager.connect(
            HistoryChangedEvent,
            self._show_state,
            filter={"source": document.history},
            dispatch=self.loop,
        )
        for kind in (StoreSetEvent, StoreDeleteEvent):
            manager.connect(kind, self._show_count, filter={"source": samples}, dispatch=self.loop)
        self._show_state()
        root.geometry("1180x700")
        root.protocol("WM_DELETE_WINDOW", self.close)
        root.report_callback_exception = self._failed

    def _build_commands(self) -> None:
        undo = UndoAction(self.document.history, dispatch=self.loop)
        redo = RedoAction(self.document.history, dispatch=self.loop)
        new = Command("New sample", self.document.new_sample, ("<Control-n>",))
        bring = Command("Import…", self.ask_for_directory, ("<Control-i>",))
        save = Command("Save", self.document.save, ("<Control-s>",))
        delete = Command("Delete sample", self.delete_sample, ("<Control-Delete>",))
        back = Command("Undo", undo.trigger, ("<Control-z>",))
        again = Command("Redo", redo.trigger, ("<Control-Z>", "<Control-y>"))
        rest = Command(UNDO_REST, lambda: self.document.history.undo(on_conflict="skip"))
        leave = Command("Quit", self.close, ("<Control-q>",))

        bar = tk.Menu(self.root)
        self.root.configure(menu=bar)
        add_menu(self.root, bar, "File", [new, bring, save, leave])
        rename = Command("Rename sample", lambda: self.editor.name.focus_set(), ("<F2>",))
        self.edit_menu = add_menu(self.root, bar, "Edit", [back, again, rest, rename, delete])
        toolbar = ttk.Frame(self.root, padding=(GAP, GAP, GAP, GAP // 2))
        toolbar.pack(fill="x")
        for command in (new, bring, delete):
            add_button(toolbar, command)
        follow(undo, self.edit_menu, 0, add_button(toolbar, back, gap=2 * GAP))
        follow(redo, self.edit_menu, 1, add_button(toolbar, again))

    def _build_parts(self) -> None:
        self.status = ttk.Label(self.root, style="Status.TLabel")
        self.status.pack(side="bottom", fill="x")
        across = ttk.Panedwindow(self.root, orient="horizontal")
        across.pack(fill="both", expand=True, padx=GAP)
        middle = ttk.Panedwindow(across, orient="vertical")
        self.table = SampleTable(middle, self.document, self.loop)
        below = ttk.Panedwindow(middle, orient="horizontal")
        self.editor = Editor(below, self.document, self.loop)
        self.plot = Plot(below, self.document, self.loop)
        self.history_panel = HistoryPanel(across, self.document, self.loop)
        below.add(self.editor, weight=1)
        below.add(self.plot, weight=1)
        middle.add(self.table, weight=3)
        middle.add(below, weight=2)
        across.add(middle, weight=4)
        across.add(self.history_panel, weight=1)

    def run(self) -> None:
        """Show the window until it is closed."""
        self.root.mainloop()

    # -- what can be done -------------------------------------------------------------------------

    def delete_sample(self) -> None:
        """Remove the sample that is selected."""
        if self.table.selected is not None:
            self.document.delete(self.table.selected)

    def ask_for_directory(self) -> None:
        """Ask for a directory and import it."""
        if directory := filedialog.askdirectory(parent=self.root, mustexist=True):
            self.import_directory(directory)

    def import_directory(self, directory: str) -> None:
        """Import a directory, with a dialog that can stop it."""
        self._import = ImportDialog(
            self.root, self.document, self.loop, directory, self._import_finished
        )

    def close(self) -> None:
        """Close the window; an import that is running is stopped first."""
        if self._import is not None:
            self._is_closing = True
            self._import.cancel()
        else:
            self.loop.stop()
            self.root.destroy()

    # -- what is announced ------------------------------------------------------------------------

    def _show_state(self, event: HistoryChangedEvent | None = None) -> None:
        self.root.title(f"{self.document.title} – Lab notebook")
        self._say(state_of(self.document, self.table.count))

    def _show_count(self, event: StoreModificationEvent) -> None:
        # Others may be busy: what they do is no reason to stop saying what went wrong here.
        if str(self.status["style"]) != _WARNING:
            self._say(state_of(self.document, self.table.count))

    def _import_finished(self, sentence: str) -> None:
        self._import = None
        self._say(sentence)
        if self._is_closing:
            self.close()

    def _say(self, sentence: str, style: str = "Status.TLabel") -> None:
        self.status.configure(text=sentence, style=style)

    def _failed(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        """What a command raises is for people if encore or the document says so, else a bug."""
        if not isinstance(error, EncoreError | ValueError):
            traceback.print_exception(kind, error, trace)
        self._say(words_for(error), _WARNING)
