"""A display that nobody sees, and a lab notebook on it that is used like a person would."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

_SECONDS = 30
_KEYSYMS = {" ": "space", "-": "minus", ".": "period", ",": "comma"}


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """The name of an X display, on a server that ends with the session."""
    with x_server() as name:
        yield name


@pytest.fixture(scope="session")
def other_display() -> Iterator[str]:
    """The display of another person: of two windows on one only one gets what is typed."""
    with x_server() as name:
        yield name


@contextmanager
def x_server() -> Iterator[str]:
    """Run an X server; the name of its display."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("Xvfb is not installed, so there is no display to test on")
    read, write = os.pipe()
    server = subprocess.Popen(
        [program, "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as answer:
        number = answer.readline().strip()
    try:
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def desk(display: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A lab notebook on an empty project."""
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    monkeypatch.setenv("DISPLAY", display)
    desk = Desk(tmp_path / "project.db")
    yield desk
    desk.leave()


class Desk:
    """A window with a person in front of it.

    Parameters
    ----------
    path : Path
        The project.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_open = False
        self.sit_down()

    def sit_down(self) -> None:
        """Open the project in a window, as the program does."""
        import tkinter as tk

        from encore.examples.lab_notebook.document import Document
        from encore.examples.lab_notebook.window import Window

        self.document = Document(self.path)
        self.root = tk.Tk(className="Lab-notebook")
        self.window = Window(self.root, self.document)
        self._is_open = True
        self.until(self.root.winfo_viewable)
        self.root.focus_force()  # there is no window manager that would
        self.until(self.root.focus_get)

    def leave(self) -> None:
        """Close the window with its button, and with it the project."""
        if self._is_open:
            self._is_open = False
            self.root.tk.eval(self.root.protocol("WM_DELETE_WINDOW"))
            self.document.close()

    def until(self, condition: Callable[[], Any]) -> None:
        """Let the loop turn until something is so."""
        end = monotonic() + _SECONDS
        while not condition():
            assert monotonic() < end, "it did not happen"
            self.root.tk.dooneevent(0)  # the loop of the window never waits for long

    def settle(self) -> None:
        """Let everything be shown that has been announced so far."""
        told: list[int] = []
        self.window.loop(lambda: told.append(1))
        self.until(lambda: told)
        self.root.update()

    def press(self, *keys: str, into: Any = None) -> None:
        """Press keys, as Tk writes them, in a widget or in that which has the focus."""
        widget = into or self.root.focus_get() or self.root
        for key in keys:
            widget.event_generate(f"<{key}>")
            widget.event_generate(f"<KeyRelease-{key.split('-')[-1]}>")
        self.settle()

    def type(self, text: str, into: Any) -> None:
        """Click into a field and type."""
        into.focus_force()
        into.update()
        into.mark_set("insert", "end") if hasattr(into, "mark_set") else into.icursor("end")
        for letter in text:
            keysym = _KEYSYMS.get(letter, letter)
            into.event_generate("<KeyPress>", keysym=keysym)
            into.event_generate("<KeyRelease>", keysym=keysym)
            into.update()  # people are slower than loops
        self.settle()

    def click(self, widget: Any, row: str | None = None) -> None:
        """Click on a widget, or on a row of a list."""
        self.root.update()
        x, y = widget.winfo_width() // 2, widget.winfo_height() // 2
        if row is not None:
            left, top, _, height = widget.bbox(row)
            x, y = left + 5, top + height // 2
        widget.event_generate("<Enter>", x=x, y=y)
        widget.event_generate("<Button-1>", x=x, y=y)
        widget.event_generate("<ButtonRelease-1>", x=x, y=y)
        self.settle()

    # -- what is to be seen -----------------------------------------------------------------------

    @property
    def title(self) -> str:
        return str(self.root.title())

    @property
    def status(self) -> str:
        return str(self.window.status["text"])

    @property
    def rows(self) -> list[str]:
        """The names in the table."""
        return list(self.window.table.tree.get_children())

    @property
    def notes(self) -> str:
        return str(self.window.editor.notes.get("1.0", "end-1c"))

    @property
    def steps(self) -> list[tuple[str, str]]:
        """The rows of the history and how they look, without the beginning."""
        tree = self.window.history_panel.tree
        items = [tree.item(row) for row in tree.get_children()[1:]]
        return [(item["text"], item["tags"][0]) for item in items]

    @property
    def undo_entry(self) -> tuple[str, bool]:
        """What the menu says, and whether it can be chosen."""
        menu = self.window.edit_menu
        return menu.entrycget(0, "label"), menu.entrycget(0, "state") == "normal"

    def content(self) -> dict[str, tuple[bytes, dict[str, Any], str]]:
        """Everything in the project."""
        samples = self.document.samples
        return {
            name: (value.read(), value.metadata, value.token) for name, value in samples.items()
        }
