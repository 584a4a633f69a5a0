"""Gzip and Zstd: files that others read, files that others wrote, and files that nobody should."""

from __future__ import annotations

import gzip
import io
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encore.errors import CorruptValueError, UnsupportedError
from encore.streams import Gzip, StreamCodec, Zstd
from encore.streams.engines import zstd_engine

MIB = 1 << 20

zstd = zstd_engine()

GZIPS = [Gzip(engine="zlib"), Gzip(engine="isal")]
CODECS: list[StreamCodec] = [*GZIPS, Zstd()]
#: Data, and what another program makes of it.
FOREIGN: dict[StreamCodec, Callable[[bytes], bytes]] = {
    GZIPS[0]: lambda data: gzip.compress(data),
    GZIPS[1]: lambda data: gzip.compress(data),
    CODECS[2]: lambda data: zstd.compress(data),
}
SMALL = b"encore, encore! " * 9 + bytes(range(60))

codecs = pytest.mark.parametrize("codec", CODECS, ids=repr)
gzips = pytest.mark.parametrize("codec", GZIPS, ids=repr)


def marker_of(codec: StreamCodec, encoded: bytes) -> bytes:
    return encoded[-codec.tail_bytes :]


def told(codec: StreamCodec, encoded: bytes) -> int | None:
    return codec.plain_size(len(encoded), marker_of(codec, encoded))


# -- the marker ------------------------------------------------------------------------------------


@codecs
@given(plain=st.binary(max_size=300))
def test_the_size_is_told_without_decoding(codec: StreamCodec, plain: bytes) -> None:
    encoded = codec.encode_bytes(plain)
    assert told(codec, encoded) == len(plain)
    assert codec.plain_size(len(encoded), encoded) == len(plain)
    assert codec.plain_size(len(encoded), memoryview(encoded)) == len(plain)  # type: ignore[arg-type]


@codecs
def test_no_size_is_told_where_there_is_no_marker(codec: StreamCodec) -> None:
    foreign = FOREIGN[codec](SMALL)
    assert told(codec, foreign) is None
    assert codec.decode_bytes(foreign) == SMALL
    assert codec.plain_size(0, b"") is None
    assert codec.plain_size(10, foreign[-10:]) is None


@codecs
def test_a_marker_does_not_speak_for_what_was_put_before_it(codec: StreamCodec) -> None:
    one, two = codec.encode_bytes(b"one"), codec.encode_bytes(b"two and")
    for joined, plain in (
        (one + two, b"onetwo and"),
        (FOREIGN[codec](b"zero") + one, b"zeroone"),
        (one + FOREIGN[codec](b"four"), b"onefour"),
    ):
        assert codec.decode_bytes(joined) == plain
        assert told(codec, joined) is None


@codecs
def test_a_damaged_marker_is_not_believed(codec: StreamCodec) -> None:
    encoded = codec.encode_bytes(SMALL)
    for place in range(len(encoded) - codec.tail_bytes, len(encoded)):
        for bit in range(8):
            flipped = flip(encoded, place, bit)
            assert told(codec, flipped) is None


@codecs
def test_a_marker_that_disagrees_with_the_data_is_damage(codec: StreamCodec) -> None:
    shorter, longer = codec.encode_bytes(SMALL[:-1]), codec.encode_bytes(SMALL)
    data, other = longer[: -codec.tail_bytes], shorter[: -codec.tail_bytes]
    marker = marker_of(codec, longer)
    sizes = struct.pack("<QQ", len(SMALL), len(data))
    at = marker.index(sizes)
    for plain_size, is_right in ((len(SMALL), True), (len(SMALL) - 1, False), (1 << 63, False)):
        sizes = struct.pack("<QQ", plain_size, len(data))
        sizes += struct.pack("<L", zlib.crc32(sizes))
        forged = data + marker[:at] + sizes + marker[at + len(sizes) :]
        assert told(codec, forged) == plain_size
        if is_right:
            assert codec.decode_bytes(forged) == SMALL
        else:
            with pytest.raises(CorruptValueError, match="were written"):
                codec.decode_bytes(forged)
    assert codec.decode_bytes(other) == SMALL[:-1]


