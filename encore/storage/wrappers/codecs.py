"""Wrappers that store data in another form: compressed, in base64, as text, as JSON.

A `StreamCodec` turns chunks into chunks and knows no store; `CodecStore` carries it. Data is
encoded once, on its way to where the base keeps it, and decoded as it is read. Sizes are those of
the plain data, or None where only decoding could tell. ``storage.api`` shows what is public here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from encore.storage.checking import Problem, read_everything
from encore.storage.template import Entry, MetadataChange, Staged, Store
from encore.storage.values import Value
from encore.storage.wrappers.base import WrapperStore
from encore.storage.wrappers.decoding import DecodedContent, EncodedStream
from encore.streams.codec import StreamCodec
from encore.streams.compression import Gzip, Zstd
from encore.streams.encodings import Base64

#: The most that is decoded into memory at once, in bytes.
MAX_BYTES = 1 << 30


class CodecStore(WrapperStore):
    """Data encoded in ``base``, metadata as it is.

    Parameters
    ----------
    base : Store
    codec : StreamCodec
    max_bytes : int, optional
        The most that reading a whole value may decode to, in bytes: what looks small may hold
        terabytes of zeros. Streams have no limit, since they never hold more than a chunk.

    Raises
    ------
    CorruptValueError
        From reading: what the base holds is not what the codec makes, or is damaged.
    """

    def __init__(self, base: Store, codec: StreamCodec, *, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(base)
        self.codec = codec
        self.max_bytes = max_bytes

    def info(self) -> dict[str, Any]:
        encoded = self.codec.encode_bytes(b"a")
        tail = encoded[-self.codec.tail_bytes :] if self.codec.tail_bytes else b""
        tells = self.codec.plain_size(len(encoded), tail) is not None
        found = super().info()
        return {**found, "sizes": tells and found["sizes"]}

    # -- reading ----------------------------------------------------------------------------------

    def _decoded(self, value: Value) -> Value:
        content = value.content
        tail_bytes = self.codec.tail_bytes
        if isinstance(content, bytes):
            size = len(content)
            tail = content[-tail_bytes:] if tail_bytes else b""
        else:
            size = content.size
            tail = content.read(max(size - tail_bytes, 0), size) if tail_bytes else b""
        plain_size = self.codec.plain_size(size, tail)
        return Value.of(
            DecodedContent(self.codec, content, plain_size, self.max_bytes),
            value.metadata_text,
            plain_size,
            value.created or 0.0,
            value.modified or 0.0,
            value.token,
            value.handle,
        )

    def _find(self, key: str) -> Value | None:
        value = self._inner._find(key)
        return None if value is None else self._decoded(value)

    def _read(self, key: str) -> bytes | None:
        data = self._inner._read(key)
        return None if data is None else self.codec.decode_bytes(data, self.max_bytes)

    _read_range = Store._read_range

    def _find_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Value | None]]:
        return (
            (key, None if value is None else self._decoded(value))
            for key, value in self._inner._find_many(keys)
        )

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        return ((key, self._decoded(value)) for key, value in self._inner._find_all(prefix))

    _survey = Store._survey
    _sum = Store._sum

    def _examine(self, repair: bool) -> Iterator[Problem]:
        known = set()
        for problem in super()._examine(repair):
            known.add(problem.key)
            yield problem
        yield from read_everything(self, known)  # to the checksums behind what is encoded

    # -- writing ----------------------------------------------------------------------------------

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        return self._inner._put_plain(key, self.codec.encode_bytes(data), text)  # type: ignore[no-any-return]

    def _take_stream(self, key: str, chunks: Iterator[bytes]) -> Staged:
        staged = self._inner._take_stream(key, self.codec.encode(chunks))
        return EncodedStream(self.codec, staged)

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        if isinstance(content, bytes):
            content = self.codec.encode_bytes(content)
        elif isinstance(content, EncodedStream):
            content = content.staged
        self._inner._write_content(entry, content, if_absent, if_token)

    def _passed_on(self, entry: Entry) -> Entry:
        data: Any = entry.data.content if isinstance(entry.data, Value) else entry.data
        return Entry(entry.key, self.codec.encode_bytes(bytes(data)), *entry[2:])

    def _rewrite_metadata(self, key: str, change: MetadataChange, empty: bytes = b"") -> None:
        self._inner._rewrite_metadata(key, change, self.codec.encode_bytes(empty))


class GzipStore(CodecStore):
    """Data compressed with gzip.

    Parameters
    ----------
    base : Store
    level : int, optional
        1 (fast) to 9 (small).
    max_bytes : int, optional
        See `CodecStore`.

    Notes
    -----
    Other programs read the values as gzip files, and files that others compressed are values.
    The ``fast`` extra compresses several times faster; see `Gzip`.
    """

    def __init__(self, base: Store, level: int = 6, *, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(base, Gzip(level), max_bytes=max_bytes)


class ZstdStore(CodecStore):
    """Data compressed with Zstandard, which the ``zstd`` extra brings.

    Parameters
    ----------
    base : Store
    level : int, optional
        1 (fast) to 19 (small).
    max_bytes : int, optional
        See `CodecStore`.
    """

    def __init__(self, base: Store, level: int = 3, *, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(base, Zstd(level), max_bytes=max_bytes)


class Base64Store(CodecStore):
    """Data in base64, for stores that hold text only.

    Parameters
    ----------
    base : Store
    max_bytes : int, optional
        See `CodecStore`.
    """

    def __init__(self, base: Store, *, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(base, Base64(), max_bytes=max_bytes)
