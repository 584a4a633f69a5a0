"""Laws of `open_store`: what an address means, and what is said of one that means nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import encore
from encore.config import known_schemes, open_store, parse_address
from encore.errors import ConfigError
from encore.events.api import EventManager
from encore.storage.api import DictStore, SqliteStore


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def meaning(address: str | os.PathLike[str]) -> tuple[str, str]:
    found = parse_address(address)
    return found.scheme.name, found.path


@pytest.mark.parametrize(
    ("address", "scheme", "path"),
    [
        ("sqlite:project.db", "sqlite", "project.db"),
        ("sqlite:any name", "sqlite", "any name"),
        ("sqlite:/abs/a.db", "sqlite", "/abs/a.db"),
        ("sqlite:a:b", "sqlite", "a:b"),
        ("sqlite:a\nb", "sqlite", "a\nb"),
        ("sqlite:C:\\data\\a.db", "sqlite", "C:\\data\\a.db"),
        ("SQLite:project.db", "sqlite", "project.db"),
        ("sqlite::memory:", "sqlite", ":memory:"),
        ("memory:", "memory", ""),
        ("dir:missing", "dir", "missing"),
        ("dir:x.db", "dir", "x.db"),
        ("missing.db", "sqlite", "missing.db"),
        ("missing.sqlite", "sqlite", "missing.sqlite"),
        ("missing.SQLITE3", "sqlite", "missing.SQLITE3"),
        ("./co:lon.db", "sqlite", "./co:lon.db"),
        ("C:\\data\\a.db", "sqlite", "C:\\data\\a.db"),
        ("c:a.db", "sqlite", "c:a.db"),
    ],
)
def test_an_address_names_a_kind_of_store_and_a_place(address: str, scheme: str, path: str) -> None:
    assert meaning(address) == (scheme, path)


def test_a_bare_directory_that_exists_is_a_directory_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "odd.db").mkdir()
    assert meaning("data") == ("dir", "data")
    assert meaning("odd.db") == ("dir", "odd.db")
    assert meaning(str(tmp_path)) == ("dir", str(tmp_path))


def test_a_path_object_is_always_a_path(tmp_path: Path) -> None:
    assert meaning(tmp_path) == ("dir", str(tmp_path))
    assert meaning(Path("memory:x.db")) == ("sqlite", "memory:x.db")
    with pytest.raises(ConfigError):
        parse_address(Path("memory:"))


def test_the_home_directory_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert meaning("~") == ("dir", str(tmp_path))
    assert Path(meaning("sqlite:~/a.db")[1]) == tmp_path / "a.db"
    assert Path(meaning("~/a.db")[1]) == tmp_path / "a.db"
    assert Path(meaning(Path("~/a.db"))[1]) == tmp_path / "a.db"


def test_the_store_at_an_address_is_a_store() -> None:
    with encore.open_store("project.db", timeout=1.5) as store:
        assert isinstance(store, SqliteStore)
        assert store.timeout == 1.5
        store.put("a", b"1")
    with encore.open_store("sqlite:project.db", readonly=True) as store:
        assert store.read("a") == b"1"
        assert store.info()["readonly"]


def test_opening_is_left_to_the_first_use(tmp_path: Path) -> None:
    store = open_store("sqlite:project.db")
    assert not store.is_connected()
    assert not list(tmp_path.iterdir())
    store.close()


def test_options_reach_the_store() -> None:
    manager = EventManager()
    with open_store("memory:", event_manager=manager, timeout=2) as store:
        assert isinstance(store, DictStore)
        assert store.event_manager is manager
    with open_store("sqlite:a.db", index=("kind",), durability="power") as store:
        assert store.info()["durability"] == "power"


def test_an_unknown_option_names_the_store_and_its_options() -> None:
    with pytest.raises(ConfigError) as caught:
        open_store("sqlite:a.db", read_only=True)
    text = str(caught.value)
    assert "sqlite:PATH" in text
    assert "did you mean 'readonly'" in text
    assert "durability" in text
    with pytest.raises(ConfigError, match=r"memory: has no option 'durability'"):
        open_store("memory:", durability="power")


def test_a_wrong_value_of_an_option_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="'process' or 'power'"):
        open_store("sqlite:a.db", durability="forever")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("sqlit:a.db", "did you mean 'sqlite'"),
        ("directory:a", "known are"),
        ("s4:bucket", "sqlite:PATH"),
        ("s3:bucket", "s3://BUCKET/PREFIX"),
        ("s3:///prefix", "s3://BUCKET/PREFIX"),
        ("gs://key:secret@bucket", "neither credentials"),
        ("memory:a", "nothing may follow 'memory:'"),
        ("sqlite:", "sqlite:PATH"),
        ("dir:", "dir:PATH"),
        ("", "known are"),
        ("a\0b.db", "known are"),
        ("sqlite", "without a colon"),
        ("out", "'dir:out' would be a directory, and 'sqlite:out' an SQLite file"),
        ("sqlite://a.db", "write 'sqlite:a.db', or 'sqlite:/a.db'"),
        ("dir:///tmp", "write 'dir:tmp', or 'dir:/tmp'"),
        ("a/b/c", "'dir:a/b/c'"),
    ],
)
def test_what_is_not_understood_is_answered_with_what_would_be(address: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(address)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_known_kind_of_store_is_named_to_whoever_guessed_wrong() -> None:
    with pytest.raises(ConfigError) as caught:
        open_store("nonsense:x")
    for scheme in known_schemes():
        assert scheme.form in str(caught.value)
        assert scheme.description in str(caught.value)


def test_a_near_miss_among_the_names_beside_it_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "measurements").mkdir()
    with pytest.raises(ConfigError, match="did you mean 'measurements'"):
        open_store("mesurements")


def test_a_file_of_unknown_kind_is_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ConfigError, match=r"write 'sqlite:notes.txt'"):
        open_store("notes.txt")


def test_what_may_be_a_password_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        open_store("postgres://user:secret@host/db")
    assert "secret" not in str(caught.value)
    assert "'postgres'" in str(caught.value)


def test_an_address_is_no_bytes() -> None:
    with pytest.raises((ConfigError, TypeError)):
        open_store(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="not bytes"):
        open_store(b"a.db")  # type: ignore[arg-type]


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    assert not parse_address("sqlite:a.db").exists()
    assert not parse_address("dir:a").exists()
    assert parse_address("memory:").exists()
    assert parse_address("sqlite::memory:").exists()
    assert not list(tmp_path.iterdir())
