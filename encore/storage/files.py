"""Ordinary files as sources and targets of values."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any


def read_file(path: Any) -> IO[bytes]:
    """Open a file for reading, unbuffered: values are read in large chunks anyway."""
    return open(path, "rb", buffering=0)


def write_file(path: Any, chunks: Iterable[bytes]) -> None:
    """Write chunks to a file that appears, or changes, only when all of them are there."""
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    try:
        with open(handle, "wb", buffering=0) as stream:
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    view = view[stream.write(view) :]
        os.chmod(name, _mode(target))
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _mode(target: Path) -> int:
    """The permissions the file has, or would have if it were opened in the ordinary way."""
    try:
        return target.stat().st_mode & 0o7777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
