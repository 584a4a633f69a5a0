"""Fonts, colours, distances: the theme ``clam`` of Tk, made lighter."""

from __future__ import annotations

import tkinter as tk
from tkinter import font, ttk
from typing import Any

GAP = 8  # pixels
PAPER = "#ffffff"
WALL = "#f3f4f6"
LINE = "#d5d8dd"
INK = "#23272f"
FAINT = "#9aa1ab"
ACCENT = "#2f6db5"
WARNING = "#b3261e"

# Named fonts, so that they follow what the desktop says.
SMALL = "TkSmallCaptionFont"
BOLD = "LabBold"


def dress(root: tk.Tk) -> None:
    """Set up styles and fonts; before any widget is made."""
    plain = font.nametofont("TkDefaultFont", root)
    for name in ("TkTextFont", "TkMenuFont", "TkHeadingFont", "TkSmallCaptionFont"):
        font.nametofont(name, root).configure(family=plain["family"])
    for name in ("TkDefaultFont", "TkTextFont", "TkMenuFont", "TkHeadingFont"):
        font.nametofont(name, root).configure(size=10)
    font.nametofont("TkHeadingFont", root).configure(weight="bold")
    font.nametofont(SMALL, root).configure(size=9)
    bold = font.Font(root, name=BOLD, family=plain["family"], size=10, weight="bold")
    root._bold = bold  # type: ignore[attr-defined]  # or it would be collected, and deleted
    root.configure(background=WALL)
    root.option_add("*Toplevel.background", WALL)
    root.option_add("*Menu.background", WALL)
    root.option_add("*Menu.activeBackground", ACCENT)
    root.option_add("*Menu.activeForeground", PAPER)
    root.option_add("*Menu.relief", "flat")
    _style(ttk.Style(root))


def _style(style: ttk.Style) -> None:
    style.theme_use("clam")
    style.configure(".", background=WALL, foreground=INK, bordercolor=LINE, troughcolor=WALL)
    style.configure(".", lightcolor=WALL, darkcolor=WALL, focuscolor=ACCENT)
    style.configure(
        "Treeview", rowheight=24, fieldbackground=PAPER, background=PAPER, borderwidth=0
    )
    style.map("Treeview", background=[("selected", ACCENT)], foreground=[("selected", PAPER)])
    style.configure("Treeview.Heading", padding=(4, 5), relief="flat", background=WALL)
    style.map("Treeview.Heading", background=[("active", WALL)])
    # Without the room for the signs of a tree, and scrollbars without arrows.
    item: Any = ("Treeitem.padding", {"children": [("Treeitem.text", {})]})
    style.layout("Item", [item])
    style.configure("Item", padding=(4, 0))
    thumb: Any = ("Vertical.Scrollbar.thumb", {"expand": True, "sticky": "nswe"})
    trough: Any = ("Vertical.Scrollbar.trough", {"sticky": "ns", "children": [thumb]})
    style.layout("Vertical.TScrollbar", [trough])
    style.configure("Vertical.TScrollbar", background=LINE, width=10, gripcount=0, relief="flat")
    style.map("Vertical.TScrollbar", background=[("disabled", WALL), ("active", FAINT)])
    style.layout("Sash", [])
    style.configure("TButton", padding=(10, 4), background=PAPER)
    style.map("TButton", background=[("active", LINE), ("disabled", WALL)])
    style.configure("TEntry", padding=4, fieldbackground=PAPER, lightcolor=LINE)
    style.map("TEntry", bordercolor=[("focus", ACCENT)], fieldbackground=[("disabled", WALL)])
    style.configure("Horizontal.TProgressbar", background=ACCENT, troughcolor=LINE)
    style.configure("Status.TLabel", foreground=INK, font=SMALL, padding=(GAP, 4))
    style.configure("Warning.Status.TLabel", foreground=WARNING)


def make_list(
    parent: ttk.Frame, columns: dict[str, tuple[str, int]], *, stretched: str
) -> ttk.Treeview:
    """Fill a frame with a table that scrolls.

    Parameters
    ----------
    parent : ttk.Frame
    columns : dict of str to (str, int)
        Title and width in pixels of each column, ``"#0"`` first.
    stretched : str
        The column that takes what room is left.
    """
    tree = ttk.Treeview(parent, columns=list(columns)[1:], selectmode="browse")
    for column, (title, width) in columns.items():
        tree.heading(column, text=title, anchor="w")
        tree.column(column, width=width, minwidth=40, stretch=column == stretched)
    bar = ttk.Scrollbar(parent, command=tree.yview)
    tree.configure(yscrollcommand=bar.set)
    bar.pack(side="right", fill="y")
    tree.pack(side="left", fill="both", expand=True)
    return tree


def style_text(text: tk.Text) -> None:
    """Make a text, which has no ttk form, look like an entry."""
    text.configure(
        relief="flat",
        font="TkTextFont",
        foreground=INK,
        padx=5,
        pady=4,
        highlightthickness=1,
        highlightbackground=LINE,
        highlightcolor=ACCENT,
    )
