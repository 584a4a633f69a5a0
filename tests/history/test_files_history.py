"""The history of a directory: kept by links, written down in a log, whole after any crash."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from history_files import copy_with_inodes, kept_bytes, kept_names, session_names

from encore.errors import (
    CorruptValueError,
    ReadOnlyError,
    StoreError,
    UndoConflict,
    UnsupportedError,
)
from encore.history import History, journal
from encore.storage.backends.filesystem import (
    FilesystemStore,
    alone,
    keeping,
    lasting,
    logfile,
    publishing,
)
from encore.storage.backends.filesystem.lasting import LastingFiles
from encore.storage.backends.filesystem.system import open_folder
from encore.testing.laws import PATIENCE_SECONDS

HERE = Path(__file__).parent
RUNNER = HERE / "files_crash_runner.py"
forks = pytest.mark.skipif(sys.platform == "win32", reason="forks")


def begin(path: Path, **options: Any) -> tuple[FilesystemStore, History]:
    store = FilesystemStore(path)
    return store, History(store, **options)


def end(store: FilesystemStore, history: History) -> None:
    history.close()
    store.close()


def labels(history: History) -> list[tuple[str, bool]]:
    return [(step.label, step.is_done) for step in history.steps]


def full(history: History) -> list[tuple[Any, ...]]:
    return [(s.id, s.label, s.time, s.keys, s.size, s.origin, s.meta) for s in history.steps]


# -- a restart ------------------------------------------------------------------------------------


def test_steps_redo_tail_and_saved_marker_are_there_after_a_restart(tmp_path: Path) -> None:
    store, history = begin(tmp_path)
    store.put("a", b"1", {"n": 1})
    with store.transaction("Two", meta={"selection": [1, 2]}, origin="editor"):
        store.put("a", b"2" * 100_000, {"n": 2})
        store.put("ä/b", b"")
    history.mark_saved()
    store.delete("a")
    history.undo(2)
    told = full(history)
    end(store, history)

    store, history = begin(tmp_path)
    assert full(history) == told
    assert history.is_persistent
    assert (history.index, history.redo_label, history.is_saved) == (1, "Two", False)
    assert history.verify() == []
    history.redo()
    assert history.is_saved
    assert store.read("a") == b"2" * 100_000
    history.redo()
    assert list(store) == ["ä/b"]
    history.go_to(0)
    assert list(store) == []
    end(store, history)


def test_undo_brings_back_tokens_times_and_modes(tmp_path: Path) -> None:
    (tmp_path / "tool").write_bytes(b"old")
    (tmp_path / "tool").chmod(0o755)
    store, history = begin(tmp_path)
    before = store.get("tool")
    file = os.stat(tmp_path / "tool")
    store.put("tool", b"new", {"x": 1})
    store.delete("tool")
    history.undo(2)
    after = store.get("tool")
    assert (after.token, after.created, after.modified, after.metadata) == (
        before.token,
        before.created,
        before.modified,
        before.metadata,
    )
    found = os.stat(tmp_path / "tool")
    assert (found.st_ino, found.st_mtime_ns, found.st_mode) == (
        file.st_ino,
        file.st_mtime_ns,
        file.st_mode,
    )
    end(store, history)


def test_looking_at_a_directory_writes_nothing_into_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    store, history = begin(tmp_path)
    assert history.steps == ()
    assert history.verify() == []
    assert history.at(0).read("a") == b"1"
    end(store, history)
    assert os.listdir(tmp_path) == ["a"]


def test_the_own_folder_stays_while_it_has_a_history(tmp_path: Path) -> None:
    store, history = begin(tmp_path)
    store.put("a", b"1")  # by itself this needs no record beside the file
    end(store, history)
    FilesystemStore(tmp_path).close()
    with FilesystemStore(tmp_path) as other:
        other.delete("nothing", missing_ok=True)
    store, history = begin(tmp_path)
    assert labels(history) == [("Set a", True)]
    end(store, history)


def test_a_store_for_reading_only_shows_its_history(tmp_path: Path) -> None:
    store, history = begin(tmp_path)
    store.put("a", b"1")
    store.put("a", b"2")
    end(store, history)
    store = FilesystemStore(tmp_path, readonly=True)
    with History(store) as history:
        assert history.index == 2
        assert history.at(1).read("a") == b"1"
        assert history.verify() == []
        with pytest.raises(ReadOnlyError):
            history.undo()
    store.close()


# -- by link --------------------------------------------------------------------------------------


def test_a_large_value_is_edited_and_undone_without_a_copy(tmp_path: Path) -> None:
    size = 1 << 30
    with open(tmp_path / "large", "wb") as stream:
        stream.truncate(size)
    inode = os.stat(tmp_path / "large").st_ino
    store, history = begin(tmp_path)
    store.put("large", b"small")
    assert history.size == size
    (kept,) = kept_names(tmp_path)
    found = os.stat(tmp_path / ".encore" / "history" / kept)
    assert (found.st_ino, found.st_size) == (inode, size)
    with history.at(0).get("large") as data:
        data.seek(size - 1)
        assert data.read() == b"\0"
    history.undo()
    assert os.stat(tmp_path / "large").st_ino == inode
    blocks = sum(path.lstat().st_blocks for path in tmp_path.rglob("*"))
    assert blocks * 512 < 1 << 20, "a copy, or holes that have been filled"
    end(store, history)


def test_a_change_of_metadata_keeps_the_file_and_takes_no_room(tmp_path: Path) -> None:
    store, history = begin(tmp_path)
    store.put("a", b"x" * 100_000)
    inode = os.stat(tmp_path / "a").st_ino
    store.set_metadata("a", {"n": 1})
    store.set_metadata("a", {"n": 2})
    assert history.size == kept_bytes(tmp_path) == 0
    store.put("a", b"y")
    assert history.size == kept_bytes(tmp_path) == 100_000
    history.undo(2)
    assert (store.get_metadata("a"), os.stat(tmp_path / "a").st_ino) == ({"n": 1}, inode)
    history.go_to(4)
    history.go_to(1)
    assert (store.get_metadata("a"), os.stat(tmp_path / "a").st_ino) == ({}, inode)
    history.redo()
    assert (store.get_metadata("a"), os.stat(tmp_path / "a").st_ino) == ({"n": 1}, inode)
    assert session_names(tmp_path) == [], "a name that was to replace another of the same file"
    assert history.size == kept_bytes(tmp_path) == 1
    assert history.verify() == []
    end(store, history)


def test_what_limits_drop_gives_its_room_back(tmp_path: Path) -> None:
    store, history = begin(tmp_path, max_bytes=2500)
    for number in range(10):
        store.put("a", b"%d" % number * 1000)
        assert history.size == kept_bytes(tmp_path) <= 2500
    assert len(history.steps) == 2
    history.clear()
    assert kept_names(tmp_path) == []
    end(store, history)


def test_where_there_are_no_links_versions_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(keeping, "link_at", refuse)
    store, history = begin(tmp_path)
    store.put("a", b"1" * 100_000)
    token = store.get("a").token
    store.set_metadata("a", {"n": 1})
    store.put("a", b"2")
    history.go_to(1)
    assert (store.read("a"), store.get("a").token) == (b"1" * 100_000, token)
    history.go_to(3)
    assert store.read("a") == b"2"
    assert history.verify() == []
    history.go_to(2)
    assert store.get_metadata("a") == {"n": 1}
    assert history.verify() == []
    end(store, history)


def test_what_is_not_to_stay_is_in_the_session_and_goes_with_it(tmp_path: Path) -> None:
    store, history = begin(tmp_path, persistent=False)
    store.put("a", b"1" * 100_000)
    store.put("a", b"2")
    assert not history.is_persistent
    assert not (tmp_path / ".encore" / "history").exists()
    history.undo()
    assert store.read("a") == b"1" * 100_000
    history.close()
    assert session_names(tmp_path) == []
    assert History(store, persistent=False).steps == ()
    store.close()


# -- other programs -------------------------------------------------------------------------------


@pytest.mark.parametrize("in_place", [True, False])
def test_what_another_program_has_changed_is_a_conflict(tmp_path: Path, in_place: bool) -> None:
    store, history = begin(tmp_path)
    store.put("a", b"1")
    store.put("a", b"2")
    if in_place:
        (tmp_path / "a").write_bytes(b"foreign")
    else:
        (tmp_path / "other").write_bytes(b"foreign")
        (tmp_path / "other").replace(tmp_path / "a")
    assert history.check(history.steps[-1]) == ["a"]
    with pytest.raises(UndoConflict) as caught:
        history.undo()
    assert caught.value.keys == ("a",)
    assert store.read("a") == b"foreign"
    history.undo(on_conflict="force")
    assert store.read("a") == b"1"
    history.redo()
    assert store.read("a") == b"foreign"
    end(store, history)


def test_writing_into_a_file_cannot_change_what_was_replaced(tmp_path: Path) -> None:
    store, history = begin(tmp_path)
    store.put("a", b"1")
    store.put("a", b"2")
    (tmp_path / "a").write_bytes(b"3")
    assert history.at(1).read("a") == b"1"
    end(store, history)


def test_a_version_that_was_written_into_is_not_taken_for_what_it_was(tmp_path: Path) -> None:
    store, history = begin(tmp_path)
    store.put("a", b"1" * 10)
    store.set_metadata("a", {"n": 1})  # the version before it is the same file
    (tmp_path / "a").write_bytes(b"2" * 10)
    assert "lost data of 'a'" in history.verify()[0]
    with pytest.raises(CorruptValueError, match="changed by another program"):
        history.at(1).read("a")
    with pytest.raises(CorruptValueError, match="forget"):
        history.undo(on_conflict="force")
    assert (store.read("a"), store.get_metadata("a")) == (b"2" * 10, {"n": 1})
    history.undo(on_conflict="skip")
    assert store.read("a") == b"2" * 10
    history.forget("a")
    assert history.verify() == []
    end(store, history)


def test_a_version_that_was_replaced_after_a_change_of_metadata_is_safe(tmp_path: Path) -> None:
    store, history = begin(tmp_path)
    store.put("a", b"1")
    store.set_metadata("a", {"n": 1})
    (tmp_path / "a").unlink()
    (tmp_path / "a").write_bytes(b"foreign")
    history.undo(on_conflict="force")
    assert (store.read("a"), store.get_metadata("a")) == (b"1", {})
    end(store, history)


def test_a_directory_that_is_copied_takes_its_history_along(tmp_path: Path) -> None:
    store, history = begin(tmp_path / "one")
    store.put("a", b"1")
    store.put("a", b"2")
    end(store, history)
    shutil.copytree(tmp_path / "one", tmp_path / "two")  # other inodes, the same times
    store, history = begin(tmp_path / "two")
    assert history.at(1).read("a") == b"1"
    history.undo(on_conflict="force")  # the records of the files are not theirs any more
    assert store.read("a") == b"1"
    end(store, history)


# -- the log --------------------------------------------------------------------------------------


def _log(path: Path) -> Path:
    return path / ".encore" / "history" / "log"


def test_a_record_that_was_cut_anywhere_is_none(tmp_path: Path) -> None:
    path, later = tmp_path / "path", tmp_path / "later"
    store, history = begin(path)
    store.put("a", b"1")
    store.put("a", b"2")
    end(store, history)
    whole = _log(path).read_bytes()
    copy_with_inodes(path, later)
    store, history = begin(later)
    store.put("a", b"3")
    end(store, history)
    added = _log(later).read_bytes().removeprefix(whole)
    for cut in range(len(added) + 1):
        _log(path).write_bytes(whole + added[:cut])
        store, history = begin(path)
        assert (history.index, history.verify()) == (2, []), f"cut at {cut} of {len(added)}"
        end(store, history)
        # All of it: the store says that it did not happen, and the log says so from then on.
        assert (_log(path).read_bytes() == whole) is (cut < len(added))
    store, history = begin(path)
    store.put("a", b"4")
    history.undo(2)
    assert (store.read("a"), history.verify()) == (b"1", [])
    end(store, history)
    store, history = begin(later)
    assert history.index == 3
    end(store, history)


def test_a_damaged_log_is_not_guessed_at(tmp_path: Path) -> None:
    store, history = begin(tmp_path)
    for number in range(3):
        store.put("a", b"%d" % number)
    end(store, history)
    log = _log(tmp_path).read_bytes()
    _log(tmp_path).write_bytes(log.replace(b"Set a", b"Sat a", 1))
    with FilesystemStore(tmp_path) as store:
        with pytest.raises(CorruptValueError, match=r"move \.encore/history away"):
            History(store)
        store.put("a", b"new")
    assert len(kept_names(tmp_path)) == 2


def test_a_newer_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_FORMAT", 2)
        store, history = begin(tmp_path)
        store.put("a", b"1")
        end(store, history)
    with FilesystemStore(tmp_path) as store, pytest.raises(UnsupportedError, match="newer"):
        History(store)


def test_a_long_log_is_made_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_SHORT", 4000)
    store, history = begin(tmp_path, max_steps=5)
    lengths = []
    for number in range(100):
        store.put("a", b"%d" % number, {"n": number})
        lengths.append(_log(tmp_path).stat().st_size)
    assert max(lengths) < 10_000
    history.undo(2)
    told = labels(history)
    history.pack()
    assert _log(tmp_path).stat().st_size < 2500
    assert labels(history) == told
    end(store, history)
    store, history = begin(tmp_path, max_steps=5)
    assert (labels(history), history.verify()) == (told, [])
    assert history.redo()
    end(store, history)


def test_opening_and_packing_sweep_what_nothing_refers_to(tmp_path: Path) -> None:
    store, history = begin(tmp_path)
    store.put("a", b"1")
    store.put("a", b"2")
    kept = kept_names(tmp_path)
    stray = _log(tmp_path).with_name("stray")
    stray.write_bytes(b"x")
    history.pack()
    assert kept_names(tmp_path) == kept
    stray.write_bytes(b"x")
    end(store, history)
    store, history = begin(tmp_path)
    assert kept_names(tmp_path) == kept
    end(store, history)


def test_a_commit_that_fails_leaves_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, history = begin(tmp_path)
    store.put("a", b"1")

    def fail(*_arguments: Any, **_options: Any) -> None:
        raise OSError(errno.EIO, "the disk is gone")

    with monkeypatch.context() as patch:
        for module in (alone, publishing):
            patch.setattr(module, "rename_at", fail)
        with pytest.raises(StoreError):
            store.put("a", b"2")
    assert (history.index, kept_names(tmp_path)) == (1, [])
    store.put("a", b"3")
    assert (history.index, history.verify()) == (2, [])
    with monkeypatch.context() as patch:
        for module in (alone, publishing):
            patch.setattr(module, "rename_at", fail)
        with pytest.raises(StoreError):
            history.undo()
    end(store, history)
    store, history = begin(tmp_path)  # the last record is one of a commit that failed
    assert (history.index, history.verify()) == (2, [])
    history.undo()
    assert store.read("a") == b"1"
    end(store, history)


def test_a_log_that_cannot_be_written_refuses_the_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, history = begin(tmp_path)
    store.put("a", b"1")
    monkeypatch.setattr(logfile, "write_all", _full)
    with pytest.raises(StoreError, match="no room left"):
        store.put("a", b"2")
    assert (store.read("a"), history.index, kept_names(tmp_path)) == (b"1", 1, [])
    end(store, history)


def _full(*_arguments: Any) -> None:
    raise OSError(errno.ENOSPC, "no space left")


# -- threads and processes ------------------------------------------------------------------------


def test_the_past_can_be_read_while_others_undo(tmp_path: Path) -> None:
    store, history = begin(tmp_path)
    for number in range(3):
        store.put("a", b"%d" % number)
    stop = threading.Event()
    seen: list[bytes | BaseException] = []

    def look() -> None:
        try:
            while not stop.is_set():
                seen.extend(history.at(step).read("a") for step in (1, 2))
        except BaseException as error:
            seen.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(50):
        history.undo(2)
        history.redo(2)
    stop.set()
    thread.join()
    assert not [found for found in seen if not isinstance(found, bytes)]
    end(store, history)


_OTHER = """
import sys
from encore.history import History
from encore.storage.api import FilesystemStore
store = FilesystemStore(sys.argv[1])
history = History(store)
for line in sys.stdin:
    print(eval(line), flush=True)
