"""Looking at what the history of a directory keeps, from the outside."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# What is written to in place, and is therefore copied for a second directory.
_WRITTEN = ("/.encore/meta/", "/.encore/lock", "/history/log", ".live")


def kept_names(path: Path) -> list[str]:
    """The names of the versions that are kept."""
    folder = path / ".encore" / "history"
    return sorted(set(os.listdir(folder)) - {"log"}) if folder.exists() else []


def session_names(path: Path) -> list[str]:
    """The names of the temporary files of the one store that is open."""
    (session,) = (found for found in (path / ".encore" / "tmp").iterdir() if found.is_dir())
    return os.listdir(session)


def kept_bytes(path: Path) -> int:
    """Bytes of the files that are kept and are not in the tree."""
    kept = {}
    for name in kept_names(path):
        found = os.stat(path / ".encore" / "history" / name)
        kept[found.st_ino] = found.st_size
    for folder, folders, files in os.walk(path):
        if ".encore" in folders:
            folders.remove(".encore")
        for name in files:
            kept.pop(os.stat(os.path.join(folder, name)).st_ino, None)
    return sum(kept.values())


def copy_with_inodes(source: str | Path, target: str | Path) -> None:
    """Copy a directory so that its files are the same ones, as records and histories want them."""
    shutil.copytree(source, target, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    (shutil.copy2 if any(part in source for part in _WRITTEN) else os.link)(source, target)