def test_the_layouts_are_those_described() -> None:
    for codec in GZIPS:
        encoded = codec.encode_bytes(SMALL)
        assert encoded[:10] == bytes.fromhex("1f8b0800 00000000 00ff")
        marker = marker_of(codec, encoded)
        before = len(encoded) - len(marker)
        sizes = len(SMALL).to_bytes(8, "little") + before.to_bytes(8, "little")
        sizes += zlib.crc32(sizes).to_bytes(4, "little")
        head = bytes.fromhex("1f8b0804 00000000 00ff 1800") + b"EN" + bytes.fromhex("1400")
        assert marker == head + sizes + bytes.fromhex("0300 00000000 00000000")
    encoded = Zstd().encode_bytes(SMALL)
    marker = marker_of(Zstd(), encoded)
    before = len(encoded) - len(marker)
    sizes = len(SMALL).to_bytes(8, "little") + before.to_bytes(8, "little")
    sizes += zlib.crc32(sizes).to_bytes(4, "little")
    assert marker == bytes.fromhex("5e2a4d18 18000000") + b"ENsz" + sizes


# -- damage ----------------------------------------------------------------------------------------


def flip(data: bytes, place: int, bit: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


@codecs
def test_data_that_ends_too_early_is_damage(codec: StreamCodec) -> None:
    encoded = codec.encode_bytes(SMALL)
    whole_without_marker = len(encoded) - codec.tail_bytes
    for length in range(len(encoded)):
        if length == whole_without_marker:
            # Nothing is missing but the size: this is what another program would have written.
            assert codec.decode_bytes(encoded[:length]) == SMALL
            assert told(codec, encoded[:length]) is None
            continue
        with pytest.raises(CorruptValueError):
            codec.decode_bytes(encoded[:length])
        with pytest.raises(CorruptValueError):
            list(codec.decode([encoded[:length][at : at + 1] for at in range(length)]))


@codecs
def test_flipped_bits_never_give_wrong_data(codec: StreamCodec) -> None:
    encoded = codec.encode_bytes(SMALL)
    noticed = 0
    for place in range(len(encoded)):
        for bit in range(8):
            try:
                assert codec.decode_bytes(flip(encoded, place, bit)) == SMALL
            except CorruptValueError:
                noticed += 1
    assert noticed > 4 * len(encoded)


@codecs
@given(garbage=st.binary(min_size=1, max_size=200))
def test_garbage_is_never_silently_data(codec: StreamCodec, garbage: bytes) -> None:
    for data in (garbage, codec.encode_bytes(SMALL) + b"?" + garbage):
        with pytest.raises(CorruptValueError):
            codec.decode_bytes(data)


@codecs
def test_large_damaged_data_is_noticed(codec: StreamCodec) -> None:
    plain = random.Random(1).randbytes(MIB) + bytes(MIB)
    encoded = codec.encode_bytes(plain)
    for place in random.Random(2).sample(range(len(encoded) - codec.tail_bytes), 40):
        with suppress(CorruptValueError):
            assert codec.decode_bytes(flip(encoded, place, 3)) == plain
    for length in random.Random(3).sample(range(len(encoded) - codec.tail_bytes), 40):
        with pytest.raises(CorruptValueError):
            codec.decode_bytes(encoded[:length])


@codecs
def test_nothing_at_all_is_no_compressed_data(codec: StreamCodec) -> None:
    for nothing in ([], [b""], [b"", b""]):
        with pytest.raises(CorruptValueError, match="early"):
            list(codec.decode(nothing))


# -- members ---------------------------------------------------------------------------------------


@codecs
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.integers(1, 60), st.data())
def test_members_follow_one_another(
    codec: StreamCodec, parts: list[bytes], size: int, data: st.DataObject
) -> None:
    encoded = b"".join(
        data.draw(st.sampled_from([codec.encode_bytes, FOREIGN[codec]]))(part) for part in parts
    )
    cut = [encoded[at : at + size] for at in range(0, len(encoded), size)]
    assert b"".join(codec.decode(cut)) == b"".join(parts)


@gzips
@given(st.integers(0, 600), st.integers(0, 600), st.integers(1, 700))
def test_zeros_may_stand_between_and_behind_members(
    codec: Gzip, between: int, behind: int, size: int
) -> None:
    encoded = codec.encode_bytes(b"a") + bytes(between) + codec.encode_bytes(b"b") + bytes(behind)
    cut = [encoded[at : at + size] for at in range(0, len(encoded), size)]
    assert b"".join(codec.decode(cut)) == b"ab"
    with pytest.raises(CorruptValueError):
        codec.decode_bytes(encoded + b"\0" * 10 + b"x")
    with pytest.raises(CorruptValueError) as caught:
        codec.decode_bytes(b"\0" + encoded)
    assert caught.value.__cause__ is not None


