"""System calls that fail, disks that are full or cannot be written: the store is as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from programs import Entry, State, difference
from stress_tools import LONG, needs_fork, run, run_on_broken
from stressed import STORES, Stressed

from encore.errors import ReadOnlyError, StoreFullError
from encore.testing.sources import Failing, SourceBroke, Trickle, pattern

_EVERY_STORE = pytest.mark.parametrize("store", STORES, ids=lambda store: store.name)


@needs_fork
@_EVERY_STORE
@pytest.mark.parametrize(
    "how", [("--steps", 1, "--seconds", 3), pytest.param(("--steps", 12), marks=LONG)]
)
def test_a_call_that_fails_leaves_the_store_unchanged_and_usable(store, how) -> None:  # type: ignore[no-untyped-def]
    told = run("faulting.py", store.name, *how)
    assert told["faults"] > 0


@needs_fork
def test_a_store_that_writes_in_place_is_found_out() -> None:
    run_on_broken("faulting.py", "in-place", error="WrongError")


_WRITE = """
import sys
from encore.errors import StoreError
from encore.storage.api import SqliteStore
failures = 0
store = SqliteStore(sys.argv[1])
for number in range(4):
    try:
        if number % 2:
            with store.transaction():
                store.put("a", b"%d" % number)
        else:
            store.put("a", b"%d" % number)
    except StoreError:
        failures += 1
assert store.read("a") == b"3"
store.close()
print(failures)
"""


@pytest.mark.parametrize("when", [1, 2, 3])
def test_a_database_opened_while_descriptors_were_short_can_be_written_soon(
    tmp_path: Path, when: int
) -> None:
    """SQLite then opens it for reading only, and a store stayed so until it was opened again."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    path, traced = tmp_path / "s.db", ["strace", "-f", "-qq", "-o", os.devnull]
    traced += ["-P", str(path), "-e", "trace=openat"]
    traced += ["-e", f"inject=openat:error=EMFILE:when={when}"]
    done = subprocess.run(
        [*traced, sys.executable, "-c", _WRITE, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "strace:" in done.stderr:
        pytest.skip("strace cannot attach to a process here")
    assert done.stdout == "1\n", done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("only the administrator may mount a small disk")
    try:
        yield place
    finally:
        # What a failure keeps open must not keep the disk.
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)


_BEFORE: State = {key: Entry(20_000, seed, seed) for seed, key in enumerate("abc", 1)}


def _fill(store: object, state: State = _BEFORE) -> None:
    for key, entry in state.items():
        store.put(key, entry.data, entry.metadata)  # type: ignore[attr-defined]


@_EVERY_STORE
def test_a_full_disk_leaves_everything_as_it_was(store: Stressed, small_disk: Path) -> None:
    large = pattern(6 << 20)
    with store.open(small_disk) as opened:
        _fill(opened)
        for write in (
            lambda: opened.put("a", large),
            lambda: opened.put("new", Trickle(large, 65536)),
            lambda: opened.multiset({"a": b"new", "b": large}),
            lambda: opened.multiset({f"n{n}": pattern(9_000, n % 50) for n in range(900)}),
            lambda: opened.set_metadata("a", {"text": "y" * (6 << 20)}),
        ):
            with pytest.raises(StoreFullError):
                write()
            assert difference(opened, _BEFORE) == ""
        opened.put("d", b"usable")
        opened.delete("d")
    # SQLite's log can be larger than what is left for the file that it is to go into.
    _enlarge(small_disk)
    with store.open(small_disk) as opened:
        assert difference(opened, _BEFORE) == ""
    assert store.residue(small_disk) == []


@_EVERY_STORE
def test_a_disk_that_fills_up_keeps_what_was_committed(store: Stressed, small_disk: Path) -> None:
    state: State = {}
    opened = store.open(small_disk)
    try:
        for number in range(1, 1000):
            entry = Entry(30_000, number % 50, number)
            try:
                with opened.transaction():
                    opened.put(f"{number:03}/a", entry.data, entry.metadata)
                    opened.put(f"{number:03}/b", entry.data, entry.metadata)
            except StoreFullError:
                break
            state |= {f"{number:03}/{name}": entry for name in "ab"}
        assert 4 < len(state) < 300
        assert difference(opened, state) == ""
    finally:
        # There is no room for a new archive: what was committed stays beside the old one.
        with pytest.raises(StoreFullError) if store.name == "zip" else nullcontext():
            opened.close()
    _enlarge(small_disk)
    with store.open(small_disk) as opened:
        assert difference(opened, state) == ""
    assert store.residue(small_disk) == []


@_EVERY_STORE
def test_a_disk_that_cannot_be_written_can_be_read(store: Stressed, small_disk: Path) -> None:
    with store.open(small_disk) as opened:
        _fill(opened)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with store.open(small_disk) as opened:
        assert difference(opened, _BEFORE) == ""
        for write in (
            lambda: opened.put("a", b"new"),
            lambda: opened.put("new", b"new", {"new": 1}),
            lambda: opened.delete("a"),
            lambda: opened.set_metadata("a", {}),
            lambda: opened.transaction().begin(),
        ):
            with pytest.raises(ReadOnlyError):
                write()
        assert difference(opened, _BEFORE) == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
@_EVERY_STORE
@pytest.mark.parametrize("position", [0, 1, 600_000, 1_199_999, 1_200_000])
def test_a_source_that_breaks_leaves_nothing(
    store: Stressed, position: int, tmp_path: Path
) -> None:
    with store.open(tmp_path) as opened:
        _fill(opened)
        opened.put("large", Trickle(pattern(1_200_000), 65536))
        opened.delete("large")
        descriptors = len(os.listdir("/proc/self/fd"))
        for write in (
            lambda source: opened.put("a", source, {"new": 1}),
            lambda source: opened.multiset({"b": b"new", "new": source}),
        ):
            with pytest.raises(SourceBroke):
                write(Failing(pattern(1_200_000)[:position]))
            assert difference(opened, _BEFORE) == ""
        assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert store.residue(tmp_path) == []
