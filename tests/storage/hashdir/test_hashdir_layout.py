"""What is on the disk: where files are, what the index fixes, and what is refused."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hashdir_tools import (
    KIB,
    check_tree,
    files_of,
    folders_of,
    opened,
    plain_path,
    sessions_of,
    versions_of,
)

import encore
from encore.errors import ConfigError, CorruptValueError, StoreError, UnsupportedError
from encore.storage.api import FilesystemStore, HashdirStore, SqliteStore
from encore.testing.laws import seen
from encore.testing.sources import pattern


@pytest.mark.parametrize(("width", "depth"), [(2, 3), (1, 1), (3, 2), (4, 15), (63, 1), (1, 63)])
def test_the_file_of_a_key_is_where_its_digest_says(
    directory: Path, width: int, depth: int
) -> None:
    with opened(directory, width, depth) as store:
        store.put("a/b", pattern(100))
        store.put("large", pattern(3 * KIB))
        (found, other) = files_of(directory)
    names = {plain_path(directory, key, width, depth).name: key for key in ("a/b", "large")}
    for path in (found, other):
        stem, _, version = Path(path).name.partition(".")
        assert int(version, 16) > 0
        assert len(Path(path).parts) == depth + 1
        key = names[stem]
        place = plain_path(directory, key, width, depth)
        assert (directory / path).parent == place.parent


def test_a_digest_is_cut_as_documented(directory: Path) -> None:
    with opened(directory) as store:
        store.put("hello", b"x")
    (path,) = files_of(directory)
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert path.startswith(f"{digest[:2]}/{digest[2:4]}/{digest[4:6]}/{digest[6:]}.")


@pytest.mark.parametrize(
    ("width", "depth"), [(0, 3), (2, 0), (-1, 3), (2, -1), (2, 32), (64, 1), (1, 64), (32, 2)]
)
def test_a_layout_that_leaves_no_name_is_a_value_error(
    directory: Path, width: int, depth: int
) -> None:
    with pytest.raises(ValueError, match="width"):
        HashdirStore(directory / "new", width, depth)
    assert not (directory / "new").exists()


@pytest.mark.parametrize(
    "options", [{"inline_bytes": -1}, {"inline_bytes": 1 << 30}, {"durability": "eternal"}]
)
def test_options_out_of_range_are_value_errors(directory: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        HashdirStore(directory, **options)


@pytest.mark.parametrize("readonly", [False, True])
def test_another_layout_than_that_of_the_index_is_refused(directory: Path, readonly: bool) -> None:
    with opened(directory, 1, 2) as store:
        store.put("a", b"1")
    before = files_of(directory)
    for layout in ((2, 1), (2, 3)):
        with pytest.raises(StoreError, match="width=1, depth=2"):
            opened(directory, *layout, readonly=readonly).read("a")
    assert files_of(directory) == before
    with opened(directory, 1, 2) as store:
        assert store.info()["width"] == 1
        assert store.info()["depth"] == 2
        assert seen(store) == {"a": (b"1", {})}


def test_replacing_a_value_makes_another_file_and_removes_the_old_one(directory: Path) -> None:
    with opened(directory) as store:
        store.put("a", b"old")
        (old,) = versions_of(directory, "a")
        inode = old.stat().st_ino
        held = store.get("a")
        store.put("a", b"new")
        (new,) = versions_of(directory, "a")
        assert new != old
        assert new.stat().st_ino != inode or new.name != old.name
        assert held.read() == b"old"
    check_tree(directory, {"a": (b"new", {})})


def test_removing_values_removes_files_and_the_directories_they_leave_empty(
    directory: Path,
) -> None:
    with opened(directory) as store:
        store.multiset({f"{number}": pattern(10 + number) for number in range(50)})
        assert len(files_of(directory)) == 50
        store.delete("7")
        store.move("8", "9")
        assert len(files_of(directory)) == 48
        assert folders_of(directory) == []
        store.clear("1")
        store.clear()
        assert files_of(directory) == {}
    assert os.listdir(directory) == [".encore"]


def test_a_closed_store_leaves_an_index_and_files(directory: Path) -> None:
    with opened(directory) as store:
        store.put("a", pattern(3000), {"x": 1})
        assert len(sessions_of(directory)) == 2
    assert sessions_of(directory) == []
    assert sorted(os.listdir(directory / ".encore")) == ["index.db", "sessions"]
    with closing(sqlite3.connect(directory / ".encore" / "index.db")) as index:
        row = index.execute("SELECT key, size, metadata, data FROM kv").fetchone()
    assert row == ("a", 3000, '{"x":1}', None)


def test_empty_data_has_no_file(directory: Path) -> None:
    with opened(directory) as store:
        store.put("a", b"")
        store.set_metadata("b", {"x": 1})
    assert files_of(directory) == {}
    with opened(directory) as store:
        assert seen(store) == {"a": (b"", {}), "b": (b"", {"x": 1})}


def test_data_up_to_inline_bytes_is_in_the_index(directory: Path) -> None:
    with opened(directory, inline_bytes=1000) as store:
        store.put("small", pattern(1000))
        store.put("large", pattern(1001))
        assert [*files_of(directory).values()] == [pattern(1001)]
        store.put("large", b"small now")
        assert files_of(directory) == {}
        store.put("small", pattern(2000))
    with opened(directory) as store:  # the option is not fixed: each record says where its data is
        store.put("another", b"1")
        assert seen(store) == {
            "another": (b"1", {}),
            "large": (b"small now", {}),
            "small": (pattern(2000), {}),
        }
        assert sorted(files_of(directory).values()) == sorted([b"1", pattern(2000)])


def test_a_copy_shares_its_file_where_the_file_system_allows(directory: Path) -> None:
    with opened(directory) as store:
        store.put("a", pattern(200000), {"x": 1})
        store.copy("a", "b")
        (one,), (two,) = versions_of(directory, "a"), versions_of(directory, "b")
        assert one.stat().st_nlink in (1, 2)
        if one.stat().st_nlink == 2:
            assert one.samefile(two)
        store.put("a", b"changed")
        assert store.read("b") == pattern(200000)
        store.move("b", "c")
    check_tree(directory, {"a": (b"changed", {}), "c": (pattern(200000), {"x": 1})})


# -- what is refused ------------------------------------------------------------------------------


def test_missing_directories_are_made(directory: Path) -> None:
    with opened(directory / "new" / "deep") as store:
        store.put("a", b"1")
    check_tree(directory / "new" / "deep", {"a": (b"1", {})})


def test_a_file_is_no_directory(directory: Path) -> None:
    (directory / "file").write_bytes(b"")
    for path in (directory / "file", directory / "file" / "below"):
        for readonly in (False, True):
            with pytest.raises(StoreError, match="not a directory"):
                opened(path, readonly=readonly).read("a")


def test_nothing_cannot_be_opened_for_reading(directory: Path) -> None:
    with pytest.raises(StoreError, match="no directory"):
        opened(directory / "missing", readonly=True).read("a")
    assert not (directory / "missing").exists()


def test_a_relative_path_stays_where_it_was(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(directory)
    (directory / "elsewhere").mkdir()
    with opened("store") as store:
        monkeypatch.chdir(directory / "elsewhere")
        store.put("a", b"1")
        assert store.path == "store"
    assert os.listdir(directory / "elsewhere") == []
    check_tree(directory / "store", {"a": (b"1", {})})


def test_stores_of_other_kinds_are_told_apart(directory: Path) -> None:
    with FilesystemStore(directory / "files") as files:
        files.put("a", b"1", {"x": 1})
    with pytest.raises(StoreError, match="FilesystemStore"):
        opened(directory / "files").put("a", b"1")
    with opened(directory / "hashed") as store:
        store.put("a", b"1")
    with pytest.raises(StoreError, match="another program"):
        SqliteStore(directory / "hashed" / ".encore" / "index.db").read("a")


def test_a_newer_index_is_refused(directory: Path) -> None:
    with opened(directory) as store:
        store.put("a", b"1")
    with closing(sqlite3.connect(directory / ".encore" / "index.db")) as index:
        index.execute("PRAGMA user_version=1000")
    with pytest.raises(UnsupportedError, match="newer"):
        opened(directory).read("a")


@pytest.mark.parametrize("what", [".encore", "index.db"])
def test_links_in_place_of_the_index_are_refused(directory: Path, what: str) -> None:
    outside = directory / "outside"
    with opened(outside) as store:
        store.put("a", b"1")
    root = directory / "root"
    root.mkdir()
    if what == ".encore":
        (root / what).symlink_to(outside / ".encore")
    else:
        (root / ".encore").mkdir()
        (root / ".encore" / what).symlink_to(outside / ".encore" / what)
    with pytest.raises(StoreError, match="symbolic link"):
        opened(root).put("b", b"2")


@pytest.mark.parametrize("level", [0, 1, 2])
def test_links_in_place_of_directories_lead_nowhere(directory: Path, level: int) -> None:
    outside, root = directory / "outside", directory / "root"
    outside.mkdir()
    place = plain_path(root, "a")
    link = place.parents[2 - level]
    with opened(root) as store:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(outside, target_is_directory=True)
        beyond = outside.joinpath(*place.relative_to(link).parts)
        beyond.parent.mkdir(parents=True, exist_ok=True)
        beyond.write_bytes(b"secret")
        assert "a" not in store
        with pytest.raises(KeyError):
            store.read("a")
        with pytest.raises(StoreError):
            store.put("a", b"mine")
        with pytest.raises(KeyError):
            store.delete("a")
        with pytest.raises(KeyError):
            store.adopt(["a"])
        assert [*store] == []
    assert beyond.read_bytes() == b"secret"
    assert sum(path.is_file() for path in outside.rglob("*")) == 1


def test_a_link_in_place_of_a_file_leads_nowhere(directory: Path) -> None:
    secret = directory / "secret"
    secret.write_bytes(b"secret")
    root = directory / "root"
    place = plain_path(root, "a")
    place.parent.mkdir(parents=True)
    place.symlink_to(secret)
    with opened(root) as store:
        assert "a" not in store
        with pytest.raises(KeyError):
            store.adopt(["a"])
        store.put("a", b"mine")
        assert store.read("a") == b"mine"
        store.delete("a")
        assert "a" not in store
    assert secret.read_bytes() == b"secret"


# -- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, 300000])
@pytest.mark.parametrize("damage", ["missing", "short", "long"])
def test_a_file_that_is_not_what_its_record_says_is_damage(
    directory: Path, damage: str, size: int
) -> None:
    with opened(directory) as store:
        store.put("a", pattern(size), {"x": 1})
        (path,) = versions_of(directory, "a")
        if damage == "missing":
            path.unlink()
        else:
            path.write_bytes(pattern(size - 1 if damage == "short" else size + 1))
        for read in (store.read, store.get, lambda key: store.get_data_range(key, 0, 5)):
            with pytest.raises(CorruptValueError, match="'a'"):
                read("a")
        with store.transaction(), pytest.raises((CorruptValueError, StoreError)):
            store.get("a").read()
        assert store.get_metadata("a") == {"x": 1}
        assert "a" in store
        store.put("a", b"mended")
        assert store.read("a") == b"mended"
        store.delete("a")
    check_tree(directory, {})


# -- addresses ------------------------------------------------------------------------------------


def test_an_address_opens_the_store_with_its_options(directory: Path) -> None:
    address = f"hashdir:{directory / 'store'}"
    with encore.open_store(address, width=1, depth=2, inline_bytes=10) as store:
        assert isinstance(store, HashdirStore)
        store.put("a", pattern(100))
        assert store.info()["inline_bytes"] == 10
    with pytest.raises(ConfigError, match="width"):
        encore.open_store(address, width=0)
    with pytest.raises(ConfigError, match="did you mean 'width'"):
        encore.open_store(address, widht=1)


def test_a_bare_path_of_a_store_opens_it(directory: Path) -> None:
    with opened(directory / "store") as store:
        store.put("a", b"1")
    with encore.open_store(directory / "store") as store:
        assert store.read("a") == b"1"
        assert isinstance(store, HashdirStore)


def test_an_index_that_cannot_be_opened_is_an_error_of_the_store(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The layout is looked up over a connection of its own, and its error came out as SQLite's.
    put_something = opened(directory)
    put_something.put("a", b"data")
    put_something.close()
    connect, calls = sqlite3.connect, []

    def refused(*arguments: Any, **options: Any) -> sqlite3.Connection:
        calls.append(arguments)
        if len(calls) == first:
            raise sqlite3.OperationalError("unable to open database file")
        return connect(*arguments, **options)

    monkeypatch.setattr(sqlite3, "connect", refused)
    for first in range(1, 4):
        calls.clear()
        store = opened(directory)
        with pytest.raises(StoreError):
            store.read("a")
        assert len(calls) == first
        assert store.read("a") == b"data"
        store.close()


def test_a_list_of_files_that_cannot_be_opened_leaves_no_session(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The session that the list was to be in stayed, and two descriptors with it.
    open_file = os.open

    def refused(name: Any, *arguments: Any, **options: Any) -> int:
        if name == "list":
            raise OSError(24, "Too many open files")
        return open_file(name, *arguments, **options)

    store = opened(directory)
    store.put("empty", b"")
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refused)
        for _ in range(3):
            with pytest.raises(StoreError):
                store.put("a", b"data")
    assert os.listdir(directory / ".encore" / "sessions") == []
    store.put("a", b"data")
    store.close()
    assert os.listdir(directory / ".encore" / "sessions") == []
