"""Laws of `BufferIteratorIO`."""

from __future__ import annotations

import gc
import io
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_sources import Broken, Generated, count_calls, peak_bytes

from encore.streams import BufferIteratorIO, buffer_iterator

CHUNKS = st.lists(st.text("ab\n", max_size=12).map(str.encode), max_size=8)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["read", "read1", "readinto", "readline", "peek"]), st.integers(-1, 20)
    ),
    max_size=12,
)
MIB = 1 << 20


def line_at(data: bytes, position: int) -> bytes:
    return data[position : (data.find(b"\n", position) + 1) or len(data)]


def check_step(reader: Any, verb: str, size: int, data: bytes) -> None:
    """Take one step and compare what comes with the slice of the whole that it should be."""
    start = reader.tell()
    rest = data[start:]
    if verb == "read":
        assert reader.read(size) == (rest if size < 0 else rest[:size])
    elif verb == "readline":
        line = line_at(data, start)
        assert reader.readline(size) == (line if size < 0 else line[:size])
    elif verb == "readinto":
        target = bytearray(max(size, 0))
        count = reader.readinto(target)
        assert count == min(len(target), len(rest))
        assert target[:count] == rest[:count]
    elif verb == "peek":
        seen = reader.peek()
        assert rest.startswith(seen)
        assert bool(seen) == bool(rest)
        assert reader.tell() == start
    else:
        got = reader.read1(size)
        assert rest.startswith(got)
        assert len(got) <= size or size < 0
        assert bool(got) == (bool(rest) and size != 0)


@settings(deadline=None)
@given(CHUNKS, st.sampled_from([bytes, bytearray, memoryview]), STEPS)
def test_any_chunking_and_any_reads_give_the_slices_of_the_whole(
    chunks: list[bytes], kind: Any, steps: list[tuple[str, int]]
) -> None:
    data = b"".join(chunks)
    with BufferIteratorIO(kind(chunk) for chunk in chunks) as reader:
        for verb, size in steps:
            check_step(reader, verb, size, data)
        start = reader.tell()
        assert reader.read() == data[start:]
        assert reader.read() == b""
        assert reader.tell() == len(data)


@settings(deadline=None)
@given(CHUNKS, STEPS)
def test_a_broken_source_never_looks_like_a_short_one(
    chunks: list[bytes], steps: list[tuple[str, int]]
) -> None:
    def source() -> Iterator[bytes]:
        yield from chunks
        raise Broken

    data = b"".join(chunks)
    reader = BufferIteratorIO(source())
    for verb, size in steps:
        start = reader.tell()
        try:
            # A whole with one more byte: a read that stops at the break would miss it.
            if verb == "read1" or verb == "peek":
                assert data[start:].startswith(got := getattr(reader, verb)(size))
                assert got or (size == 0 and verb == "read1")
            else:
                check_step(reader, verb, size, data + b"!")
        except Broken:
            break
    with pytest.raises(Broken):
        reader.read()
    for _ in range(3):
        with pytest.raises(Broken):
            reader.read(1)


def test_lines_are_those_of_any_file() -> None:
    chunks = [b"one\ntw", b"", b"o\n", b"\nthr", b"ee"]
    assert list(BufferIteratorIO(chunks)) == list(io.BytesIO(b"".join(chunks)))


def test_it_is_a_real_stream_that_cannot_seek() -> None:
    reader = BufferIteratorIO([b"abc"])
    assert isinstance(reader, io.BufferedIOBase)
    assert reader.readable()
    assert not reader.seekable()
    assert not reader.writable()
    with pytest.raises(io.UnsupportedOperation):
        reader.seek(0)
    with pytest.raises(io.UnsupportedOperation):
        reader.write(b"")


def test_it_works_where_files_do() -> None:
    text = "naïve\r\ncafé\n" * 1000
    chunks = list(buffer_iterator(io.BytesIO(text.encode()), 7))
    assert io.TextIOWrapper(BufferIteratorIO(chunks), "utf-8", newline="").read() == text
    copied = io.BytesIO()
    shutil.copyfileobj(BufferIteratorIO(chunks), copied, 100)
    assert copied.getvalue() == text.encode()


def test_nothing_is_asked_of_the_source_before_it_is_needed() -> None:
    source = Generated(3)
    reader = BufferIteratorIO(buffer_iterator(source, 10))
    assert source.reads == 0
    reader.read(10)
    assert source.reads == 1
    reader.read(1)
    assert source.reads == 2


