"""Damage is found, explained and, where that is safe, mended; what cannot be explained stays."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from encore.errors import CorruptValueError, ReadOnlyError
from encore.storage.api import (
    CachingStore,
    DictStore,
    FilesystemStore,
    GzipStore,
    HashdirStore,
    HashPrefixStore,
    JoinedStore,
    MountedStore,
    PrefixStore,
    Problem,
    ReadonlyStore,
    SimpleAuthStore,
    SqliteStore,
    WriteonlyStore,
    ZipStore,
    hash_password,
)
from encore.storage.backends.filesystem.records import gone_line, sidecar_name
from encore.storage.backends.hashdir.tree import Place
from encore.testing.sources import MIB, pattern

Raw = Callable[..., None]


def told(store: Any, **options: Any) -> list[tuple[str, str | None]]:
    """What is wrong, and with what key."""
    return sorted(((problem.what, problem.key) for problem in store.verify(**options)), key=repr)


def only(store: Any, **options: Any) -> Problem:
    """The one thing that is wrong."""
    (problem,) = store.verify(**options)
    return problem


def check_mending(store: Any, what: str) -> None:
    """Something is wrong that can be mended: it is, and only when asked for."""
    for _ in range(2):
        assert only(store).what == what, "looking changes nothing"
        assert only(store).can_repair
    assert only(store, repair=True).is_repaired
    assert [*store.verify()] == []


def check_keeping(store: Any, what: str, key: str | None = None) -> None:
    """Something is wrong that cannot be mended, and is left as it is."""
    for repair in (False, True, False):
        problem = only(store, repair=repair)
        assert (problem.what, problem.key) == (what, key), problem
        assert not problem.can_repair
        assert not problem.is_repaired


def dead_process() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def killed(code: str, *args: object) -> None:
    """Run code that kills itself."""
    done = subprocess.run([sys.executable, "-c", code, *map(str, args)], check=False)
    assert done.returncode == -signal.SIGKILL


# -- one file -------------------------------------------------------------------------------------


@pytest.fixture
def database(directory: Path) -> Any:
    with SqliteStore(directory / "a.db") as store:
        store.put("small", b"data", {"n": 1})
        store.put("large", pattern(MIB), {})
        yield store


@pytest.fixture
def raw(database: SqliteStore) -> Any:
    connection = sqlite3.connect(database.path, isolation_level=None)
    yield connection.execute
    connection.close()


@pytest.mark.parametrize(
    ("statement", "what", "key"),
    [
        ("UPDATE kv SET size=size+1 WHERE key='small'", "damage", "small"),
        ("UPDATE kv SET size=size-1 WHERE key='large'", "damage", "large"),
        ("UPDATE kv SET size=size+65536 WHERE key='large'", "missing", "large"),
        ("UPDATE kv SET data=NULL WHERE key='small'", "damage", "small"),
        ("UPDATE kv SET data='text' WHERE key='small'", "damage", "small"),
        ("UPDATE kv SET data=x'00' WHERE key='large'", "damage", "large"),
        ("UPDATE kv SET metadata='[1]' WHERE key='small'", "damage", "small"),
        ("UPDATE kv SET metadata='{' WHERE key='large'", "damage", "large"),
        ("UPDATE kv SET created='then' WHERE key='small'", "damage", "small"),
        ("UPDATE kv SET key=char(0)||'x' WHERE key='small'", "unknown", None),
        ("DELETE FROM chunk WHERE id=(SELECT max(id) FROM chunk)", "missing", "large"),
        ("UPDATE chunk SET data=x'00' WHERE id=(SELECT min(id) FROM chunk)", "damage", "large"),
        ("UPDATE chunk SET id=id+100 WHERE id=(SELECT max(id) FROM chunk)", "damage", "large"),
        ("INSERT INTO chunk VALUES(1<<40, x'00')", "unknown", None),
        ("INSERT INTO staging VALUES(1<<41, 'somebody', 1.0)", "unknown", None),
    ],
)
def test_a_damaged_record(
    database: SqliteStore, raw: Raw, statement: str, what: str, key: str | None
) -> None:
    raw(statement)
    check_keeping(database, what, key)


def test_data_that_a_dead_program_was_writing(database: SqliteStore, raw: Any) -> None:
    import socket

    writer = f"{socket.gethostname()}/{dead_process()}/1"
    raw("INSERT INTO chunk VALUES(1<<40, x'00')")
    raw("INSERT INTO staging VALUES(1<<40, ?, 1.0)", (writer,))
    with SqliteStore(database.path, readonly=True) as other:
        assert only(other).what == "orphan"
    check_mending(database, "orphan")
    assert raw("SELECT count(*) FROM chunk").fetchone() == (16,)


def test_what_a_key_has_is_never_swept_up(database: SqliteStore, raw: Any) -> None:
    import socket

    writer = f"{socket.gethostname()}/{dead_process()}/1"
    raw("INSERT INTO staging SELECT blob, ?, 1.0 FROM kv WHERE key='large'", (writer,))
    with SqliteStore(database.path) as other:
        assert other.read("large") == pattern(MIB)
    check_keeping(database, "unknown")


def _flip_in_index(path: str, old: bytes, new: bytes) -> None:
    """Change a key in the index, and not in the table."""
    data = bytearray(Path(path).read_bytes())
    size = int.from_bytes(data[16:18], "big")
    for start in range(0, len(data), size):
        if data[start] == 0x0A:  # a leaf of an index
            data[start : start + size] = data[start : start + size].replace(old, new)
    Path(path).write_bytes(data)


def test_an_index_that_does_not_fit_is_made_anew(directory: Path) -> None:
    path = directory / "a.db"
    with SqliteStore(path) as store:
        store.multiset({f"key{number}": b"x" for number in range(5)})
    _flip_in_index(os.fspath(path), b"key3", b"kez3")
    with SqliteStore(path) as store:
        assert "key3" not in store
        found = store.verify()
        assert {problem.what for problem in found} == {"damage"}
        assert all(problem.can_repair for problem in found)
        assert all(problem.is_repaired for problem in store.verify(repair=True))
        assert [*store.verify()] == []
        assert store.read("key3") == b"x"


def test_a_file_that_is_cut_off_or_overwritten(directory: Path) -> None:
    path = directory / "a.db"
    with SqliteStore(path) as store:
        store.put("large", pattern(MIB))
    data = path.read_bytes()
    for damaged in (data[: len(data) // 2], data[:5000], data[:200] + bytes(20000) + data[20200:]):
        path.write_bytes(damaged)
        for beside in ("-wal", "-shm"):
            Path(f"{path}{beside}").unlink(missing_ok=True)
        store = SqliteStore(path)
        assert {problem.what for problem in store.verify()} <= {"damage", "missing"}
        assert [*store.verify()]
        assert [*store.verify(repair=True)]
        store.close()


def test_damage_that_shows_only_when_a_row_is_fetched(database: SqliteStore, raw: Raw) -> None:
    """The engine's own error came through, and no `CorruptValueError`."""
    raw("UPDATE kv SET token=CAST(x'ff' AS TEXT)")
    for look in (
        lambda: [*database.entries()],
        lambda: [*database.items()],
        lambda: database.get("large"),
        lambda: [*database.multiget(["small"])],
    ):
        with pytest.raises(CorruptValueError):
            look()
    assert {*told(database)} == {("damage", None), ("damage", "large"), ("damage", "small")}


