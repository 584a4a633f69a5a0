"""The file of a SqliteStore: what it is, what else it might be, and what is left of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from encore.errors import (
    ConfigError,
    CorruptValueError,
    StoreError,
    UnsupportedError,
)
from encore.storage.api import SqliteStore
from encore.testing.laws import in_thread, seen
from encore.testing.sources import Generated, Trickle, pattern

MIB = 1 << 20
is_root = hasattr(os, "geteuid") and os.geteuid() == 0


def _ask(path: Path, statement: str) -> Any:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchone()


def _tell(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.fixture
def path(directory: Path) -> Path:
    return directory / "store.db"


# -- what the file is -----------------------------------------------------------------------------


def test_a_store_is_one_file_once_it_is_closed(path: Path) -> None:
    with SqliteStore(path) as store:
        store.put("a", pattern(3 * MIB))
        store.put("b", b"1")
        store.delete("a")
        assert len(os.listdir(path.parent)) > 1, "a log, meanwhile"
    assert os.listdir(path.parent) == ["store.db"]
    copied = path.with_name("copy.db")
    shutil.copy(path, copied)
    with SqliteStore(copied) as store:
        assert seen(store) == {"b": (b"1", {})}


def test_the_file_says_whose_it_is(path: Path) -> None:
    with SqliteStore(path) as store:
        store.put("a", b"1")
    assert _ask(path, "PRAGMA application_id") == (0x656E6372,)
    assert _ask(path, "PRAGMA user_version") == (1,)
    assert _ask(path, "PRAGMA integrity_check") == ("ok",)
    assert path.read_bytes()[68:72] == b"encr"


def test_missing_directories_are_made(path: Path) -> None:
    with SqliteStore(path.parent / "new" / "deep" / "store.db") as store:
        store.put("a", b"1")


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()
    with SqliteStore(path) as store:
        store.put("a", b"1")
        assert seen(store) == {"a": (b"1", {})}


def test_odd_paths_are_paths(path: Path) -> None:
    for name in ("with space.db", "per%cent.db", "que?stion.db", "ha#sh.db", "\u00e9.db", "a;b.db"):
        with SqliteStore(path.parent / name) as store:
            store.put("a", b"1")
        assert (path.parent / name).is_file()


def test_a_relative_path_stays_where_it_was_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    with SqliteStore("store.db") as store:
        store.put("a", b"1")
        assert store.path == "store.db"
    assert path.is_file()


@pytest.mark.parametrize("page_size", [1024, 16384])
def test_a_new_file_has_the_page_size_asked_for(path: Path, page_size: int) -> None:
    for asked in (page_size, 4096):
        with SqliteStore(path, page_size=asked) as store:
            store.put("a", b"1")
        assert _ask(path, "PRAGMA page_size") == (page_size,)


@pytest.mark.parametrize(("durability", "level"), [("process", 1), ("power", 2)])
def test_every_connection_has_the_settings_asked_for(
    path: Path, durability: str, level: int
) -> None:
    with SqliteStore(path, durability=durability) as store:
        store.put("a", b"1")
        assert store.info()["journal"] == "wal"
        assert store.info()["durability"] == durability
        connection = store._connection()
        settings = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("synchronous", "secure_delete", "temp_store", "journal_mode")
        }
    assert settings == {
        "synchronous": level, "secure_delete": 2, "temp_store": 2, "journal_mode": "wal",
    }  # fmt: skip


def test_a_durability_that_does_not_exist_is_a_value_error(path: Path) -> None:
    with pytest.raises(ValueError):
        SqliteStore(path, durability="eternal")
    assert not path.exists()


def test_a_private_store_leaves_nothing_behind(directory: Path) -> None:
    with SqliteStore(":memory:") as store:
        store.put("a", pattern(2 * MIB))
        assert not os.path.exists(":memory:")
        assert store.read("a") == pattern(2 * MIB)
        private = Path(store._settings.path).parent
        assert private.exists()
    assert not private.exists()


# -- what else it might be ------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_corrupt(path: Path) -> None:
    path.write_bytes(b"This is text, and rather more of it than a header has. " * 100)
    before = path.read_bytes()
    with pytest.raises(CorruptValueError) as caught:
        SqliteStore(path).read("a")
    assert "store.db" in str(caught.value)
    assert path.read_bytes() == before


def test_the_database_of_another_program_is_refused(path: Path) -> None:
    _tell(path, "CREATE TABLE theirs(x)", "INSERT INTO theirs VALUES(1)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        SqliteStore(path).put("a", b"1")
    assert path.read_bytes() == before


def test_a_newer_format_is_refused(path: Path) -> None:
    with SqliteStore(path) as store:
        store.put("a", b"1")
    _tell(path, "PRAGMA user_version=1000")
    with pytest.raises(UnsupportedError, match="newer"):
        SqliteStore(path).read("a")
    assert _ask(path, "PRAGMA user_version") == (1000,)


def test_a_directory_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match="directory"):
        SqliteStore(path).read("a")


def test_a_file_where_a_directory_should_be_is_an_error(path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises((StoreError, OSError)):
        SqliteStore(path / "below.db").read("a")


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "empty"])
def test_nothing_cannot_be_opened_for_reading(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError):
        SqliteStore(path, readonly=True).read("a")
    assert path.exists() is (content is not None)


def test_a_damaged_file_is_an_error_of_the_store(path: Path) -> None:
    with SqliteStore(path) as store:
        store.multiset({f"k{number}": pattern(900, number) for number in range(300)})
    data = bytearray(path.read_bytes())
    data[4096 * 3 :] = b"\xff" * (len(data) - 4096 * 3)
    path.write_bytes(data)
    store = SqliteStore(path)
    with pytest.raises(CorruptValueError):
        seen(store)
    with suppress(StoreError):
        store.close()


def test_a_value_whose_chunks_are_gone_is_corrupt(path: Path) -> None:
    with SqliteStore(path) as store:
        store.put("a", pattern(300000))
        store.put("b", b"1")
    _tell(path, "DELETE FROM chunk WHERE id % 16777216 = 2")
    with SqliteStore(path) as store:
        with pytest.raises(CorruptValueError):
            store.read("a")
        with pytest.raises(CorruptValueError):
            store.get("a").read()
        assert store.read("b") == b"1"


def test_a_path_that_vanishes_is_an_error_of_the_store_or_of_no_consequence(path: Path) -> None:
    with SqliteStore(path) as store:
        store.put("a", b"1")
        shutil.rmtree(path.parent)
        with suppress(StoreError):
            store.put("b", pattern(MIB))
        with suppress(StoreError):
            store.get("b").close()
        with suppress(StoreError):
            in_thread(lambda: store.read("b"))
    path.parent.mkdir()


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a[0]", "", "\u00e9", "x" * 300, "a\nb"])
def test_a_field_that_cannot_be_indexed_is_refused(path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        SqliteStore(path, index=[name])


# -- nothing global -------------------------------------------------------------------------------


def test_nothing_is_registered_for_the_whole_process(path: Path) -> None:
    adapters, converters = dict(sqlite3.adapters), dict(sqlite3.converters)
    with SqliteStore(path, index=["kind"]) as store:
        store.put("a", Trickle(pattern(MIB)), {"kind": 1})
        assert [*store.query_keys(kind=1)] == ["a"]
    assert (sqlite3.adapters, sqlite3.converters) == (adapters, converters)


def test_replaced_and_removed_data_leaves_no_rows(path: Path) -> None:
    with SqliteStore(path) as store:
        for size in (5000, 100000, 3 * MIB, 1):
            store.put("a", pattern(size))
            store.put("b", Trickle(pattern(size), 65536))
            store.copy("a", "c")
        with suppress(KeyError), store.transaction():
            store.put("a", pattern(100000))
            raise KeyError
        with store.transaction():
            store.put("d", pattern(100000))
            store.put("d", pattern(100000))
            with suppress(KeyError), store.transaction():
                store.put("d", Generated(2 * MIB))
                raise KeyError
            store.delete("d")
        store.multiset({"a": pattern(70000), "b": pattern(70000), "c": pattern(70000)})
        store.multiset({"a": b"", "b": pattern(5000), "c": pattern(5000)})
        store.clear("b")
        store.move("c", "a")
        connection = store._connection()
        chunks = connection.execute("SELECT count(*), sum(length(data)) FROM chunk").fetchone()
        assert chunks == (1, 5000), "what no key points at is gone"
        assert connection.execute("SELECT count(*) FROM staging").fetchone() == (0,)
