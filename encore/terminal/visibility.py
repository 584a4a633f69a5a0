"""Whether bars are to be drawn: the word of the caller, of the environment, of the terminal.

Private to the terminal room.
"""

from __future__ import annotations

import os
import sys
from typing import Any

MODES = ("auto", "on", "off")


def is_visible(mode: str | None, file: Any) -> bool:
    """Whether bars are drawn on ``file``.

    Parameters
    ----------
    mode : str or None
        ``"auto"``, ``"on"`` or ``"off"``; None asks the environment variable ``ENCORE_PROGRESS``,
        which is taken for ``"auto"`` if it is missing or says anything else.
    file : file or None
        None stands for standard error.

    Raises
    ------
    ValueError
        ``mode`` is none of these.
    """
    if mode is None:
        asked = os.environ.get("ENCORE_PROGRESS", "").strip().lower()
        mode = asked if asked in MODES else "auto"
    elif mode not in MODES:
        raise ValueError(f"mode {mode!r} is none of {', '.join(MODES)}")
    if mode != "auto":
        return mode == "on"
    return (file is None and in_notebook()) or _is_terminal(sys.stderr if file is None else file)


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel, found out without loading IPython."""
    ipython = sys.modules.get("IPython")
    shell = getattr(ipython, "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _is_terminal(file: Any) -> bool:
    try:
        return bool(file.isatty())
    except (AttributeError, ValueError):  # no file at all (pythonw), or a closed one
        return False