"""


class OtherProcess:
    """A process with a history of the same directory, which does what it is told."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OTHER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, expression: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def test_two_processes_share_one_history(tmp_path: Path) -> None:
    store, history = begin(tmp_path)
    store.put("a", b"1")
    other = OtherProcess(tmp_path)
    try:
        assert other("history.index, history.undo_label") == "(1, 'Set a')"
        other("store.put('b', b'2')")
        assert (history.index, history.undo_label) == (2, "Set b")
        history.undo()
        assert other("history.index, history.redo_label, list(store)") == "(1, 'Set b', ['a'])"
        other("history.redo()")
        other("history.mark_saved()")
        assert history.is_saved
        store.put("a", b"3")
        assert other("history.is_saved, history.undo()[0].label") == "(False, 'Set a')"
        assert other("history.verify()") == "[]"
        assert (store.read("a"), history.is_saved, history.redo_label) == (b"1", True, "Set a")
        other("history.pack()")
        assert labels(history) == [("Set a", True), ("Set b", True), ("Set a", False)]
        store.put("c", b"")
        assert other("[step.label for step in history.steps]") == "['Set a', 'Set b', 'Set c']"
        other("history.clear()")
        assert (history.steps, history.verify(), kept_names(tmp_path)) == ((), [], [])
    finally:
        other.kill()
    end(store, history)


