"""``python -m encore.examples.lab_notebook PATH``."""

from __future__ import annotations

import argparse
import tkinter as tk

from encore.errors import EncoreError
from encore.examples.lab_notebook.document import Document
from encore.examples.lab_notebook.window import Window


def main() -> None:
    """Open the project named on the command line, and show it until the window is closed."""
    parser = argparse.ArgumentParser(
        prog="python -m encore.examples.lab_notebook",
        description="A lab notebook whose every change can be undone, even after a restart.",
    )
    parser.add_argument(
        "path",
        help="the project file, made if it is missing; or the address of a project that others "
        "have open, too: service:http://HOST:PORT/USECASE/SCOPES",
    )
    try:
        document = Document(parser.parse_args().path)
    except EncoreError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    with document:
        Window(tk.Tk(className="Lab-notebook"), document).run()


if __name__ == "__main__":
    main()