def test_an_exhausted_iterator_is_not_asked_again() -> None:
    class Resuming:
        asked = 0

        def __iter__(self) -> Resuming:
            return self

        def __next__(self) -> bytes:
            self.asked += 1
            if self.asked == 1:
                raise StopIteration
            return b"late"

    reader = BufferIteratorIO(Resuming())
    assert reader.read(1) == b""
    assert reader.read() == b""


class Closing:
    """An iterator with a close."""

    closed = 0

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> bytes:
        return b"abc"

    def close(self) -> None:
        self.closed += 1


def test_closing_closes_the_iterator_once() -> None:
    source = Closing()
    with BufferIteratorIO(source) as reader:
        reader.read(2)
    reader.close()
    assert source.closed == 1


def test_forgetting_closes_the_iterator() -> None:
    source = Closing()
    BufferIteratorIO(source).read(2)
    gc.collect()
    assert source.closed == 1


def test_closing_runs_the_end_of_a_generator() -> None:
    ended = []

    def source() -> Iterator[bytes]:
        try:
            yield b"abc"
        finally:
            ended.append(True)

    reader = BufferIteratorIO(source())
    reader.read(1)
    reader.close()
    assert ended == [True]


@pytest.mark.parametrize("verb", ["read", "read1", "readline", "peek", "tell"])
def test_a_closed_reader_refuses(verb: str) -> None:
    reader = BufferIteratorIO([b"abc"])
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        getattr(reader, verb)()


@pytest.mark.parametrize(
    ("chunks", "message"), [(["text"], "text where bytes belong"), (b"abc", "got int")]
)
def test_chunks_that_are_no_bytes_are_refused_each_time(chunks: Any, message: str) -> None:
    reader = BufferIteratorIO(chunks)
    for _ in range(2):
        with pytest.raises(TypeError, match=message):
            reader.read(1)


def test_what_cannot_be_iterated_is_refused() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        BufferIteratorIO(5)  # type: ignore[arg-type]
    gc.collect()


def test_the_traceback_of_a_kept_error_does_not_grow() -> None:
    def source() -> Iterator[bytes]:
        raise Broken
        yield

    def depth() -> int:
        with pytest.raises(Broken) as caught:
            reader.read(1)
        return len(caught.traceback)

    reader = BufferIteratorIO(source())
    depth()
    assert depth() == depth()


# Linear work: by what is allocated and by what is called, never by the clock.


@pytest.mark.parametrize("size", [1, 1000, 70000])
def test_reads_never_copy_the_rest_of_a_chunk(size: int) -> None:
    reader = BufferIteratorIO([bytes(32 * MIB)])

    def read() -> None:
        for _ in range(300):
            reader.read(size)

    assert peak_bytes(read) < MIB


def test_short_lines_never_copy_the_rest_of_a_chunk() -> None:
    reader = BufferIteratorIO([b"line\n" * (6 * MIB)])

    def read() -> None:
        for _ in range(30000):
            reader.readline()

    assert peak_bytes(read) < MIB


@pytest.mark.parametrize("verb", ["read", "readline"])
def test_one_large_read_joins_small_chunks_in_linear_work(verb: str) -> None:
    def calls(count: int) -> int:
        reader = BufferIteratorIO([bytes(1000)] * count)
        return count_calls(getattr(reader, verb))

    assert calls(8000) < 8.2 * calls(1000)


@pytest.mark.parametrize("verb", ["read", "readline"])
def test_one_large_read_takes_the_memory_of_its_result_twice(verb: str) -> None:
    reader = BufferIteratorIO(bytes(1000) for _ in range(16000))
    assert peak_bytes(getattr(reader, verb)) < 2.3 * 16_000_000


def test_many_small_reads_are_linear_work() -> None:
    def calls(count: int) -> int:
        reader = BufferIteratorIO([bytes(MIB)] * count)

        def read() -> None:
            while reader.read(1000):
                pass

        return count_calls(read)

    assert calls(8) < 8.2 * calls(1)


def test_a_long_stream_takes_a_chunk_or_two_of_memory() -> None:
    def read() -> None:
        with BufferIteratorIO(buffer_iterator(Generated(64), MIB)) as reader:
            while reader.read(100_000):
                pass

    assert peak_bytes(read) < 2.5 * MIB


def test_a_whole_chunk_read_to_the_end_is_not_copied() -> None:
    chunk = bytes(MIB)
    before = sys.getrefcount(chunk)
    assert BufferIteratorIO([chunk]).read() is chunk
    gc.collect()
    assert sys.getrefcount(chunk) == before
