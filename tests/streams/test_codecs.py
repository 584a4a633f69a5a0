"""The laws that every codec keeps, whatever it does."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_sources import Broken, peak_bytes

from encore.errors import CorruptValueError
from encore.streams import (
    Base64,
    Gzip,
    Identity,
    StreamCodec,
    TextEncoding,
    Zstd,
    blocks,
    closes_source,
)

MIB = 1 << 20

CODECS: list[StreamCodec] = [
    Identity(),
    Base64(),
    Gzip(engine="zlib"),
    Gzip(0, engine="zlib"),
    Gzip(9, engine="zlib"),
    Gzip(1, engine="isal"),
    Gzip(4, engine="isal"),
    Gzip(engine="isal"),
    Gzip(),
    Zstd(),
    Zstd(-5),
    Zstd(20),
    Zstd(max_window_log=15),
    TextEncoding(),
    TextEncoding("latin-1"),
    TextEncoding("utf-16"),
    TextEncoding("utf-7"),
]
#: Those that notice when the end is missing.
STRICT = [codec for codec in CODECS if isinstance(codec, Gzip | Zstd | Base64)]
TEXT = st.text(st.characters(max_codepoint=0xFF))


def data_for(codec: StreamCodec) -> st.SearchStrategy[bytes]:
    if isinstance(codec, TextEncoding):
        return TEXT.map(str.encode)
    return st.binary(max_size=300) | st.binary(min_size=1, max_size=20).map(lambda b: b * 1000)


def large_data(codec: StreamCodec, size: int) -> bytes:
    """Neither all the same nor all random, and longer than any block."""
    if isinstance(codec, TextEncoding):
        return "".join(random.Random(1).choices("abc \xe9\xff", k=size * 3 // 4)).encode()
    source = random.Random(2)
    return b"".join(
        source.choice((source.randbytes(999), b"encore" * 300)) for _ in range(size // 1400)
    )


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The data in pieces of the given sizes, over and over."""
    position = number = 0
    while position < len(data):
        size = sizes[number % len(sizes)] if sizes else len(data)
        yield data[position : position + size]
        position += size
        number += 1


SIZES = st.lists(st.integers(0, 50), max_size=4).map(lambda sizes: sizes if any(sizes) else [])


@pytest.mark.parametrize("codec", CODECS, ids=repr)
@given(data=st.data())
def test_data_comes_back_under_any_cutting(codec: StreamCodec, data: st.DataObject) -> None:
    plain = data.draw(data_for(codec))
    encoded = b"".join(codec.encode(cut(plain, data.draw(SIZES))))
    assert encoded == codec.encode_bytes(plain)
    assert b"".join(codec.decode(cut(encoded, data.draw(SIZES)))) == plain
    assert codec.decode_bytes(encoded) == plain
    assert codec.plain_size(len(encoded), encoded[-codec.tail_bytes :]) in (None, len(plain))


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_what_is_written_does_not_depend_on_the_cutting(codec: StreamCodec) -> None:
    plain = large_data(codec, MIB)
    encoded = codec.encode_bytes(plain)
    for sizes in ([65536], [262144], [MIB], [7], [100_000, 1, 300_001]):
        assert b"".join(codec.encode(cut(plain, sizes))) == encoded
    assert b"".join(codec.encode([bytearray(plain)])) == encoded  # type: ignore[list-item]
    assert codec.encode_bytes(plain) == encoded
    for sizes in ([65536], [len(encoded)], [9973]):
        assert b"".join(codec.decode(cut(encoded, sizes))) == plain


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_pieces_are_of_a_moderate_size(codec: StreamCodec) -> None:
    plain = b"x" * (5 * MIB)
    pieces = list(codec.decode([codec.encode_bytes(plain)]))
    assert max(map(len, pieces)) <= MIB
    assert all(pieces)
    assert b"".join(pieces) == plain


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_codecs_are_their_configuration(codec: StreamCodec) -> None:
    same = eval(repr(codec))
    assert same == codec
    assert hash(same) == hash(codec)
    assert pickle.loads(pickle.dumps(codec)) == codec
    assert [other for other in CODECS if other == codec] == [codec]
    with pytest.raises((AttributeError, TypeError)):
        codec.level = 1  # type: ignore[attr-defined]


