"""``python -m encore.examples.lab_notebook PATH``."""

from __future__ import annotations

import argparse
import tkinter as tk

from encore.examples.lab_notebook.document import Document
from encore.examples.lab_notebook.window import Window


def main() -> None:
    """Open the project named on the command line, and show it until the window is closed."""
    parser = argparse.ArgumentParser(
        prog="python -m encore.examples.lab_notebook",
        description="A lab notebook whose every change can be undone, even after a restart.",
    )
    parser.add_argument("path", help="the project file; made if it is missing")
    path = parser.parse_args().path
    with Document(path) as document:
        Window(tk.Tk(className="Lab-notebook"), document).run()


if __name__ == "__main__":
    main()