def test_zeros_behind_a_frame_are_garbage() -> None:
    with pytest.raises(CorruptValueError):
        Zstd().decode_bytes(Zstd().encode_bytes(SMALL) + bytes(8))


def test_very_many_tiny_members_are_read_in_passable_time() -> None:
    encoded = gzip.compress(b"x") * 20_000
    assert Gzip().decode_bytes(encoded) == b"x" * 20_000


def test_skippable_frames_are_skipped() -> None:
    frame = zstd.compress(SMALL)
    for number in range(16):
        skipped = struct.pack("<LL", 0x184D2A50 + number, 100_000) + bytes(100_000)
        empty = struct.pack("<LL", 0x184D2A50 + number, 0)
        for encoded in (skipped + frame, frame + skipped, empty + frame + empty + frame[:0]):
            assert Zstd().decode_bytes(encoded) == SMALL
            assert told(Zstd(), encoded) is None


# -- other programs --------------------------------------------------------------------------------


@gzips
def test_python_and_gzip_read_what_is_written(codec: Gzip, tmp_path: Path) -> None:
    for plain in (b"", SMALL, random.Random(1).randbytes(70_000) * 5):
        encoded = codec.encode_bytes(plain)
        assert gzip.decompress(encoded) == plain
        with gzip.open(io.BytesIO(encoded)) as file:
            assert file.read() == plain
        for command in (["gzip", "-dc"], ["zcat"]):
            done = subprocess.run(command, input=encoded, capture_output=True, check=True)
            assert done.stdout == plain
            assert done.stderr == b""
        (tmp_path / "data.gz").write_bytes(encoded)
        subprocess.run(["gzip", "-t", tmp_path / "data.gz"], check=True)


@gzips
def test_what_gzip_writes_is_read(codec: Gzip) -> None:
    plain = SMALL * 1000
    for level in ("-1", "-9"):
        made = subprocess.run(["gzip", level], input=plain, capture_output=True, check=True)
        assert codec.decode_bytes(made.stdout) == plain
    named = io.BytesIO()
    with gzip.GzipFile("name", "wb", fileobj=named, mtime=1) as file:
        file.write(plain)
    assert codec.decode_bytes(named.getvalue()) == plain


@pytest.mark.parametrize("level", range(10))
def test_either_engine_reads_the_other(level: int) -> None:
    plain = random.Random(1).randbytes(100) * 5000
    ours = [Gzip(level, engine=engine) for engine in ("auto", "zlib", "isal")]
    for one in ours:
        for other in ours:
            assert other.decode_bytes(one.encode_bytes(plain)) == plain


def test_zstd_reads_what_is_written() -> None:
    for plain in (b"", SMALL, random.Random(1).randbytes(70_000) * 5):
        for codec in (Zstd(), Zstd(19), Zstd(20), Zstd(22, max_window_log=27)):
            encoded = codec.encode_bytes(plain)
            assert zstd.decompress(encoded) == plain
            with zstd.ZstdFile(io.BytesIO(encoded)) as file:
                assert file.read() == plain


def test_what_zstd_writes_is_read() -> None:
    for plain in (b"", SMALL, random.Random(1).randbytes(70_000) * 50):
        for level in (1, 19, 22):
            for checksum in (0, 1):
                options = {
                    zstd.CompressionParameter.compression_level: level,
                    zstd.CompressionParameter.checksum_flag: checksum,
                }
                assert Zstd().decode_bytes(zstd.compress(plain, options=options)) == plain


# -- bombs -----------------------------------------------------------------------------------------

_BOMB = """
import os, re, resource
from encore.errors import CorruptValueError
from encore.streams import Gzip, Zstd
codec = {codec!r}
size = 1 << 30
zeros = bytes(1 << 20)
writer = Gzip(1, engine="isal") if isinstance(codec, Gzip) else codec  # the fastest of them
bomb = b"".join(writer.encode(zeros for _ in range(size >> 20)))
for _ in codec.decode([codec.encode_bytes(b"warm")]): pass
def peak():
    if os.path.exists("/proc/self/status"):  # on Linux, ru_maxrss begins with that of the parent
        return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) >> 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before = peak()
assert sum(map(len, codec.decode([bomb]))) == size
try:
    codec.decode_bytes(bomb, 10 << 20)
except CorruptValueError as error:
    assert "max_bytes=10,485,760" in str(error), error
else:
    raise AssertionError("decoded")
print(len(bomb), peak() - before)
"""


