"""Other programs read our archives, and we read theirs."""

from __future__ import annotations

import io
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from zip_tools import (
    check_archive,
    contents_of,
    make_foreign,
    opened,
    program,
    raw_entries,
    sidecar_of,
    state_of,
)

from encore.errors import ReadOnlyError, StoreError, UnsupportedError
from encore.testing.sources import MIB, Trickle, pattern

CONTENT = {
    "notes.txt": (b"some text, some text, some text", {"kind": "text"}),
    "a/b/c.bin": (pattern(200000), {}),
    "empty": (b"", {"empty": True}),
    "déjà vu": ("naïve".encode(), {"ü": "ö"}),
    "large": (pattern(3 * MIB), {"n": [1, 2.5, None]}),
    "zeros": (bytes(2 * MIB), {}),
}

ODD_KEYS = (
    "dir/", "/", "//", "a", "a/b", "a/", "../evil", "..", ".", "/etc/passwd", "C:\\x", "a\\b",
    "\\", "x//y", "%=", "a/%=", "%=25=", ".encore/metadata-1", ".encore", "nl\nnl", "\x01\x7f",
    " ", "CON", "trailing.", "é", "e\u0301", "\U0001f600", "*?<>|", "k" * 1024, "é" * 512, "en",
    "-", "~", "a.zip",
)  # fmt: skip


@pytest.fixture
def path(directory: Path) -> Path:
    return directory / "store.zip"


@pytest.mark.parametrize("compression", ["deflated", "stored"])
def test_zipfile_reads_what_we_write(path: Path, compression: str) -> None:
    with opened(path, compression) as store:
        store.multiset(CONTENT)
        store.put("streamed", Trickle(pattern(2 * MIB + 1)))
    found = check_archive(path)
    assert found == {key: data for key, (data, _) in CONTENT.items()} | {
        "streamed": pattern(2 * MIB + 1)
    }
    with zipfile.ZipFile(path) as archive:
        methods = {info.filename: info.compress_type for info in archive.infolist()}
        assert methods["zeros"] == (0 if compression == "stored" else zipfile.ZIP_DEFLATED)
        assert methods["empty"] == 0
        for info in archive.infolist():
            assert abs(time.mktime((*info.date_time, 0, 0, -1)) - time.time()) < 600
    assert contents_of(path) == CONTENT | {"streamed": (pattern(2 * MIB + 1), {})}
    assert [entry.name for entry in path.parent.iterdir()] == ["store.zip"]


@pytest.mark.parametrize("compression", ["deflated", "stored"])
def test_unzip_finds_no_fault_with_what_we_write(path: Path, compression: str) -> None:
    unzip = program("unzip")
    with opened(path, compression) as store:
        store.multiset(CONTENT)
        store.multiset({key: key.encode() for key in ODD_KEYS})
        store.put("long", b"x", {"text": "y" * 100000})
        store.delete("notes.txt")
    done = unzip("-t", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No errors detected" in done.stdout
    assert "warning" not in done.stdout + done.stderr
    target = path.parent / "out"
    assert unzip("-q", "-n", path, "déjà vu", "a/b/c.bin", "-d", target).returncode == 0
    assert (target / "a" / "b" / "c.bin").read_bytes() == pattern(200000)


def test_unpacking_leads_out_of_no_directory(path: Path) -> None:
    with opened(path) as store:
        store.multiset({key: key.encode() for key in ODD_KEYS})
    for name in check_archive(path):
        parts = name.split("/")
        assert not {"", ".", ".."} & {*parts}, name
        assert "\\" not in name


def test_every_legal_key_comes_back(path: Path) -> None:
    with opened(path) as store:
        for key in ODD_KEYS:
            store.put(key, key.encode(), {"key": key})
        before = state_of(store)
    assert before == {key: (key.encode(), {"key": key}) for key in ODD_KEYS}
    assert contents_of(path) == before
    with opened(path) as store:
        store.delete("dir/")
        store.move("../evil", "good")
    assert contents_of(path).keys() == (before.keys() | {"good"}) - {"dir/", "../evil"}
    check_archive(path)


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_we_read_what_zipfile_writes(path: Path, method: int) -> None:
    data = {"a": pattern(300000), "b/c": b"x" * MIB, "empty": b"", "é": b"1"}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in data.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 2, 3, 4, 5, 6)), content, method)
    before = path.read_bytes()
    with opened(path) as store:
        assert state_of(store) == {key: (content, {}) for key, content in data.items()}
        value = store.get("a")
        assert value.created == value.modified == time.mktime((2020, 2, 3, 4, 5, 6, 0, 0, -1))
        assert value.token
        with value.range(100000, 100100) as part:
            assert part.read() == data["a"][100000:100100]
        with store.get_data("a") as stream:
            assert stream.read(70000) + stream.read() == data["a"]
    assert path.read_bytes() == before
    with opened(path) as store:
        store.set_metadata("a", {"now": "with metadata"})
        store.put("new", b"new")
    expected = {**data, "new": b"new"}
    assert check_archive(path) == expected
    found = contents_of(path)
    assert found["a"] == (data["a"], {"now": "with metadata"})
    assert {key: content for key, (content, _) in found.items()} == expected