def test_a_large_value_in_a_damaged_file(directory: Path) -> None:
    """Its stream raised the engine's own error."""
    path = directory / "a.db"
    with SqliteStore(path) as store:
        store.put("large", pattern(MIB))
    data = path.read_bytes()
    size = int.from_bytes(data[16:18], "big")
    middle = len(data) // size // 2 * size
    path.write_bytes(data[:middle] + b"\xff" * 20 * size + data[middle + 20 * size :])
    with SqliteStore(path) as store:
        with pytest.raises(CorruptValueError):
            store.get("large").read()
        assert ("damage", "large") in told(store)


def test_a_schema_that_is_no_text(directory: Path) -> None:
    """Python could not even decode what SQLite said of it."""
    path = directory / "a.db"
    SqliteStore(path).connect()
    data = path.read_bytes()
    path.write_bytes(data.replace(b"CREATE TABLE kv", b"CR\xab\xab\xab TABLE kv"))
    with pytest.raises(CorruptValueError):
        SqliteStore(path).connect()
    (problem,) = SqliteStore(path).verify()
    assert problem.what == "damage"


# -- hashed directories ---------------------------------------------------------------------------


@pytest.fixture
def hashed(directory: Path) -> Any:
    with HashdirStore(directory / "h") as store:
        store.put("a", pattern(100), {"n": 1})
        store.put("b", pattern(MIB))
        store.put("plain", b"1")
        yield store


