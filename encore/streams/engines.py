"""The libraries that compress, loaded when they are first needed.

zlib is always there; isal and zstd come with extras of the installation, and only here are they
imported. What is missing is refused when a codec is made, not when the first value is written. Only
`compression` imports this module.
"""

from __future__ import annotations

import sys
import zlib
from functools import cache
from typing import Any, NamedTuple, Protocol, cast

from encore.errors import UnsupportedError
from encore.streams.chunks import BytesLike
from encore.streams.markers import Member

__all__ = ["Compressor", "deflate_engine", "inflate_engine", "zstd_engine"]

#: Which level of isal does best what a level of zlib is chosen for. Its level 0 is left out: it
#: makes random data a fifth longer.
_ISAL_LEVELS = (1, 1, 1, 2, 2, 3, 3, 3, 3, 3)
#: Levels that no level of isal comes near: not compressed at all, and compressed as well as can be.
_ZLIB_LEVELS = (0, 7, 8, 9)


class Compressor(Protocol):
    """What turns data into a deflate stream."""

    def compress(self, data: BytesLike, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _DeflateModule(Protocol):
    """`zlib`, and what has its interface."""

    def compressobj(self, level: int, method: int, wbits: int) -> Compressor: ...
    def decompressobj(self, wbits: int) -> Member: ...
    def crc32(self, data: BytesLike, value: int, /) -> int: ...


class Deflate(NamedTuple):
    """An implementation of deflate.

    Parameters
    ----------
    module : module
    level : int
        In the terms of the module.
    """

    module: _DeflateModule
    level: int


def deflate_engine(engine: str, level: int) -> Deflate:
    """Return what does best what is asked for.

    Parameters
    ----------
    engine : str
        ``"zlib"``, ``"isal"`` or ``"auto"``.
    level : int
        Of zlib, 0 to 9.

    Raises
    ------
    UnsupportedError
        If isal is asked for by name and is not installed.
    """
    if engine == "zlib":
        return Deflate(_ZLIB, level)
    isal = _isal()
    if isal is not None and (engine == "isal" or level not in _ZLIB_LEVELS):
        return Deflate(isal, _ISAL_LEVELS[level])
    if engine == "isal":
        raise _missing("engine='isal'", "isal", "fast")
    return Deflate(_ZLIB, level)


def inflate_engine(engine: str) -> tuple[_DeflateModule, tuple[type[Exception], ...]]:
    """Return what reads deflate fastest, whoever wrote it, and the errors that it raises."""
    isal = None if engine == "zlib" else _isal()
    if isal is None:
        return _ZLIB, (zlib.error,)
    return isal, (isal.error,)


@cache
def zstd_engine() -> Any:
    """Return the module `compression.zstd`, or `backports.zstd` before Python 3.14.

    Raises
    ------
    UnsupportedError
        If there is none.
    """
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise _missing("Zstandard compression", "backports.zstd", "zstd") from error
    return zstd


@cache  # a search for what is not there costs more than a small value
def _isal() -> Any:
    try:
        from isal import isal_zlib
    except ImportError:
        return None
    return isal_zlib


def _missing(what: str, library: str, extra: str) -> UnsupportedError:
    return UnsupportedError(
        f'{what} needs {library}, which is not installed: pip install "encore[{extra}]"'
    )


_ZLIB = cast(_DeflateModule, zlib)