def test_we_read_what_zip_writes_and_it_changes_what_we_wrote(path: Path) -> None:
    zip_program, unzip = program("zip"), program("unzip")
    root = path.parent / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "file.txt").write_bytes(b"hello " * 1000)
    (root / "ünï").write_bytes(pattern(70000))
    assert zip_program("-q", "-r", path, ".", cwd=root).returncode == 0
    assert contents_of(path) == {
        "sub/file.txt": (b"hello " * 1000, {}),
        "ünï": (pattern(70000), {}),
    }
    with opened(path) as store:
        assert store.get("sub/file.txt").modified == pytest.approx(
            (root / "sub" / "file.txt").stat().st_mtime, abs=1.0
        )
        store.put("ours", b"ours", {"ours": 1})
        store.update_metadata("sub/file.txt", {"title": "a file"})
    assert unzip("-tq", path).returncode == 0
    (root / "sub" / "file.txt").write_bytes(b"changed")
    assert zip_program("-q", path, "sub/file.txt", cwd=root).returncode == 0
    assert zip_program("-q", "-d", path, "ünï").returncode == 0
    assert contents_of(path) == {"ours": (b"ours", {"ours": 1}), "sub/file.txt": (b"changed", {})}
    with opened(path) as store:
        store.put("more", b"more")
    assert unzip("-tq", path).returncode == 0