def file_of(store: Any, key: str) -> Path:
    row = store._execute("SELECT blob FROM kv WHERE key=?", (key,)).fetchone()
    names, name = store._files().names_of(Place(key, row[0]))
    return Path(store.path, *names, name)


def test_a_file_that_is_gone_or_has_another_length(hashed: HashdirStore) -> None:
    file_of(hashed, "b").unlink()
    check_keeping(hashed, "missing", "b")
    hashed.put("b", b"anew")
    with open(file_of(hashed, "a"), "ab") as file:
        file.write(b"more")
    check_keeping(hashed, "damage", "a")


def test_a_file_of_no_record_stays_unless_a_dead_program_left_it(hashed: HashdirStore) -> None:
    stray = file_of(hashed, "a").with_name(f"{'0' * 58}.1f")
    stray.write_bytes(b"whose is this?")
    check_keeping(hashed, "unknown")
    assert stray.exists()
    stray.unlink()
    names, name = hashed._files().names_of(Place("dead", 0x1F))
    left = Path(hashed.path, *names, name)
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    session = Path(hashed.path, ".encore/sessions/dead")
    session.mkdir(parents=True)
    (session / "list").write_bytes(b"1f dead\x00garbage\x00\xff \xff\x00")
    check_mending(hashed, "orphan")
    assert not left.exists()
    assert not session.exists()


def test_a_file_that_is_being_written_is_no_problem(hashed: HashdirStore) -> None:
    with HashdirStore(hashed.path) as other, hashed.transaction():
        hashed.put("new", pattern(1000))
        hashed.put("a", pattern(1000))
        assert [*other.verify()] == []


# -- directories ----------------------------------------------------------------------------------


@pytest.fixture
def tree(directory: Path) -> Any:
    with FilesystemStore(directory / "d") as store:
        store.put("a", b"data", {"n": 1})
        store.put("b/c", pattern(100_000), {"n": 2})
        yield store


DECIDE = """
import os, signal, sys
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.filesystem.journal import Journal
Journal._apply = lambda self, acts: os.kill(os.getpid(), signal.SIGKILL)
with FilesystemStore(sys.argv[1]) as store:
    store.multiset({"a": b"new", "new": (b"new", {"n": 3})})
"""


def test_a_decided_commit_is_carried_out(tree: FilesystemStore) -> None:
    killed(DECIDE, tree.path)
    assert told(tree) == [("orphan", None), ("unfinished", None)]
    assert tree.read("a") == b"data"
    assert all(problem.is_repaired for problem in tree.verify(repair=True))
    assert [*tree.verify()] == []
    assert (tree.read("a"), tree.get_metadata("new")) == (b"new", {"n": 3})


def test_lists_of_commits_that_did_not_happen(tree: FilesystemStore) -> None:
    lists = Path(tree.path, ".encore/txn")
    (lists / "1.intent").write_bytes(b"half")
    (lists / "1.reserve").write_bytes(bytes(100))
    check_mending(tree, "orphan")


