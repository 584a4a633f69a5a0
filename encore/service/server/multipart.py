"""Objects that arrive in parts.

Parts are kept in the store itself, under keys that no object can have, so that an upload outlives
the server; they expire after a week. What is known of the object is said when the upload begins,
and kept with it. Completing copies the parts into the object and removes them, as one act.
Handlers, which ``routes`` knows.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from encore.errors import EncoreError
from encore.service.durations import format_moment
from encore.service.metadata import Metadata
from encore.service.server.describing import read_metadata
from encore.service.server.exchange import Refused, Reply, Request, json_reply
from encore.service.server.objects import check_policy, take_in, write_taken
from encore.service.server.service import Located, Service
from encore.service.server.shelf import UPLOADS
from encore.storage.metadata import encode_metadata
from encore.storage.template import Entry, Staged
from encore.storage.values import Value
from encore.storage.wrappers.lifetimes import TimeToLive

__all__ = ["abort", "complete", "initiate", "list_parts", "put_part"]

_ID = re.compile(r"[0-9a-f]{32}")
_LIFE = TimeToLive(7 * 86400)
_MOST_PARTS = 10_000
_PIECE = 1 << 20


class _Upload(NamedTuple):
    """An upload that has begun: where its parts are, and what it will be."""

    prefix: str
    headers: list[tuple[str, str]]


class _Part(NamedTuple):
    number: int
    etag: str
    size: int
    modified: float
    key: str


def initiate(service: Service, request: Request, at: Located) -> Reply:
    """Begin an upload."""
    if not at.key:
        at = at._replace(key=str(uuid.uuid4()))
    service.check_key(at)
    described = read_metadata(request)
    check_policy(at, described)
    upload = uuid.uuid4().hex
    fields = {"object": at.full, "headers": [*described.as_headers().items()]}
    _write(service, f"{UPLOADS}{upload}/", b"", fields)
    return json_reply(200, {"key": at.key, "upload_id": upload})


def put_part(service: Service, request: Request, at: Located) -> Reply:
    """Take a part, replacing one of the same number."""
    upload = _upload(service, request, at)
    number = _part_number(request.number("part_number"))
    if request.header("content-length") is None:
        raise Refused(400, "a part says its Content-Length")
    key = f"{upload.prefix}{number:05}"
    content, digest = take_in(service, request, key)
    etag = f'"{digest.hex()}"'
    _write(service, key, content, {"etag": etag})
    return json_reply(200, {"etag": etag}, [("etag", etag)])


def list_parts(service: Service, request: Request, at: Located) -> Reply:
    """Return a page of the parts that have arrived."""
    upload = _upload(service, request, at)
    most = min(request.number("max_parts", 1000), 1000)
    after = request.number("part_number_marker", 0)
    found = [part for part in _parts(service, upload) if part.number > after]
    page = found[:most]
    document: dict[str, Any] = {
        "parts": [
            {
                "part_number": part.number,
                "etag": part.etag,
                "last_modified": format_moment(part.modified),
                "size": part.size,
            }
            for part in page
        ],
        "is_truncated": len(found) > len(page),
    }
    if len(found) > len(page):
        document["next_part_number_marker"] = page[-1].number if page else after
    return json_reply(200, document)


def abort(service: Service, request: Request, at: Located) -> Reply:
    """End an upload without an object; it may have ended before."""
    upload = _upload_id(request)
    service.store.clear(f"{UPLOADS}{upload}/")
    return Reply(204)


def complete(service: Service, request: Request, at: Located) -> Reply:
    """Make the object. The status says nothing, as the protocol wants it: the body does."""
    upload = _upload(service, request, at)
    wanted = _wanted(request.body.document())
    there = {part.number: part for part in _parts(service, upload)}
    chosen = []
    for number, etag in wanted:
        part = there.get(number)
        if part is None or part.etag != etag:
            return _failed("InvalidPart", f"part {number} is not there, or is another one")
        chosen.append(part)
    numbers = [number for number, _ in wanted]
    if not chosen or numbers != sorted(set(numbers)):
        return _failed("InvalidPartOrder", "parts are named once each, in their order")
    most = service.limits.object_bytes
    if most is not None and sum(part.size for part in chosen) > most:
        return _failed("EntityTooLarge", "the object is larger than is taken here")
    try:
        _assemble(service, request, at, upload, chosen)
    except EncoreError as error:
        return _failed("InternalError", type(error).__name__)
    return json_reply(200, {"key": at.key})


def _assemble(
    service: Service, request: Request, at: Located, upload: _Upload, parts: list[_Part]
) -> None:
    sha256 = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for part in parts:
            with service.store.get(part.key) as data:
                while piece := data.read(_PIECE):
                    sha256.update(piece)
                    yield piece

    described = Metadata.from_request(upload.headers)
    content = service.store.take(at.full, Value(_Pieces(chunks())), _PIECE)
    with service.store.transaction(f"Complete {at.full}"):
        write_taken(service, request, at, described, content, sha256.digest())
        service.store.clear(upload.prefix)


class _Pieces:
    """Chunks as a stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, _size: int = -1) -> bytes:
        return next(self._chunks, b"")


def _upload_id(request: Request) -> str:
    found = request.parameters.get("upload_id", "")
    if _ID.fullmatch(found) is None:
        raise Refused(400, "the upload_id is missing, or is none")
    return found


def _upload(service: Service, request: Request, at: Located) -> _Upload:
    prefix = f"{UPLOADS}{_upload_id(request)}/"
    found = service.store.find_object(prefix, use=False)
    if found is None:
        raise Refused(404, "there is no such upload")
    found.value.close()
    fields = found.value.metadata
    if fields.get("object") != at.full:
        raise Refused(404, "there is no such upload")
    return _Upload(prefix, [(name, value) for name, value in fields["headers"]])


def _parts(service: Service, upload: _Upload) -> list[_Part]:
    found = []
    for key, value in service.store.items(upload.prefix):
        value.close()
        if key != upload.prefix:
            number, etag = int(key.removeprefix(upload.prefix)), value.metadata["etag"]
            found.append(_Part(number, etag, value.size or 0, value.modified or 0.0, key))
    return found


def _part_number(number: int, status: int = 400) -> int:
    if not 1 <= number <= _MOST_PARTS:
        raise Refused(status, f"parts are numbered from 1 to {_MOST_PARTS}")
    return number


def _wanted(document: Any) -> list[tuple[int, str]]:
    """The parts that a document names, in its order."""
    parts = document.get("parts") if isinstance(document, dict) else None
    if not isinstance(parts, list):
        raise Refused(422, "the body is an object with a list of parts")
    found = []
    for part in parts:
        number = part.get("part_number") if isinstance(part, dict) else None
        etag = part.get("etag") if isinstance(part, dict) else None
        if type(number) is not int or not isinstance(etag, str):
            raise Refused(422, "a part has a part_number and an etag")
        found.append((_part_number(number, 422), etag))
    return found


def _failed(code: str, message: str) -> Reply:
    return json_reply(200, {"error": {"code": code, "message": message}})


def _write(service: Service, key: str, content: bytes | Staged, fields: dict[str, Any]) -> None:
    now = service.store.clock()
    entry = Entry(key, None, encode_metadata(fields), now, now)
    service.store.write_object(entry, content, _LIFE)
