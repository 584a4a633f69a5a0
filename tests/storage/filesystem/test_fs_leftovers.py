"""What is left by those who die where little remains to be done."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from fs_tools import opened, state_of

from encore.errors import StoreError


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_removal_that_dies_keeps_the_metadata_of_a_file_that_others_have_copied(
    tmp_path: Path,
) -> None:
    # No record fits a file that was copied here with its folder: the removal, which says first that
    # the key is gone, has to write one that does, or the file would be there without metadata.
    with opened(tmp_path / "original") as store:
        store.put("a", b"data", {"meta": 1})
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    child = os.fork()
    if child == 0:
        store = opened(tmp_path / "copy")

        def die(event: str, arguments: Any) -> None:
            if event == "os.remove" and arguments[0] == "a":
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(die)
        store.delete("a")
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    with opened(tmp_path / "copy") as store:
        assert state_of(store) == {"a": (b"data", {"meta": 1})}


@pytest.mark.parametrize("is_plain", [True, False])
def test_a_format_that_was_not_finished_is_removed(tmp_path: Path, is_plain: bool) -> None:
    # It kept the own folder, put aside to be removed, in the tree for good.
    own = tmp_path / ".encore"
    own.mkdir()
    (own / "format.json.4194305").write_bytes(b'{"for')
    with opened(tmp_path) as store:
        store.put("a", b"", {} if is_plain else {"meta": 1})
        store.put("b", b"", {})
        if is_plain:
            store.clear()
    assert sorted(path.name for path in tmp_path.rglob("format.json*")) == (
        [] if is_plain else ["format.json"]
    )
    assert sorted(os.listdir(tmp_path)) == ([] if is_plain else [".encore", "a", "b"])


def test_a_probe_of_one_who_died_is_removed(tmp_path: Path) -> None:
    # It kept the own folder, put aside to be removed, in the tree for good.
    own = tmp_path / ".encore"
    own.mkdir()
    (own / "%=Probe-\u00e9-0").touch()
    with opened(tmp_path) as store:
        store.put("a", b"")
        store.clear()
    assert os.listdir(tmp_path) == []


def test_a_lock_that_cannot_be_cleared_leaves_a_commit_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The commit was reported to have failed, and had not.
    with opened(tmp_path) as store:
        store.put("a", b"1")
        with monkeypatch.context() as patch:
            patch.setattr(os, "ftruncate", _refuse)
            store.multiset({"a": b"2", "b": b"2"})
        store.put("b", b"3")
    with opened(tmp_path) as store:
        assert state_of(store) == {"a": (b"2", {}), "b": (b"3", {})}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_a_place_for_files_that_cannot_be_made_keeps_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It kept the file that says who is alive: open, and for others to wonder about.
    with opened(tmp_path) as store:
        store.put("a", b"1", {"n": 1})
    with opened(tmp_path) as store:
        assert store.read("a") == b"1"
        before = len(os.listdir("/proc/self/fd"))
        with monkeypatch.context() as patch:
            make = os.mkdir
            own = ("tmp", "txn", "meta", ".encore")
            patch.setattr(os, "mkdir", lambda name, *args, **options: (
                make(name, *args, **options) if name in own else _refuse()
            ))  # fmt: skip
            with pytest.raises(StoreError):
                store.put("a", b"2")
        assert os.listdir(tmp_path / ".encore" / "tmp") == []
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(sys.platform == "win32", reason="directories have no descriptors there")
def test_a_store_is_closed_even_if_its_own_folder_cannot_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whether the folder can go was asked while closing, and the answer was the system's own error.
    with opened(tmp_path) as store:
        store.put("a", b"1", {"n": 1})
        with monkeypatch.context() as patch:
            opening = os.open
            patch.setattr(os, "open", lambda name, *args, **options: (
                _refuse() if name == "." else opening(name, *args, **options)
            ))  # fmt: skip
            store.close()
    with opened(tmp_path) as store:
        assert state_of(store) == {"a": (b"1", {"n": 1})}


def _refuse(*_arguments: Any, **_options: Any) -> Any:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
