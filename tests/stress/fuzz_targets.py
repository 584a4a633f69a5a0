"""Every parser of bytes that come from outside, each behind one function for a fuzzer to call.

A target takes any bytes at all. It returns if they were understood or refused as the documentation
says, by an `EncoreError`; whatever else it raises is a bug. Where a checksum stands before the text
the first byte says whether the target is to put the right one there, since a fuzzer does not guess
32 bits. ``test_hostile_parsers`` plays each target over examples and small changes of them,
``fuzz.py`` with atheris for as long as one likes.
"""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from base64 import b64decode
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from encore.config import StoreFactory, parse_address
from encore.errors import EncoreError, InvalidKeyError
from encore.history.journal import Journal as HistoryJournal
from encore.history.journal import Told
from encore.history.steps import State
from encore.keys.filenames import clash_name, decode_path, encode_key, marked_name
from encore.keys.maps import HashPrefix, Prefix, UrlEncoded
from encore.keys.rules import check_key
from encore.storage.backends.filesystem import records
from encore.storage.backends.filesystem.formats import read_format
from encore.storage.backends.filesystem.journal import read_list
from encore.storage.backends.filesystem.logfile import LogFile
from encore.storage.backends.filesystem.system import open_root
from encore.storage.backends.hashdir.writing import read_places
from encore.storage.backends.zip.archives import Archive
from encore.storage.backends.zip.changes import Log
from encore.storage.backends.zip.frames import FRAME, HEADER, MAGIC
from encore.storage.backends.zip.views import View
from encore.storage.metadata import (
    decode_metadata,
    encode_metadata,
    matches,
    merge_metadata,
    select_metadata,
)
from encore.storage.wrappers.passwords import PasswordHash
from encore.streams import Base64, Gzip, Zstd

#: More than any target may make of its input, in bytes, before it is to refuse.
MOST_BYTES = 1 << 20


class Room:
    """A directory for targets that read files, in memory where the system offers that."""

    @cached_property
    def path(self) -> Path:
        memory = Path("/dev/shm")
        self._keep = tempfile.TemporaryDirectory(
            prefix="encore-fuzz-", dir=memory if os.access(memory, os.W_OK) else None
        )
        return Path(self._keep.name)

    @cached_property
    def folder(self) -> Any:
        return open_root(os.fspath(self.path))

    def file(self, name: str, data: bytes) -> Path:
        path = self.path / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
        return path


ROOM = Room()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


# -- what stands in a directory --------------------------------------------------------------------


def commit_list(data: bytes) -> None:
    """``.encore/txn/ID.COMMIT``: carried out when the store is opened."""
    if data[:1] == b"+":
        data = data[1:] + b"%08x\n" % zlib.crc32(data[1:])
    acts = read_list(data)
    for act in acts or ():
        check_key(act.key)
        for name in (act.session, act.name):
            assert name not in (".", "..")
            assert "/" not in name
        if act.fields is not None:
            records.line_of(act.key, "1.2.3", act.fields)


class _Status:
    st_ino, st_mtime_ns, st_size = 7, 9, 5


_FILE = records.signature(_Status)  # type: ignore[arg-type]


def sidecar(data: bytes) -> None:
    """``.encore/meta/NAME.jsonl``: metadata beside a file."""
    lines = data
    if data[:1] == b"+":
        lines = b"".join(
            b'{"crc":"%08x",' % zlib.crc32(line) + line
            for line in data[1:].splitlines(keepends=True)
        )
    found: Any = _Status
    for read in (
        lambda: records.fitting(lines, _FILE),
        lambda: records.adopted(lines, found),
    ):
        with suppress(EncoreError):
            fields = read()
            if fields is None:
                continue
            with suppress(EncoreError):
                decode_metadata(fields.text)
            assert isinstance(fields.created, float), fields
            assert isinstance(fields.modified, float), fields
            assert isinstance(fields.token, str), fields
    records.in_place(lines, "key", found)  # writing goes on whatever was there
    records.judge(lines)


