"""Damage is told, never passed on as data; and what is still good can be saved."""

from __future__ import annotations

import io
import random
import struct
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
    sidecar_of,
    state_of,
)

from encore.errors import CorruptValueError, StoreError, UnsupportedError
from encore.storage.api import DictStore
from encore.storage.backends.zip import Recovery, ZipStore
from encore.storage.backends.zip.changes import Log, create_log
from encore.storage.backends.zip.frames import Frame
from encore.testing.sources import MIB, pattern

CONTENT = {
    "a": (b"first " * 50, {"n": 1}),
    "b/c": (pattern(5000), {}),
    "é": (b"last", {"x": "y"}),
    "empty": (b"", {}),
}


@pytest.fixture
def path(directory: Path) -> Path:
    path = directory / "store.zip"
    with opened(path) as store:
        store.multiset(CONTENT)
    return path


def look(path: Path) -> dict[str, Any]:
    """Everything that can be read of an archive; None where that is refused."""
    found: dict[str, Any] = {}
    with opened(path, readonly=True) as store:
        for key in store:
            try:
                value = store.get(key)
                found[key] = (store.read(key), value.metadata)
                assert value.read() == b"".join(value.iterdata(999)) == found[key][0]
            except (CorruptValueError, UnsupportedError):
                found[key] = None
    return found


# -- the directory --------------------------------------------------------------------------------


def test_an_archive_that_was_cut_off_is_refused_with_advice(path: Path) -> None:
    data = path.read_bytes()
    for size in range(1, len(data), 37):
        path.write_bytes(data[:size])
        with pytest.raises(CorruptValueError, match=r"ZipStore\.recover"):
            opened(path).connect()
        assert path.read_bytes() == data[:size]
        assert not sidecar_of(path).exists()


def test_a_broken_directory_is_refused(path: Path) -> None:
    data = path.read_bytes()
    at = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    for place, new in (
        (at, b"XXXX"),  # a record that is none
        (at + 28, b"\xff\xff"),  # a name as long as the file
        (end + 10, b"\x63\0"),  # other entries than there are
        (end + 12, b"\xff\xff\xff\0"),  # longer than the file
        (end + 16, b"\xff\xff\xff\0"),  # behind its end
        (end, b"PK\5\7"),  # no end
    ):
        path.write_bytes(data[:place] + new + data[place + len(new) :])
        with pytest.raises(CorruptValueError):
            opened(path).connect()


def test_something_else_is_no_archive(directory: Path) -> None:
    path = directory / "a.zip"
    for data in (b"x", b"no archive at all" * 1000, b"PK\3\4", bytes(70000)):
        path.write_bytes(data)
        with pytest.raises(CorruptValueError, match="no zip archive"):
            opened(path).connect()


def test_flipped_bits_are_never_passed_on_as_data(path: Path) -> None:
    data = path.read_bytes()
    noise = random.Random(1)
    refused = 0
    for _ in range(400):
        flipped = bytearray(data)
        flipped[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
        path.write_bytes(flipped)
        try:
            found = look(path)
        except CorruptValueError:
            refused += 1
            continue
        for key, value in found.items():
            if value is not None and key in CONTENT:
                assert value[0] == CONTENT[key][0], key
        refused += None in found.values()
    assert refused > 100


def test_writing_leaves_damage_where_it_is(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in (0, data.index(pattern(5000)[:50])):
        data[at] ^= 0xFF
    path.write_bytes(data)
    with opened(path) as store:
        for key in ("a", "b/c"):
            with pytest.raises(CorruptValueError, match=key):
                store.read(key)
        store.put("new", b"new")
        store.compact()
    assert look(path) == CONTENT | {"a": None, "b/c": None, "new": (b"new", {})}
    with opened(path) as store:
        store.put("a", b"replaced")
        store.delete("b/c")
    assert check_archive(path) == {"a": b"replaced", "é": b"last", "empty": b"", "new": b"new"}


# -- data -----------------------------------------------------------------------------------------


def change_record(path: Path, offset: int, form: str, value: int) -> None:
    """Change a number in the first record of the directory."""
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, data.index(b"PK\1\2") + offset, value)
    path.write_bytes(data)


LIES = {"crc": (16, 1), "shorter": (24, -1), "longer": (24, 1), "packed": (20, -1)}


def read_all(stream: Any) -> int:
    """Read to the end, and return how much that was."""
    return sum(map(len, iter(lambda: stream.read(1000), b"")))


@pytest.mark.parametrize("size", [1000, MIB + 70000])
@pytest.mark.parametrize("method", [0, 8, 12, 14])
@pytest.mark.parametrize("lie", LIES)
def test_what_is_not_as_declared_is_refused_at_its_end(
    directory: Path, size: int, method: int, lie: str
) -> None:
    if (method, lie) == (zipfile.ZIP_LZMA, "packed"):
        pytest.skip("only the mark of the end is missing then, and the data is all there")
    path = directory / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a", random.Random(size).randbytes(size))
        info = archive.getinfo("a")
    offset, step = LIES[lie]
    now = {16: info.CRC, 20: info.compress_size, 24: info.file_size}[offset]
    change_record(path, offset, "<I", now + step)
    with opened(path) as store:
        value = store.get("a")
        for read in (
            lambda: store.read("a"),
            lambda: value.read(),
            lambda: [*value.iterdata(4096)],
            lambda: value.range().read(),
            lambda: read_all(store.get_data("a")),
        ):
            with pytest.raises(CorruptValueError):
                read()
        if (method, lie) != (zipfile.ZIP_STORED, "crc"):  # a range of it says nothing of the rest
            with pytest.raises(CorruptValueError):
                value.range(size - 10).read()
        value.close()


def test_no_more_comes_out_than_was_declared(directory: Path) -> None:
    path = directory / "bomb.zip"
    make_foreign(path, {"a": bytes(64 * MIB)})
    change_record(path, 24, "<I", 1000)
    with opened(path) as store:
        for read in (
            lambda: store.read("a"),
            lambda: store.get("a").read(),
            lambda: [*store.get("a").iterdata()],
            lambda: store.get_data("a").read(),
        ):
            with pytest.raises(CorruptValueError):
                read()
    change_record(path, 24, "<I", 0)
    with opened(path) as store:
        for read in (lambda: store.read("a"), lambda: [*store.get("a").iterdata()]):
            with pytest.raises(CorruptValueError):
                read()


def test_entries_that_overlap_are_not_copied_a_thousand_times(directory: Path) -> None:
    path = directory / "overlap.zip"
    make_foreign(path, {"a": pattern(50000)})
    data = path.read_bytes()
    at, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    record = data[at:end]
    many = b"".join(
        record[:28] + struct.pack("<H", 4) + record[30:46] + b"%04d" % number
        for number in range(1000)
    )
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1000, 1000, len(many), at, 0)
    path.write_bytes(data[:at] + many + tail)
    store = opened(path)
    assert len(store) == 1000
    with pytest.raises(CorruptValueError):
        store.read("0000")
    store.put("new", b"1")
    with pytest.raises(CorruptValueError, match="runs into the next"):
        store.close()
    assert path.stat().st_size < 200_000
    assert "new" in [*opened(path, readonly=True)]


