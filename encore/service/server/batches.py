"""Many changes in one request: all of them are made, or none.

The body is a sequence of changes, each a line of JSON, where the data follows if there is some::

    {"set": KEY, "size": BYTES, "metadata": {...}} NEWLINE DATA
    {"delete": KEY} NEWLINE
    {"check": KEY, "if_token": TOKEN} NEWLINE
    {"end": COUNT} NEWLINE

Any of them may have ``if_absent: true`` or ``if_token``, which have to hold for the key when the
changes are made; ``set`` may say ``created``, ``modified`` and ``token``, and ``data_of: {"key":
KEY, "token": TOKEN}`` in place of ``size`` for data that the server has. The last line tells that
nothing was cut off. Large data goes to where it will stay as it arrives; what is committed at the
end are records. A handler, which ``routes`` knows.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from encore.errors import ConflictError, InvalidKeyError
from encore.service.durations import Policy
from encore.service.server.exchange import Refused, Reply, Request, json_reply
from encore.service.server.permissions import DELETE
from encore.service.server.service import Located, Service
from encore.storage.backends.http.documents import BadDocument, as_metadata, as_number, as_size
from encore.storage.metadata import EMPTY
from encore.storage.template import Entry, Staged
from encore.storage.transactions.owners import new_token

__all__ = ["transact"]

_MOST_LINE = 1 << 26
_INLINE = 1 << 16
_MOST_INLINE = 1 << 26
_KINDS = ("set", "delete", "check")


class _Change(NamedTuple):
    kind: str
    key: str
    asked: dict[str, Any]
    content: bytes | Staged | None


def transact(service: Service, request: Request, at: Located) -> Reply:
    """Make changes, all or none."""
    changes: list[_Change] = []
    try:
        for change in _changes(service, request, at):
            changes.append(change)  # noqa: PERF402  what has come stays known when it raises
        tokens = _apply(service, request, at, changes)
    except BaseException as error:
        for change in changes:
            if change.content is not None and not isinstance(change.content, bytes):
                change.content.discard()
        if isinstance(error, BadDocument):
            raise Refused(400, f"a change is not understood: {error}") from None
        raise
    return json_reply(200, {"tokens": tokens})


def _changes(service: Service, request: Request, at: Located) -> Iterator[_Change]:
    """The changes in a body, their data taken in."""
    data, stream = request.body
    body = io.BytesIO(data) if data is not None else io.BufferedReader(stream, _INLINE)  # type: ignore[type-var]
    count = inline = 0
    while True:
        asked = _line(body)
        if "end" in asked:
            if asked["end"] != count or body.read(1):
                raise Refused(400, "the changes were cut off, or something follows their end")
            return
        count += 1
        if count > service.limits.batch_changes:
            raise Refused(
                413, f"a transaction is of {service.limits.batch_changes} changes at most"
            )
        kind, key = next(((k, asked[k]) for k in _KINDS if k in asked), ("", None))
        if not isinstance(key, str):
            raise Refused(400, f"a change has one of {', '.join(_KINDS)}")
        if kind == "delete":
            service.allow(request, at, DELETE)
        here = at._replace(key=key)
        service.check_key(here)
        content: bytes | Staged | None = None
        if kind == "set":
            # Beyond a certain sum even small data goes where it will stay at once.
            most = _INLINE if inline < _MOST_INLINE else 1
            content = _content(service, at, here, asked, body, most)
            inline += len(content) if isinstance(content, bytes) else 0
        yield _Change(kind, here.full, asked, content)


def _line(body: Any) -> dict[str, Any]:
    text = body.readline(_MOST_LINE)
    if not text.endswith(b"\n"):
        raise Refused(400, "the changes were cut off")
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise Refused(400, "a change is a JSON object in a line")
    return asked


def _content(
    service: Service, at: Located, here: Located, asked: dict[str, Any], body: Any, most: int
) -> bytes | Staged:
    source = asked.get("data_of")
    if source is None:
        size = as_size(asked.get("size"))
        limit = service.limits.object_bytes
        if limit is not None and size > limit:
            raise Refused(413, "the object is larger than is taken here")
        return service.store.take(here.full, _Part(body, size), most)
    if not isinstance(source, dict) or not isinstance(source.get("key"), str):
        raise Refused(400, "data_of has a key and a token")
    found = service.store.version(at.prefix + source["key"], str(source.get("token")))
    if found is None:
        raise Refused(409, "the data to be copied is not there any more")
    return service.store.take(here.full, found.value, most)


class _Part:
    """So many bytes of a stream."""

    def __init__(self, stream: Any, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(self._left if size < 0 else min(size, self._left))
        if not data and self._left and size:
            raise Refused(400, "the data of a change was cut off")
        self._left -= len(data)
        return data


def _apply(
    service: Service, request: Request, at: Located, changes: list[_Change]
) -> dict[str, str | None]:
    """Make the changes, and return the tokens that keys have now."""
    store = service.store
    notes = unquote(request.header("x-encore-notes") or "Changes")
    origin = request.header("x-encore-origin")
    options: Any = {} if origin is None else {"origin": unquote(origin)}
    tokens: dict[str, str | None] = {}
    with store.transaction(notes, **options):
        for change in changes:
            _check(service, at, change)
        for change in changes:
            name = change.key.removeprefix(at.prefix)
            if change.kind == "set":
                assert change.content is not None
                entry = _entry(change)
                store.write_object(entry, change.content, _policy_of(service, change.key))
                tokens[name] = entry.token
            elif change.kind == "delete":
                store.delete(change.key, missing_ok=True)
                tokens[name] = None
    return tokens


def _policy_of(service: Service, key: str) -> Policy | None:
    """The expiration of what is there, which a new version under the same key keeps."""
    found = service.store.find_object(key, use=False)
    if found is None:
        return None
    found.value.close()
    return None if found.expiry is None else found.expiry.policy


def _check(service: Service, at: Located, change: _Change) -> None:
    asked = change.asked
    if "if_token" not in asked and not asked.get("if_absent"):
        return
    found = service.store.find_object(change.key, use=False)
    token = None if found is None else found.value.token
    if found is not None:
        found.value.close()
    wanted = None if asked.get("if_absent") else asked.get("if_token")
    if token != wanted:
        name = change.key.removeprefix(at.prefix)
        raise ConflictError("what is there is not what the condition says", key=name)


def _entry(change: _Change) -> Entry:
    asked = change.asked
    text = as_metadata(asked["metadata"]) if "metadata" in asked else EMPTY
    token = asked.get("token") or new_token()
    if not isinstance(token, str) or len(token) > 200:
        raise InvalidKeyError("a token is a short text")
    times = [as_number(asked[n]) if n in asked else None for n in ("created", "modified")]
    return Entry(change.key, None, text, times[0], times[1], token)
