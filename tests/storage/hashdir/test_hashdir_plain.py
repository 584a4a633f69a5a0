"""Trees that another program has made: read as they stand, and adopted."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hashdir_tools import (
    OopsError,
    check_tree,
    files_of,
    folders_of,
    opened,
    plain_path,
    put_plain,
    versions_of,
)

from encore.errors import ConflictError, CorruptValueError, KeyNotFoundError, ReadOnlyError
from encore.storage.api import DictStore, copy_store
from encore.storage.events import StoreDeleteEvent, StoreModificationEvent, StoreUpdateEvent
from encore.testing.laws import heard, in_thread, seen
from encore.testing.sources import pattern

SIZES = {"empty": 0, "small": 100, "large": 300000}


def photograph(root: Path) -> dict[str, tuple[Any, ...]]:
    """Everything about a tree that reading could change, access times excepted."""
    picture = {}
    for path in [root, *root.rglob("*")]:
        found = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(found.st_mode) else b""
        picture[str(path)] = (found.st_mode, found.st_ino, found.st_mtime_ns, content)
    return picture


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_plain_file_can_be_read_at_once(directory: Path, size: int, readonly: bool) -> None:
    path = put_plain(directory, "a/b", pattern(size))
    with opened(directory, readonly=readonly) as store:
        assert "a/b" in store
        assert store.read("a/b") == pattern(size)
        with store.get("a/b") as data:
            assert data.read() == pattern(size)
        value = store.get("a/b")
        assert value.size == size
        assert value.metadata == store.get_metadata("a/b") == {}
        assert value.modified == value.created == pytest.approx(path.stat().st_mtime)
        value.close()
        with store.get_data_range("a/b", 50, 90) as part:
            assert part.read() == pattern(size)[50:90]
        assert [value.read() for value in store.multiget(["a/b", "a/b"])] == [pattern(size)] * 2
        assert "a" not in store
        with pytest.raises(KeyNotFoundError):
            store.read("a")
        assert [*store.keys()] == []
        assert len(store) == 0


@pytest.mark.parametrize("layout", [{"width": 1, "depth": 1}, {"width": 4, "depth": 4}])
def test_the_layout_is_what_the_caller_says(directory: Path, layout: dict[str, int]) -> None:
    put_plain(directory, "a", b"1", **layout)
    with opened(directory, **layout) as store:
        assert store.read("a") == b"1"


def test_reading_for_reading_only_writes_nothing(directory: Path) -> None:
    for number in range(5):
        put_plain(directory, f"{number}", pattern(100000 * number))
    before = photograph(directory)
    with opened(directory, readonly=True) as store:
        for number in range(5):
            assert store.read(f"{number}") == pattern(100000 * number)
        assert store.info()["readonly"]
        assert store.info()["durability"] == "process"
        for write in (
            lambda: store.put("0", b"new"),
            lambda: store.put("large", pattern(3 << 20)),
            lambda: store.delete("0"),
            lambda: store.set_metadata("0", {}),
            lambda: store.adopt(["0"]),
        ):
            with pytest.raises(ReadOnlyError):
                write()
    assert photograph(directory) == before


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_setting_an_unrecorded_key_is_an_update(directory: Path, size: int) -> None:
    put_plain(directory, "a", pattern(size))
    with opened(directory) as store:
        with heard(store, StoreModificationEvent) as events:
            store.put("a", b"new", {"x": 1})
        assert [type(event) for event in events] == [StoreUpdateEvent]
        assert store.read("a") == b"new"
    check_tree(directory, {"a": (b"new", {"x": 1})})


def test_empty_data_replaces_a_plain_file_too(directory: Path) -> None:
    put_plain(directory, "a", b"old")
    with opened(directory) as store:
        store.put("a", b"")
        assert store.read("a") == b""
        store.delete("a")
        assert "a" not in store
    check_tree(directory, {})


@pytest.mark.parametrize("unheard", [True, False])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_deleting_an_unrecorded_key_removes_its_file(
    directory: Path, size: int, unheard: bool
) -> None:
    path = put_plain(directory, "a", pattern(size))
    with opened(directory) as store:
        if unheard:
            store.delete("a")
        else:
            with heard(store, StoreModificationEvent) as events:
                store.delete("a")
            assert [type(event) for event in events] == [StoreDeleteEvent]
        assert "a" not in store
        assert not path.exists()
        with pytest.raises(KeyNotFoundError):
            store.delete("a")
    check_tree(directory, {})


@pytest.mark.parametrize("act", ["put", "delete", "move", "inline", "metadata"])
def test_rolling_back_leaves_a_plain_file_as_it_was(directory: Path, act: str) -> None:
    put_plain(directory, "a", b"old")
    before = files_of(directory)
    with opened(directory, inline_bytes=10) as store:
        with suppress(OopsError), store.transaction():
            if act == "put":
                store.put("a", pattern(2000))
            elif act == "inline":
                store.put("a", b"")
            elif act == "delete":
                store.delete("a")
                assert "a" not in store
            elif act == "move":
                store.move("a", "b")
            else:
                store.set_metadata("a", {"x": 1})
                assert [*store] == ["a"]
            in_thread(lambda: _is(store.read("a"), b"old"))
            raise OopsError
        assert store.read("a") == b"old"
        assert [*store] == []
    assert files_of(directory) == before


def _is(found: bytes, expected: bytes) -> None:
    assert found == expected


def test_writing_metadata_makes_a_record_and_keeps_the_file(directory: Path) -> None:
    path = put_plain(directory, "a", pattern(1000))
    with opened(directory) as store:
        created = store.get("a").created
        with heard(store, StoreModificationEvent) as events:
            store.update_metadata("a", {"x": 1})
        assert [type(event) for event in events] == [StoreUpdateEvent]
        assert seen(store) == {"a": (pattern(1000), {"x": 1})}
        assert store.get("a").created == created
        store.update_metadata("a", {"y": 2})
        assert path.read_bytes() == pattern(1000)
        assert [*store.query_keys(y=2)] == ["a"]
    check_tree(directory, {"a": (pattern(1000), {"x": 1, "y": 2})})


def test_tokens_guard_unrecorded_keys(directory: Path) -> None:
    put_plain(directory, "a", b"old")
    with opened(directory) as store:
        token = store.get("a").token
        with pytest.raises(ConflictError):
            store.put("a", b"new", if_absent=True)
        store.adopt(["a"])
        assert store.get("a").token == token
        store.put("a", b"new", if_token=token)
        with pytest.raises(ConflictError):
            store.put("a", b"newer", if_token=token)


def test_a_plain_file_is_copied_not_shared(directory: Path) -> None:
    path = put_plain(directory, "a", pattern(300000))
    with opened(directory) as store:
        store.copy("a", "b")
        with open(path, "r+b") as file:
            file.write(b"changed by its program")
        assert store.read("b") == pattern(300000)
        store.move("a", "c")
        assert not path.exists()
        assert "a" not in store
        assert [*store] == ["b", "c"]


# -- adopting -------------------------------------------------------------------------------------


def test_adopting_makes_records(directory: Path) -> None:
    expected = {f"k{number:04}": (pattern(number), {}) for number in range(1200)}
    for key, (data, _) in expected.items():
        put_plain(directory, key, data)
    before = photograph(directory)
    with opened(directory) as store:
        with heard(store, StoreModificationEvent) as events:
            assert store.adopt(iter(expected)) == 1200
        assert events == []
        assert store.adopt(expected) == 0
        assert seen(store) == expected
        assert len(store) == 1200
        assert store.totals("k00") == (100, sum(range(100)))
        store.update_metadata("k0007", {"kind": "seventh"})
        assert [*store.query_keys(kind="seventh")] == ["k0007"]
    after = photograph(directory)
    changed = {str(directory)}
    assert {k: v for k, v in after.items() if k in before and k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }


def test_adopting_a_key_without_a_file_adopts_nothing(directory: Path) -> None:
    put_plain(directory, "a", b"1")
    with opened(directory) as store:
        with pytest.raises(KeyNotFoundError, match="'missing'"):
            store.adopt(["a", "missing"])
        assert [*store] == []
        with pytest.raises(ValueError):
            store.adopt([""])
        with store.transaction():
            assert store.adopt(["a"]) == 1
            assert [*store] == ["a"]
            with pytest.raises(KeyNotFoundError):
                store.adopt(["missing"])
        assert [*store] == ["a"]


def test_adopting_passes_over_what_has_a_record(directory: Path) -> None:
    put_plain(directory, "b", b"2")
    with opened(directory) as store:
        store.put("a", b"1", {"x": 1})
        assert store.adopt(["a", "b", "a", "b"]) == 1
        assert seen(store) == {"a": (b"1", {"x": 1}), "b": (b"2", {})}


@pytest.mark.parametrize("act", ["put", "set_data", "delete", "move", "clear"])
def test_what_has_been_adopted_is_a_value_like_others(directory: Path, act: str) -> None:
    path = put_plain(directory, "a", pattern(200000))
    with opened(directory) as store:
        store.adopt(["a"])
        held = store.get("a")
        if act == "put":
            store.put("a", b"new")
        elif act == "set_data":
            store.set_data("a", b"new")
        elif act == "delete":
            store.delete("a")
        elif act == "move":
            store.move("a", "b")
        else:
            store.clear()
        assert held.read() == pattern(200000)
        held.close()
        assert not path.exists()
        expected = {
            "put": {"a": (b"new", {})},
            "set_data": {"a": (b"new", {})},
            "move": {"b": (pattern(200000), {})},
        }.get(act, {})
        assert seen(store) == expected
    check_tree(directory, expected)


def test_an_adopted_file_that_its_program_changes_is_damage(directory: Path) -> None:
    path = put_plain(directory, "a", b"old")
    with opened(directory) as store:
        store.adopt(["a"])
        path.write_bytes(b"longer than that")
        with pytest.raises(CorruptValueError):
            store.read("a")


def test_an_adopted_tree_can_be_copied_whole(directory: Path) -> None:
    keys = {f"{number}": pattern(number * 30000) for number in range(6)}
    for key, data in keys.items():
        put_plain(directory, key, data)
    target = DictStore()
    with opened(directory) as store:
        store.adopt(keys)
        copy_store(store, target)
        assert seen(target) == seen(store)


# -- files that come and go -----------------------------------------------------------------------


def test_a_file_that_comes_back_is_a_new_value(directory: Path) -> None:
    put_plain(directory, "a", b"old")
    with opened(directory) as store:
        store.delete("a")
        put_plain(directory, "a", b"back again")
        assert store.read("a") == b"back again"
    with opened(directory) as store:
        assert store.read("a") == b"back again", "opening removes only what was to be removed"
        assert store.adopt(["a"]) == 1


def test_a_removed_file_that_is_still_there_is_no_value(directory: Path) -> None:
    path = put_plain(directory, "a", b"old")
    kept = directory / "kept"
    with opened(directory) as store:
        with store.transaction():
            os.link(path, kept)  # so that the file can come back as it was
            store.delete("a")
        index = store._connection()
        index.execute("INSERT INTO removed VALUES('a', ?)", (_signature(kept),))
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(kept, path)  # as if removing it had failed
        assert "a" not in store
        with pytest.raises(KeyNotFoundError):
            store.read("a")
        with pytest.raises(KeyNotFoundError):
            store.adopt(["a"])
    with opened(directory) as store:
        assert not path.exists(), "opening does what was left undone"
        assert store._connection().execute("SELECT count(*) FROM removed").fetchone() == (0,)


def _signature(path: Path) -> str:
    found = path.stat()
    return f"{found.st_ino:x}.{found.st_mtime_ns:x}.{found.st_size:x}"


def test_deleting_a_key_takes_a_plain_file_beside_its_own_along(directory: Path) -> None:
    with opened(directory) as store:
        store.put("a", b"mine")
        put_plain(directory, "a", b"theirs")
        assert store.read("a") == b"mine"
        store.delete("a")
        assert "a" not in store
    check_tree(directory, {})


def test_versions_and_plain_files_are_neighbours(directory: Path) -> None:
    put_plain(directory, "a", b"old")
    with opened(directory) as store, store.transaction():
        store.put("a", b"new")
        assert plain_path(directory, "a").exists(), "until the commit"
        assert len(versions_of(directory, "a")) == 1
    assert folders_of(directory) == []
    assert not plain_path(directory, "a").exists()
