"""A directory as people know it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from fs_tools import (
    OopsError,
    fail_after,
    files_of,
    leftovers,
    opened,
    photograph,
    remove_tree,
    state_of,
)

from encore.errors import KeyNotFoundError, StoreError
from encore.storage.backends.filesystem import FilesystemStore


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name, data in {
        "a.txt": b"a",
        "a-b": b"ab",
        "a/b.txt": b"b",
        "a/b/c": b"c" * 100_000,
        "empty/.keep": b"",
        "z é/ü.bin": bytes(256),
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "nothing").mkdir()
    return root


def test_an_existing_tree_is_a_store_as_it_stands(tree: Path) -> None:
    with opened(tree) as store:
        assert {key: data for key, (data, _) in state_of(store).items()} == files_of(tree)
        assert [*store.keys()] == sorted(files_of(tree))
        assert [*store.keys("a/")] == ["a/b.txt", "a/b/c"]
        value = store.get("a/b.txt")
        assert value.metadata == {}
        assert value.created == value.modified == (tree / "a/b.txt").stat().st_mtime


def test_reading_writes_nothing_into_a_tree(tree: Path) -> None:
    before = photograph(tree)
    for readonly in (False, True):
        store = opened(tree, readonly=readonly)
        state_of(store)
        assert len(store) == 6
        assert "a.txt" in store
        assert "gone" not in store
        assert "a.txt/b" not in store
        assert store.read("a.txt") == b"a"
        store.get_metadata("a-b")
        assert [*store.glob("a/*")] == ["a/b.txt"]
        assert [*store.query_keys(x=1)] == []
        store.info()
        value = store.get("a/b/c")
        assert value.range(5, 10).read() == b"ccccc"
        value.close()
        with pytest.raises(KeyNotFoundError):
            store.get("gone/far")
        store.close()
    assert photograph(tree) == before


def test_a_key_is_the_file_of_that_name(tmp_path: Path) -> None:
    keys = ["a/b.txt", "100%.txt", "my file", ".hidden", "é", "x/.y/z"]
    with opened(tmp_path / "s") as store:
        for key in keys:
            store.put(key, key.encode(), {"k": key})
        assert files_of(tmp_path / "s") == {key: key.encode() for key in keys}


@pytest.mark.parametrize("key", ["../out", "/etc/out", "..", "a/../../out", ".encore/meta", "a//b"])
def test_no_key_leads_out_of_the_root_or_into_the_own_folder(tmp_path: Path, key: str) -> None:
    root = tmp_path / "deep" / "root"
    with opened(root) as store:
        store.put(key, b"x", {"k": 1})
        assert [*store.keys()] == [key]
        assert store.read(key) == b"x"
    assert [path for path in tmp_path.rglob("out") if root not in path.parents] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep"]


@pytest.mark.parametrize("order", [["a", "a/b", "a/b/c"], ["a/b/c", "a/b", "a"]])
@pytest.mark.parametrize("together", [False, True])
def test_a_key_and_keys_below_it_live_side_by_side(
    tmp_path: Path, order: list[str], together: bool
) -> None:
    with opened(tmp_path) as store:
        if together:
            store.multiset({key: (key.encode(), {"k": key}) for key in order})
        else:
            for key in order:
                store.put(key, key.encode(), {"k": key})
        wanted = {key: (key.encode(), {"k": key}) for key in sorted(order)}
        assert state_of(store) == wanted
        store.put("a", b"again")
        assert store.read("a") == b"again"
        assert store.get("a").metadata == {}
        for key in order:
            store.delete(key)
        assert state_of(store) == {}
    assert files_of(tmp_path) == {}
    assert {path.name for path in tmp_path.iterdir()} <= {".encore"}


def test_a_rolled_back_key_below_a_file_leaves_the_file_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put("a", b"a", {"k": 1})
        before = files_of(tmp_path)

        def write() -> None:
            store.put("a/b", b"b")
            assert store.read("a") == b"a"

        with pytest.raises(OopsError):
            fail_after(store, write)
        assert files_of(tmp_path) == before
        assert leftovers(tmp_path) == []


def test_a_file_that_makes_room_keeps_everything(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"foreign")
    with opened(tmp_path) as store:
        old = store.get("a")
        store.put("a/b", b"b")
        new = store.get("a")
        assert (new.read(), new.metadata) == (b"foreign", {})
        assert (new.created, new.modified, new.token) == (old.created, old.modified, old.token)
        store.set_metadata("a", {"x": 1})
        assert store.get("a").metadata == {"x": 1}
        assert store.get("a").created == old.created


def test_directories_go_with_their_last_key_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with opened(tmp_path) as store:
        store.put("d/e/f", b"")
        store.put("d/g", b"")
        store.delete("d/e/f")
        assert not (tmp_path / "d/e").exists()
        assert (tmp_path / "d").is_dir()
        store.delete("d/g")
        assert not (tmp_path / "d").exists()
    assert (tmp_path / "mine").is_dir()


def test_a_foreign_file_in_a_directory_keeps_it(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put("d/a", b"")
        os.symlink("nowhere", tmp_path / "d" / "link")
        store.delete("d/a")
        assert [path.name for path in (tmp_path / "d").iterdir()] == ["link"]
        assert [*store.keys()] == []


def test_links_lead_to_files_inside_or_nowhere(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    root.mkdir()
    (root / "inside").write_bytes(b"inside")
    os.symlink(outside, root / "d")
    os.symlink(outside / "secret", root / "f")
    os.symlink("inside", root / "g")
    os.symlink("loop", root / "loop")
    os.symlink(".encore/lock", root / "own")
    with opened(root) as store:
        assert [*store.keys()] == ["g", "inside"]
        assert store.read("g") == b"inside"
        assert [*store.keys("d/")] == []
        for key in ("d/secret", "f", "loop", "d", "own"):
            assert key not in store
            with pytest.raises(KeyNotFoundError):
                store.read(key)
        for key in ("d/new", "d/secret", "f", "g", "loop", "d", "loop/x", "own"):
            for _ in range(2):  # once by the general way, then by the short one
                with pytest.raises(StoreError, match="link"):
                    store.put(key, b"overwritten", {"x": 1})
            with pytest.raises(StoreError, match="link"):
                store.multiset({"fine": b"", key: b"overwritten"})
        with pytest.raises(StoreError, match="link"):
            store.delete("g")
        assert [*store.keys()] == ["g", "inside"]
        assert leftovers(root) == []
    assert (outside / "secret").read_bytes() == b"secret"
    assert (root / "inside").read_bytes() == b"inside"
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (root / "f").is_symlink()


def test_a_directory_swapped_for_a_link_is_not_followed(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    with opened(root) as store:
        store.put("d/a", b"a", {"k": 1})
        os.rename(root / "d", root / "elsewhere")
        os.symlink(outside, root / "d")
        assert "d/a" not in store
        with pytest.raises(StoreError, match="link"):
            store.put("d/a", b"new")
        assert store.read("elsewhere/a") == b"a"
    assert [*outside.iterdir()] == []


def test_an_own_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    os.symlink(outside, root / ".encore")
    with opened(root) as store:
        assert [*store.keys()] == []
        with pytest.raises(StoreError, match=r"\.encore"):
            store.put("a", b"")
    assert [*outside.iterdir()] == []


def test_what_is_no_regular_file_holds_no_key(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / b"caf\xe9".decode(errors="surrogateescape")).write_bytes(b"")
    with opened(tmp_path) as store:
        assert [*store.keys()] == []
        assert "pipe" not in store
        with pytest.raises(KeyNotFoundError):
            store.read("pipe")
        with pytest.raises(StoreError):
            store.put("pipe", b"")
        with pytest.raises(StoreError):
            store.put("pipe/x", b"")
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)


def test_an_overwritten_file_keeps_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "script").write_bytes(b"#!")
    os.chmod(tmp_path / "script", 0o750)
    mask = os.umask(0o027)
    try:
        with opened(tmp_path) as store:
            store.put("script", b"general", {"x": 1})
            assert stat.S_IMODE((tmp_path / "script").stat().st_mode) == 0o750
            store.put("script", b"short")
            assert stat.S_IMODE((tmp_path / "script").stat().st_mode) == 0o750
            with store.transaction():
                store.put("script", b"several")
                store.put("other", b"")
            assert stat.S_IMODE((tmp_path / "script").stat().st_mode) == 0o750
            assert stat.S_IMODE((tmp_path / "other").stat().st_mode) == 0o640
    finally:
        os.umask(mask)


def test_the_root_may_be_a_link_and_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    os.symlink("real", tmp_path / "link")
    monkeypatch.chdir(tmp_path)
    with opened("link") as store:
        store.put("a", b"a")
        monkeypatch.chdir("/")
        store.put("b", b"b", {"x": 1})
        assert [*store.keys()] == ["a", "b"]
    assert files_of(tmp_path / "real") == {"a": b"a", "b": b"b"}


def test_keys_of_any_length_fit(tmp_path: Path) -> None:
    keys = ["x" * 1024, "é" * 512, "a/" * 512, "/" * 1024, "%=" * 300 + "/x", "d/" * 500 + "e"]
    root = tmp_path / "root"
    try:
        with opened(root) as store:
            for key in keys:
                store.put(key, key.encode()[:10], {"n": len(key)})
            assert [*store.keys()] == sorted(keys)
            for key in keys:
                assert store.get_metadata(key) == {"n": len(key)}
            store.clear()
        assert {path.name for path in root.iterdir()} <= {".encore"}
    finally:
        remove_tree(root)


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="not a directory"):
            opened(path).connect()


def test_a_root_that_vanishes_is_an_error_not_an_empty_store(tmp_path: Path) -> None:
    root = tmp_path / "root"
    store = opened(root)
    store.put("a", b"")
    (root / "a").unlink()
    for path in sorted((root / ".encore").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (root / ".encore").rmdir()
    root.rmdir()
    for verb in (
        lambda: store.put("b", b""),
        lambda: store.put("b", b"", {"x": 1}),
        lambda: store.delete("b", missing_ok=True),
        lambda: [*store.keys()],
        lambda: store.read("a"),
        lambda: store.exists("a"),
    ):
        with pytest.raises(StoreError, match="removed"):
            verb()
    store.close()


def test_a_readonly_store_of_a_missing_directory_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no directory"):
        opened(tmp_path / "gone", readonly=True).connect()
    assert [*tmp_path.iterdir()] == []


def test_its_name_and_what_it_says_of_itself(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path, durability="power", readonly=True)
    assert repr(store) == f"<FilesystemStore {str(tmp_path)!r}>"
    info = store.info()
    assert (info["path"], info["durability"], info["readonly"]) == (str(tmp_path), "power", True)
    with pytest.raises(ValueError, match="durability"):
        FilesystemStore(tmp_path, durability="none")


def test_a_link_is_listed_with_the_size_of_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "library.1").write_bytes(b"x" * 1000)
    os.symlink("library.1", tmp_path / "library")
    with FilesystemStore(tmp_path, readonly=True) as store:
        assert [(entry.key, entry.size) for entry in store.entries()] == [
            ("library", 1000),
            ("library.1", 1000),
        ]
        assert store.totals() == (2, 2000)
        assert {key: value.read() for key, value in store.items()} == {
            "library": b"x" * 1000,
            "library.1": b"x" * 1000,
        }
