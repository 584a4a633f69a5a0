"""Which format a directory has: the first thing that is written, and read, of the own folder.

Whoever dies while writing it leaves a file beside it, which the next writer removes. Only this
subpackage imports this module.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from encore.errors import UnsupportedError
from encore.keys.filenames import ON_WINDOWS
from encore.storage.backends.filesystem.layout import OWN_FOLDER
from encore.storage.backends.filesystem.system import (
    CREATE,
    READ,
    Folder,
    close_folder,
    exists_at,
    list_folder,
    open_at,
    open_folder,
    read_all,
    rename_at,
    unlink_at,
    write_all,
)

_FORMAT = 1
FORMAT_FILE = "format.json"


def read_format(root: Folder) -> bool | None:
    """Return whether the names of a store are made for Windows; None if it does not say.

    Raises
    ------
    UnsupportedError
        A newer encore wrote the store.
    """
    try:
        own = open_folder(root, OWN_FOLDER)
    except OSError:
        return None
    try:
        descriptor = open_at(own, FORMAT_FILE, READ)
        try:
            told = json.loads(read_all(descriptor))
            version, windows = int(told["format"]), bool(told["windows"])
        finally:
            os.close(descriptor)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    finally:
        close_folder(own)
    if version > _FORMAT:
        raise UnsupportedError(
            f"the directory has format {version}, and this encore knows {_FORMAT}; update encore"
        )
    return windows


def remove_unfinished_formats(own: Folder) -> None:
    """Remove what somebody left who died in `write_format`; the living do without it."""
    for name in [entry.name for entry in list_folder(own)]:
        if name.startswith(f"{FORMAT_FILE}."):
            with suppress(FileNotFoundError):
                unlink_at(own, name)


def write_format(own: Folder) -> None:
    if exists_at(own, FORMAT_FILE):
        return
    name = f"{FORMAT_FILE}.{os.getpid()}"
    with suppress(FileExistsError):
        descriptor = open_at(own, name, CREATE)
        try:
            write_all(descriptor, json.dumps({"format": _FORMAT, "windows": ON_WINDOWS}).encode())
        finally:
            os.close(descriptor)
        with suppress(FileNotFoundError):
            rename_at(own, name, own, FORMAT_FILE)