def test_a_damaged_list_of_a_commit_is_put_aside_and_kept(tree: FilesystemStore) -> None:
    lists = Path(tree.path, ".encore/txn")
    (lists / "1.COMMIT").write_bytes(b'["a", null, "", ""]\n00000000\n')
    assert told(tree) == [("damage", None)]
    tree.put("other", b"")  # a writer who comes by
    tree.close()
    tree.connect()
    tree.put("other", b"1")
    assert [path.name for path in lists.iterdir()] == ["1.COMMIT.damaged"]
    check_keeping(tree, "damage")
    assert tree.read("a") == b"data"


def test_what_is_not_ours_stays(tree: FilesystemStore) -> None:
    stranger = Path(tree.path, ".encore/txn/notes.txt")
    stranger.write_bytes(b"mine")
    check_keeping(tree, "unknown")
    assert stranger.exists()


def test_temporary_files_of_the_dead(tree: FilesystemStore) -> None:
    session = Path(tree.path, ".encore/tmp/dead")
    session.mkdir()
    (session / "0").write_bytes(b"half")
    check_mending(tree, "orphan")
    assert not session.exists()


def sidecar_of(store: FilesystemStore, key: str) -> Path:
    return Path(store.path, ".encore/meta", sidecar_name(key))


def test_metadata_that_is_damaged(tree: FilesystemStore) -> None:
    path = sidecar_of(tree, "a")
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"n":1', b'"n":7'))
    check_keeping(tree, "damage")
    path.write_bytes(good + good.replace(b'"n":1', b'"n":7'))  # what counts is good still
    assert [*tree.verify()] == []
    old = good.replace(b'"file":"', b'"file":"f')
    body = old[old.index(b'"file"') :]
    old = b'{"crc":"%08x",' % zlib.crc32(body) + body
    path.write_bytes(old + good.replace(b'"n":1', b'"n":7'))
    check_keeping(tree, "damage", "a")
    path.write_bytes(good)
    assert [*tree.verify()] == []


def test_metadata_of_a_file_that_somebody_removed_stays(tree: FilesystemStore) -> None:
    path = Path(tree.path, "a")
    data = path.read_bytes()
    path.unlink()
    check_keeping(tree, "missing")
    path.write_bytes(data)
    assert [*tree.verify()] == []
    assert tree.get_metadata("a") == {"n": 1}


def test_metadata_that_a_removal_left_goes(tree: FilesystemStore) -> None:
    path = sidecar_of(tree, "a")
    file = json.loads(path.read_bytes())["file"]
    with path.open("ab") as stream:
        stream.write(gone_line("a", file))
    Path(tree.path, "a").unlink()
    check_mending(tree, "orphan")
    assert not path.exists()


def test_a_plain_tree_is_checked_and_left_plain(directory: Path) -> None:
    (directory / "x").mkdir()
    (directory / "x/file.txt").write_bytes(b"1")
    with FilesystemStore(directory, readonly=True) as store:
        assert [*store.verify()] == []
    with FilesystemStore(directory) as store:
        assert [*store.verify()] == []
        assert not (directory / ".encore").exists()


# -- archives -------------------------------------------------------------------------------------


@pytest.fixture
def archive(directory: Path) -> Any:
    with ZipStore(directory / "a.zip", "stored") as store:
        store.multiset({"a": (b"data of a", {"n": 1}), "b": pattern(200_000)})
        yield store


def test_an_entry_that_is_damaged(archive: ZipStore) -> None:
    path = Path(archive.path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"data of a", b"dada of a"))
    check_keeping(archive, "damage", "a")
    path.write_bytes(data[:-30])
    problem = only(archive)
    assert (problem.what, problem.key) == ("damage", None)
    assert "recover" in problem.explanation


def test_a_side_car_with_what_the_dead_have_left(archive: ZipStore) -> None:
    beside = Path(f"{archive.path}-encore")
    archive.put("lone", b"1")
    for name in ("new", "data-1f"):
        (beside / name).write_bytes(b"half")
        check_mending(archive, "orphan")
        assert not (beside / name).exists()
    (beside / "tmp/dead").mkdir(parents=True)
    check_mending(archive, "orphan")
    with open(beside / "changes", "ab") as log:
        log.write(b"chng" + bytes(10))
    check_mending(archive, "orphan")
    (beside / "notes").write_bytes(b"mine")
    check_keeping(archive, "unknown")
    (beside / "notes").unlink()
    assert archive.read("lone") == b"1"


