"""Values that never were in a store, and what ``set`` makes of what it is given."""

from __future__ import annotations

import io

import pytest

from encore.storage.values import Value
from encore.testing.sources import Trickle


@pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"abc")], ids=type)
def test_a_value_of_bytes_can_be_read_in_every_way(data: object) -> None:
    value = Value(data, {"x": 1}, created=1.0, modified=2.0)
    assert (value.size, value.created, value.modified, value.token) == (3, 1.0, 2.0, "")
    assert value.read() == value.data.read() == b"".join(value.iterdata(1)) == b"abc"
    assert value.range(1).read() == b"bc"
    assert value.range(1, 2).read() == b"b"
    assert value.metadata == {"x": 1}


def test_a_value_copies_what_may_change() -> None:
    data, metadata = bytearray(b"abc"), {"x": [1]}
    value = Value(data, metadata)
    data[:] = b"xyz"
    metadata["x"].append(2)
    assert value.read() == b"abc"
    assert value.metadata == {"x": [1]}


def test_a_value_without_anything_is_empty() -> None:
    value = Value()
    assert (value.read(), value.metadata, value.size) == (b"", {}, 0)


def test_a_value_of_a_stream_is_read_once_and_says_so() -> None:
    value = Value(Trickle(b"abc"))
    assert value.size is None
    assert value.read() == b"abc"
    for again in (value.read, lambda: next(value.iterdata()), value.range):
        with pytest.raises(ValueError, match="already"):
            again()


def test_a_value_of_a_stream_has_no_ranges_but_all_of_it() -> None:
    value = Value(io.BytesIO(b"abc"))
    with pytest.raises(ValueError):
        value.range(1, 2)
    assert value.range().read() == b"abc"


@pytest.mark.parametrize("data", ["text", None, 1, object(), [b"a"]])
def test_data_is_bytes_or_a_binary_file(data: object) -> None:
    with pytest.raises(TypeError):
        Value(data)


@pytest.mark.parametrize("metadata", [[1], {"x": object()}, {1: 2}, "text"])
def test_metadata_is_a_json_object(metadata: object) -> None:
    with pytest.raises(TypeError):
        Value(b"", metadata)  # type: ignore[arg-type]


@pytest.mark.parametrize("bounds", [(-1, None), (0, -1)])
def test_a_range_begins_and_ends_at_zero_or_later(bounds: tuple[int, int | None]) -> None:
    with pytest.raises(ValueError):
        Value(b"abc").range(*bounds)


def test_a_range_is_cut_off_at_the_end_of_the_data() -> None:
    value = Value(b"abc")
    assert value.range(2, 100).read() == b"c"
    assert value.range(100, 200).read() == b""
    assert value.range(2, 1).read() == b""


def test_progress_counts_the_bytes() -> None:
    steps: list[int] = []
    list(Value(b"x" * 10).iterdata(4, lambda step: steps.append(step)))
    assert steps == [4, 8, 10]


def test_closing_a_value_closes_its_stream_and_twice_is_fine() -> None:
    value = Value(b"abc")
    with value as stream:
        assert stream.read() == b"abc"
    assert stream.closed
    value.close()
