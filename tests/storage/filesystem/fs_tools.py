"""What the tests of this folder share."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from encore.events.event_manager import EventManager
from encore.storage.backends.filesystem import FilesystemStore

State = dict[str, tuple[bytes, dict[str, Any]]]


def opened(path: str | os.PathLike[str], **options: Any) -> FilesystemStore:
    """A store that no test of another file hears."""
    return FilesystemStore(path, event_manager=EventManager(), **options)


def state_of(store: Any) -> State:
    """Everything that is in a store."""
    state = {}
    for key in store:
        value = store.get(key)
        state[key] = (value.read(), value.metadata)
        value.close()
    return state


def files_of(root: Path) -> dict[str, bytes]:
    """The files of a tree, without the store's own."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] != ".encore"
    }


def photograph(root: Path) -> dict[str, tuple[Any, ...]]:
    """Everything about a tree that reading could change, access times excepted."""
    picture: dict[str, tuple[Any, ...]] = {}
    for path in [root, *root.rglob("*")]:
        found = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(found.st_mode) else b""
        picture[str(path)] = (
            found.st_mode,
            found.st_ino,
            found.st_mtime_ns,
            found.st_ctime_ns,
            found.st_size,
            content,
        )
    return picture


class OopsError(Exception):
    """What goes wrong in a transaction."""


def fail_after(store: Any, act: Callable[[], object]) -> None:
    """Do something in a transaction that is then rolled back."""
    with store.transaction():
        act()
        raise OopsError


def remove_tree(root: Path) -> None:
    """Remove a tree however deep it is; ``shutil`` does not reach below a thousand directories."""
    subprocess.run(["rm", "-rf", str(root)], check=True)


def leftovers(root: Path) -> list[str]:
    """Temporary files and unfinished commits in the store's own folder."""
    own = root / ".encore"
    return sorted(
        path.relative_to(own).as_posix()
        for name in ("tmp", "txn")
        for path in (own / name).rglob("*")
        if path.is_file() and not path.name.endswith(".live")
    )