# -- crashes --------------------------------------------------------------------------------------


def crash(*arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, str(RUNNER), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return int(done.stdout.splitlines()[-1])


@forks
@pytest.mark.parametrize("act", ["put_over", "several", "undo_all"])
def test_a_change_that_dies_is_whole_or_absent_and_so_is_its_step(act: str) -> None:
    assert crash(act, "process", "9") > 5


@forks
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("durability", ["process", "power"])
@pytest.mark.parametrize(
    "act",
    [
        "put_over",
        "put_new",
        "put_metadata",
        "delete",
        "several",
        "undo",
        "undo_all",
        "redo",
        "put_over_the_redo_tail",
        "mark_saved",
        "clear",
        "pack",
    ],
)
def test_so_is_one_that_dies_anywhere(act: str, durability: str) -> None:
    assert crash(act, durability, "1") > 5


@forks
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["twice", "beside"])
@pytest.mark.parametrize("act", ["several", "undo_all"])
def test_so_it_is_for_who_dies_opening_it_and_for_who_has_it_open(act: str, mode: str) -> None:
    assert crash(act, "process", "5", mode) > 5


def test_two_threads_that_look_for_the_folder_at_once_hold_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who came second closed it under the other, who was writing the first step."""
    opened, go, found = threading.Event(), threading.Event(), []
    with FilesystemStore(tmp_path) as store, History(store):
        store.put("a", b"1")
    with FilesystemStore(tmp_path) as store:
        files = LastingFiles(store)

        def open_slowly(folder: Any, name: str) -> Any:
            handle = open_folder(folder, name)
            if threading.current_thread() is reader and name == "history":
                opened.set()
                assert go.wait(PATIENCE_SECONDS)
            return handle

        monkeypatch.setattr(lasting, "open_folder", open_slowly)
        reader = threading.Thread(target=lambda: found.append(files._find_folder()))
        reader.start()
        assert opened.wait(PATIENCE_SECONDS)
        mine = files._folder()
        go.set()
        reader.join(PATIENCE_SECONDS)
        assert found == [mine]
        assert stat.S_ISDIR(os.fstat(mine).st_mode)
        files.close()
