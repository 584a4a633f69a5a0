"""Codecs: streams through them, and single small values."""

from __future__ import annotations

import binascii
import random
import zlib
from collections.abc import Callable, Generator, Iterable
from typing import Any

from encore.streams import Base64, Gzip, StreamCodec, Zstd
from tests.benchmarks.harness import MIB, Lab, Trial, Work, at_least, benchmark, peer

_SMALL = 1000
_ROUND = 2000

Stream = Callable[[list[bytes]], Any]


def table(size: int) -> list[bytes]:
    """A table of numbers as text, in chunks of a MiB: it compresses to about two fifths."""
    source = random.Random(size)
    text = b"".join(b"%d,%f\n" % (line, source.random()) for line in range(size // 14))
    return [text[at : at + MIB] for at in range(0, len(text), MIB)]


def passing(streams: dict[str, Stream | None], chunks: list[bytes], plain: int) -> Trial:
    """The plain MiB/s of streams that are given all chunks."""

    def contender(stream: Stream) -> Callable[[], Generator[Work, None, None]]:
        def run() -> Generator[Work, None, None]:
            yield lambda: stream(chunks)

        return run

    contenders = {name: stream and contender(stream) for name, stream in streams.items()}
    return Trial(contenders, plain / MIB)


def drain(pieces: Iterable[bytes]) -> None:
    """Take what comes, and keep none of it."""
    for _ in pieces:
        pass


def compressing(begin: Callable[[], Any]) -> Stream:
    """The raw library: one object, fed the chunks."""

    def stream(chunks: list[bytes]) -> None:
        compressor = begin()
        for chunk in chunks:
            compressor.compress(chunk)
        compressor.flush()

    return stream


def decompressing(begin: Callable[[], Any]) -> Stream:
    """The raw library: one object, fed the chunks, with no limit to what comes out."""

    def stream(chunks: list[bytes]) -> None:
        decompressor = begin()
        for chunk in chunks:
            decompressor.decompress(chunk)

    return stream


def encoded(codec: StreamCodec, chunks: list[bytes]) -> list[bytes]:
    """The encoded form in chunks of a MiB; without the marker, as the libraries read one member."""
    whole = b"".join(codec.encode(chunks))
    if isinstance(codec, Gzip | Zstd):
        whole = whole[: -codec.tail_bytes]
    return [whole[at : at + MIB] for at in range(0, len(whole), MIB)]


def both(lab: Lab, codec: StreamCodec, raw: dict[str, Stream | None], *, out: bool) -> Trial:
    """A codec and others, encoding or decoding the same."""
    chunks = table(lab.pick(16, 4) * MIB)
    plain = sum(map(len, chunks))
    if out:
        chunks = encoded(codec, chunks)
    transform = codec.decode if out else codec.encode
    return passing({"encore": lambda chunks: drain(transform(chunks)), **raw}, chunks, plain)


@benchmark("gzip", unit="MiB/s", goals=[at_least(0.9, "R")])
def gzip_in(lab: Lab) -> Trial:
    """Level 6 without the ``fast`` extra. R: `zlib`."""
    raw = compressing(lambda: zlib.compressobj(6, zlib.DEFLATED, 31))
    return both(lab, Gzip(engine="zlib"), {"R": raw}, out=False)


@benchmark("gunzip", unit="MiB/s", goals=[at_least(0.9, "R")])
def gzip_out(lab: Lab) -> Trial:
    """R: `zlib`."""
    raw = decompressing(lambda: zlib.decompressobj(31))
    return both(lab, Gzip(engine="zlib"), {"R": raw}, out=True)


@benchmark("gzip with fast", unit="MiB/s", goals=[at_least(0.9, "R"), at_least(5, "zlib")])
def fast_in(lab: Lab) -> Trial:
    """Level 6, which is level 3 of isal. R: `isal`. Beside: without the extra."""
    isal: Any = peer("isal.isal_zlib")
    raw = {
        "R": isal and compressing(lambda: isal.compressobj(3, isal.DEFLATED, 31)),
        "zlib": lambda chunks: drain(Gzip(engine="zlib").encode(chunks)),
    }
    return both(lab, Gzip(engine="isal"), raw, out=False)


@benchmark("gunzip with fast", unit="MiB/s", goals=[at_least(0.9, "R"), at_least(1.5, "zlib")])
def fast_out(lab: Lab) -> Trial:
    """R: `isal`. Beside: without the extra."""
    isal: Any = peer("isal.isal_zlib")
    raw = {
        "R": isal and decompressing(lambda: isal.decompressobj(31)),
        "zlib": lambda chunks: drain(Gzip(engine="zlib").decode(chunks)),
    }
    return both(lab, Gzip(engine="isal"), raw, out=True)


@benchmark("zstd", unit="MiB/s", goals=[at_least(0.9, "R")])
def zstd_in(lab: Lab) -> Trial:
    """Level 3. R: the library, with a checksum as well."""
    zstd: Any = peer("backports.zstd")
    options = {zstd.CompressionParameter.checksum_flag: 1}
    raw = compressing(lambda: zstd.ZstdCompressor(options=options))
    return both(lab, Zstd(), {"R": raw}, out=False)


@benchmark("unzstd", unit="MiB/s", goals=[at_least(0.9, "R")])
def zstd_out(lab: Lab) -> Trial:
    """R: the library."""
    zstd: Any = peer("backports.zstd")
    return both(lab, Zstd(), {"R": decompressing(zstd.ZstdDecompressor)}, out=True)


@benchmark("base64", unit="MiB/s", goals=[at_least(0.9, "R")])
def base64_in(lab: Lab) -> Trial:
    """R: `binascii`, over chunks that need no putting together."""
    return both(lab, Base64(), {"R": lambda chunks: drain(map(_b2a, chunks))}, out=False)


@benchmark("base64 back", unit="MiB/s", goals=[at_least(0.9, "R")])
def base64_out(lab: Lab) -> Trial:
    """R: `binascii`, as strict."""
    return both(lab, Base64(), {"R": lambda chunks: drain(map(_a2b, chunks))}, out=True)


def _b2a(chunk: bytes) -> bytes:
    return binascii.b2a_base64(chunk, newline=False)


def _a2b(chunk: bytes) -> bytes:
    return binascii.a2b_base64(chunk, strict_mode=True)


def small(functions: dict[str, Callable[[bytes], object] | None], data: bytes) -> Trial:
    """How often something is done to a small value, in a second."""

    def contender(
        function: Callable[[bytes], object],
    ) -> Callable[[], Generator[Work, None, None]]:
        def work() -> None:
            for _ in range(_ROUND):
                function(data)

        def run() -> Generator[Work, None, None]:
            yield work

        return run

    contenders = {name: each and contender(each) for name, each in functions.items()}
    return Trial(contenders, _ROUND)


@benchmark("gzip of 1,000 bytes", goals=[at_least(0.8, "R")])
def small_in(lab: Lab) -> Trial:
    """R: `zlib.compress`. Beside: with the ``fast`` extra, with zstd."""
    fast = peer("isal") and Gzip(engine="isal").encode_bytes
    functions = {
        "encore": Gzip(engine="zlib").encode_bytes,
        "R": lambda data: zlib.compress(data, 6, 31),
        "with fast": fast,
        "zstd": Zstd().encode_bytes,
    }
    return small(functions, table(MIB)[0][:_SMALL])


@benchmark("gunzip of 1,000 bytes", goals=[at_least(0.5, "R")])
def small_out(lab: Lab) -> Trial:
    """R: `gzip.decompress`, which reads members that follow one another as well.

    Beside: with the ``fast`` extra.
    """
    import gzip

    fast = peer("isal") and Gzip(engine="isal").decode_bytes
    data = Gzip(engine="zlib").encode_bytes(table(MIB)[0][:_SMALL])
    functions = {
        "encore": Gzip(engine="zlib").decode_bytes,
        "R": gzip.decompress,
        "with fast": fast,
    }
    return small(functions, data)
