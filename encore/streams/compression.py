"""`Gzip` and `Zstd`: compressed streams that other programs read, and that know their plain size.

What is written is an ordinary file of its kind, deterministic, with checksums, and behind it a
marker with the plain size (see `markers`). What is read may come from anywhere: files of several
members, files without a marker. Anybody may import this through `encore.streams`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from encore.streams.chunks import BytesLike
from encore.streams.codec import StreamCodec, blocks, closes_source
from encore.streams.engines import Compressor, deflate_engine, inflate_engine, zstd_engine
from encore.streams.markers import SIZES_BYTES, Members, SizeMarker

__all__ = ["Gzip", "Zstd"]

# Compressors are fed blocks of one size, since what they write depends on how they are fed.
_BLOCK_BYTES = 262144

_CHECKS = struct.Struct("<LL")  # of a member: the CRC-32 and the size of its data, modulo 2**32
_RAW_DEFLATE = -15
_WITH_GZIP_HEADER = 31

# RFC 1952, 2.3: magic, deflate, flags, time 0, no extra flags, "unknown" system.
_GZIP_HEAD = b"\x1f\x8b\x08%c\0\0\0\0\0\xff"
_PLAIN = _GZIP_HEAD % 0
_WITH_EXTRA_FIELD = _GZIP_HEAD % 4
_GZIP_MARKER = SizeMarker(
    head=_WITH_EXTRA_FIELD + struct.pack("<H2sH", 4 + SIZES_BYTES, b"EN", SIZES_BYTES),
    foot=b"\x03\0" + bytes(8),  # an empty deflate stream, its CRC-32 and its size
)

_ZSTD_TAG = b"ENsz"
_ZSTD_MARKER = SizeMarker(
    head=struct.pack("<LL4s", 0x184D2A5E, 4 + SIZES_BYTES, _ZSTD_TAG), foot=b""
)
# The window of the levels up to 19, and what every decoder should take, says RFC 8878, 3.1.1.1.2.
_COMMON_WINDOW_LOG = 23
_COMMON_LEVEL = 19


@dataclass(frozen=True, slots=True)
class Gzip(StreamCodec):
    """Gzip files (RFC 1952); deterministic: no name, no time.

    Parameters
    ----------
    level : int
        0 (not compressed), 1 (fast) to 9 (small).
    engine : {"auto", "zlib", "isal"}
        What compresses. ``"isal"`` comes with ``pip install "encore[fast]"`` and is several times
        faster. It has three levels: 1 for levels 0 to 2, 2 for 3 and 4, 3 from 5 on. ``"auto"`` is
        isal if it is installed, but zlib for the levels 0 and 7 to 9, which isal has nothing for.
        Either reads what the other wrote; the compressed bytes differ, so they are the same
        everywhere only with ``"zlib"`` and one version of it.

    Raises
    ------
    ValueError
        If there is no such level or engine.
    UnsupportedError
        If ``engine="isal"`` and isal is not installed.

    Notes
    -----
    Behind the data stands an empty member, so any gzip program reads the file unchanged. Its extra
    field (RFC 1952, section 2.3.1.1) has one subfield with the identification ``EN`` and these 20
    bytes, little-endian:

    ===== =======================================================
    8     size of the plain data
    8     size of the compressed data before this member
    4     CRC-32 of these 16 bytes
    ===== =======================================================

    `plain_size` believes them only if all three are right, and `decode` checks them. If exactly
    this last member is cut off, what is left is a whole gzip file: it decodes, to all of the data,
    and merely does not tell its size.

    Read are files of any number of members, also with zeros between and behind them. CRC-32 and
    size of every member are checked; other bytes behind the last one are an error.
    """

    level: int = 6
    engine: Literal["auto", "zlib", "isal"] = "auto"

    tail_bytes: ClassVar[int] = _GZIP_MARKER.length

    def __post_init__(self) -> None:
        if self.level not in range(10):
            raise ValueError(f"gzip has the levels 0 to 9, not {self.level!r}")
        if self.engine not in ("auto", "zlib", "isal"):
            raise ValueError(f"gzip has the engines auto, zlib and isal, not {self.engine!r}")
        deflate_engine(self.engine, self.level)

    @closes_source
    def encode(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        return self._encoded(chunks)

    def encode_bytes(self, data: bytes) -> bytes:
        if len(data) > _BLOCK_BYTES:
            return b"".join(self._encoded((data,)))
        # The same without the generators, which cost as much as it takes to compress a little.
        crc32, compressor = self._begin()
        deflated = compressor.compress(data) + compressor.flush()
        size = len(data)
        end = _CHECKS.pack(crc32(data, 0), size)
        encoded_size = len(_PLAIN) + len(deflated) + len(end)
        return b"".join((_PLAIN, deflated, end, _GZIP_MARKER.write(size, encoded_size)))

    def _begin(self) -> tuple[Callable[[BytesLike, int], int], Compressor]:
        module, level = deflate_engine(self.engine, self.level)
        return module.crc32, module.compressobj(level, zlib.DEFLATED, _RAW_DEFLATE)

    def _encoded(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        crc32, compressor = self._begin()
        checksum = size = 0
        encoded_size = len(_PLAIN)
        yield _PLAIN
        for block in blocks(chunks, _BLOCK_BYTES):
            checksum = crc32(block, checksum)
            size += len(block)
            piece = compressor.compress(block)
            if piece:
                encoded_size += len(piece)
                yield piece
        end = compressor.flush() + _CHECKS.pack(checksum, size & 0xFFFFFFFF)
        yield end + _GZIP_MARKER.write(size, encoded_size + len(end))

    @closes_source
    def decode(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        return self._members.decode(chunks)

    def decode_bytes(self, data: bytes, max_bytes: int | None = None) -> bytes:
        plain = self._members.decode_small(data, max_bytes)
        return StreamCodec.decode_bytes(self, data, max_bytes) if plain is None else plain

    @property
    def _members(self) -> Members:
        module, refusals = inflate_engine(self.engine)
        return Members(
            lambda: module.decompressobj(_WITH_GZIP_HEADER),
            refusals,
            _GZIP_MARKER,
            "gzip data",
            padding=b"\0",  # as tapes and disk images leave it, and gzip takes it
        )

    def plain_size(self, encoded_size: int, tail: bytes) -> int | None:
        return _GZIP_MARKER.read(encoded_size, tail)


@dataclass(frozen=True, slots=True)
class Zstd(StreamCodec):
    """Zstandard files (RFC 8878), with a checksum.

    Parameters
    ----------
    level : int
        -131072 (fast) to 22 (small). Levels beyond 19 take hundreds of megabytes of memory.
    max_window_log : int
        10 to 31. A decoder needs a window of ``2 ** max_window_log`` bytes at most: larger ones are
        not written, and data that asks for one is refused, because a few bytes can ask for 2 GiB.
        23, 8 MiB, holds everything but what was compressed with a level beyond 19 or ``--long``.

    Raises
    ------
    ValueError
        If there is no such level or window.
    UnsupportedError
        If there is no Zstandard: before Python 3.14 it comes with ``pip install "encore[zstd]"``.

    Notes ----- Behind the data stands a skippable frame (RFC 8878, section 3.1.2) with the magic
    number 0x184D2A5E, so any Zstandard program reads the file unchanged. It holds ``ENsz`` and the
    20 bytes that `Gzip` describes, and with it is dealt with in the same way.

    Read are files of any number of frames, also skippable ones. Frames that other programs wrote
    may lack a checksum, and damage to those may go unseen. The bytes written are the same for the
    same version of the library.
    """

    level: int = 3
    max_window_log: int = _COMMON_WINDOW_LOG

    tail_bytes: ClassVar[int] = _ZSTD_MARKER.length

    def __post_init__(self) -> None:
        parameters = zstd_engine().CompressionParameter
        for name, value, parameter in (
            ("level", self.level, parameters.compression_level),
            ("max_window_log", self.max_window_log, parameters.window_log),
        ):
            lowest, highest = parameter.bounds()
            if value not in range(lowest, highest + 1):
                raise ValueError(f"{name} is {lowest} to {highest} for zstd, not {value!r}")

    @closes_source
    def encode(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        return self._encoded(chunks)

    def encode_bytes(self, data: bytes) -> bytes:
        return b"".join(self._encoded((data,)))

    def _encoded(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        zstd = zstd_engine()
        parameters = zstd.CompressionParameter
        options = {parameters.compression_level: self.level, parameters.checksum_flag: 1}
        if self.level > _COMMON_LEVEL or self.max_window_log < _COMMON_WINDOW_LOG:
            options[parameters.window_log] = self.max_window_log
        compressor = zstd.ZstdCompressor(options=options)
        size = encoded_size = 0
        # One block is held back, because a frame that is told with its only block that it ends
        # needs a table for this size, not for any: small data takes half the time.
        held = None
        for block in blocks(chunks, _BLOCK_BYTES):
            size += len(block)
            if held is not None:
                piece = compressor.compress(held, compressor.CONTINUE)
                if piece:
                    encoded_size += len(piece)
                    yield piece
            held = block
        end = compressor.compress(held or b"", compressor.FLUSH_FRAME)
        yield end + _ZSTD_MARKER.write(size, encoded_size + len(end))

    @closes_source
    def decode(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        return self._members.decode(chunks)

    def decode_bytes(self, data: bytes, max_bytes: int | None = None) -> bytes:
        plain = self._members.decode_small(data, max_bytes)
        return StreamCodec.decode_bytes(self, data, max_bytes) if plain is None else plain

    @property
    def _members(self) -> Members:
        zstd = zstd_engine()
        options = {zstd.DecompressionParameter.window_log_max: self.max_window_log}
        return Members(
            lambda: zstd.ZstdDecompressor(options=options),
            (zstd.ZstdError,),
            _ZSTD_MARKER,
            f"zstd data with a window within max_window_log={self.max_window_log}",
        )

    def plain_size(self, encoded_size: int, tail: bytes) -> int | None:
        return _ZSTD_MARKER.read(encoded_size, tail)
