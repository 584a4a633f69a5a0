"""Ordinary files as sources and targets of values."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any


def read_file(path: Any) -> IO[bytes]:
    """Open a file for reading, unbuffered: values are read in large chunks anyway."""
    return open(path, "rb", buffering=0)


def write_file(path: Any, chunks: Iterable[bytes]) -> None:
    """Write chunks to a file that appears, or changes, only when all of them are there.

    A link is followed; what is no ordinary file (a device, a pipe) is written to as it stands.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with open(target, "wb", buffering=0) as stream:
            _write_all(stream, chunks)
        return
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    try:
        with open(handle, "wb", buffering=0) as stream:
            _write_all(stream, chunks)
        os.chmod(name, _mode(target))
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def size_left(stream: Any) -> int | None:
    """How many bytes a stream has yet to give, if it is an ordinary file; else None."""
    try:
        status = os.fstat(stream.fileno())
        return status.st_size - stream.tell() if stat.S_ISREG(status.st_mode) else None
    except (AttributeError, OSError, ValueError, TypeError):
        return None


def _write_all(stream: Any, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            view = view[stream.write(view) :]


def _mode(target: Path) -> int:
    """The permissions the file has, or would have if it were opened in the ordinary way."""
    try:
        return target.stat().st_mode & 0o7777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
