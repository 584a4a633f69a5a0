"""Metadata, times and tokens belong to the version of the file that is there."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from fs_tools import OopsError, fail_after, files_of, opened, state_of

from encore.errors import ConflictError, KeyNotFoundError
from encore.storage.backends.filesystem.records import nanoseconds, seconds, sidecar_name
from encore.storage.values import Value


def sidecar_of(root: Path, key: str) -> Path:
    return root / ".encore" / "meta" / sidecar_name(key)


def test_a_new_key_without_metadata_needs_no_sidecar(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put("first", b"1")  # the general way
        store.put("second", b"2")  # the short way
        assert not sidecar_of(tmp_path, "first").exists()
        assert not sidecar_of(tmp_path, "second").exists()
        for key in ("first", "second"):
            value = store.get(key)
            assert value.created == value.modified
            assert value.modified == (tmp_path / key).stat().st_mtime


def test_created_and_metadata_survive_overwriting_and_reopening(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put("warm", b"")
        store.put("a", b"1")
        created = store.get("a").created
        store.put("a", b"22", {"x": 1})
        store.set_data("a", b"333")
        store.update_metadata("a", {"y": [2.5, None, "ü"]})
    with opened(tmp_path) as store:
        value = store.get("a")
        assert value.created == created
        assert (value.read(), value.metadata) == (b"333", {"x": 1, "y": [2.5, None, "ü"]})
        assert value.modified > created


def test_a_thousand_rewrites_of_the_same_size_have_a_thousand_tokens(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        tokens = set()
        for number in range(1000):
            store.put("a", b"%04d" % number)
            tokens.add(store.get("a").token)
        assert len(tokens) == 1000
        for number in range(1000):
            store.delete("a")
            store.put("a", b"%04d" % number)
            tokens.add(store.get("a").token)
        assert len(tokens) == 2000
        for number in range(100):
            store.set_metadata("a", {"n": number})
            tokens.add(store.get("a").token)
        assert len(tokens) == 2100


def test_a_long_history_leaves_a_short_sidecar(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for number in range(1000):
            store.put("a", b"x", {"n": number})
            assert store.get_metadata("a") == {"n": number}
        assert sidecar_of(tmp_path, "a").stat().st_size < 10_000
        for number in range(20):
            store.put("a", b"x", {"n": number, "long": "y" * 20_000})
        assert sidecar_of(tmp_path, "a").stat().st_size < 200_000
        assert store.get_metadata("a")["n"] == 19


def test_an_edited_file_keeps_its_metadata_and_gets_another_token(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put("a", b"old", {"x": 1})
        old = store.get("a")
        (tmp_path / "a").write_bytes(b"edited")
        edited = store.get("a")
        assert (edited.read(), edited.metadata) == (b"edited", {"x": 1})
        assert (edited.created, edited.size) == (old.created, 6)
        assert edited.token != old.token
        assert edited.modified == (tmp_path / "a").stat().st_mtime
        with pytest.raises(ConflictError):
            store.put("a", b"mine", if_token=old.token)
        store.put("a", b"mine", if_token=edited.token)
        assert store.get("a").created == old.created
        (tmp_path / "new").write_bytes(b"!")
        os.replace(tmp_path / "new", tmp_path / "a")  # as editors save
        assert (store.read("a"), store.get_metadata("a")) == (b"!", {})


def test_an_edit_of_the_same_size_in_the_same_moment_is_noticed(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for number in range(200):
            store.put("a", b"ours", {"n": number})
            token = store.get("a").token
            (tmp_path / "a").write_bytes(b"edit")
            assert store.get("a").token != token


def test_metadata_set_on_an_edited_file_belongs_to_the_edit(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put("a", b"old", {"x": 1})
        (tmp_path / "a").write_bytes(b"edited")
        store.update_metadata("a", {"y": 2})
        assert state_of(store) == {"a": (b"edited", {"x": 1, "y": 2})}
        store.put("a", b"new")
        assert state_of(store) == {"a": (b"new", {})}


def test_a_file_that_comes_after_a_removal_is_a_new_one(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put("a", b"old", {"x": 1})
        store.delete("a")
        (tmp_path / "a").write_bytes(b"new")
        assert store.get_metadata("a") == {}


def test_a_key_put_again_after_somebody_removed_its_file_has_only_its_own_metadata(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as store:
        for metadata in ({}, {"y": 2}):
            store.put("a", b"old", {"x": 1})
            (tmp_path / "a").unlink()
            assert "a" not in store
            store.put("a", b"new", metadata)
            assert state_of(store) == {"a": (b"new", metadata)}


@pytest.mark.parametrize("cut", [1, 2, 50, 150])
def test_a_torn_record_is_none(tmp_path: Path, cut: int) -> None:
    with opened(tmp_path) as store:
        store.put("a", b"old", {"x": 1})
        sidecar = sidecar_of(tmp_path, "a")
        whole = sidecar.read_bytes()
        sidecar.write_bytes(whole + whole[:-cut].replace(b'"x":1', b'"x":2'))
        assert store.get_metadata("a") == {"x": 1}
        store.set_metadata("a", {"x": 3})
        assert store.get_metadata("a") == {"x": 3}
        store.put("a", b"new", {"x": 4})
        assert state_of(store) == {"a": (b"new", {"x": 4})}


def test_garbage_for_a_sidecar_costs_the_metadata_and_nothing_else(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put("a", b"old", {"x": 1})
        for garbage in (b"", b"\n", b"{}", os.urandom(5000), b'{"crc":"00000000",}\n'):
            sidecar_of(tmp_path, "a").write_bytes(garbage)
            assert state_of(store) == {"a": (b"old", {})}
            store.update_metadata("a", {"y": 1})
            assert state_of(store) == {"a": (b"old", {"y": 1})}


def test_imported_values_keep_times_and_token(tmp_path: Path) -> None:
    with opened(tmp_path / "b") as target:
        values = {}
        for number, modified in enumerate((1.5, 1e9 + 1e-7, 1795263555.4417512, 0.0, -5.25)):
            value = Value(b"data", {"n": number}, created=modified - 1, modified=modified)
            value.token = f'token "{number}, \\ "'
            values[f"k{number}"] = value
        for _ in range(2):
            target.import_values(values.items())
            for key, value in values.items():
                found = target.get(key)
                assert found.read() == b"data"
                assert found.metadata == value.metadata
                assert (found.created, found.modified) == (value.created, value.modified)
                assert found.token == value.token
        assert (tmp_path / "b" / "k0").stat().st_mtime == 1.5


@pytest.mark.parametrize("time", [0.0, 1.5, 1e-9, 1795263555.4417512, 1795263555.1 + 2e-7, -5.25])
def test_times_survive_as_nanoseconds(time: float) -> None:
    assert seconds(nanoseconds(time)) == time


def test_a_token_read_in_a_transaction_still_holds_after_it(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        with store.transaction():
            store.put("a", b"1")
            store.put("b", b"2")
            inside = {key: store.get(key).token for key in ("a", "b")}
        assert {key: store.get(key).token for key in ("a", "b")} == inside


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_value_stays_one_version_when_its_file_is_replaced_or_removed(
    tmp_path: Path, size: int
) -> None:
    old, new = b"o" * size, b"n" * size
    with opened(tmp_path) as store:
        store.put("a", old, {"v": 1})
        value = store.get("a")
        store.put("a", new, {"v": 2})
        assert (value.read(), value.metadata) == (old, {"v": 1})
        second = store.get("a")
        store.delete("a")
        assert (second.read(), second.metadata) == (new, {"v": 2})
        assert value.range(1, 4).read() == b"ooo"
        value.close()
        second.close()


def test_a_listed_value_is_the_version_it_shows_or_an_error(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for key in "abc":
            store.put(key, b"old", {"v": 1})
        found = dict(store._find_all(""))
        store.put("b", b"new", {"v": 2})
        store.delete("c")
        assert (found["a"].read(), found["a"].metadata) == (b"old", {"v": 1})
        for key in "bc":
            assert found[key].metadata == {"v": 1}
            with suppress(ConflictError):
                assert found[key].read() == b"old"
        for value in found.values():
            value.close()


def test_a_file_shortened_while_it_is_read_is_not_a_short_value(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.put("a", b"x" * 200_000)
        value = store.get("a")
        os.truncate(tmp_path / "a", 1000)
        with pytest.raises(ConflictError):
            value.read()
        value.close()


def test_values_read_in_a_transaction_outlive_it(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        with store.transaction():
            store.put("large", b"x" * 300_000)
            large = store.get("large")
            store.set_metadata("large", {"n": 1})
            renamed = store.get("large")
        assert large.read() == renamed.read() == b"x" * 300_000
        assert (large.metadata, renamed.metadata) == ({}, {"n": 1})
        large.close()
        renamed.close()
        kept = []

        def write() -> None:
            store.put("gone", b"y" * 300_000)
            kept.append(store.get("gone"))

        with pytest.raises(OopsError):
            fail_after(store, write)
        (gone,) = kept
        assert gone.read() == b"y" * 300_000
        gone.close()
        with pytest.raises(KeyNotFoundError):
            store.get("gone")


def test_an_inner_block_that_fails_leaves_what_the_outer_staged(tmp_path: Path) -> None:
    large, other = b"x" * 300_000, b"y" * 300_000
    with opened(tmp_path) as store:
        with store.transaction():
            store.put("a", large)
            store.put("b", large)
            for write in (
                lambda: store.set_metadata("a", {"n": 1}),
                lambda: (store.set_metadata("a", {"n": 1}), store.put("a", other)),
                lambda: (store.set_metadata("a", {"n": 1}), store.delete("a")),
            ):
                with pytest.raises(OopsError):
                    fail_after(store, write)
                assert store.read("a") == large
            with store.transaction():
                store.set_metadata("b", {"n": 2})
        assert state_of(store) == {"a": (large, {}), "b": (large, {"n": 2})}


def test_copies_of_files_are_files_of_their_own(tmp_path: Path) -> None:
    data = bytes(range(256)) * 2000
    with opened(tmp_path) as store:
        store.put("a", data, {"x": 1})
        store.copy("a", "b")
        store.move("a", "d/c")
        assert state_of(store) == {"b": (data, {"x": 1}), "d/c": (data, {"x": 1})}
        (tmp_path / "b").write_bytes(b"edited")
        assert store.read("d/c") == data
    assert sorted(files_of(tmp_path)) == ["b", "d/c"]


def test_data_under_other_metadata_outlives_the_block_that_replaced_it(tmp_path: Path) -> None:
    with opened(tmp_path) as store, store.transaction():
        store.put("a", b"x" * 100_000)
        with suppress(ValueError), store.transaction():
            store.update_metadata("a", {"m": 1})
            with store.transaction():
                store.put("a", b"y")
            raise ValueError
        assert store.read("a") == b"x" * 100_000
    with opened(tmp_path) as store:
        assert store.read("a") == b"x" * 100_000
