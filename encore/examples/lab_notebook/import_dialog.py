"""A progress bar and a button that stops the import."""

from __future__ import annotations

import os
import threading
import tkinter as tk
from collections.abc import Callable
from tkinter import ttk

from encore.errors import EncoreError, OperationCancelled
from encore.events.api import CancelToken, ProgressModel
from encore.examples.lab_notebook.document import Document
from encore.examples.lab_notebook.importing import import_directory
from encore.examples.lab_notebook.look import GAP
from encore.examples.lab_notebook.loop import Loop


class ImportDialog(tk.Toplevel):
    """Imports a directory in a thread of its own while the window stays alive.

    The window behind it takes no input meanwhile: the import is one transaction, and whoever else
    writes would have to wait for it.

    Parameters
    ----------
    parent : tkinter widget
    document : Document
    loop : Loop
    directory : str
    finished : callable
        Called with a sentence for people when it is over.
    """

    def __init__(
        self,
        parent: tk.Misc,
        document: Document,
        loop: Loop,
        directory: str,
        finished: Callable[[str], object],
    ) -> None:
        super().__init__(parent, padx=2 * GAP, pady=2 * GAP)
        self.title("Import")
        self.resizable(False, False)
        self._finished = finished
        self._token = CancelToken()
        ttk.Label(self, text=f"Importing {os.path.basename(directory)}").pack(anchor="w")
        self.bar = ttk.Progressbar(self, length=320, maximum=1.0)
        self.bar.pack(fill="x", pady=GAP)
        self.button = ttk.Button(self, text="Cancel", command=self.cancel)
        self.button.pack(anchor="e")
        self.bind("<Escape>", lambda event: self.cancel())
        self.protocol("WM_DELETE_WINDOW", self.cancel)
        self._take_input(parent)

        self._progress = ProgressModel(
            document.samples.event_manager, filter={"source": document.samples}, dispatch=loop
        )
        self._progress.on_change(self._refresh)
        self._thread = threading.Thread(
            target=self._run, args=(document, directory, loop), name="import"
        )
        self._thread.start()

    def cancel(self) -> None:
        """Ask the import to stop."""
        self._token.cancel("stopped by the user")
        self.button.state(["disabled"])

    def _take_input(self, parent: tk.Misc) -> None:
        window = parent.winfo_toplevel()
        self.transient(window)
        self.geometry(f"+{window.winfo_rootx() + 120}+{window.winfo_rooty() + 120}")
        self.wait_visibility()
        self.grab_set()
        self.button.focus_force()

    def _refresh(self) -> None:
        fraction = self._progress.fraction
        if fraction is not None:
            self.bar["value"] = fraction

    def _run(self, document: Document, directory: str, loop: Loop) -> None:
        # In the thread: no widget may be touched here.
        try:
            done = import_directory(document, directory, self._token)
            sentence = f"Samples imported: {done.keys}; there already: {done.skipped}."
        except OperationCancelled:
            sentence = "The import was cancelled; nothing has been changed."
        except EncoreError as error:
            sentence = f"The import failed: {error}"
        loop(lambda: self._close(sentence))

    def _close(self, sentence: str) -> None:
        self._thread.join()
        self._progress.close()
        self.destroy()
        self._finished(sentence)
