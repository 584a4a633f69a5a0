"""What the tests of this folder share."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from encore.events.event_manager import EventManager
from encore.storage.api import HashdirStore
from encore.testing.laws import Contents, seen

KIB = 1 << 10
MIB = 1 << 20


def opened(path: str | os.PathLike[str], *layout: int, **options: Any) -> HashdirStore:
    """A store that no test of another file hears."""
    return HashdirStore(path, *layout, **{"event_manager": EventManager(), **options})


def plain_path(root: Path, key: str, width: int = 2, depth: int = 3) -> Path:
    """Where another program puts the file of a key."""
    digest = sha256(key.encode()).hexdigest()
    cuts = [digest[at * width : (at + 1) * width] for at in range(depth)]
    return root.joinpath(*cuts, digest[width * depth :])


def put_plain(root: Path, key: str, data: bytes, **layout: int) -> Path:
    """Do what such a program does."""
    path = plain_path(root, key, **layout)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def files_of(root: Path) -> dict[str, bytes]:
    """The files of the tree, without the store's own."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.relative_to(root).parts[0] != ".encore"
    }


def versions_of(root: Path, key: str) -> list[Path]:
    """The files of a key that the store has written."""
    place = plain_path(root, key)
    return sorted(place.parent.glob(f"{place.name}.*"))


def folders_of(root: Path) -> list[str]:
    """The directories of the tree that hold nothing."""
    return [
        path.relative_to(root).as_posix()
        for path in sorted(root.rglob("*"))
        if path.is_dir() and not any(path.iterdir()) and ".encore" not in path.parts
    ]


def sessions_of(root: Path) -> list[str]:
    """What is in the folder of the stores that write."""
    folder = root / ".encore" / "sessions"
    return sorted(os.listdir(folder)) if folder.exists() else []


def check_tree(root: Path, expected: Contents) -> None:
    """The store has these keys, and the tree their files and nothing else."""
    with opened(root) as store:
        assert seen(store) == expected
    files = sorted(files_of(root).values())
    assert files == sorted(data for data, _ in expected.values() if data)
    assert folders_of(root) == []
    assert sessions_of(root) == []


class OopsError(Exception):
    """What goes wrong in a transaction."""