def test_entries_of_zip_on_a_pipe_have_their_sizes_behind_them(path: Path) -> None:
    """Data descriptors: the header says nothing about the data."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.data += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"first " * 100)
        with archive.open("b", "w", force_zip64=True) as entry:
            entry.write(pattern(100000))
        archive.writestr("c", b"last", zipfile.ZIP_STORED)
    path.write_bytes(pipe.data)
    wanted = {"a": b"first " * 100, "b": pattern(100000), "c": b"last"}
    assert contents_of(path) == {key: (data, {}) for key, data in wanted.items()}
    raw = raw_entries(path)
    with opened(path) as store:
        store.delete("a")
        store.set_metadata("c", {"c": 1})
    assert check_archive(path) == {key: wanted[key] for key in "bc"}
    assert raw_entries(path) == {key: raw[key] for key in "bc"}


def test_of_entries_with_one_name_the_last_counts_and_the_others_go(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3):
            archive.writestr(f"twic{number}", f"version {number}")
            archive.writestr(f"other {number}", pattern(1000))
    data = path.read_bytes()
    for number in range(3):
        data = data.replace(b"twic%d" % number, b"twice")
    path.write_bytes(data)
    with opened(path) as store:
        assert list(store) == ["other 0", "other 1", "other 2", "twice"]
        assert store.read("twice") == b"version 2"
        size = path.stat().st_size
        store.put("new", b"")
    assert len(check_archive(path)) == 5
    assert b"version 0" not in path.read_bytes()
    assert path.stat().st_size < size + 200


def test_directories_are_no_keys_unless_they_hold_data(path: Path) -> None:
    make_foreign(path, {"d/": b"", "d/file": b"1", "odd/": b"data in a directory"})
    with opened(path) as store:
        assert state_of(store) == {
            "d/file": (b"1", {}),
            "odd/": (b"data in a directory", {}),
        }
        store.put("new", b"")
        store.put("odd/", b"ours")
    names = list(check_archive(path))
    assert names[:2] == ["d/", "d/file"]
    assert contents_of(path)["odd/"] == (b"ours", {})


def test_names_in_an_old_code_page_are_read_as_zipfile_reads_them(path: Path) -> None:
    make_foreign(path, {"x?x": b"old"})
    data = path.read_bytes().replace(b"x?x", b"x\x81x")
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
    assert name == "xüx"
    assert contents_of(path) == {name: (b"old", {})}
    with opened(path) as store:
        store.put("y", b"")
        store.put("x\x81x", b"another key")
    assert contents_of(path) == {
        name: (b"old", {}),
        "y": (b"", {}),
        "x\x81x": (b"another key", {}),
    }


def test_a_name_that_another_program_gave_is_not_given_twice(path: Path) -> None:
    make_foreign(path, {"%=": b"1", "x/%=/y": b"2", "a%=25=": b"3", "fine": b"4"})
    ours = {"x//y": b"5", "a%=": b"6", "%=25=": b"7"}
    with opened(path) as store:
        assert list(store) == ["%=", "a%=25=", "fine", "x/%=/y"]
        store.multiset(ours)
    check_archive(path)
    found = {key: data for key, (data, _) in contents_of(path).items()}
    assert found == {"%=": b"1", "x/%=/y": b"2", "a%=25=": b"3", "fine": b"4", **ours}


def test_what_stands_before_the_archive_stays_there(path: Path) -> None:
    make_foreign(path, {"__main__.py": b"print('hello')", "x": b"1"})
    path.write_bytes(b"#!/usr/bin/env python3\n" + path.read_bytes())
    with opened(path) as store:
        assert store.read("x") == b"1"
        store.put("y", b"2")
    assert path.read_bytes().startswith(b"#!/usr/bin/env python3\n")
    assert check_archive(path) == {"__main__.py": b"print('hello')", "x": b"1", "y": b"2"}
    with opened(path) as store:
        store.delete("x")
    assert path.read_bytes().startswith(b"#!/usr/bin/env python3\nPK")
    assert check_archive(path) == {"__main__.py": b"print('hello')", "y": b"2"}


def test_the_comments_of_archive_and_entries_stay(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("a")
        info.comment = b"of the entry"
        archive.writestr(info, b"1")
        archive.comment = b"of the archive"
    with opened(path) as store:
        store.put("b", b"2")
    with zipfile.ZipFile(path) as archive:
        assert archive.comment == b"of the archive"
        assert archive.getinfo("a").comment == b"of the entry"


def test_a_comment_may_look_like_the_end_of_an_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"1")
        archive.comment = b"PK\5\6" + b"and so on" * 10
    assert contents_of(path) == {"a": (b"1", {})}


def encrypt(path: Path) -> None:
    """Say of all entries that they are encrypted."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        for info in archive.infolist():
            data[info.header_offset + 6] |= 1
        at = archive.start_dir
        for info in archive.infolist():
            data[at + 8] |= 1
            at += 46 + len(info.filename) + len(info.extra)
    path.write_bytes(data)


def test_encrypted_entries_are_listed_and_not_read(path: Path) -> None:
    make_foreign(path, {"secret": b"x" * 100})
    encrypt(path)
    raw = raw_entries(path)
    with opened(path) as store:
        assert list(store) == ["secret"]
        assert store.get("secret").size == 100
        for read in (
            store.read,
            lambda key: store.get(key).read(),
            lambda key: store.get_data(key).read(),
            lambda key: store.set_metadata(key, {}),
            lambda key: store.copy(key, "copy"),
        ):
            with pytest.raises(UnsupportedError, match="encrypted"):
                read("secret")
        store.put("open", b"1")
    assert raw_entries(path)["secret"] == raw["secret"]
    with zipfile.ZipFile(path) as archive, pytest.raises(RuntimeError, match="encrypted"):
        archive.read("secret")
    with opened(path) as store:
        store.put("secret", b"replaced")
    assert check_archive(path) == {"open": b"1", "secret": b"replaced"}


def test_a_method_that_nobody_knows_is_named(path: Path) -> None:
    make_foreign(path, {"a": b"x" * 100})
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, data.find(b"PK\1\2") + 10, 9)
    struct.pack_into("<H", data, 8, 9)
    path.write_bytes(data)
    with opened(path) as store:
        with pytest.raises(UnsupportedError, match="deflate64"):
            store.read("a")
        assert store.get_metadata("a") == {}
        store.set_metadata("a", {"kept": "as it is"})
    assert contents_of_metadata(path) == {"a": {"kept": "as it is"}}


