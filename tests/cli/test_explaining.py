"""Laws of explain, and of commands on configured and wrapped stores."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from command_runs import Run, contents, filled

from encore.storage.api import SqliteStore

CONFIGURATION = """\
main = "top"

[stores.data]
type = "SqliteStore"
config = {path = "${DATA:-data}.db", durability = "power"}

[stores.left]
type = "PrefixStore"
base = "data"
config = {prefix = "left/"}

[stores.right]
type = "HashPrefixStore"
base = "data"

[stores.top]
type = "JoinedStore"
base = ["left", "right"]

[stores.web]
type = "HttpStore"
config = {base_url = "http://ada:hunter2@127.0.0.1:9/", headers = {X = "hunter2"}}

[stores.packed]
type = "ReadonlyStore"
base = "gzip+memory:"

[stores.routed]
type = "RoutingStore"
base = [{prefix = "a/", store = "left"}, {pattern = ".+", store = "sqlite::memory:"}]
"""


@pytest.fixture
def file(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DATA", raising=False)
    path = place / "stores.toml"
    path.write_text(CONFIGURATION)
    return path


def test_explain_draws_the_tree(run: Run, file: Path) -> None:
    begins = "native transactions, survives a power cut"
    ends = "streams large values"
    assert (
        run("explain", file).text
        == f"""\
top: JoinedStore()
|   {begins}, listings sorted in memory, keys up to 1,015 bytes, {ends}
+-- stores[0]: left: PrefixStore(prefix="left/")
|   |   {begins}, ordered listings, keys up to 1,019 bytes, {ends}
|   +-- base: data: SqliteStore(path="${{DATA:-data}}.db", durability="power") (shared)
|           {begins}, ordered listings, keys up to 1,024 bytes, {ends}
+-- stores[1]: right: HashPrefixStore()
    |   {begins}, listings sorted in memory, keys up to 1,015 bytes, {ends}
    +-- base: data (shared, see above)
"""
    )


def test_explain_takes_a_name(run: Run, file: Path) -> None:
    assert (
        run("explain", file, "packed").text
        == """\
packed: ReadonlyStore()
|   read-only, staged transactions, gone when it is closed, ordered listings, keys up to 1,024 \
bytes, holds whole values in memory
+-- base: GzipStore at gzip+memory:
    |   staged transactions, gone when it is closed, ordered listings, keys up to 1,024 bytes, \
holds whole values in memory
    +-- base: DictStore at memory:
            staged transactions, gone when it is closed, ordered listings, keys up to 1,024 bytes, \
