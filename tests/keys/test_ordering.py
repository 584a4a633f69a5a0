"""A tree of files is read in the order of its keys."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from key_strategies import CLOSE_KEYS, KEYS

from encore.keys import check_key
from encore.keys.filenames import Place, clash_name, decode_path, encode_key, marked_name
from encore.keys.ordering import ordered_entries, walk_keys

TREES = st.lists(st.tuples(KEYS | CLOSE_KEYS, st.integers(0, 15)), max_size=12)


def clashing_path(key: str, clashing: int) -> str:
    """Return the path of a key; bit n of `clashing`: component n is in clash form."""
    names = encode_key(key, windows=False).split("/")
    chosen = [
        clash_name(name) if clashing >> index & 1 else name for index, name in enumerate(names)
    ]
    return "/".join(chosen)


def planned(forms: Iterable[tuple[str, int]]) -> dict[str, str]:
    """Return a path for each key, marked where a directory has it."""
    paths = {key: clashing_path(key, clashing) for key, clashing in forms}
    directories = {path[:i] for path in paths.values() for i in range(len(path)) if path[i] == "/"}
    while True:
        # Marking a long name makes a chain, hence a directory more.
        taken = [key for key, path in paths.items() if path in directories]
        if not taken:
            return paths
        for key in taken:
            parent, slash, last = paths[key].rpartition("/")
            path = paths[key] = parent + slash + marked_name(last)
            directories |= {path[:i] for i in range(len(path)) if path[i] == "/"}


def lister(root: Path, seen: list[str] | None = None):
    def list_directory(path: str) -> list[tuple[str, bool]]:
        if seen is not None:
            seen.append(path)
        with os.scandir(root / path) as entries:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]

    return list_directory


def build(root: Path, paths: Iterable[str]) -> None:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x"):
            pass


@given(TREES, st.text("ax%=/.", max_size=3), CLOSE_KEYS | st.none())
@settings(max_examples=300, deadline=None)
@example([("a", 0), ("a/b", 0), ("a-b", 0), ("a.txt", 0), ("a0", 0)], "", None)
@example([("a/b", 0), ("a/a", 1), ("a/c", 1), ("a/a/x", 0)], "", "a/a")
@example([("x" * 300, 0), ("x" * 234 + "a", 0), ("x" * 234 + "y", 0), ("x" * 234, 0)], "", None)
@example([("x" * 300 + "/b", 0), ("x" * 300, 0), ("x" * 250 + "/b", 0), ("x" * 254, 1)], "x", "x")
@example([("/" * 1000, 0), ("/", 0), ("//", 1)], "", None)
def test_a_real_tree_is_walked_in_the_order_of_its_keys(
    tree: list[tuple[str, int]], prefix: str, after: str | None
) -> None:
    paths = planned(tree)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        build(root, paths.values())
        assert list(walk_keys(lister(root), windows=False)) == sorted(paths.items())
        selected = [key for key in sorted(paths) if key.startswith(prefix) and key > (after or "")]
        walked = walk_keys(lister(root), prefix=prefix, start_after=after, windows=False)
        assert [key for key, _ in walked] == selected


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    build(tmp_path, ["a/b/1", "a/b/2", "a/c/3", "a.txt", "a-b", "a0", "z/9", ".encore/journal"])
    return tmp_path


def test_an_existing_tree_is_a_store_as_it_stands(tree: Path) -> None:
    keys = [key for key, _ in walk_keys(lister(tree))]
    assert keys == ["a-b", "a.txt", "a/b/1", "a/b/2", "a/c/3", "a0", "z/9"]


def test_the_own_folder_is_not_even_listed(tree: Path) -> None:
    seen: list[str] = []
    list(walk_keys(lister(tree, seen)))
    assert seen == ["", "a", "a/b", "a/c", "z"]


def test_directories_are_listed_when_the_walk_comes_to_them(tree: Path) -> None:
    seen: list[str] = []
    walk = walk_keys(lister(tree, seen))
    assert next(walk) == ("a-b", "a-b")
    assert seen == [""]
    walk.close()


@pytest.mark.parametrize(
    ("prefix", "after", "expected"),
    [
        ("a/b/", None, ["", "a", "a/b"]),
        ("z", None, ["", "z"]),
        ("", "a/c", ["", "a", "a/c", "z"]),
        ("", "a0", ["", "z"]),
        ("a/b", "a/b/1", ["", "a", "a/b"]),
        ("q", None, [""]),
    ],
)
def test_directories_without_a_key_asked_for_are_not_listed(
    tree: Path, prefix: str, after: str | None, expected: list[str]
) -> None:
    seen: list[str] = []
    list(walk_keys(lister(tree, seen), prefix=prefix, start_after=after))
    assert seen == expected


def test_a_walk_can_be_confined_to_a_directory(tree: Path) -> None:
    seen: list[str] = []
    walk = walk_keys(lister(tree, seen), within="a/b", prefix="a/b/")
    assert list(walk) == [("a/b/1", "a/b/1"), ("a/b/2", "a/b/2")]
    assert seen == ["a/b"]
    assert list(walk_keys(lister(tree, seen), within=".encore")) == []
    assert list(walk_keys(lister(tree, seen), within=".encore/x")) == []


def test_a_key_with_two_files_is_yielded_once(tmp_path: Path) -> None:
    build(tmp_path, ["a", "a%=@", clash_name("a"), "d/x", clash_name("d") + "/x"])
    assert list(walk_keys(lister(tmp_path))) == [("a", "a"), ("d/x", "d/x")]


def test_files_that_are_no_keys_are_left_out(tmp_path: Path) -> None:
    build(tmp_path, ["ok", "bad%=41", "bad%=+/x", "bad%=@/x", "also%=~00000000", "%=+"])
    assert list(walk_keys(lister(tmp_path))) == [("ok", "ok")]


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are Unicode here")
def test_names_that_are_no_unicode_are_left_out(tmp_path: Path) -> None:
    build(tmp_path, ["ok", os.fsdecode(b"\xff"), os.fsdecode(b"\xfe/x")])
    seen: list[str] = []
    assert list(walk_keys(lister(tmp_path, seen))) == [("ok", "ok")]
    assert seen == [""]


def test_a_path_longer_than_any_key_is_no_key(tmp_path: Path) -> None:
    build(tmp_path, ["/".join(["x" * 250] * 6), "/".join(["y" * 250] * 3)])
    seen: list[str] = []
    assert [len(key) for key, _ in walk_keys(lister(tmp_path, seen))] == [752]
    assert max(len(path) for path in seen) == 4 * 251 - 1


def test_entries_are_sorted_by_what_their_keys_begin_with() -> None:
    listing = [("a", True), ("a.txt", False), ("a0", False), ("a%=@", False), (".encore", True)]
    entries = ordered_entries(listing)
    assert [entry.text for entry in entries] == ["a", "a.txt", "a/", "a0"]
    assert [entry.name for entry in entries] == ["a%=@", "a.txt", "a", "a0"]
    inner = entries[2].place
    assert inner == Place("a/")
    assert ordered_entries([("b", False)], inner)[0].text == "a/b"


@given(st.lists(KEYS | CLOSE_KEYS, max_size=8))
def test_walking_agrees_with_decoding(keys: list[str]) -> None:
    for path in planned((key, 0) for key in keys).values():
        key = decode_path(path, windows=False)
        assert key is not None
        check_key(key)
        parts = path.split("/")

        def chain(path: str, parts: list[str] = parts) -> list[tuple[str, bool]]:
            depth = path.count("/") + 1 if path else 0
            return [(parts[depth], depth < len(parts) - 1)]

        assert list(walk_keys(chain, windows=False)) == [(key, path)]
