"""Laws of `HashingReader`, `RangeReader` and `hash_chunks`."""

from __future__ import annotations

import gc
import hashlib
import io
import zipfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_sources import Broken, Generated, Trickle, peak_bytes
from test_buffer_iterator_io import check_step

from encore.streams import HashingReader, RangeReader, hash_chunks

MIB = 1 << 20
DATA = st.text("ab\n", max_size=80).map(str.encode)
SIZES = st.lists(st.integers(1, 9), max_size=4)
VERBS = ["read", "read1", "readinto", "readline"]
STEPS = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(-1, 20)), max_size=12)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# HashingReader


@settings(deadline=None)
@given(DATA, SIZES, st.booleans(), STEPS)
def test_hash_and_size_are_of_the_bytes_handed_out(
    data: bytes, sizes: list[int], is_file: bool, steps: list[tuple[str, int]]
) -> None:
    source: Any = io.BytesIO(data) if is_file else Trickle(data, sizes)
    reader = HashingReader(source)
    for verb, size in steps:
        check_step(reader, verb, size, data)
        assert reader.hexdigest() == sha256(data[: reader.size])
        assert (source.tell() if is_file else source.position) == reader.size
    reader.read()
    assert reader.hexdigest() == sha256(data)
    assert reader.digest() == hashlib.sha256(data).digest()
    assert reader.size == len(data)


def test_the_algorithm_is_any_that_hashlib_knows() -> None:
    reader = HashingReader(io.BytesIO(b"abc"), "md5")
    reader.read()
    assert reader.hexdigest() == hashlib.md5(b"abc").hexdigest()
    assert reader.algorithm == "md5"
    with pytest.raises(ValueError, match="nonsense"):
        HashingReader(io.BytesIO(b"abc"), "nonsense")


def test_hashing_a_long_stream_takes_a_chunk_or_two_of_memory() -> None:
    reader = HashingReader(Generated(32))

    def read() -> None:
        while reader.read(MIB):
            pass

    assert peak_bytes(read) < 3 * MIB


def test_bytes_lost_to_an_error_are_not_hashed() -> None:
    reader = HashingReader(Trickle(b"abc", [1], broken=True))
    assert reader.read(2) == b"ab"
    with pytest.raises(Broken):
        reader.read(5)
    assert (reader.size, reader.hexdigest()) == (2, sha256(b"ab"))


def test_text_cannot_be_hashed() -> None:
    for verb in VERBS:
        with pytest.raises(TypeError, match="text where bytes belong"):
            check_step(HashingReader(io.StringIO("abc")), verb, 3, b"")  # type: ignore[arg-type]


def test_hash_chunks_passes_the_chunks_on() -> None:
    chunks, seen = [b"ab", b"", b"c"], hashlib.sha256()
    assert list(hash_chunks(chunks, seen)) == chunks
    assert seen.hexdigest() == sha256(b"abc")


# RangeReader


def source_of(data: bytes, sizes: list[int], seekable: bool) -> Any:
    return io.BytesIO(data) if seekable else Trickle(data, sizes)


@settings(deadline=None)
@given(DATA, SIZES, st.booleans(), st.integers(0, 90), st.none() | st.integers(0, 90), STEPS)
def test_a_range_reads_as_the_slice(
    data: bytes,
    sizes: list[int],
    seekable: bool,
    start: int,
    length: int | None,
    steps: list[tuple[str, int]],
) -> None:
    end = None if length is None else start + length
    part = data[start:end]
    reader = RangeReader(source_of(data, sizes, seekable), start, end)
    for verb, size in steps:
        check_step(reader, verb, size, part)
    position = reader.tell()
    assert reader.read() == part[position:]
    assert reader.read(1) == b""
    assert reader.tell() == len(part)


@settings(deadline=None)
@given(
    st.binary(max_size=40),
    st.integers(0, 50),
    st.none() | st.integers(0, 50),
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 2), st.integers(0, 20))),
)
def test_a_range_of_a_seekable_source_seeks_as_the_slice_does(
    data: bytes, start: int, length: int | None, steps: list[tuple[int, int, int]]
) -> None:
    end = None if length is None else start + length
    reader = RangeReader(io.BytesIO(data), start, end)
    model = io.BytesIO(data[start:end])
    for offset, whence, size in steps:
        assert reader.seek(offset, whence) == model.seek(offset, whence)
        assert reader.read(size) == model.read(size)
        assert reader.tell() == model.tell()