def test_damaged_metadata_is_refused(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(b'{"n":1}', data.index(b"PK\1\2"))
    data[at + 5] = ord("2")
    path.write_bytes(data)
    with opened(path) as store:
        with pytest.raises(CorruptValueError, match="metadata"):
            store.get_metadata("a")
        assert store.read("a") == CONTENT["a"][0]


def test_a_damaged_side_car_is_refused_or_cut(path: Path) -> None:
    store = opened(path)
    for number in range(3):
        store.put(f"new{number}", b"x" * 100, {"n": number})
    log = sidecar_of(path) / "changes"
    data = log.read_bytes()
    states = []
    for size in range(len(data) + 1):
        log.write_bytes(data[:size])
        found = contents_of(path)
        states.append(len(found) - len(CONTENT))
        assert found.items() >= CONTENT.items()
    assert states == sorted(states)
    assert {*states} == {0, 1, 2, 3}
    log.write_bytes(b"something else " * 10)
    with pytest.raises(CorruptValueError, match="side-car"):
        opened(path, readonly=True).connect()
    log.write_bytes(data[:15] + b"\2" + data[16:])
    with pytest.raises(UnsupportedError, match="newer"):
        opened(path, readonly=True).connect()
    log.write_bytes(data)
    with opened(path) as again:
        assert len(again) == len(CONTENT) + 3
    store.close()


def test_a_damaged_commit_with_others_behind_it_is_left_for_people(directory: Path) -> None:
    def write(key: str) -> int:
        log = Log(path, readonly=False)
        frame = Frame()
        frame.add_data(key, ("{}", 4, 1.0, 2.0, "token"), (0, 0, 4), b"data")
        data = frame.encode()
        log.write(data, durable=False)
        log.accept(frame, len(data))
        assert key in log.changes
        return log.end

    path = str(directory / "changes")
    create_log(path)
    first = write("a")
    write("b")
    data = bytearray(Path(path).read_bytes())
    data[first - 1] ^= 1
    Path(path).write_bytes(data)
    damaged = bytes(data)
    for readonly in (True, False):
        with pytest.raises(CorruptValueError, match="damaged"):
            Log(path, readonly=readonly)
    assert Path(path).read_bytes() == damaged


def test_a_reader_tells_a_commit_from_the_torn_one_of_its_length(directory: Path) -> None:
    path = str(directory / "changes")
    create_log(path)
    log = Log(path, readonly=False)
    frames = []
    for key in ("a", "b"):
        frame = Frame()
        frame.add_data(key, ("{}", 4, 1.0, 2.0, "token"), (0, 0, 4), b"data")
        frames.append(frame.encode())
    log.write(frames[0], durable=False)
    with open(path, "r+b") as file:
        file.seek(-1, 2)
        file.write(b"?")  # the power failed before the last page was on the disk
    size = Path(path).stat().st_size
    reader = Log(path, readonly=True)
    assert reader.changes == {}
    assert reader.is_current(size)
    log.withdraw()
    log.write(frames[1], durable=False)
    assert Path(path).stat().st_size == size
    assert not reader.is_current(size)
    reader.catch_up()
    assert [*reader.changes] == ["b"]


# -- recovering -----------------------------------------------------------------------------------


def test_everything_can_be_saved_without_a_directory(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"PK\1\2")])
    target = path.parent / "saved.zip"
    assert ZipStore.recover(path, target) == Recovery(tuple(sorted(CONTENT)), (), ())
    assert contents_of(target) == CONTENT
    assert path.read_bytes() == data[: data.index(b"PK\1\2")]
    with pytest.raises(StoreError, match="exists"):
        ZipStore.recover(path, target)
    with pytest.raises(StoreError, match="cannot be opened"):
        ZipStore.recover(path.parent / "none.zip", path.parent / "new.zip")
    assert not (path.parent / "new.zip").exists()


