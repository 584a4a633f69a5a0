"""Laws of put, rm and meta."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from command_runs import Run, contents, filled
from hypothesis import given
from hypothesis import strategies as st

from encore.cli.fields import format_field, parse_fields
from encore.storage.api import SqliteStore


def test_put_stores_a_file_with_metadata_and_makes_the_store(run: Run, place: Path) -> None:
    (place / "data").write_bytes(b"\0\xff")
    outcome = run(
        "put", "sqlite:new.db", "k", "data",
        "--meta", "n=3", "--meta", "s=text", "--meta", "l=[1, null]", "--meta", 't="3"',
    )  # fmt: skip
    assert (outcome.out, outcome.err) == (b"", "")
    with SqliteStore(place / "new.db") as store:
        assert store.read("k") == b"\0\xff"
        assert store.get_metadata("k") == {"n": 3, "s": "text", "l": [1, None], "t": "3"}


@pytest.mark.parametrize("words", [[], ["-"]])
def test_put_takes_what_comes_in(
    words: list[str], run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\r\n\0\xff")))
    run("put", "t.db", "k", *words, "--durability", "power")
    assert contents(place / "t.db") == {"k": b"\r\n\0\xff"}


def test_put_replaces_data_and_metadata(run: Run, store: Path, place: Path) -> None:
    (place / "data").write_bytes(b"new")
    run("put", store, "b", "data", "--meta", "old=1")
    run("put", store, "b", "data", "--meta", "n=1")
    with SqliteStore(store) as opened:
        assert opened.read("b") == b"new"
        assert opened.get_metadata("b") == {"n": 1}


def test_a_wrong_file_or_key_makes_no_store(run: Run, place: Path) -> None:
    (place / "data").write_bytes(b"new")
    run("put", "sqlite:new.db", "k", "missing", code=1)
    run("put", "sqlite:new.db", "k" * 2000, "data", code=1)
    assert [path.name for path in place.iterdir()] == ["data"]


def test_rm_removes_keys_or_none(run: Run, store: Path) -> None:
    assert "'zzz'" in run("rm", store, "b", "zzz", code=1).err
    assert len(contents(store)) == 3
    assert run("rm", store, "b", "b").text == "removed 1 key\n"


def test_rm_counts_what_it_removed(run: Run, store: Path) -> None:
    assert run("rm", store, "b").text == "removed 1 key\n"
    assert run("rm", store, "b", "--missing-ok").text == "removed 0 keys\n"
    assert json.loads(run("rm", store, "--prefix", "a/", "--json").text) == {"removed": 2}
    assert contents(store) == {}


def test_rm_of_everything_has_to_be_said(run: Run, store: Path) -> None:
    assert "--all" in run("rm", store, "--prefix", "", code=2).err
    assert len(contents(store)) == 3
    assert run("rm", store, "--all", "--quiet").out == b""
    assert contents(store) == {}


def test_rm_takes_keys_and_a_prefix_together(run: Run, store: Path) -> None:
    assert run("rm", store, "b", "a/1", "--prefix", "a/").text == "removed 3 keys\n"


def test_a_dry_run_lists_what_would_go(run: Run, store: Path) -> None:
    assert run("rm", store, "b", "--prefix", "a/", "--dry-run").lines == ["b", "a/1", "a/2"]
    assert run("rm", store, "--all", "-n").lines == ["a/1", "a/2", "b"]
    assert run("rm", store, "zzz", "b", "--missing-ok", "-n", "--json").text == '{"key": "b"}\n'
    assert len(contents(store)) == 3


def test_meta_shows_what_it_takes(run: Run, place: Path) -> None:
    with SqliteStore(place / "t.db") as store:
        store.put("k", b"data", {"s": "text", "t": "3", "n": 3, "e": "", "x": "a\nb", "l": [1]})
    lines = run("meta", "t.db", "k").lines
    assert lines == ["s=text", 't="3"', "n=3", "e=", 'x="a\\nb"', "l=[1]"]
    before = json.loads(run("meta", "t.db", "k", "--json").text)
    run("meta", "t.db", "k", "--replace", *lines)
    assert json.loads(run("meta", "t.db", "k", "--json").text) == before
    assert contents(place / "t.db") == {"k": b"data"}


def test_meta_sets_keeps_replaces_and_deletes(run: Run, place: Path) -> None:
    filled(place / "t.db", {"k": b"data"})

    def now() -> object:
        return json.loads(run("meta", "t.db", "k", "--json").text)

    assert run("meta", "t.db", "k", "a=1", "b=two").out == b""
    assert now() == {"a": 1, "b": "two"}
    run("meta", "t.db", "k", "c=3", "--delete", "a")
    assert now() == {"b": "two", "c": 3}
    assert "no field 'zzz'" in run("meta", "t.db", "k", "d=4", "--delete", "zzz", code=1).err
    assert now() == {"b": "two", "c": 3}
    run("meta", "t.db", "k", "--replace", "z=0")
    assert now() == {"z": 0}
    run("meta", "t.db", "k", "--replace")
    assert now() == {}


def test_meta_makes_no_key(run: Run, store: Path) -> None:
    run("meta", store, "zzz", "a=1", code=1)
    assert "zzz" not in contents(store)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner),
    max_leaves=5,
)  # fmt: skip


@given(JSON)
def test_a_field_that_is_shown_can_be_given_back(value: object) -> None:
    line = format_field("name", value)
    assert line.isprintable()
    assert parse_fields([line]) == {"name": value}
