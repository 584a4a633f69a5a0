"""Laws of `buffer_iterator` and `chunks_of`."""

from __future__ import annotations

import array
import ctypes
import io
import mmap
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_sources import Broken, Generated, Trickle, peak_bytes

from encore.streams import buffer_iterator, chunks_of

SIZES = st.lists(st.integers(1, 9), max_size=5)


@settings(deadline=None)
@given(st.binary(max_size=60), SIZES, st.integers(1, 20), st.none() | st.integers(0, 70))
def test_chunks_join_to_the_source_cut_at_max_bytes(
    data: bytes, sizes: list[int], buffer_size: int, max_bytes: int | None
) -> None:
    source = Trickle(data, sizes)
    totals: list[int] = []
    chunks = list(buffer_iterator(source, buffer_size, lambda step: totals.append(step), max_bytes))
    assert b"".join(chunks) == data[:max_bytes]
    assert all(1 <= len(chunk) <= buffer_size for chunk in chunks)
    assert totals == [sum(map(len, chunks[: i + 1])) for i in range(len(chunks))]
    assert source.position == len(data[:max_bytes])


def test_a_chunk_is_reported_before_it_is_handed_out() -> None:
    totals: list[int] = []
    chunks = buffer_iterator(io.BytesIO(b"abcdef"), 4, lambda step: totals.append(step))
    assert totals == []
    assert next(chunks) == b"abcd"
    assert totals == [4]


def test_max_bytes_of_zero_reads_nothing() -> None:
    source = Trickle(b"abc")
    assert list(buffer_iterator(source, max_bytes=0)) == []
    assert source.reads == 0


def test_what_the_source_raises_comes_after_the_bytes_before_it() -> None:
    chunks = buffer_iterator(Trickle(b"abc", broken=True), 2)
    assert [next(chunks), next(chunks)] == [b"ab", b"c"]
    with pytest.raises(Broken):
        next(chunks)


def test_what_progress_raises_stops_the_reading() -> None:
    def cancel(step: int) -> None:
        raise Broken

    source = Trickle(b"abcdef")
    with pytest.raises(Broken):
        list(buffer_iterator(source, 2, cancel))
    assert source.position == 2


def test_the_source_is_not_closed() -> None:
    source = Trickle(b"abc")
    list(buffer_iterator(source))
    assert not source.closed


class Returning:
    def __init__(self, *chunks: Any) -> None:
        self.chunks = list(chunks)

    def read(self, size: int) -> Any:
        return self.chunks.pop(0) if self.chunks else b""


def test_a_source_without_data_yet_is_an_error_not_an_end() -> None:
    with pytest.raises(BlockingIOError, match="non-blocking"):
        list(buffer_iterator(Returning(b"a", None)))


def test_a_source_that_gives_more_than_asked_is_an_error() -> None:
    with pytest.raises(OSError, match="5 bytes when asked for at most 4"):
        list(buffer_iterator(Returning(b"abcde"), 4))


def test_text_is_refused_where_bytes_belong() -> None:
    with pytest.raises(TypeError, match="text where bytes belong"):
        list(buffer_iterator(io.StringIO("abc")))  # type: ignore[arg-type]


def test_chunks_of_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="got int where bytes belong"):
        list(buffer_iterator(Returning(7)))


def test_a_chunk_that_could_change_is_copied() -> None:
    reused = bytearray(b"abc")
    chunks = list(buffer_iterator(Returning(reused, memoryview(reused)[::2])))
    reused[:] = b"xyz"
    assert chunks == [b"abc", b"ac"]
    assert {type(chunk) for chunk in chunks} == {bytes}


@pytest.mark.parametrize("arguments", [{"buffer_size": 0}, {"max_bytes": -1}])
def test_sizes_out_of_range_are_refused_at_once(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        buffer_iterator(io.BytesIO(b""), **arguments)  # type: ignore[arg-type]


def test_what_cannot_be_read_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="got bytes"):
        buffer_iterator(b"abc")  # type: ignore[arg-type]


class BytesSubclass(bytes):
    """A subclass, as some libraries hand them out."""


BIG_ENDIAN = (ctypes.c_int32.__ctype_be__ * 3)(1, 2, 3)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"abcdefg", b"abcdefg"),
        (b"", b""),
        (BytesSubclass(b"abcdefg"), b"abcdefg"),
        (bytearray(b"abcdefg"), b"abcdefg"),
        (memoryview(b"abcdefg"), b"abcdefg"),
        (memoryview(b""), b""),
        (memoryview(b"abcdefg")[::-2], b"geca"),
        (memoryview(array.array("H", [1, 2, 3])), array.array("H", [1, 2, 3]).tobytes()),
        (memoryview(b"abcdef").cast("B", [2, 3]), b"abcdef"),
        (array.array("d", [1.5, 2.5]), array.array("d", [1.5, 2.5]).tobytes()),
        (BIG_ENDIAN, bytes(BIG_ENDIAN)),
        (io.BytesIO(b"abcdefg"), b"abcdefg"),
        (Trickle(b"abcdefg", [1, 3]), b"abcdefg"),
    ],
)
def test_chunks_of_anything_binary_join_to_its_bytes(given: Any, expected: bytes) -> None:
    chunks = list(chunks_of(given, 4))
    assert b"".join(chunks) == expected
    assert all(type(chunk) is bytes and 1 <= len(chunk) <= 4 for chunk in chunks)


def test_a_mapped_file_is_read_from_where_it_stands() -> None:
    with mmap.mmap(-1, 6) as mapped:
        mapped.write(b"abcdef")
        mapped.seek(2)
        assert b"".join(chunks_of(mapped, 3)) == b"cdef"


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("text", r"text\.encode\(\)"),
        (io.StringIO("text"), '"rb"'),
        (Path("file"), '"rb"'),
        (iter([b"a"]), "BufferIteratorIO"),
        ([b"a"], "give bytes or a binary file"),
        (None, "NoneType"),
        (5, "int cannot be data"),
        ((ctypes.py_object * 1)(object()), "Python objects"),
    ],
)
def test_what_is_no_data_is_refused_at_once_with_advice(given: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=advice):
        chunks_of(given, 4)


def test_chunks_of_checks_its_buffer_size() -> None:
    with pytest.raises(ValueError, match="buffer_size"):
        chunks_of(b"abc", 0)


def test_small_bytes_are_not_copied() -> None:
    data = bytes(1000)
    assert next(chunks_of(data)) is data


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_large_data_is_never_copied_whole(kind: Any) -> None:
    data = kind(bytes(16 << 20))

    def consume() -> None:
        for _ in chunks_of(data, 65536):
            pass

    assert peak_bytes(consume) < 4 * 65536


def test_a_long_stream_takes_two_chunks_of_memory() -> None:
    def consume() -> None:
        for _ in buffer_iterator(Generated(64), 1 << 20):
            pass

    assert peak_bytes(consume) < 2.5 * (1 << 20)


def test_importing_the_room_loads_neither_tempfile_nor_hashlib() -> None:
    code = (
        "import sys; before = set(sys.modules); import encore.streams; "
        "print({'tempfile', 'hashlib'} & (set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True).strip() == "set()"
