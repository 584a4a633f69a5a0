"""Directories, archives and logs that somebody has made to lead us elsewhere, or to break us.

Whoever gives us a store may have written everything in it, checksums and all.
"""

from __future__ import annotations

import io
import json
import os
import random
import struct
import threading
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from test_hostile_parsers import SEED

from encore.errors import CorruptValueError, EncoreError, StoreError
from encore.history import History
from encore.storage.api import (
    FilesystemStore,
    GzipStore,
    HashdirStore,
    SqliteStore,
    Store,
    ZipStore,
    ZstdStore,
    copy_store,
)
from encore.storage.backends.filesystem.records import Fields, line_of, sidecar_name, signature
from encore.storage.backends.zip.frames import FRAME, HEADER, MAGIC
from encore.testing.sources import MIB, pattern

SECRET = b"the secret of somebody else"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file beside the store, which nobody may touch."""
    path = tmp_path / "outside"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    path.mkdir()
    return path


def sealed(lines: list[Any]) -> bytes:
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return text + b"%08x\n" % zlib.crc32(text)


# -- traversal -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("session", "name"),
    [
        ("../../..", "outside"),
        (".", "../../../../outside"),
        ("..", "../../outside"),
        ("1f", "../../../../outside"),
        ("", "../../../outside"),
        ("/", "outside"),
    ],
)
def test_a_list_of_changes_takes_no_file_from_elsewhere(
    root: Path, outside: Path, session: str, name: str
) -> None:
    """Opening a directory with such a list moved the file into the store."""
    lists = root / ".encore/txn"
    (root / ".encore/tmp/1f").mkdir(parents=True)
    lists.mkdir()
    (root / "kept").write_bytes(b"kept")
    act = ["taken", ["{}", 1.0, 2.0, "t"], session, name]
    (lists / "1.COMMIT").write_bytes(sealed([act, ["kept", None, "", ""]]))
    with FilesystemStore(root) as store:
        store.put("other", b"")
        assert [*store] == ["kept", "other"], "all of a list, or nothing"
        assert [problem.what for problem in store.verify()] == ["damage"]
    assert outside.read_bytes() == SECRET


def frame(rows: list[Any], data: bytes = b"") -> bytes:
    head = json.dumps(rows).encode()
    return FRAME.pack(MAGIC, zlib.crc32(head + data), len(head), len(data)) + head + data


@pytest.mark.parametrize("where", ["../outside", "{absolute}", "data-1/../../outside", "lock", ""])
def test_the_log_beside_an_archive_reads_and_removes_nothing_elsewhere(
    tmp_path: Path, outside: Path, where: str
) -> None:
    """A log could make any file a value, and have it removed when it was folded."""
    path = tmp_path / "a.zip"
    ZipStore(path).connect()
    beside = Path(f"{path}-encore")
    beside.mkdir(exist_ok=True)
    size = len(SECRET)
    place = [where.format(absolute=outside), 0]
    row = ["taken", "{}", size, 1.0, 1.0, "t", 0, zlib.crc32(SECRET), size, place]
    (beside / "changes").write_bytes(HEADER + frame([row]))
    store = ZipStore(path)
    for act in (lambda: store.read("taken"), store.compact, lambda: store.put("a", b"")):
        with pytest.raises(CorruptValueError):
            act()
    store.close()
    assert outside.read_bytes() == SECRET


@pytest.mark.parametrize("kept", ["../../../outside", "{absolute}", "log"])
def test_the_log_of_a_history_reads_and_removes_nothing_elsewhere(
    root: Path, outside: Path, kept: str
) -> None:
    """A log could bring back any file as an earlier version, and remove it with the version."""
    with FilesystemStore(root) as store, History(store):
        store.put("a", b"1")
        store.put("a", b"22")
    found = outside.stat()
    name = kept.format(absolute=outside) + f".1.{found.st_mtime_ns:x}.{found.st_size:x}"
    outside = outside.rename(outside.with_name(Path(name).name)) if "outside" in name else outside
    log = root / ".encore/history/log"
    lines = []
    for line in log.read_bytes().splitlines():
        record = json.loads(line[9:])
        for images in record.get("images", {}).values():
            for image in images.values():
                if image is not None and len(image) > 3:
                    image[3] = name
        text = json.dumps(record).encode()
        lines.append(b"%08x %b\n" % (zlib.crc32(text), text))
    log.write_bytes(b"".join(lines))
    with FilesystemStore(root) as store, History(store) as history:
        assert history.verify()
        with pytest.raises(EncoreError):
            history.undo()
        with pytest.raises(EncoreError):
            history.at(1).read("a")
        history.clear()
        history.pack()
    assert outside.read_bytes() == SECRET


def test_keys_of_an_archive_lead_nowhere(tmp_path: Path, outside: Path) -> None:
    """Zip slip: what is copied out of an archive stays in the directory."""
    path = tmp_path / "a.zip"
    names = [
        "../outside",
        "/etc/passwd",
        f"{outside}",
        "a/../../outside",
        "..",
        "C:\\x",
        "a\\..\\b",
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"evil")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, b"/etc/passwd")
    target = tmp_path / "inner" / "target"
    with ZipStore(path, readonly=True) as source, FilesystemStore(target) as store:
        copy_store(source, store)
        assert {*store} == {*source}
        assert store.read("../outside") == b"evil"
    assert outside.read_bytes() == SECRET
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.zip", "inner", "outside"]
    assert [entry.name for entry in (tmp_path / "inner").iterdir()] == ["target"]
    assert not any(entry.is_symlink() for entry in target.rglob("*"))


@pytest.mark.parametrize("kind", [FilesystemStore, HashdirStore])
@pytest.mark.parametrize(
    "key", ["../outside", "a/../../outside", "{absolute}", "..", "./../outside"]
)
def test_a_key_is_no_path(root: Path, outside: Path, kind: Any, key: str) -> None:
    name = key.format(absolute=outside)
    with kind(root) as store:
        assert name not in store
        store.put(name, b"mine", {"a": 1})
        store.put(f"{name}/x", pattern(MIB))
        assert store.read(name) == b"mine"
        store.move(name, f"{name}2")
        store.clear()
    assert outside.read_bytes() == SECRET
    assert sorted(entry.name for entry in root.parent.iterdir()) == ["outside", "store"]


# -- links that come and go ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FilesystemStore, HashdirStore])
def test_a_directory_that_turns_into_a_link_leads_nowhere(tmp_path: Path, kind: Any) -> None:
    """Another program swaps a directory for a link again and again while we write and read."""
    root, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a").write_bytes(SECRET)
    noise = random.Random(SEED)
    with kind(root) as store:
        store.multiset({f"d/{name}": b"mine" for name in "abc"})
        first = sorted(entry for entry in root.iterdir() if entry.is_dir() and entry.name[0] != ".")
        victims = [path for path in first if path.name != ".encore"]
        stop = threading.Event()

        def swap() -> None:
            while not stop.is_set():
                victim = victims[noise.randrange(len(victims))]
                aside = root.parent / f"aside-{victim.name}"
                with suppress(OSError):
                    victim.rename(aside)
                    victim.symlink_to(elsewhere, target_is_directory=True)
                    victim.unlink()
                    aside.rename(victim)

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            for number in range(600):
                key = f"d/{'abc'[number % 3]}"
                with suppress(EncoreError):
                    store.put(key, b"written")
                with suppress(EncoreError):
                    assert store.read(key) != SECRET
                with suppress(EncoreError):
                    store.put(f"d/e/{number}", b"written", {"n": 1})
                if number % 10 == 0:
                    with suppress(EncoreError):
                        store.delete(key, missing_ok=True)
        finally:
            stop.set()
            thread.join()
        assert (elsewhere / "a").read_bytes() == SECRET
        assert [entry.name for entry in elsewhere.iterdir()] == ["a"]


def test_links_in_the_own_folder_are_not_followed(root: Path, outside: Path) -> None:
    elsewhere = root.parent / "elsewhere"
    elsewhere.mkdir()
    for name in ("tmp", "txn", "meta", "lock", "history"):
        own = root / ".encore"
        own.mkdir()
        (own / name).symlink_to(outside if name == "lock" else elsewhere)
        store = FilesystemStore(root)
        with suppress(StoreError):
            store.put("a", b"1", {"n": 1})
            with History(store):
                store.put("a", b"2", {"n": 2})
        with suppress(StoreError):
            store.close()
        assert outside.read_bytes() == SECRET
        assert [*elsewhere.iterdir()] == [], name
        for folder, folders, files in os.walk(root, topdown=False):
            for inner in (*files, *folders):
                path = Path(folder, inner)
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


# -- what stands in sidecars -----------------------------------------------------------------------


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 10_000, "[1]", "{", "", "{}x", "null"])
def test_metadata_beside_a_file_that_is_none(root: Path, text: str) -> None:
    (root / "a").write_bytes(b"data")
    meta = root / ".encore/meta"
    meta.mkdir(parents=True)
    file = signature((root / "a").stat())
    (meta / sidecar_name("a")).write_bytes(line_of("a", file, Fields(text, 1.0, 2.0, "t")))
    with FilesystemStore(root) as store:
        assert store.read("a") == b"data"
        for look in (
            lambda: store.get_metadata("a"),
            lambda: store.get("a").metadata,
            lambda: [*store.query(n=1)],
        ):
            with pytest.raises(CorruptValueError):
                look()
        assert next((problem.what, problem.key) for problem in store.verify()) == ("damage", "a")
        store.put("a", b"new", {"n": 1})
        assert store.get_metadata("a") == {"n": 1}
        assert [*store.verify()] == []


def test_records_that_are_whole_and_none(root: Path) -> None:
    (root / "a").write_bytes(b"data")
    meta = root / ".encore/meta"
    meta.mkdir(parents=True)
    file = signature((root / "a").stat())
    for rest in (
        f'"file":"{file}","created"metadata":{{}}}}\n',
        f'"file":"{file}","created":[],"modified":1,"token":1,"key":"a","metadata":{{}}}}\n',
        f'"file":"{file}","created":"x","modified":null,"key":{"[" * 5000},"metadata":{{}}}}\n',
        f'"file":"{file}","created":1.0,"modified":1.0,"token":"t\\"","key":"a","metadata":{{}}}}\n',
    ):
        body = rest.encode()
        (meta / sidecar_name("a")).write_bytes(b'{"crc":"%08x",' % zlib.crc32(body) + body)
        with FilesystemStore(root) as store:
            with suppress(CorruptValueError):
                store.get("a").close()
            store.verify()
            store.put("a", b"data", {})
            assert store.read("a") == b"data"
            assert [*store.verify()] == []


# -- damage ----------------------------------------------------------------------------------------

KINDS: dict[str, Any] = {
    "sqlite": lambda place: SqliteStore(place / "a.db", timeout=0.2),
    "filesystem": lambda place: FilesystemStore(place / "d", timeout=0.2),
    "hashdir": lambda place: HashdirStore(place / "d", timeout=0.2),
    "zip": lambda place: ZipStore(place / "a.zip", timeout=0.2),
}
CONTENT = {
    "a": (b"first " * 50, {"n": 1}),
    "b/c": (pattern(100_000), {"é": "x" * 300}),
    "d": (b"", {}),
    "e": (pattern(MIB), {"n": 2}),
}
DAMAGES = 60
LONG_DAMAGES = 3000


def _files(place: Path) -> dict[Path, bytes]:
    return {
        path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()
    }


def _put_back(place: Path, files: dict[Path, bytes]) -> None:
    for path in [path for path in place.rglob("*") if path.is_file()]:
        if path.relative_to(place) not in files:
            path.unlink()
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)


def _damaged(noise: random.Random, data: bytes) -> bytes:
    found = bytearray(data)
    match noise.randrange(4):
        case 0:
            return data[: noise.randrange(len(data))]
        case 1:
            at = noise.randrange(len(found))
            found[at : at + noise.randint(1, 300)] = bytes(noise.randint(1, 300))
        case 2:
            at = noise.randrange(len(found))
            found[at : at + 16] = noise.randbytes(16)
        case _:
            for _ in range(noise.randint(1, 3)):
                found[noise.randrange(len(found))] ^= 1 << noise.randrange(8)
    return bytes(found)


def _use(store: Store) -> None:
    """All that people do with a store; what it cannot do it refuses."""
    for look in (
        lambda: [*store],
        lambda: [*store.entries()],
        lambda: [*store.query(n=1)],
        lambda: len(store),
        lambda: store.totals(),
        lambda: store.verify(),
        lambda: store.put("a", b"new", {"n": 3}),
        lambda: store.put("new", pattern(100_000)),
        lambda: store.move("b/c", "f"),
        lambda: store.delete("e"),
        lambda: store.multiset({"x": b"1", "y": b"2"}),
    ):
        with suppress(EncoreError):
            look()
    for key in CONTENT:
        with suppress(EncoreError):
            assert type(store.read(key)) is bytes
        with suppress(EncoreError):
            value = store.get(key)
            value.close()
            assert type(value.metadata) is dict


def damage(kind: str, place: Path, rounds: int) -> None:
    noise = random.Random(f"{kind} {SEED}")
    print(f"ENCORE_SEED={SEED}")
    with KINDS[kind](place) as store:
        history = History(store) if kind != "zip" else None
        store.multiset(CONTENT)
        store.put("a", b"again", {"n": 1})
        store.delete("d")
        if history is not None:
            history.undo()
            history.close()
    files = _files(place)
    names = sorted(name for name, data in files.items() if data)
    for number in range(rounds):
        name = noise.choice(names)
        _put_back(place, {**files, name: _damaged(noise, files[name])})
        store = KINDS[kind](place)
        try:
            _use(store)
            if history is not None:
                with suppress(EncoreError), History(store) as again:
                    again.verify()
                    again.undo()
                    again.redo()
        except BaseException:
            print(f"round {number}: {name}")
            raise
        finally:
            with suppress(EncoreError):
                store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    damage(kind, tmp_path, DAMAGES)


@pytest.mark.stress
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    damage(kind, tmp_path, LONG_DAMAGES)


# -- bombs -----------------------------------------------------------------------------------------


def _peak_kib() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_an_archive_whose_entries_share_their_data(tmp_path: Path) -> None:
    """A zip bomb of overlapping entries (https://www.bamsoftware.com/hacks/zipbomb/): each value is
    read by itself, in constant memory; all of them together are no more than what is asked for."""
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    size = 64 * MIB
    data = b"".join([packed.compress(bytes(MIB)) for _ in range(size // MIB)] + [packed.flush()])
    crc = 0
    for _ in range(size // MIB):
        crc = zlib.crc32(bytes(MIB), crc)
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 33, crc, len(data), size, 1, 0) + b"a"
    central = b"".join(
        struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 33, crc, len(data), size,
            1, 0, 0, 0, 0, 0, 0,
        ) + b"a"
        for _ in range(1000)
    )  # fmt: skip
    end = struct.pack(
        "<4s4H2IH", b"PK\5\6", 0, 0, 1000, 1000, len(central), len(local) + len(data), 0
    )
    path = tmp_path / "bomb.zip"
    path.write_bytes(local + data + central + end)
    before = _peak_kib()
    with ZipStore(path, readonly=True) as store:
        assert [*store] == ["a"]
        assert store.totals() == (1, size)
        with store.get("a") as stream:
            assert sum(map(len, iter(lambda: stream.read(MIB), b""))) == size
    assert _peak_kib() - before < 48 * 1024


@pytest.mark.parametrize("wrap", [GzipStore, ZstdStore])
def test_a_bomb_in_a_bomb_is_opened_once(wrap: Any, tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "a.db") as base:
        inner, outer = wrap(base, max_bytes=MIB), wrap(wrap(base), max_bytes=MIB)
        wrap(wrap(base)).put("bomb", io.BytesIO(bytes(200 * MIB)))
        assert len(base.read("bomb")) < 100_000
        assert len(inner.read("bomb")) <= MIB
        with pytest.raises(CorruptValueError, match="max_bytes"):
            outer.read("bomb")
        with outer.get_data("bomb") as stream:
            assert stream.read(10) == bytes(10)
