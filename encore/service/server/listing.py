"""Pages of objects, and single objects as records: what a store on the other side needs.

A record is what a store knows of a key: metadata, size, times, token. Handlers, which ``routes``
knows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from encore.errors import InvalidKeyError
from encore.keys.rules import MAX_KEY_BYTES, check_prefix
from encore.service.server.exchange import Refused, Reply, Request, json_reply
from encore.service.server.objects import find_version
from encore.service.server.ranges import wanted_range
from encore.service.server.service import Located, Service
from encore.service.server.shelf import UPLOADS
from encore.storage.backends.http.records import etag_of
from encore.storage.metadata import matches
from encore.storage.values import Value

__all__ = ["get_data", "get_record", "list_objects", "values_of"]

RECORD_TYPE = "application/x-encore-value"
_MOST_KEYS = 1000
_MOST_LOOKED_AT = 20_000
_MOST_BYTES = 1 << 20
_MOST_INLINE = 1 << 20
_MOST_STEPS = 20  # through a folder, before the walk is begun anew behind it, which costs more
_LAST = chr(sys.maxunicode) * (MAX_KEY_BYTES // 4)  # no key is behind that


def list_objects(service: Service, request: Request, at: Located) -> Reply:
    """Return a page of keys, in code-point order, and whether there are more.

    With ``folders`` in the query, what has a slash behind the prefix is told once for each folder.
    """
    given = request.parameters
    most = min(request.number("limit", _MOST_KEYS), _MOST_KEYS)
    prefix, after = given.get("prefix", ""), given.get("start_after")
    where = _where(given.get("where"))
    keys_only = given.get("keys_only") is not None
    by_folder = given.get("folders") is not None
    try:
        check_prefix(at.prefix + prefix)
    except InvalidKeyError:
        raise Refused(400, "the prefix cannot be the beginning of a key") from None
    found: list[dict[str, Any]] = []
    folders: list[str] = []
    last, more, size = after, False, 0
    walk = _by_folder if by_folder else _one_by_one
    for count, (key, value, folder) in enumerate(walk(service, at, prefix, after, where)):
        if len(found) + len(folders) >= most or size > _MOST_BYTES or count >= _MOST_LOOKED_AT:
            more = True
            break
        last = key.removeprefix(at.prefix)
        if value is None:
            continue
        if folder is not None:
            last = folder
            folders.append(folder)
            continue
        item = {"key": last} if keys_only else {"key": last, **record_of(value)}
        size += len(last) if keys_only else len(last) + len(value.metadata_text)
        found.append(item)
    document = {"objects": found, "more": more, "key_bytes": service.key_bytes(at)}
    if by_folder:
        document["folders"] = folders
    if more:
        document["start_after"] = last
    return json_reply(200, document)


def values_of(
    service: Service, at: Located, prefix: str = "", after: str | None = None
) -> Iterator[tuple[str, Value | None]]:
    """The keys of a place after one of them, each with its value unless that has expired."""
    start = None if after is None else at.prefix + after
    keys = service.store.every_key(at.prefix + prefix, start)
    for key, value in service.store._find_many(keys):
        if value is not None:
            value.close()
        if not key.startswith(UPLOADS):
            yield key, value


_Walk = Iterator[tuple[str, Value | None, str | None]]


def _one_by_one(
    service: Service, at: Located, prefix: str, after: str | None, where: dict[str, Any]
) -> _Walk:
    """Like `values_of`, without the values that are not asked for."""
    for key, value in values_of(service, at, prefix, after):
        is_wanted = value is not None and (not where or matches(value.metadata, where))
        yield key, value if is_wanted else None, None


def _by_folder(
    service: Service, at: Located, prefix: str, after: str | None, where: dict[str, Any]
) -> _Walk:
    """Like `_one_by_one`, with the folders of keys, and of each folder only one key.

    A folder is what is behind the prefix, up to its first slash. Going on after a folder is going
    on after all that is in it.
    """
    if after is not None and after[len(prefix) :].find("/") == len(after) - len(prefix) - 1 >= 0:
        after += _LAST
    told, steps = "", 0
    while True:
        for key, value, _ in _one_by_one(service, at, prefix, after, where):
            name, slash, _ = key.removeprefix(at.prefix + prefix).partition("/")
            folder = prefix + name + slash
            if slash and folder == told:
                steps += 1
                if steps > _MOST_STEPS:
                    after, steps = folder + _LAST, 0
                    break
            elif slash and value is not None:
                told, steps = folder, 0
                yield key, value, folder
            else:
                yield key, value, None
        else:
            return


def _where(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(400, "where is a JSON object")
    return found


def record_of(value: Value) -> dict[str, Any]:
    """What a store knows of a value beside its data."""
    return {
        "metadata": value.metadata,
        "size": value.size,
        "created": value.created,
        "modified": value.modified,
        "token": value.token,
    }


def get_record(service: Service, request: Request, at: Located) -> Reply:
    """Return a line of JSON, and behind it the data if it is small enough for who asks."""
    found = find_version(service, request, at)
    value = found.value
    head = json.dumps(record_of(value), separators=(",", ":")).encode() + b"\n"
    headers = [("content-type", RECORD_TYPE), ("etag", etag_of(value.token))]
    size = value.size or 0
    try:
        if size <= min(request.number("record"), _MOST_INLINE):
            return Reply(200, headers, head + value.read())
    except BaseException:
        value.close()
        raise
    service.store.keep(at.full, value)
    return Reply(200, headers, head)


def get_data(service: Service, request: Request, at: Located) -> Reply:
    """Return the data as it is stored, of whichever version is asked for, and nothing else."""
    value = find_version(service, request, at).value
    size = value.size or 0
    headers = [("content-type", "application/octet-stream"), ("etag", etag_of(value.token))]
    part = wanted_range(request.header("range"), size)
    status, (start, end) = (200, (0, size)) if part is None else (206, part)
    if part is not None:
        headers.append(("content-range", f"bytes {start}-{end - 1}/{size}"))
    content = value.content
    if isinstance(content, bytes):
        return Reply(status, headers, content[start:end])
    # Not closed at the end: others may be reading the same version.
    return Reply(
        status,
        headers,
        size=end - start,
        read=lambda first, last: content.read(start + first, start + last),
    )
