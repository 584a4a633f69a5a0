"""Menu, toolbar and shortcuts: everything that can be chosen, and what it is called."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from tkinter import ttk
from typing import NamedTuple

from encore.examples.lab_notebook.look import GAP
from encore.history.actions import HistoryAction


class Command(NamedTuple):
    """Something to choose.

    Parameters
    ----------
    label : str
    run : callable
    keys : tuple of str
        Shortcuts as Tk writes them; the first is shown in the menu.
    """

    label: str
    run: Callable[[], object]
    keys: tuple[str, ...] = ()

    @property
    def shortcut(self) -> str:
        """The first shortcut as people write it: ``Ctrl+Shift+Z``."""
        if not self.keys:
            return ""
        *modifiers, key = self.keys[0].strip("<>").split("-")
        if len(key) == 1 and key.isupper():
            modifiers.append("Shift")
        return "+".join([*modifiers, key.upper() if len(key) == 1 else key]).replace(
            "Control", "Ctrl"
        )


def add_menu(window: tk.Tk, bar: tk.Menu, title: str, commands: list[Command]) -> tk.Menu:
    """Add a menu to the menu bar of a window, and its shortcuts to the window."""
    menu = tk.Menu(bar, tearoff=False, relief="solid", borderwidth=1, activeborderwidth=3)
    bar.add_cascade(label=title, menu=menu)
    for command in commands:
        menu.add_command(label=command.label, accelerator=command.shortcut, command=command.run)
        for keys in command.keys:
            _bind(window, keys, command.run)
    return menu


def add_button(toolbar: ttk.Frame, command: Command, *, gap: int = 0) -> ttk.Button:
    """Add a button to a toolbar, ``gap`` pixels further to the right."""
    button = ttk.Button(toolbar, text=command.label, command=command.run)
    button.pack(side="left", padx=(gap, GAP // 2))
    return button


def follow(action: HistoryAction, menu: tk.Menu, entry: int, button: ttk.Button) -> None:
    """Have an entry and a button say what would be undone, and whether there is anything."""

    def refresh() -> None:
        state = "normal" if action.is_enabled else "disabled"
        menu.entryconfigure(entry, label=action.label, state=state)
        button.configure(state=state)

    action.on_change(refresh)
    refresh()


def _bind(window: tk.Tk, keys: str, run: Callable[[], object]) -> None:
    # Texts have shortcuts of their own: Control-i is a tab, Control-y pastes.
    window.unbind_class("Text", keys)
    for virtual in window.event_info():
        window.event_delete(virtual, keys)
    window.bind(keys, lambda event: run())
