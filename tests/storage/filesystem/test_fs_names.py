"""Any key, on file systems that keep names apart and on those that merge them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from fs_tools import files_of, opened, state_of
from hypothesis import given, settings
from hypothesis import strategies as st

from encore.keys.filenames import decode_path

PIECES = st.sampled_from(
    [
        *["a", "A", "b", "", ".", "..", ".encore", "%=", "%=@", "a%=@", "é", "e\u0301", "CON", " "],
        *["x" * 240, "x" * 255, "x" * 300, "a.txt", "~", "\U0001f600", "\ufeff", "a\\b", "?", "\n"],
    ]
)
KEYS = (
    st.lists(PIECES | st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=4)
    .map("/".join)
    .map(lambda key: key.replace("\0", "0").encode()[:1024].decode(errors="ignore"))
    .filter(bool)
)
VALUES = st.tuples(st.binary(max_size=20), st.dictionaries(st.text(max_size=3), st.integers()))
CONTENTS = st.dictionaries(KEYS, VALUES, max_size=8)


@given(CONTENTS, st.booleans())
@settings(max_examples=100)
def test_any_keys_survive_and_are_files(contents: dict[str, Any], together: bool) -> None:
    with tempfile.TemporaryDirectory() as root:
        with opened(root) as store:
            if together:
                store.multiset(contents)
            else:
                for key, value in contents.items():
                    store.set(key, value)
        with opened(root, readonly=True) as store:
            assert [*store.keys()] == sorted(contents)
            assert state_of(store) == contents
            for key in contents:
                assert [*store.keys(key)] == [k for k in sorted(contents) if k.startswith(key)]
        raw = {decode_path(path): data for path, data in files_of(Path(root)).items()}
        assert raw == {key: data for key, (data, _) in contents.items()}
        with opened(root) as store:
            for key in contents:
                store.delete(key)
        assert os.listdir(root) in ([".encore"], [])


class MergingNames:
    """Makes the system's calls treat names as a case-insensitive, normalising file system does.

    No such file system can be mounted everywhere. A name finds the entry that is there under any
    other spelling; a new one is kept as it is given.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._listdir = os.listdir
        for name in ("open", "lstat", "access", "unlink", "mkdir", "rmdir", "chmod"):
            monkeypatch.setattr(os, name, self._by_name(getattr(os, name)))
        rename = os.rename

        def merged(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            rename(
                self._spelling(source, src_dir_fd),
                self._spelling(target, dst_dir_fd),
                src_dir_fd=src_dir_fd,
                dst_dir_fd=dst_dir_fd,
            )

        monkeypatch.setattr(os, "rename", merged)

    def _by_name(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def merged(name: Any, *arguments: Any, dir_fd: int | None = None, **options: Any) -> Any:
            if dir_fd is not None:
                options["dir_fd"] = dir_fd
                name = self._spelling(name, dir_fd)
            elif isinstance(name, str) and os.sep in name:
                folder, _, last = name.rpartition(os.sep)
                name = folder + os.sep + self._among(last, folder)
            return call(name, *arguments, **options)

        return merged

    def _spelling(self, name: str, folder: int) -> str:
        return name if name == "." else self._among(name, f"/proc/self/fd/{folder}")

    def _among(self, name: str, folder: str) -> str:
        folded = normalize("NFC", name).casefold()
        try:
            names = self._listdir(folder)
        except OSError:
            return name
        return next((n for n in names if normalize("NFC", n).casefold() == folded), name)


@pytest.fixture
def merging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "root"
    root.mkdir()
    with monkeypatch.context() as patched:
        MergingNames(patched)
        yield root


CLASHING = {
    "a": b"1",
    "A": b"2",
    "a/b": b"3",
    "A/B": b"4",
    "A/b": b"5",
    "é": b"6",
    "e\u0301": b"7",
    "É/x": b"8",
    "straße": b"9",
    "STRASSE": b"10",
}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_keys_that_a_file_system_would_merge_stay_apart(
    merging: Path, backwards: bool, together: bool
) -> None:
    keys = sorted(CLASHING, reverse=backwards)
    with opened(merging) as store:
        if together:
            store.multiset({key: (CLASHING[key], {"k": key}) for key in keys})
        else:
            for done, key in enumerate(keys):
                assert [k for k in keys if k in store] == keys[:done]
                store.put(key, CLASHING[key], {"k": key})
        assert store.info()["folding"] is True
    with opened(merging) as store:
        wanted = {key: (CLASHING[key], {"k": key}) for key in sorted(keys)}
        assert state_of(store) == wanted
        assert [*store.keys()] == sorted(keys)
        assert [*store.keys("A/")] == ["A/B", "A/b"]
        assert "straSSe" not in store
        for key in keys[:5]:
            store.put(key, b"again")
            wanted[key] = (b"again", {})
        assert state_of(store) == wanted
        for key in keys:
            store.delete(key)
            wanted.pop(key)
            assert state_of(store) == wanted
        assert files_of(merging) == {}


def test_a_merging_file_system_is_recognised_by_a_tree_that_is_there(merging: Path) -> None:
    (merging / "Read Me.txt").write_bytes(b"x")
    with opened(merging, readonly=True) as store:
        assert store.read("Read Me.txt") == b"x"
        assert "read me.txt" not in store
        assert store.info()["folding"] is True


def test_other_forms_that_copying_left_are_one_key(tmp_path: Path) -> None:
    from encore.keys.filenames import clash_name, marked_name

    for name in (clash_name("a"), marked_name("a"), clash_name("d") + "/e"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    with opened(tmp_path) as store:
        assert [*store.keys()] == ["a", "d/e"]
        assert [*store.keys("d/")] == ["d/e"]
        listed = dict(store._find_all(""))
        assert listed["a"].read() == store.read("a")
        del listed
        assert store.read("d/e") == (clash_name("d") + "/e").encode()
        store.put("a", b"new", {"x": 1})
        store.put("d/e", b"new")
        assert state_of(store) == {"a": (b"new", {"x": 1}), "d/e": (b"new", {})}
        store.delete("a")
        assert [*store.keys()] == ["d/e"]
        store.delete("d/e")
    assert files_of(tmp_path) == {}
