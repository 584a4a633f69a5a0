"""Waiting for the disk: what is synced, in which order, and what need not be there any more."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hashdir_tools import OopsError, check_tree, opened

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")


def test_a_block_that_was_undone_does_not_make_the_commit_fail_for_its_directories(
    tmp_path: Path,
) -> None:
    with opened(tmp_path, durability="power") as store:
        with store.transaction():
            store.put("a", b"a" * 2000)
            with suppress(OopsError), store.transaction():
                store.put("b", b"b" * 2000)
                raise OopsError
            store.put("c", b"c" * 2000)
            store.delete("c")
        assert [*store] == ["a"]
    check_tree(tmp_path, {"a": (b"a" * 2000, {})})


@linux
def test_a_file_is_on_a_durable_list_before_it_is_durable_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        seen.append("list" if path.name == "list" else "file" if path.is_file() else "directory")
        fsync(descriptor)

    with opened(tmp_path, durability="power") as store:
        monkeypatch.setattr(os, "fsync", watched)
        store.put("a", b"a" * 2000)
        assert seen[:2] == ["list", "file"]
        assert seen.count("list") == 1
        seen.clear()
        store.delete("a")  # the file goes after the commit, and may come back with the power
        assert "list" in seen
