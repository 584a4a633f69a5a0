"""Laws of compressed bodies: undone exactly, whatever the pieces, and never beyond the limit."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encore.storage.backends.http.decoding import BadEncoding, decoded
from encore.testing.sources import pattern


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP ": gzip.compress,
    "deflate": zlib.compress,
    "deflate raw": raw_deflate,
}


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(st.binary(max_size=3000), st.sampled_from(sorted(ENCODERS)), st.integers(1, 500))
def test_what_was_compressed_comes_back_whatever_the_pieces(
    data: bytes, name: str, size: int
) -> None:
    sent = pieces(ENCODERS[name](data), size)
    assert b"".join(decoded(iter(sent), name.removesuffix(" raw"), 3000)) == data


def test_members_of_gzip_follow_one_another() -> None:
    sent = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two")
    for size in (1, 7, 1000):
        assert b"".join(decoded(iter(pieces(sent, size)), "gzip", 100)) == b"one two"


def test_an_empty_body_is_empty_data() -> None:
    for name in ("gzip", "deflate"):
        assert b"".join(decoded(iter([]), name, 0)) == b""


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate raw"])
def test_damage_and_truncation_are_noticed(name: str) -> None:
    sent = ENCODERS[name](pattern(5000))
    bad = {
        "cut": sent[:-1],
        "half": sent[: len(sent) // 2],
        "garbage": b"\x00 this is not it",
        "more": sent + b"garbage",
    }
    if name != "deflate raw":  # which has no checksum
        bad["changed"] = sent[:-3] + bytes([sent[-3] ^ 1]) + sent[-2:]
    for what, body in bad.items():
        with pytest.raises(BadEncoding):
            print(what, b"".join(decoded(iter([body]), name.removesuffix(" raw"), 10000)))


@pytest.mark.parametrize("name", ["br", "zstd", "gzip, gzip", "compress"])
def test_what_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(BadEncoding, match="not asked for"):
        b"".join(decoded(iter([b"x"]), name, 100))


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_a_bomb_is_refused_before_it_is_made(name: str) -> None:
    bomb = ENCODERS[name](bytes(64 << 20))
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(BadEncoding, match="more than 1000000 bytes"):
            _ = sum(map(len, decoded(iter([bomb]), name, 1_000_000)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1 << 20
