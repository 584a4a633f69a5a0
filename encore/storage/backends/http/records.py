"""Keys, versions and records as the protocol of `DynamicURLStore` writes them.

``protocol`` and ``committing`` import this module.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import quote

from encore.storage.backends.http.client import HttpClient
from encore.storage.backends.http.contents import RemoteData
from encore.storage.backends.http.documents import (
    BadDocument,
    as_key,
    as_metadata,
    as_number,
    as_size,
    as_text,
    parse_json,
)
from encore.storage.backends.http.failures import About
from encore.storage.backends.http.headers import Version
from encore.storage.backends.http.urls import Url

__all__ = ["Listed", "RemoteValue", "as_permissions", "etag_of", "listed", "read_page", "rest_path"]


class RemoteValue(RemoteData):
    """The data of a value of a known key and token: the server can be told to copy it."""

    def __init__(self, client: HttpClient, url: Url, about: About, size: int, token: str) -> None:
        super().__init__(client, url, about, size, Version(etag_of(token), None, size))
        self.key: str = about.key or ""
        self.token = token


class Listed(NamedTuple):
    """A line of a listing."""

    key: str
    text: str
    size: int
    created: float
    modified: float
    token: str


def rest_path(key: str) -> str:
    """Return the path of a key: percent-encoded, with a mark where servers would change it.

    A segment that is empty, ``.`` or ``..``, or that begins with ``~``, gets a ``~`` before it.
    """
    segments = key.split("/")
    marked = (
        f"~{segment}" if segment in ("", ".", "..") or segment[0] == "~" else segment
        for segment in segments
    )
    return "/".join(quote(segment, safe="") for segment in marked)


def etag_of(token: str) -> str:
    """Return a token as an entity tag."""
    return f'"{quote(token, safe="")}"'


def listed(item: Any, key: str | None = None) -> Listed:
    """Judge a record that a server sent; ``key`` is for one that does not say whose it is."""
    if not isinstance(item, dict):
        raise BadDocument("a record is a JSON object")
    return Listed(
        as_key(item.get("key")) if key is None else key,
        as_metadata(item.get("metadata")),
        as_size(item.get("size")),
        as_number(item.get("created")),
        as_number(item.get("modified")),
        as_text(item.get("token")),
    )


def read_page(
    lines: Iterable[bytes], prefix: str, start_after: str | None, *, keys_only: bool
) -> tuple[list[Any], bool]:
    """Judge a page of a listing: records or keys, in order, then whether there is more."""
    found: list[Any] = []
    last, more = start_after, None
    for line in lines:
        item = parse_json(line)
        if not isinstance(item, dict) or more is not None:
            raise BadDocument("its lines are not JSON objects with the end at the end")
        if "key" not in item:
            more = bool(item.get("more"))
            continue
        key = as_key(item["key"])
        if not key.startswith(prefix) or (last is not None and key <= last):
            raise BadDocument("its keys are not in order, or not those asked for")
        found.append(key if keys_only else listed(item))
        last = key
    if more is None:
        raise BadDocument("the listing was cut off")
    return found, more


def as_permissions(found: Any) -> dict[str, set[str]]:
    """Judge permissions that a server sent: tags by name."""
    if not isinstance(found, dict) or not all(isinstance(tags, list) for tags in found.values()):
        raise BadDocument("permissions are a JSON object of lists")
    return {name: {as_text(tag) for tag in tags} for name, tags in found.items()}
