"""A batch of changes as the body of a request: lines of JSON, with data behind some of them.

``remote`` sends it; what it means stands with the server, in ``server/batches``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from encore.storage.backends.http.records import RemoteValue
from encore.storage.template import Record
from encore.streams.buffers import ChunkedRaw

__all__ = ["Condition", "body_of", "segments_of"]

_PIECE = 1 << 18


class Condition(NamedTuple):
    """What has to be under a key when a batch is applied: a token, or None for nothing."""

    token: str | None

    def fields(self) -> dict[str, Any]:
        return {"if_absent": True} if self.token is None else {"if_token": self.token}


Segment = bytes | Any  # bytes, or a content


def segments_of(
    batch: Mapping[str, Record | None], conditions: Mapping[str, Condition], keep_created: bool
) -> Iterator[Segment]:
    """Yield the lines and data of a batch.

    Parameters
    ----------
    batch : mapping of str to Record or None
    conditions : mapping of str to Condition
        For keys in the batch, and for others.
    keep_created : bool
        Whether ``created`` is left to the service.
    """
    count = 0
    for key, condition in conditions.items():
        if key not in batch:
            count += 1
            yield _line({"check": key, **condition.fields()})
    for key, record in batch.items():
        count += 1
        wanted = conditions[key].fields() if key in conditions else {}
        if record is None:
            yield _line({"delete": key, **wanted})
            continue
        content, text, size, created, modified, token = record
        head = {"set": key, "size": size, "modified": modified, "token": token, **wanted}
        if not keep_created:
            head["created"] = created
        if isinstance(content, RemoteValue):
            head["data_of"] = {"key": content.key, "token": content.token}
        yield b'{"metadata":' + text.encode() + b"," + _line(head)[1:]
        if not isinstance(content, RemoteValue) and size:
            yield content
    yield _line({"end": count})


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def body_of(segments: list[Segment]) -> ChunkedRaw:
    """Segments as a body."""
    return ChunkedRaw(_pieces(segments))


def _pieces(segments: list[Segment]) -> Iterator[bytes]:
    lines: list[bytes] = []
    size = 0
    for segment in segments:
        if isinstance(segment, bytes):
            lines.append(segment)  # many small ones go out as one
            size += len(segment)
            if size < _PIECE:
                continue
        yield b"".join(lines)
        lines, size = [], 0
        if not isinstance(segment, bytes):
            yield from segment.chunks(0, segment.size, _PIECE)
    yield b"".join(lines)