def format_file(data: bytes) -> None:
    """``.encore/format.json``."""
    (ROOM.path / ".encore").mkdir(exist_ok=True)
    ROOM.file(".encore/format.json", data)
    with suppress(EncoreError):
        read_format(ROOM.folder)


def hashdir_list(data: bytes) -> None:
    """``.encore/sessions/ID/list``: files that a dead writer may have left."""
    for place in read_places(data):
        check_key(place.key)
        assert place.version > 0


def history_log(data: bytes) -> None:
    """``.encore/history/log``."""
    if data[:1] == b"+":
        data = b"".join(
            b"%08x %b\n" % (zlib.crc32(line), line) for line in data[1:].split(b"\n") if line
        )
    ROOM.file("log", data)
    folder = ROOM.folder
    log = LogFile("log", lambda: folder, lambda: folder, False, lambda *_, **__: nullcontext())
    journal = HistoryJournal(log, lambda changed: True)
    try:
        told = journal.read(Told({}, {}, State()), None)
        for summary in () if told is None else told.steps.values():
            assert isinstance(summary.label, str)
            assert isinstance(summary.size, int)
    except EncoreError:
        pass
    finally:
        log.close()


# -- archives --------------------------------------------------------------------------------------


def _look(view: View) -> None:
    for key in [*view.keys("", None)][:20]:
        with suppress(EncoreError, FileNotFoundError):
            record = view.record(key)
            if record is None:
                continue
            with suppress(EncoreError):
                decode_metadata(record[1])
            content: Any = record[0]
            sum(map(len, content.chunks(0, min(content.size, MOST_BYTES), 65536)))
            if content.size <= MOST_BYTES:
                view.read(key)


def archive(data: bytes) -> None:
    """A zip archive of anybody's."""
    path = ROOM.file("a.zip", data)
    try:
        found = Archive(os.fspath(path))
    except EncoreError:
        return
    _look(View(found, None, os.fspath(ROOM.path / "none")))


def _frame(data: bytes) -> bytes:
    """A frame with a list and data, which are apart at the first NUL."""
    head, _, rest = data.partition(b"\0")
    return FRAME.pack(MAGIC, zlib.crc32(head + rest), len(head), len(rest)) + head + rest


_EMPTY_ARCHIVE = b"PK\5\6" + bytes(18)


def archive_changes(data: bytes) -> None:
    """``NAME.zip-encore/changes``: what is not in the archive yet."""
    if data[:1] == b"+":
        data = HEADER + b"".join(map(_frame, data[1:].split(b"\1")))
    path = ROOM.file("changes", data)
    try:
        log = Log(os.fspath(path), readonly=True)
    except EncoreError:
        return
    for name in log.files:
        assert name.startswith("data-")
        assert "/" not in name
    ROOM.file("empty.zip", _EMPTY_ARCHIVE)
    _look(View(Archive(os.fspath(ROOM.path / "empty.zip")), log, os.fspath(ROOM.path)))


# -- texts -----------------------------------------------------------------------------------------


def metadata(data: bytes) -> None:
    """Metadata as text, out of a database or a header, and any JSON given as metadata."""
    try:
        found = decode_metadata(_text(data))
    except EncoreError:
        return
    assert isinstance(found, dict)
    with suppress(TypeError):  # NaN, lone surrogates
        text = encode_metadata(found)
        assert encode_metadata(decode_metadata(text)) == text
        merge_metadata(text, {"a": 1})
        assert matches(found, decode_metadata(text))
        select_metadata(found, ["a"])


def address(data: bytes) -> None:
    """``sqlite:PATH`` and its kin; nothing is opened."""
    with suppress(EncoreError):
        found = parse_address(_text(data))
        assert str(found)
        assert found.place in ("", "file", "directory")
        if found.scheme.name == "service":
            found.open()


_SUFFIXES = ("json", "toml", "yaml")