def test_a_range_cannot_be_left_by_seeking() -> None:
    reader = RangeReader(io.BytesIO(b"abcdef"), 2, 4)
    with pytest.raises(ValueError, match="before the beginning"):
        reader.seek(-3, io.SEEK_END)
    reader.seek(10)
    assert reader.read() == b""


def test_ranges_may_share_one_file() -> None:
    source = io.BytesIO(bytes(100_000) + b"abc" * 100_000)
    first, second = RangeReader(source, 0, 100_000), RangeReader(source, 100_000)
    for _ in range(10):
        assert first.read(10_000) == bytes(10_000)
        assert second.read(30_000) == b"abc" * 10_000


def test_a_plain_stream_is_read_no_further_than_the_range() -> None:
    source = Trickle(bytes(100_000))
    reader = RangeReader(source, 10, 1000)
    assert source.position == 0
    assert len(reader.read()) == 990
    assert source.position == 1000
    assert not reader.seekable()
    with pytest.raises(io.UnsupportedOperation):
        reader.seek(0)


def test_skipping_takes_a_chunk_or_two_of_memory() -> None:
    reader = RangeReader(Generated(32), 31 * MIB)
    assert peak_bytes(lambda: reader.read(10)) < 3 * MIB


def test_a_broken_source_breaks_its_range_again_and_again() -> None:
    reader = RangeReader(Trickle(b"abcdef", broken=True), 2, 10)
    assert reader.read(4) == b"cdef"
    for _ in range(2):
        with pytest.raises(Broken):
            reader.read(1)


def test_an_archive_can_be_read_through_a_range() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writing:
        writing.writestr("a", "inside")
    source = io.BytesIO(b"before" + archive.getvalue() + b"after")
    end = 6 + len(archive.getvalue())
    with zipfile.ZipFile(RangeReader(source, 6, end)) as reading:
        assert reading.read("a") == b"inside"


@pytest.mark.parametrize("limits", [(-1, None), (3, 2)])
def test_ranges_that_make_no_sense_are_refused(limits: tuple[int, int | None]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        RangeReader(io.BytesIO(), *limits)


# Both


MAKERS = [HashingReader, lambda source, **options: RangeReader(source, 1, **options)]


@pytest.mark.parametrize("make", MAKERS)
def test_the_source_is_closed_only_if_asked(make: Any) -> None:
    for close_source in (False, True):
        source = Trickle(b"abc")
        with make(source, close_source=close_source) as reader:
            reader.read(1)
        assert source.closed is close_source
        reader.close()


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("verb", VERBS)
def test_closed_readers_refuse(make: Any, verb: str) -> None:
    reader = make(io.BytesIO(b"abc"))
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        getattr(reader, verb)(*([bytearray(1)] if verb == "readinto" else []))


@pytest.mark.parametrize("make", MAKERS)
def test_they_are_real_streams(make: Any) -> None:
    reader = make(io.BytesIO("xé\nb".encode()))
    assert isinstance(reader, io.BufferedIOBase)
    assert reader.readable()
    assert not reader.writable()
    assert len(list(io.TextIOWrapper(reader, "utf-8"))) == 2


@pytest.mark.parametrize("make", MAKERS)
def test_what_cannot_be_read_is_refused(make: Any) -> None:
    with pytest.raises(TypeError, match="got bytes"):
        make(b"abc")


class Reluctant(Trickle):
    def seekable(self) -> bool:
        raise Broken


def test_a_reader_that_could_not_be_made_leaves_the_source_open() -> None:
    source = Reluctant(b"abc")
    with pytest.raises(Broken):
        RangeReader(source, 1, close_source=True)
    with pytest.raises(ValueError, match="nonsense"):
        HashingReader(source, "nonsense", close_source=True)
    gc.collect()
    assert not source.closed
