"""What is told, and what is left open, when calls of the system fail in the middle of a write."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fs_tools import opened, state_of

from encore.errors import CommitUnknownError, StoreError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="syncs no directories")

_BEFORE = {"a/b": (b"old", {"n": 1}), "c": (b"old", {"n": 1})}


def _put(store: Any) -> None:
    store.put("a/b", b"new", {"n": 2})


def _put_plain(store: Any) -> None:
    store.put("c", b"new", {"n": 2})


def _delete(store: Any) -> None:
    store.delete("a/b")


def _both(store: Any) -> None:
    store.multiset({"a/b": b"new", "c": b"new"})


_ACTS = pytest.mark.parametrize("act", [_put, _put_plain, _delete, _both])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    with opened(tmp_path / "tree", durability="power") as store:
        for key, (data, metadata) in _BEFORE.items():
            store.put(key, data, metadata)
        yield store


class Failing:
    """A call of the system that fails at its n-th time, and at some more after that."""

    def __init__(self, call: Callable[..., Any], number: int, first: int, times: int) -> None:
        self.call = call
        self.number = number
        self.first = first
        self.times = times
        self.count = 0

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.count += 1
        if self.first <= self.count < self.first + self.times:
            raise OSError(self.number, os.strerror(self.number))
        return self.call(*arguments, **options)


def _count(store: Any, act: Callable[[Any], None], name: str, patch: pytest.MonkeyPatch) -> int:
    """How often an act makes a call; it is undone afterwards."""
    with patch.context() as patched:
        counting = Failing(getattr(os, name), 0, 0, 0)
        patched.setattr(os, name, counting)
        act(store)
    for key, (data, metadata) in _BEFORE.items():
        store.put(key, data, metadata)
    return counting.count


@_ACTS
@pytest.mark.parametrize(
    ("name", "number"), [("fsync", errno.EIO), ("open", errno.EMFILE), ("unlink", errno.EACCES)]
)
def test_a_call_that_fails_once_leaves_a_write_done_or_undone_as_it_is_told(
    store: Any, act: Callable[[Any], None], name: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Directories were opened and synced after the rename: the write was reported to have failed,
    # and had not. So was a removal whose sidecar could not be removed.
    for first in range(1, _count(store, act, name, monkeypatch) + 1):
        with monkeypatch.context() as patched:
            patched.setattr(os, name, Failing(getattr(os, name), number, first, 1))
            try:
                act(store)
                is_done = True
            except StoreError:
                is_done = False
        assert (state_of(store) != _BEFORE) == is_done, f"the {first}. {name}"
        for key, (data, metadata) in _BEFORE.items():
            store.put(key, data, metadata)


@_ACTS
def test_a_disk_that_does_not_keep_what_has_happened_makes_the_outcome_unknown(
    store: Any, act: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    count = _count(store, act, "fsync", monkeypatch)
    outcomes: list[type[Exception] | None] = []
    for first in range(1, count + 1):
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", Failing(os.fsync, errno.EIO, first, 1 << 30))
            try:
                act(store)
                outcomes.append(None)  # the list of what is to be done was kept: that is enough
            except (StoreError, CommitUnknownError) as error:
                outcomes.append(type(error))
        with store.transaction():  # what was decided is carried out
            pass
        if outcomes[-1] is StoreError:
            assert state_of(store) == _BEFORE
        else:
            assert state_of(store) != _BEFORE
        for key, (data, metadata) in _BEFORE.items():
            store.put(key, data, metadata)
    assert {StoreError, CommitUnknownError} <= {*outcomes}
    assert None not in outcomes or act is _both


def _overwritten_in_a_block(store: Any) -> None:
    with store.transaction():
        store.put("large", bytes(100_000))
        with store.transaction():
            store.put("large", bytes(100_000))
            store.put("c", b"new")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_what_cannot_be_discarded_does_not_fail_the_transaction(
    store: Any, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The error of the system came out of the commit as it was, with the block half closed.
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", Failing(os.unlink, number, 1, 1))
        _overwritten_in_a_block(store)
    assert store.read("large") == bytes(100_000)
    store.close()
    assert not [*(tmp_path / "tree" / ".encore" / "tmp").glob("*")]


@pytest.mark.parametrize("name", ["mkdir", "open"])
def test_a_session_that_cannot_begin_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The file that says that it lives was left, and its descriptor open.
    descriptors = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    for first in range(1, 12):
        with opened(tmp_path / f"tree{first}") as store:
            with monkeypatch.context() as patched:
                patched.setattr(os, name, Failing(getattr(os, name), errno.EMFILE, first, 1))
                with contextlib.suppress(StoreError):
                    store.put("a", b"", {"n": 1})
            store.put("a", b"", {"n": 1})
            assert len([*(tmp_path / f"tree{first}").glob(".encore/tmp/*.live")]) == 1
    if descriptors:
        assert len(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize("is_broken_at_closing", [False, True])
def test_a_commit_that_could_not_be_carried_out_outlives_closing(
    tmp_path: Path, is_broken_at_closing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Closing removed the temporary files that it was still to be made of: it was lost.
    rename = os.rename

    def refused(source: str, target: str, **options: Any) -> None:
        if target in "ab":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target, **options)

    store = opened(tmp_path / "tree")
    store.put("c", b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", refused)
        with store.transaction():
            store.put("a", bytes(100_000), {"n": 1})
            store.put("b", b"new", {"n": 1})
            store.delete("c")
        if is_broken_at_closing:
            store.close()
    store.close()
    with opened(tmp_path / "tree") as store:
        assert state_of(store) == {"a": (bytes(100_000), {"n": 1}), "b": (b"new", {"n": 1})}
    own = tmp_path / "tree" / ".encore"
    assert not [*(own / "tmp").glob("*"), *(own / "txn").glob("*")]


def _multi_delete(store: Any) -> bool:
    with store.transaction():
        store.delete("a/b")
        store.put("c", b"", {"n": 2})
    return [*store.keys()] == ["c"] and store.get_metadata("c") == {"n": 2}


@pytest.mark.parametrize(
    "is_right",
    [
        lambda store: [*store.keys()] == ["a/b", "c"],
        lambda store: store.get_metadata("a/b") == {"n": 1},
        lambda store: "a/b" in store and [*store.query_keys(n=1)] == ["a/b", "c"],
        _multi_delete,
    ],
    ids=["keys", "metadata", "query", "delete"],
)
def test_what_cannot_be_opened_is_not_taken_for_missing(
    is_right: Callable[[Any], bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without descriptors left, directories were taken to be empty and metadata not to be there, and
    # a removal in a transaction was told to be done, and was not.
    for first in range(1, 80):
        tree = tmp_path / f"tree{first}"
        (tree / "a").mkdir(parents=True)
        (tree / "a" / "b").write_bytes(b"old")  # before there is a store: names may clash
        with opened(tree) as store:
            store.set_metadata("a/b", {"n": 1})
            store.put("c", b"old", {"n": 1})
        with monkeypatch.context() as patched:
            failing = Failing(os.open, errno.EMFILE, first, 1)
            patched.setattr(os, "open", failing)
            with contextlib.suppress(StoreError), opened(tree) as store:
                assert is_right(store), f"the {first}. call"
        if failing.count < first:
            break
    else:
        pytest.fail("it makes more calls")