def configuration(data: bytes) -> None:
    """A configuration, of the format that the first byte says; nothing is opened."""
    suffix = _SUFFIXES[data[0] % 3 if data else 0]
    path = ROOM.file(f"config.{suffix}", data[1:])
    with suppress(EncoreError):
        factory = StoreFactory(path, environ={})
        for name in [None, *factory.names][:5]:
            with suppress(EncoreError):
                json.dumps(factory.describe(name))


def keys(data: bytes) -> None:
    """Keys and the names of their files, both ways."""
    text = _text(data)
    for windows in (False, True):
        key = decode_path(text, windows=windows)
        if key is not None:
            check_key(key)
        with suppress(EncoreError):
            check_key(text)
            path = encode_key(text, windows=windows)
            names = path.split("/")
            assert not {"", ".", ".."} & {*names}, path
            assert names[0] != ".encore", path
            assert max(len(name.encode()) for name in names) <= 255, path
            assert decode_path(path, windows=windows) == text
            for form in (marked_name, clash_name):
                other = "/".join([*names[:-1], form(names[-1], windows=windows)])
                assert decode_path(other, windows=windows) == text, other
    with suppress(InvalidKeyError):  # a base has legal keys only
        check_key(text)
        for keymap in (Prefix("a/"), HashPrefix(2, ":"), UrlEncoded()):
            key = keymap.from_base(text)
            if key is not None:
                assert keymap.to_base(key) == text, (keymap, key)


_CODECS = (Gzip(), Base64(), Zstd())


def encoded_data(data: bytes) -> None:
    """Data that a codec is to decode."""
    codec = _CODECS[data[0] % 3 if data else 0]
    with suppress(EncoreError):
        assert len(codec.decode_bytes(data[1:], MOST_BYTES)) <= MOST_BYTES
    with suppress(EncoreError):
        size = 0
        for chunk in codec.decode(iter((data[1:4], data[4:]))):
            size += len(chunk)
            if size > MOST_BYTES:
                break


def password_hash(data: bytes) -> None:
    """A password as a configuration has it; refused by a ValueError without the text."""
    text = _text(data)
    said = ""
    try:
        PasswordHash.parse(text)
    except ValueError as error:
        said = str(error)
    assert len(text) < 8 or text not in said


# -- all of them -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """A parser, and inputs that lead into it."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


_LINE = (
    b'"file":"7.9.5","created":1.5,"modified":2.5,"token":"abc","key":"key","metadata":{"a":1}}\n'
)
_ACTS = (
    b'["a", ["{}", 1.0, 2.0, "t"], "S", "0"]\n["b", null, "", ""]\n',
    b'["a", ["{}", 1.0, 2.0, "t"], "../..", "passwd"]\n',
    b'["../../a", null, "", ""]\n',
)
_ROW = (
    b'[["a","{}",1,1.0,2.0,"t",0,3916222277,1,0],["b"],["c","{}",1,1.0,2.0,"t",0,1,1,["data-1",0]]]'
)
_STEP = (
    b'{"format":1}\n'
    b'{"put":[[1,1.0,"Set a","Set",null,{},null,1,0]],"state":[0,0,null,0],'
    b'"images":{"1":{"a":["t1",0,false]}},"changed":{"a":[null,"t1"]}}\n'
    b'{"put":[[2,1.0,"Set a","Set",null,{},null,1,2]],'
    b'"images":{"2":{"a":["t2",2,false,"k.0.9.2","{}",2,1.0,1.0,"t1"]}}}\n'
    b'{"called_off":true}\n'
)
_CONFIG = b'{"main": "a", "stores": {"a": {"type": "DictStore"}, "b": "gzip+memory:"}}'
_TOML = b'main = "a"\n[stores.a]\ntype = "PrefixStore"\nbase = "memory:"\nconfig = {prefix = "x"}\n'
_YAML = b"main: a\nstores:\n  a: {type: ReadonlyStore, base: b}\n  b: &x sqlite:${HOME:-a}.db\n"


