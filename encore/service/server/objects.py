"""The life cycle of an object: put, get, look, extend, delete.

Handlers, which ``routes`` knows.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from encore.errors import ConflictError
from encore.service.durations import parse_duration, parse_moment
from encore.service.metadata import Metadata, repr_digest
from encore.service.server.describing import (
    check_digests,
    headers_of,
    md5_of,
    metadata_text,
    read_metadata,
)
from encore.service.server.exchange import Refused, Reply, Request, json_reply
from encore.service.server.ranges import wanted_range
from encore.service.server.service import Located, Service
from encore.service.server.shelf import FoundObject
from encore.storage.backends.http.records import etag_of
from encore.storage.template import Entry, Staged
from encore.storage.transactions.owners import new_token
from encore.storage.values import Value

__all__ = [
    "check_policy",
    "delete_object",
    "find_version",
    "get_object",
    "head_object",
    "patch_object",
    "post_object",
    "put_object",
    "take_in",
    "write_taken",
]

#: Bytes: data up to this size is held in memory until it is committed.
INLINE_BYTES = 1 << 18
_LASTS = 1 << 19


# -- writing --------------------------------------------------------------------------------------


def post_object(service: Service, request: Request, at: Located) -> Reply:
    """Put an object under a key that the server chooses."""
    key = str(uuid.uuid4())
    return _put(service, request, at._replace(key=key), 201)


def put_object(service: Service, request: Request, at: Located) -> Reply:
    """Put an object, replacing what is there."""
    return _put(service, request, at, 200)


def _put(service: Service, request: Request, at: Located, status: int) -> Reply:
    described = read_metadata(request)
    check_policy(at, described)
    service.check_key(at)
    content, digest = take_in(service, request, at.full)
    headers = write_taken(service, request, at, described, content, digest)
    return json_reply(status, {"key": at.key}, headers)


def check_policy(at: Located, described: Metadata) -> None:
    """Refuse an expiration that the usecase does not take."""
    problem = at.rules.problem(described.expiration_policy)
    if problem is not None:
        raise Refused(400, problem)


def write_taken(
    service: Service,
    request: Request,
    at: Located,
    described: Metadata,
    content: bytes | Staged,
    digest: bytes | None,
) -> list[tuple[str, str]]:
    """Write what has been taken in, and return the headers that say which version it is now."""
    token, now = new_token(), service.store.clock()
    known = None if digest is None else (digest.hex(), token)
    try:
        text = metadata_text(described, known)
        entry = Entry(at.full, None, text, now, now, token)
        wanted = request.header("if-match")
        current = _current_token(service, at, wanted)
        service.store.write_object(
            entry,
            content,
            described.expiration_policy,
            if_absent=request.header("if-none-match") == "*",
            if_token=current,
        )
    except BaseException as error:
        if not isinstance(content, bytes):
            content.discard()
        if isinstance(error, ConflictError):
            raise Refused(412, "what is there is not what the condition says") from None
        raise
    headers = [("etag", etag_of(token))]
    if digest is not None:
        headers.append(("repr-digest", repr_digest(digest)))
    return headers


def _current_token(service: Service, at: Located, wanted: str | None) -> str | None:
    """The token that an ``if-match`` means; one that nothing has if it matches nothing."""
    if wanted is None:
        return None
    found = service.store.find_object(at.full, use=False)
    if found is None:
        return ""
    found.value.close()
    tags = [tag.strip() for tag in wanted.split(",")]
    return found.value.token if "*" in tags or etag_of(found.value.token) in tags else ""


class _Hashed:
    """A stream that is hashed while it is read."""

    def __init__(self, stream: Any, hashes: list[Any]) -> None:
        self._stream = stream
        self._hashes = hashes

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size)
        for one in self._hashes:
            one.update(data)
        return data


def take_in(service: Service, request: Request, key: str) -> tuple[bytes | Staged, bytes]:
    """Take the body in, check it against what the request says of it, and return its SHA-256."""
    sha256, md5 = hashlib.sha256(), md5_of(request)
    hashes = [one for one in (sha256, md5) if one is not None]
    data, stream = request.body
    content: bytes | Staged
    if data is not None:
        for one in hashes:
            one.update(data)
        content = data
    else:
        content = service.store.take(key, _Hashed(stream, hashes), _LASTS)
    digest = sha256.digest()
    try:
        check_digests(request, digest, md5 and md5.digest())
    except BaseException:
        if not isinstance(content, bytes):
            content.discard()
        raise
    return content, digest


def delete_object(service: Service, request: Request, at: Located) -> Reply:
    """Remove an object; there may be none."""
    service.store.delete(at.full, missing_ok=True)
    return Reply(204)


# -- reading --------------------------------------------------------------------------------------


def get_object(service: Service, request: Request, at: Located) -> Reply:
    """Return an object, or a part of it."""
    found = find_version(service, request, at)
    value = found.value
    headers = headers_of(found)
    try:
        if request.header("if-none-match") == etag_of(value.token):
            value.close()
            return Reply(304, headers)
        size = value.size
        assert size is not None, "a store that is served knows the sizes of its values"
        part = wanted_range(request.header("range"), size)
    except BaseException:
        value.close()
        raise
    status, (start, end) = 200, (0, size)
    if part is not None:
        status, (start, end) = 206, part
        headers.append(("content-range", f"bytes {start}-{end - 1}/{size}"))
    content = value.content
    if isinstance(content, bytes):
        return Reply(status, headers, content if part is None else content[start:end])
    return _streamed(status, headers, value, content, start, end)


def _streamed(status: int, headers: Any, value: Value, content: Any, start: int, end: int) -> Reply:
    if end - start <= INLINE_BYTES:
        try:
            return Reply(status, headers, content.read(start, end))
        finally:
            value.close()

    def read(first: int, last: int) -> bytes:
        data: bytes = content.read(start + first, start + last)
        return data

    return Reply(status, headers, size=end - start, read=read, close=value.close)


def head_object(service: Service, request: Request, at: Located) -> Reply:
    """Return what is known of an object."""
    found = find_version(service, request, at)
    found.value.close()
    return Reply(200, headers_of(found), size=found.value.size)


def find_version(service: Service, request: Request, at: Located) -> FoundObject:
    """The object, in the version that is asked for."""
    service.check_key(at, missing=True)
    wanted = request.header("if-match")
    found = service.store.find_object(at.full)
    if wanted is not None and (found is None or wanted not in ("*", etag_of(found.value.token))):
        if found is not None:
            found.value.close()
        found = service.kept_version(at.full, wanted)
        if found is None:
            raise Refused(412)
    if found is None:
        raise Refused(404)
    return found


# -- expiry ---------------------------------------------------------------------------------------


def patch_object(service: Service, request: Request, at: Located) -> Reply:
    """Let an object live longer."""
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "the body is application/json")
    until = _new_end(request.body.document())
    service.check_key(at, missing=True)

    def checked(now: float, created: float) -> float:
        end: float = until(now, created)
        if at.rules.is_too_long(end - created):
            raise Refused(400, "objects of this usecase do not live so long")
        return end

    service.store.extend(at.full, checked)
    return Reply(204)


def _new_end(document: Any) -> Any:
    """From now and the moment of creation to the end that a document asks for."""
    asked = document.get("extend_expiry") if isinstance(document, dict) else None
    if not isinstance(asked, dict) or len(document) != 1:
        raise Refused(422, "the body is an object with extend_expiry, and nothing else")
    try:
        if asked.keys() == {"at"}:
            end = parse_moment(asked["at"])
            return lambda now, created: end
        if asked.keys() == {"after", "from"} and asked["from"] in ("now", "creation"):
            seconds = parse_duration(asked["after"])
            if asked["from"] == "now":
                return lambda now, created: now + seconds
            return lambda now, created: created + seconds
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(422, f"extend_expiry cannot be taken: {error}") from None
    raise Refused(422, "extend_expiry has at, or after and from (now or creation)")
