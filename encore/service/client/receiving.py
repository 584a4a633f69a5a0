"""Bodies of answers: never short, checked against their digest, decompressed if that is wanted.

``session`` imports this module.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from encore.errors import CorruptValueError, UnsupportedError
from encore.service.metadata import Metadata
from encore.storage.backends.http.answers import Answer
from encore.storage.backends.http.failures import About
from encore.streams import Zstd
from encore.streams.buffers import ChunkedRaw

__all__ = ["GetResult", "Payload", "opened"]

_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]{44}):")


class GetResult(NamedTuple):
    """An object that is being read.

    Attributes
    ----------
    metadata : Metadata
        Without ``compression`` if it has been undone.
    payload : binary file-like
        To be closed, or read to its end. What is damaged or cut off raises `CorruptValueError` or
        `RequestError`: the data is known to be whole when its end has been read.
    """

    metadata: Metadata
    payload: IO[bytes]


class Payload(ChunkedRaw):
    """The data of an answer as a stream that can be read once."""

    def __init__(self, answer: Answer, chunks: Iterator[bytes]) -> None:
        super().__init__(_ending(answer, chunks))
        self._answer = answer

    def close(self) -> None:
        if not self.closed:
            self._answer.close()
        super().close()


def _ending(answer: Answer, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from chunks
    answer.close()


def opened(answer: Answer, about: About, *, decompress: bool) -> GetResult:
    """Return the object in an answer, which its payload closes."""
    metadata = Metadata.from_headers(answer.headers)
    digest = _DIGEST.search(answer.headers.get("repr-digest", ""))
    # The encoding belongs to the object: the answer is to be taken as it is.
    plain = {k: v for k, v in answer.headers.items() if k.lower() != "content-encoding"}
    answer.headers = _Headers(plain)
    chunks = answer.chunks(1 << 18)
    if digest is not None:
        chunks = _checked(chunks, base64.b64decode(digest[1]), about)
    if decompress and metadata.compression is not None:
        if metadata.compression != "zstd":
            raise UnsupportedError(
                f"{about.operation}: {about.key!r} is compressed in a way that is not known; get "
                "it with decompress=False",
                **about._asdict(),
            )
        chunks = Zstd().decode(chunks)
        metadata = metadata.decompressed()
    return GetResult(metadata, io.BufferedReader(Payload(answer, chunks), 1 << 16))


class _Headers(dict[str, str]):
    """Headers, whatever the case of the names."""

    def __init__(self, given: dict[str, str]) -> None:
        super().__init__((name.lower(), value) for name, value in given.items())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def _checked(chunks: Iterator[bytes], digest: bytes, about: About) -> Iterator[bytes]:
    sha256 = hashlib.sha256()
    for chunk in chunks:
        sha256.update(chunk)
        yield chunk
    if sha256.digest() != digest:
        raise CorruptValueError(
            f"{about.operation}: {about.key!r} was damaged on its way: its digest is not the one "
            "the service has announced; try again",
            **about._asdict(),
        )