holds whole values in memory
"""
    )
    routed = run("explain", file, "routed").lines
    assert [line for line in routed if "prefix" in line or "pattern" in line] == [
        "+-- prefix 'a/': left: PrefixStore(prefix=\"left/\")",
        "+-- pattern '.+': SqliteStore at sqlite::memory:",
    ]


def test_explain_shows_no_secrets(run: Run, file: Path) -> None:
    for options in ((), ("--json",)):
        text = run("explain", file, "web", *options).text
        assert "hunter2" not in text
        assert "http://***@127.0.0.1:9/" in text
    assert "read-only, no transactions, no listings" in run("explain", file, "web").text


def test_explain_json_says_the_same(run: Run, file: Path) -> None:
    found = json.loads(run("explain", file, "--json").text)
    assert found["promises"] == {
        "transactions": "native",
        "durability": "power",
        "listing": "collected",
        "key_bytes": 1015,
        "streaming": True,
        "readonly": False,
    }
    left, right = found["bases"]
    assert (left["role"], right["role"]) == ("stores[0]", "stores[1]")
    (data,) = left["bases"]
    assert data["config"] == {"path": "${DATA:-data}.db", "durability": "power"}
    assert (data["shared"], "repeated" in data) == (True, False)
    assert right["bases"] == [
        {
            "role": "base",
            "name": "data",
            "type": "SqliteStore",
            "config": data["config"],
            "shared": True,
            "repeated": True,
        }
    ]


def test_explaining_opens_and_makes_nothing(run: Run, file: Path, place: Path) -> None:
    content: dict[str, Any] = {
        "main": "all",
        "stores": {
            "a": {"type": "FilesystemStore", "config": {"path": "a"}},
            "b": {"type": "SqliteStore", "config": {"path": "b/b.db"}},
            "c": {"type": "HashdirStore", "config": {"path": "c"}},
            "d": "sqlite:d.db",
            "e": "gzip+dir:e",
            "all": {"type": "JoinedStore", "base": ["a", "b", "c", "d", "e", "sqlite::memory:"]},
        },
    }
    (place / "all.json").write_text(json.dumps(content))
    run("explain", "all.json")
    run("explain", "stores.toml")
    assert sorted(os.listdir(place)) == ["all.json", "stores.toml"]


def test_explaining_an_existing_file_does_not_touch_it(run: Run, file: Path, place: Path) -> None:
    filled(place / "data.db", {"a": b"1"})
    before = (place / "data.db").read_bytes(), (place / "data.db").stat().st_mtime_ns
    run("explain", file)
    assert ((place / "data.db").read_bytes(), (place / "data.db").stat().st_mtime_ns) == before
    # Not even one that is no store: it is not opened.
    (place / "data.db").write_text("something else")
    run("explain", file)


def test_what_cannot_be_explained_is_an_error(run: Run, file: Path, place: Path) -> None:
    assert "did you mean 'left'" in run("explain", file, "lef", code=2).err
    assert "cannot be read" in run("explain", "none.yaml", code=2).err
    (place / "bad.toml").write_text('main = "x"\n[stores.x]\ntype = "GzipStore"\n')
    assert run("explain", "bad.toml", code=2).err == (
        "encore: bad.toml, stores.x: GzipStore is a store over others, and base is not given: "
        "write 'base: NAME' beside 'type'\n"
    )


def test_a_strangers_store_is_not_opened_to_explain_it(run: Run, place: Path) -> None:
    from encore.config import kinds, register_store

    class Stranger(SqliteStore):
        def __init__(self, path: str, readonly: bool = True) -> None:
            super().__init__(place / path)

    register_store(Stranger)
    try:
        content = {
            "main": "s",
            "stores": {
                "data": {"type": "Stranger", "config": {"path": "s.db"}},
                "s": {"type": "GzipStore", "base": "data"},
            },
        }
        (place / "s.json").write_text(json.dumps(content))
        found = json.loads(run("explain", "s.json", "--json").text)
    finally:
        del kinds._registered["Stranger"]
    assert not (place / "s.db").exists()
    assert found["promises"]["transactions"] == "native"
    assert found["promises"]["readonly"] is True
    assert found["promises"]["durability"] is None
    assert found["promises"]["streaming"] is None


# -- every command on configured and wrapped stores ----------------------------------------------


def test_commands_work_on_configured_stores(run: Run, file: Path, place: Path) -> None:
    (place / "x.txt").write_text("hello")
    run("put", "config:stores.toml#left", "a", "x.txt", "--meta", "n=1")
    assert contents(place / "data.db") == {"left/a": b"hello"}
    assert run("ls", "config:stores.toml").lines == ["a"]
    assert run("cat", "config:stores.toml", "a").out == b"hello"
    assert run("query", "config:stores.toml", "n=1", "--keys").lines == ["a"]
    info = json.loads(run("info", "config:stores.toml", "--json").text)
    assert (info["address"], info["type"]) == ("config:stores.toml", "JoinedStore")
    run("copy", "config:stores.toml#left", "gzip+dir:copy")
    assert run("cat", "gzip+dir:copy", "a").out == b"hello"
    assert (place / "copy" / "a").read_bytes()[:2] == b"\x1f\x8b"
    run("rm", "config:stores.toml#left", "a")
    assert run("ls", "config:stores.toml").lines == []


def test_reading_makes_no_configured_store(run: Run, file: Path, place: Path) -> None:
    assert "there is no file" in run("ls", "config:stores.toml#left", code=1).err
    assert "there is no file 'x.db'" in run("ls", "gzip+sqlite:x.db", code=1).err
    run("ls", "config:stores.toml", code=1)  # over two stores: it is not told before it is opened
    assert os.listdir(place) == ["stores.toml"]


def test_a_store_is_not_copied_onto_itself_through_wrappers(
    run: Run, file: Path, place: Path
) -> None:
    filled(place / "data.db", {"left/a": b"1"})
    for source, target in (
        ("config:stores.toml#left", "sqlite:data.db"),
        ("gzip+sqlite:data.db", "data.db"),
        ("readonly+sqlite:data.db", "base64+sqlite:./data.db"),
    ):
        assert "are the same store" in run("copy", source, target, code=2).err
    assert "lies inside the source" in run("copy", "gzip+dir:.", "zstd+dir:./b", code=2).err
    assert contents(place / "data.db") == {"left/a": b"1"}


def test_a_new_store_behind_a_wrapper_is_taken_away_after_a_failure(
    run: Run, file: Path, place: Path
) -> None:
    for target in ("gzip+sqlite:new.db", "gzip+dir:new", "config:stores.toml#left"):
        run("copy", "dir:none", target, code=1)
        run("put", target, "k" * 2000, "stores.toml", code=1)
    assert os.listdir(place) == ["stores.toml"]
