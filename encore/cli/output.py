"""Standard output: keys and JSON by lines, data as it is; and numbers as people read them."""

from __future__ import annotations

import json
import sys
import time
from typing import IO, Any


def stdout() -> IO[bytes]:
    """The binary standard output.

    Raises
    ------
    OSError
        The program was started without one.
    """
    if sys.stdout is None:
        raise OSError("there is no standard output to write to")
    return sys.stdout.buffer


def stdin() -> IO[bytes]:
    """The binary standard input; OSError where there is none."""
    if sys.stdin is None:
        raise OSError("there is no standard input to read from")
    return sys.stdin.buffer


def is_terminal() -> bool:
    """Whether a person is watching standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def write_line(text: str) -> None:
    """Write a line: UTF-8, but on a terminal whatever it understands."""
    encoding = sys.stdout.encoding if is_terminal() else "utf-8"
    stdout().write(text.encode(encoding, "backslashreplace") + b"\n")


def write_key(key: str) -> None:
    """Write a key as a line: as it is into a pipe, escaped for eyes."""
    write_line(printable(key) if is_terminal() else key)


def write_json(value: Any) -> None:
    """Write a line of JSON: exact, and on a terminal all ASCII."""
    write_line(json.dumps(value, ensure_ascii=is_terminal()))


def printable(text: str) -> str:
    r"""Return the text on one line, with ``\n`` and the like for what does not print.

    Escape sequences and marks that turn the direction of writing would let a key change what the
    rest of the screen says.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def size_text(size: float) -> str:
    """Return bytes as people read them, in steps of 1000: ``512.3 MB``."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.95 or unit == "TB":
            break
    return f"{size:,.1f} {unit}"


def rate_text(size: int, seconds: float) -> str:
    """Return the speed, rounded: ``160 MB/s``."""
    number, unit = size_text(size / seconds).split(" ")
    return f"{number if len(number) <= 3 else number.rpartition('.')[0] or number} {unit}/s"


def duration_text(seconds: float) -> str:
    """Return a time span: ``3.2 s``, ``5 min 20 s``."""
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def count_text(count: int, noun: str) -> str:
    """Return ``1 key`` or ``5,123 keys``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def time_text(seconds: float) -> str:
    """Return a time since the epoch as local date and time."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):  # beyond the calendar of the system
        return f"{seconds:.0f}"