def contents_of_metadata(path: Path) -> dict[str, Any]:
    with opened(path, readonly=True) as store:
        return dict(store.query())


def test_data_that_another_program_replaced_keeps_its_metadata_with_new_times(path: Path) -> None:
    with opened(path) as store:
        store.put("a", b"old", {"title": "A"})
        store.put("b", b"same", {"title": "B"})
        before = {key: store.get(key).token for key in "ab"}
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        data = {info.filename: archive.read(info) for info in infos}
    with zipfile.ZipFile(path, "w") as archive:
        for info in infos:  # with their extra fields
            archive.writestr(info, b"new" if info.filename == "a" else data[info.filename])
    with opened(path, readonly=True) as store:
        assert state_of(store) == {"a": (b"new", {"title": "A"}), "b": (b"same", {"title": "B"})}
        assert store.get("a").token != before["a"]
        assert store.get("b").token == before["b"]


def test_times_and_tokens_survive(path: Path) -> None:
    with opened(path) as store:
        store.multiset(CONTENT)
        before = {key: (v.created, v.modified, v.token) for key, v in store.items()}
        store.compact()
    with opened(path) as store:
        assert {key: (v.created, v.modified, v.token) for key, v in store.items()} == before


@pytest.mark.parametrize("modified", [-1e10, 0.0, 1e9 + 0.25, 4e9, 5e11])
def test_any_time_can_be_kept(path: Path, modified: float) -> None:
    from encore.storage.values import Value

    with opened(path) as store:
        value = Value(b"1", created=modified - 1, modified=modified)
        store.import_values([("a", value)])
    with opened(path) as store:
        assert (store.get("a").created, store.get("a").modified) == (modified - 1, modified)
    check_archive(path)


def test_metadata_of_any_length_is_kept(path: Path) -> None:
    long = {"text": "ü" * 200000}
    with opened(path) as store:
        store.put("a", b"1", long)
        store.put("b", b"2", {"text": "x" * 64990})
        store.put("c", b"3", {"small": 1})
    assert contents_of(path) == {
        "a": (b"1", long),
        "b": (b"2", {"text": "x" * 64990}),
        "c": (b"3", {"small": 1}),
    }
    apart = [name for name in check_archive(path) if name.startswith(".encore/")]
    assert len(apart) == 2
    with opened(path) as store:
        store.put(apart[0], b"a key of the same name")
        store.set_metadata("b", {})
    assert contents_of(path) == {
        "a": (b"1", long),
        "b": (b"2", {}),
        "c": (b"3", {"small": 1}),
        apart[0]: (b"a key of the same name", {}),
    }
    with opened(path) as store:
        store.delete("a")
    assert len(check_archive(path)) == 3


def test_an_empty_file_is_an_empty_archive(path: Path) -> None:
    path.touch()
    with opened(path) as store:
        assert list(store) == []
        store.put("a", b"1")
    assert check_archive(path) == {"a": b"1"}


def test_opening_makes_an_archive_that_others_can_read(path: Path) -> None:
    with opened(path.parent / "new" / "sub" / "a.zip") as store:
        assert list(store) == []
    assert check_archive(path.parent / "new" / "sub" / "a.zip") == {}


def test_what_cannot_be_an_archive_is_refused(directory: Path) -> None:
    with pytest.raises(StoreError, match="directory"):
        opened(directory).connect()
    with pytest.raises(StoreError, match="does not exist"):
        opened(directory / "none.zip", readonly=True).connect()
    with pytest.raises(ValueError, match="compression"):
        opened(directory / "a.zip", "brotli")
    with pytest.raises(ValueError, match="durability"):
        opened(directory / "a.zip", durability="hope")


def test_a_file_that_may_not_be_written_is_read_only(path: Path) -> None:
    import os

    make_foreign(path, {"a": b"1"})
    path.chmod(0o444)
    if os.access(path, os.W_OK):
        pytest.skip("this user may write everything")
    with opened(path) as store:
        assert store.info()["readonly"]
        with pytest.raises(ReadOnlyError):
            store.put("b", b"2")
    assert not sidecar_of(path).exists()
