"""From what stands in an archive back to data, a piece at a time.

Nothing here trusts what an archive says: nothing gives more than it was asked for, and whoever asks
asks for no more than the declared size.

Only this subpackage imports this module.
"""

from __future__ import annotations

import sys
import zlib
from typing import Any, Protocol

from encore.errors import CorruptValueError, UnsupportedError
from encore.storage.backends.zip.headers import BZIP2, DEFLATED, LZMA

_RAW = -15  # deflate without header and checksum, window of 32 KiB
_NAMES = {1: "shrink", 6: "implode", 9: "deflate64", 93: "zstd", 95: "xz", 98: "ppmd", 99: "AES"}


class Unpacker(Protocol):
    """Packed bytes in, at most so many bytes out."""

    def give(self, packed: bytes, most: int) -> bytes:
        """Take in packed bytes and return up to ``most`` bytes; more of them without input."""

    def is_hungry(self) -> bool:
        """Whether nothing more comes without input."""

    def is_done(self) -> bool:
        """Whether the packed data says that this is its end."""


class _Inflater:
    """Deflate, whose unread input has to be handed in again."""

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(_RAW)

    def give(self, packed: bytes, most: int) -> bytes:
        engine = self._engine
        tail = engine.unconsumed_tail
        return engine.decompress(tail + packed if tail else packed, most)

    def is_hungry(self) -> bool:
        return not self._engine.unconsumed_tail

    def is_done(self) -> bool:
        return self._engine.eof


class _Other:
    """bzip2 and lzma, which keep their unread input themselves."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def give(self, packed: bytes, most: int) -> bytes:
        return b"" if self._engine.eof else self._engine.decompress(packed, most)

    def is_hungry(self) -> bool:
        return bool(self._engine.needs_input)

    def is_done(self) -> bool:
        return bool(self._engine.eof)


class _Lzma:
    """lzma, behind the few bytes that zip puts before it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._head = b""
        self._inner: _Other | None = None

    def give(self, packed: bytes, most: int) -> bytes:
        if self._inner is None:
            self._head += packed
            if len(self._head) < 9:
                return b""
            self._inner, packed = self._begin(self._head), self._head[9:]
        return self._inner.give(packed, most)

    def _begin(self, head: bytes) -> _Other:
        import lzma

        properties = head[4]
        if head[2:4] != b"\5\0" or properties >= 225:
            raise CorruptValueError("the packed data does not begin as lzma does")
        wanted = int.from_bytes(head[5:9], "little")
        # More of a dictionary than there is data would only cost memory.
        dictionary = min(max(wanted, 4096), max(self._size, 4096))
        rest, lc = divmod(properties, 9)
        pb, lp = divmod(rest, 5)
        spec: dict[str, Any] = {"id": lzma.FILTER_LZMA1, "dict_size": dictionary}
        spec |= {"lc": lc, "lp": lp, "pb": pb}
        try:
            return _Other(lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[spec]))
        except lzma.LZMAError as error:
            raise CorruptValueError(
                f"the packed data does not begin as lzma does: {error}"
            ) from error

    def is_hungry(self) -> bool:
        return self._inner is None or self._inner.is_hungry()

    def is_done(self) -> bool:
        return self._inner is not None and self._inner.is_done()


def unpacker(method: int, size: int) -> Unpacker:
    """Return what unpacks data of this method and size.

    Raises
    ------
    UnsupportedError
        Nothing here does.
    """
    if method == DEFLATED:
        return _Inflater()
    if method == BZIP2:
        import bz2

        return _Other(bz2.BZ2Decompressor())
    if method == LZMA:
        return _Lzma(size)
    name = _NAMES.get(method)
    raise UnsupportedError(
        f"the data is packed by method {method}{f' ({name})' if name else ''}, which encore does "
        "not read; unpack it with the program that made the archive"
    )


def unpacking_errors() -> tuple[type[Exception], ...]:
    """What the engines raise at damage."""
    lzma: Any = sys.modules.get("lzma")
    own = () if lzma is None else (lzma.LZMAError,)
    return (zlib.error, OSError, ValueError, EOFError, *own)