def test_what_is_saved_keeps_its_times_and_goes_into_any_store(path: Path) -> None:
    with opened(path) as store:
        before = {key: (v.created, v.modified, v.token) for key, v in store.items()}
    path.write_bytes(path.read_bytes()[:-1])
    target = DictStore()
    assert ZipStore.recover(path, target).saved == tuple(sorted(CONTENT))
    assert state_of(target) == CONTENT
    assert {key: (v.created, v.modified, v.token) for key, v in target.items()} == before


def test_what_is_damaged_is_named_as_lost(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(pattern(5000)[:50]) + 10] ^= 1
    path.write_bytes(data[:-30])
    target = DictStore()
    result = ZipStore.recover(path, target)
    assert result == Recovery(("a", "empty", "é"), (), ("b/c",))
    assert state_of(target) == {key: CONTENT[key] for key in result.saved}


def test_wherever_it_was_cut_off_what_is_before_is_saved(path: Path) -> None:
    data = path.read_bytes()
    counts = []
    for size in range(0, len(data), 61):
        path.write_bytes(data[:size])
        target = DictStore()
        saved = ZipStore.recover(path, target).saved
        counts.append(len(saved))
        assert state_of(target) == {key: CONTENT[key] for key in saved}
    assert counts == sorted(counts)
    assert counts[-1] == len(CONTENT)


def test_what_waits_beside_the_archive_is_saved_too(path: Path) -> None:
    store = opened(path)
    store.put("a", b"newer", {"newer": True})
    store.put("new", pattern(100000))
    store.set_metadata("é", {"z": 1})
    store.delete("empty")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"PK\1\2")])
    target = DictStore()
    ZipStore.recover(path, target)
    assert state_of(target) == {
        "a": (b"newer", {"newer": True}),
        "b/c": CONTENT["b/c"],
        "new": (pattern(100000), {}),
        "é": (b"last", {"z": 1}),
    }
    path.write_bytes(data)
    store.close()


def test_metadata_that_is_kept_apart_is_saved(directory: Path) -> None:
    path = directory / "a.zip"
    with opened(path) as store:
        store.put("a", b"1", {"long": "x" * 100000})
        store.put("odd/", b"2")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"PK\1\2")])
    target = DictStore()
    assert ZipStore.recover(path, target).saved == ("a", "odd/")
    assert target.get_metadata("a") == {"long": "x" * 100000}


def test_data_whose_metadata_is_damaged_is_saved_without(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b'{"n":1}') + 5] = ord("2")
    path.write_bytes(data[: data.index(b"PK\1\2")])
    target = DictStore()
    assert ZipStore.recover(path, target) == Recovery(tuple(sorted(CONTENT)), ("a",), ())
    assert state_of(target) == CONTENT | {"a": (CONTENT["a"][0], {})}


@pytest.mark.parametrize("method", [0, 8])
def test_entries_whose_size_stands_behind_them_are_saved(directory: Path, method: int) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_arguments: Any) -> int:
            raise OSError

        def tell(self) -> int:
            raise OSError

    pipe = Pipe()
    contents = {"a": pattern(100000), "b": b"PK\7\x08" * 100, "c": b"x" * 100000}
    with zipfile.ZipFile(pipe, "w", method) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    whole = pipe.getvalue()
    path = directory / "a.zip"
    path.write_bytes(whole[: whole.index(b"PK\1\2")])
    target = DictStore()
    assert ZipStore.recover(path, target) == Recovery(("a", "b", "c"), (), ())
    assert {key: data for key, (data, _) in state_of(target).items()} == contents


def test_an_archive_inside_is_one_value(directory: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("inside", b"1")
    path = directory / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
        archive.writestr("d/", b"")
    target = DictStore()
    assert ZipStore.recover(path, target).saved == ("inner.zip",)
    assert target.read("inner.zip") == inner.getvalue()


def test_what_zip_itself_repairs_is_no_more(path: Path) -> None:
    zip_program = program("zip")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"PK\1\2") + 20])
    fixed = path.parent / "fixed.zip"
    zip_program("-q", "-FF", path, "--out", fixed, cwd=path.parent)
    target = DictStore()
    saved = ZipStore.recover(path, target).saved
    with zipfile.ZipFile(fixed) as archive:
        assert len(archive.namelist()) <= len(saved) == len(CONTENT)