class Source:
    """An iterator that knows whether it has been closed, and may raise."""

    def __init__(self, chunks: list[bytes], *, broken: bool = False) -> None:
        self.chunks = iter(chunks)
        self.broken = broken
        self.closed = 0

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> bytes:
        for chunk in self.chunks:
            return chunk
        if self.broken:
            raise Broken
        raise StopIteration

    def close(self) -> None:
        self.closed += 1


def both_ways(codec: StreamCodec) -> list[tuple[Any, bytes]]:
    plain = large_data(codec, 2 * MIB)
    return [(codec.encode, plain), (codec.decode, codec.encode_bytes(plain))]


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_what_the_source_raises_passes_through(codec: StreamCodec) -> None:
    for transform, data in both_ways(codec):
        for chunks in ([], [data[:100]], [data]):
            source = Source(chunks, broken=True)
            with pytest.raises(Broken) as caught:
                list(transform(source))
            assert caught.value.__cause__ is None
            assert source.closed == 1


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_closing_a_stream_closes_its_source(codec: StreamCodec) -> None:
    for transform, data in both_ways(codec):
        for taken in (0, 1):
            source = Source([data, data])
            stream = transform(source)
            assert len([next(stream) for _ in range(taken)]) == taken
            assert source.closed == 0
            stream.close()
            stream.close()
            assert source.closed == 1
            assert list(stream) == []


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_a_stream_that_ends_closes_its_source(codec: StreamCodec) -> None:
    for transform, data in both_ways(codec):
        source = Source([data])
        list(transform(source))
        assert source.closed == 1


@pytest.mark.parametrize("codec", STRICT, ids=repr)
def test_damage_is_noticed_and_closes_the_source(codec: StreamCodec) -> None:
    source = Source([b"neither"] * 3)
    with pytest.raises(CorruptValueError):
        list(codec.decode(source))
    assert source.closed == 1


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_text_is_no_data(codec: StreamCodec) -> None:
    for transform in (codec.encode, codec.decode):
        with pytest.raises(TypeError):
            list(transform(["text"]))  # type: ignore[list-item]


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_max_bytes_is_the_most_that_is_decoded(codec: StreamCodec) -> None:
    for plain in (b"", b"x", b"x" * 5000):
        encoded = codec.encode_bytes(plain)
        assert codec.decode_bytes(encoded, len(plain)) == plain
        assert codec.decode_bytes(encoded, len(plain) + 1) == plain
        if plain:
            with pytest.raises(CorruptValueError, match="max_bytes"):
                codec.decode_bytes(encoded, len(plain) - 1)
    with pytest.raises(ValueError, match="max_bytes"):
        codec.decode_bytes(codec.encode_bytes(b""), -1)


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_streams_pass_in_constant_memory(codec: StreamCodec) -> None:
    chunk = large_data(codec, MIB)

    def stream(count: int) -> Iterator[bytes]:
        return (bytes(bytearray(chunk)) for _ in range(count))

    def there_and_back() -> None:
        assert sum(map(len, codec.decode(codec.encode(stream(16))))) == 16 * len(chunk)

    assert peak_bytes(there_and_back) < 9 * MIB


def test_decoding_whole_data_holds_it_once() -> None:
    encoded = Gzip().encode_bytes(bytes(64 * MIB))
    assert peak_bytes(lambda: Gzip().decode_bytes(encoded)) < 80 * MIB


@given(st.binary(max_size=60), SIZES, st.integers(1, 20))
def test_blocks_are_of_one_size(data: bytes, sizes: list[int], size: int) -> None:
    found = [bytes(block) for block in blocks(cut(data, sizes), size)]
    assert found == [data[at : at + size] for at in range(0, len(data), size)]


def test_blocks_given_earlier_stay_what_they_are() -> None:
    chunks = [bytes([number]) * 5 for number in range(20)]
    held = list(blocks(chunks, 8))
    assert b"".join(held) == b"".join(chunks)


def test_a_codec_of_ones_own_is_two_generators() -> None:
    class Reversed(StreamCodec):
        @closes_source
        def encode(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
            for chunk in chunks:
                yield bytes(255 - byte for byte in chunk)

        decode = encode

    source = Source([b"\0\1", b"\2"])
    stream = Reversed().encode(source)
    assert next(stream) == b"\xff\xfe"
    stream.close()  # type: ignore[attr-defined]
    assert source.closed == 1
    assert Reversed().decode_bytes(Reversed().encode_bytes(b"data")) == b"data"
    assert Reversed().plain_size(4, b"") is None