@codecs
def test_a_bomb_is_read_in_constant_memory_or_not_at_all(codec: StreamCodec) -> None:
    code = _BOMB.format(codec=codec)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    size, growth = map(int, done.stdout.split())
    assert size < 6 * MIB
    assert growth < 24  # 10 MiB that were allowed, and what decoding them takes


@gzips
def test_gzip_in_gzip_is_unpacked_once(codec: Gzip) -> None:
    inner = codec.encode_bytes(bytes(10 * MIB))
    assert codec.decode_bytes(codec.encode_bytes(inner), 2 * len(inner)) == inner


def test_a_window_beyond_the_limit_is_refused() -> None:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    large = compressor.compress(SMALL) + compressor.flush()
    with pytest.raises(CorruptValueError, match="max_window_log=23"):
        Zstd().decode_bytes(large)
    assert Zstd(max_window_log=27).decode_bytes(large) == SMALL


@pytest.mark.parametrize("level", [-5, 1, 3, 9, 19, 20, 21, 22])
@pytest.mark.parametrize("max_window_log", [12, 21, 23])
def test_no_window_beyond_the_limit_is_written(level: int, max_window_log: int) -> None:
    codec = Zstd(level, max_window_log)
    plain = random.Random(1).randbytes(1000) * 3000
    pieces = (plain[at : at + MIB] for at in range(0, len(plain), MIB))
    encoded = b"".join(codec.encode(pieces))
    assert codec.decode_bytes(encoded) == plain
    is_single_segment = encoded[4] >> 5 & 1
    assert not is_single_segment
    assert 10 + (encoded[5] >> 3) <= max_window_log


# -- configuration ---------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [-1, 10, "6", None])
def test_gzip_has_ten_levels(level: Any) -> None:
    with pytest.raises(ValueError, match="levels"):
        Gzip(level)


def test_gzip_has_three_engines() -> None:
    with pytest.raises(ValueError, match="engines"):
        Gzip(engine="pigz")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"level": 23}, {"level": "3"}, {"max_window_log": 9}, {"max_window_log": 32}]
)
def test_zstd_has_bounds(options: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Zstd(**options)


def test_higher_levels_are_smaller() -> None:
    source = random.Random(1)
    plain = b"".join(b"%d, %.4f\n" % (n, source.random()) for n in range(20_000))
    for codecs in (
        [Gzip(level, engine="zlib") for level in (0, 1, 6, 9)],
        [Gzip(level, engine="isal") for level in (1, 6)],
        [Gzip(level) for level in (0, 1, 6, 9)],
        [Zstd(level) for level in (-5, 1, 19)],
    ):
        sizes = [len(codec.encode_bytes(plain)) for codec in codecs]
        assert sizes == sorted(set(sizes), reverse=True)


_WITHOUT = """
import sys
sys.modules.update({"isal": None, "backports": None, "compression": None})
from encore.errors import UnsupportedError
from encore.streams import Gzip, Zstd
for make, line in (
    (lambda: Gzip(engine="isal"), 'pip install "encore[fast]"'),
    (lambda: Zstd(), 'pip install "encore[zstd]"'),
):
    try:
        make()
    except UnsupportedError as error:
        assert line in str(error), error
    else:
        raise AssertionError(line)
codec = Gzip()
encoded = codec.encode_bytes(b"data" * 100)
assert encoded == Gzip(engine="zlib").encode_bytes(b"data" * 100)
assert codec.decode_bytes(encoded) == b"data" * 100
"""


def test_what_is_not_installed_is_named_when_a_codec_is_made() -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert issubclass(UnsupportedError, NotImplementedError)


def test_importing_streams_loads_no_codec() -> None:
    code = (
        "import sys, encore.streams, encore.keys\n"
        "print([m for m in ('encore.streams.codec', 'encore.keys.maps', 'zlib', 'isal')"
        " if m in sys.modules and m != 'zlib'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
