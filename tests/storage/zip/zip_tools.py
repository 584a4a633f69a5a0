"""What the tests of this folder share."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from encore.events.event_manager import EventManager
from encore.storage.backends.zip import ZipStore

State = dict[str, tuple[bytes, dict[str, Any]]]


def opened(path: str | os.PathLike[str], *arguments: Any, **options: Any) -> ZipStore:
    """A store that no test of another file hears."""
    return ZipStore(path, *arguments, event_manager=EventManager(), **options)


def state_of(store: Any) -> State:
    """Everything that is in a store."""
    state = {}
    for key in store:
        value = store.get(key)
        state[key] = (value.read(), value.metadata)
        value.close()
    return state


def contents_of(path: Path, **options: Any) -> State:
    """Everything that is in an archive, as a store opened for reading shows it."""
    with opened(path, readonly=True, **options) as store:
        return state_of(store)


def sidecar_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-encore")


def check_archive(path: Path) -> dict[str, bytes]:
    """Have `zipfile` read everything, and return it; there are no two entries of one name."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == len(set(names))
        return {name: archive.read(name) for name in names}


def raw_entries(path: Path) -> dict[str, bytes]:
    """The packed bytes of each entry, as they stand in the file."""
    data = path.read_bytes()
    found = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            at = info.header_offset
            lengths = int.from_bytes(data[at + 26 : at + 28], "little")
            lengths += int.from_bytes(data[at + 28 : at + 30], "little")
            start = at + 30 + lengths
            found[info.filename] = data[start : start + info.compress_size]
    return found


def make_foreign(path: Path, entries: dict[str, bytes], **options: Any) -> None:
    """An archive that another program has made."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def program(name: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs a program of the system; skip the test where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"the program {name} is not installed")

    def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [found, *map(str, arguments)]
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )

    return run
