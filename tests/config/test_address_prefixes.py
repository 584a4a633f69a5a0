"""Laws of ``gzip+dir:PATH``: wrappers in addresses."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from encore.config import open_store, parse_address
from encore.errors import ConfigError, ReadOnlyError, StoreError


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("prefix", ["gzip", "zstd", "base64"])
def test_a_wrapper_encodes_what_the_store_behind_it_holds(prefix: str) -> None:
    with open_store(f"{prefix}+sqlite:a.db") as store:
        store.put("a", b"hello" * 100)
        assert store.read("a") == b"hello" * 100
    with open_store("sqlite:a.db") as store:
        assert store.read("a") != b"hello" * 100


def test_the_leftmost_wrapper_is_the_outermost(tmp_path: Path) -> None:
    with open_store("base64+gzip+dir:d") as store:
        store.put("a", b"hello")
        assert type(store).__name__ == "Base64Store"
    assert gzip.decompress((tmp_path / "d" / "a").read_bytes()) == b"aGVsbG8="


def test_an_address_keeps_its_place() -> None:
    address = parse_address("GZIP+Zstd+dir:~/d")
    assert str(address) == f"gzip+zstd+dir:{Path.home()}/d"
    assert (address.place, address.local_path) == ("directory", f"{Path.home()}/d")
    assert not address.exists()
    assert parse_address("gzip+memory:").local_path is None
    assert parse_address("gzip+sqlite::memory:").exists()


def test_options_go_to_the_store_behind() -> None:
    with open_store("gzip+sqlite:a.db", durability="power") as store:
        assert store.info()["durability"] == "power"
    with pytest.raises(ConfigError, match="did you mean 'durability'"):
        open_store("gzip+sqlite:a.db", durabilty="power")


def test_read_only_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError), open_store("readonly+sqlite:a.db") as store:
        store.exists("a")
    assert not (tmp_path / "a.db").exists()
    with open_store("sqlite:a.db") as store:
        store.put("a", b"1")
    with open_store("readonly+sqlite:a.db", readonly=False) as store:
        assert store.read("a") == b"1"
        assert store.info()["readonly"]
        with pytest.raises(ReadOnlyError):
            store.put("a", b"2")
    with open_store("readonly+gzip+memory:") as store, pytest.raises(ReadOnlyError):
        store.put("a", b"2")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("gzp+dir:d", "no wrapper of an address is called 'gzp+' (did you mean 'gzip+'?)"),
        ("gzip+dirr:d", "did you mean 'dir'"),
        ("gzip+:d", "no addresses that begin with ''"),
        ("+dir:d", "there is no '+dir:d'"),
        ("gzip++dir:d", "no wrapper of an address is called '+'"),
        ("gzip+dir:", "'dir:' wants more"),
        ("dir+gzip:d", "no wrapper of an address is called 'dir+'"),
    ],
)
def test_what_is_not_understood_is_answered_with_what_would_be(address: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(address)
    assert says in str(caught.value)


def test_prefixes_are_named_to_whoever_guessed_wrong() -> None:
    with pytest.raises(
        ConfigError, match=r"before any of them base64\+ \(data in base64\), gzip\+"
    ):
        open_store("nonsense:x")


def test_a_plain_path_with_a_plus_is_a_path(tmp_path: Path) -> None:
    assert parse_address("a+b.db").local_path == "a+b.db"
    assert parse_address("./gzip+dir:d.db").local_path == "./gzip+dir:d.db"