def test_data_beside_the_archive_that_is_gone(archive: ZipStore) -> None:
    with archive.transaction():  # keeps the archive from being rewritten at once
        pass
    archive.put("lone", pattern(3 * MIB))
    (data,) = Path(f"{archive.path}-encore").glob("data-*")
    data.rename(data.with_name("kept"))
    assert ("missing", "lone") in told(archive)
    (data.with_name("kept")).rename(data)
    assert [*archive.verify()] == []


def test_damage_among_changes_is_no_end_of_them(archive: ZipStore) -> None:
    """Commits behind a damaged one were lost without a word, and cut off by the next write."""
    for name in ("one", "two", "three"):
        archive.put(name, f"data of {name}".encode())
    log = Path(f"{archive.path}-encore/changes")
    good = log.read_bytes()
    for damaged in (
        good.replace(b"data of one", b"dada of one"),
        good.replace(b"chng", b"chnG", 1),
    ):
        log.write_bytes(damaged)
        other = ZipStore(archive.path, "stored")
        with pytest.raises(CorruptValueError, match="later ones"):
            other.put("four", b"")
        assert [problem.what for problem in other.verify()] == ["damage"]
        assert log.read_bytes() == damaged
    log.write_bytes(good)
    assert archive.read("three") == b"data of three"


# -- memory, and stores over stores ---------------------------------------------------------------


def damaged(size: int = 1) -> SqliteStore:
    """A store with two keys, of which one is damaged."""
    store = SqliteStore(":memory:")
    store.put("p/bad", b"data", {})
    store.put("good", b"data", {})
    store._execute("UPDATE kv SET size=9 WHERE key='p/bad'")
    return store


def test_keys_are_told_as_the_wrapper_shows_them() -> None:
    with damaged() as base:
        assert only(base).key == "p/bad"
        assert only(PrefixStore(base, "p/")).key == "bad"
        hidden = only(PrefixStore(base, "q/"))
        assert (hidden.key, "'p/bad'" in hidden.explanation) == (None, True)
        assert only(HashPrefixStore(base)).key is None
        assert only(ReadonlyStore(base)).key == "p/bad"
        with pytest.raises(ReadOnlyError):
            ReadonlyStore(base).verify(repair=True)
        with pytest.raises(NotImplementedError):
            WriteonlyStore(base).verify()
        with DictStore() as other:
            assert only(JoinedStore([other, base])).key == "p/bad"
            assert only(MountedStore("m/", base, other)).key == "m/p/bad"
            assert only(CachingStore(base, other)).key == "p/bad"
            assert "in the cache" in only(CachingStore(other, base)).explanation


def test_who_may_not_read_a_key_does_not_hear_its_name() -> None:
    cheap = hash_password("secret", ln=1, r=1, p=1)
    with damaged() as base:
        store = SimpleAuthStore(base, {"user": cheap})
        store.connect({"username": "user", "password": "secret"})
        problem = only(store)
        assert problem.key is None
        assert "bad" not in str(problem)


def test_a_codec_looks_at_what_it_would_decode() -> None:
    with DictStore() as base:
        store = GzipStore(PrefixStore(base, "z/"))
        store.put("good", pattern(MIB))
        store.put("bad", pattern(MIB))
        data = bytearray(base.read("z/bad"))
        data[-5] ^= 1
        base.put("z/bad", bytes(data))
        assert told(store) == [("damage", "bad")]
        assert [*base.verify()] == []


def test_a_problem_says_what_it_is() -> None:
    problem = Problem("orphan", None, "left", can_repair=True)
    assert str(problem) == "orphan: left (can be repaired)"
    assert str(problem.repaired()) == "orphan: left (repaired)"
    assert str(Problem("damage", "a", "lost")) == "damage: 'a': lost"