def _zip_seeds() -> tuple[bytes, ...]:
    import io
    import zipfile

    found = [_EMPTY_ARCHIVE]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as made:
            made.writestr("a", b"x" * 40)
            made.writestr("d/", b"")
            made.writestr("../é", b"y")
        found.append(out.getvalue())
    from encore.storage.backends.zip import ZipStore

    path = ROOM.path / "ours.zip"
    with ZipStore(path) as store:
        store.put("a", b"data", {"n": 1})
        store.put("%=x", b"", {})
        store.put("long", b"1", {"n": "x" * 20000})
    found.append(path.read_bytes())
    path.unlink()
    return tuple(found)


#: Inputs that once broke a parser, in base64: an offset beyond 2**63, a number for a token, a
#: record without a token.
_FOUND = {
    "archive": (
        "sST/JCQkJCQkJCQkJCQkJCQkJCQBDCQkJAwMDAwkJCQkJJSUlJSUlJSUlJSUDAxQSwAAcRrEFgAAUEsG"
        "BwAAAACAASEAPgEAgAAAAABQSwUGAHh4////////AB5QSwETAAAA4wMAAA=="
    ),
    "commit_list": (
        "K1siYSIsWyIge30iLCAwLDAsIi0iXSwiIiwgIiJdClsiYSIsWyIge30iLCAwLCAwLDBdLCAiIiwgIiJd"
        "ClsiYSIsWyIg/////////wYsIiJdLCAiIiwgIiJd"
    ),
    "sidecar": (
        "KyJmaWxlIjoiNy45LjUiLCJjcmVhdGVkIjoxLjUsIm1vZGlmaWVkIjoyLjUsIjoiXCJ4Iiwia2V5Ijoi"
        "a2V5IiwibWV0YWRhdGEiOnsiYSI6MX19Cg=="
    ),
}


def targets() -> dict[str, Target]:
    """Every target by its name."""
    packed = [codec.encode_bytes(b"hello " * 20) for codec in _CODECS]
    commit = [b"+" + lines for lines in _ACTS]
    return {
        "commit_list": Target(commit_list, (*commit, _ACTS[0] + b"00000000\n")),
        "sidecar": Target(sidecar, (b"+" + _LINE, b"+" + _LINE.replace(b"abc", rb"\"x"), _LINE)),
        "format_file": Target(format_file, (b'{"format": 1, "windows": false}',)),
        "hashdir_list": Target(hashdir_list, (b"1f a/b\02 c\0", b"1f a")),
        "history_log": Target(history_log, (b"+" + _STEP, _STEP)),
        "archive": Target(archive, _zip_seeds()),
        "archive_changes": Target(
            archive_changes,
            (b"+" + _ROW + b"\0a", b"+" + _ROW.replace(b"data-1", b"../../x") + b"\0a", HEADER),
        ),
        "metadata": Target(metadata, (b'{"a":[1,2.5,null,{"b":"\\u00e9"}]}', b"{}", b"[" * 50)),
        "address": Target(
            address,
            (
                *(b"sqlite:a.db", b"gzip+dir:/tmp", b"zip:a.zip", b"https://u:p@h/?q=1"),
                *(b"s3://b/p", b"service:https://h:1/lab/a=1;b=2", b"service:http://[::1]/p/lab/_"),
            ),
        ),
        "configuration": Target(configuration, (b"\0" + _CONFIG, b"\1" + _TOML, b"\2" + _YAML)),
        "keys": Target(
            keys, (b"a/b.txt", b"../%=2F", b"%=~0123abcd", b"CON.txt", b"a%=@", b"x" * 300)
        ),
        "encoded_data": Target(
            encoded_data, tuple(bytes([n]) + data for n, data in enumerate(packed))
        ),
        "password_hash": Target(
            password_hash,
            (b"$scrypt$ln=14,r=8,p=5$c2FsdA$" + b"A" * 43, b"$scrypt$ln=0,r=0,p=0$a$" + b"A" * 43),
        ),
    }


TARGETS = {
    name: replace(target, seeds=(*target.seeds, b64decode(_FOUND.get(name, ""))))
    for name, target in targets().items()
}
