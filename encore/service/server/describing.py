"""Objects as headers, and requests as metadata of a store.

In the store the custom fields of an object are fields of the metadata, as anybody would write them
there, and what else is known of it is one field more. So the metadata of an object that another
program has put into the store can be read as headers, too. Only handlers import this module.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any
from urllib.parse import quote

from encore.service.durations import format_moment, format_policy
from encore.service.metadata import (
    CUSTOM,
    DEFAULT_TYPE,
    Metadata,
    encode_value,
    is_header_name,
    repr_digest,
)
from encore.service.server.exchange import Headers, Refused, Request
from encore.service.server.shelf import ATTRIBUTES, FoundObject
from encore.storage.backends.http.records import etag_of
from encore.storage.metadata import encode_metadata

__all__ = ["check_digests", "headers_of", "md5_of", "metadata_text", "read_metadata"]

_MOST_VALUE = 8192
_DOTS = re.compile(r"\.+")
_UNSAFE = re.compile(r"[^\x20-\x7e]")


def read_metadata(request: Request) -> Metadata:
    """What a request says of the object that it brings."""
    try:
        return Metadata.from_request(request.headers)
    except ValueError as error:
        raise Refused(400, f"the headers cannot be taken: {error}") from None


def metadata_text(described: Metadata, digest: tuple[str, str] | None = None) -> str:
    """Metadata for the store.

    Parameters
    ----------
    described : Metadata
    digest : (str, str), optional
        The SHA-256 of the data, and the token of the only version that it is true for.
    """
    attributes: dict[str, Any] = {}
    if described.content_type != DEFAULT_TYPE:
        attributes["content_type"] = described.content_type
    if described.compression is not None:
        attributes["content_encoding"] = described.compression
    for name in ("origin", "filename"):
        if getattr(described, name) is not None:
            attributes[name] = getattr(described, name)
    if digest is not None:
        attributes["sha256"], attributes["of"] = digest
    if ATTRIBUTES in described.custom:
        raise Refused(400, f"{ATTRIBUTES} is no name for a custom field")
    fields = {**described.custom, ATTRIBUTES: attributes} if attributes else described.custom
    try:
        return encode_metadata(fields)
    except TypeError as error:
        raise Refused(400, f"the headers cannot be taken: {error}") from None


def headers_of(found: FoundObject) -> Headers:
    """What is known of an object, as headers."""
    value = found.value
    fields = value.metadata
    attributes = fields.get(ATTRIBUTES)
    known = attributes if isinstance(attributes, dict) else {}
    headers: Headers = [("content-type", _text(known.get("content_type")) or DEFAULT_TYPE)]
    encoding = known.get("content_encoding")
    if encoding == "zstd":
        headers.append(("content-encoding", encoding))
    if value.created is not None:
        headers.append(("x-sn-time-created", format_moment(value.created)))
    if found.expiry is not None:
        policy = found.expiry.policy
        shown = type(policy)(max(policy.seconds, 1.0))
        headers.append(("x-sn-expiration", format_policy(shown) or ""))
        headers.append(("x-sn-time-expires", format_moment(found.expiry.at)))
    headers += [("x-sn-size", str(value.size)), ("accept-ranges", "bytes")]
    headers.append(("etag", etag_of(value.token)))
    for name in ("origin", "filename"):
        if isinstance(known.get(name), str):
            headers.append((f"x-sn-{name}", encode_value(known[name])))
    headers.append(("content-disposition", _disposition(known.get("filename"))))
    headers.append(("x-content-type-options", "nosniff"))
    if known.get("of") == value.token and isinstance(known.get("sha256"), str):
        headers.append(("repr-digest", repr_digest(bytes.fromhex(known["sha256"]))))
    for name, field in fields.items():
        if name != ATTRIBUTES and is_header_name(name):
            text = field if isinstance(field, str) else json.dumps(field, separators=(",", ":"))
            if len(text) <= _MOST_VALUE:
                headers.append((CUSTOM + name.lower(), encode_value(text)))
    return headers


def check_digests(request: Request, sha256: bytes, md5: bytes | None) -> None:
    """Refuse data that is not what the request says it is.

    Parameters
    ----------
    request : Request
    sha256 : bytes
    md5 : bytes, optional
        If the request has one.
    """
    for name in ("content-digest", "repr-digest"):
        said = request.header(name)
        if said is not None and "sha-256=" in said and repr_digest(sha256) not in said:
            raise Refused(400, f"the data is not what {name} says; it was damaged on its way")
    said = request.header("content-md5")
    if said is not None and md5 is not None and base64.b64encode(md5).decode() != said.strip():
        raise Refused(400, "the data is not what content-md5 says; it was damaged on its way")


def md5_of(request: Request) -> Any:
    """Something that takes the MD5 of what a request brings, if the request says what it is."""
    if request.header("content-md5") is None:
        return None
    return hashlib.md5(usedforsecurity=False)


def _text(value: Any) -> str | None:
    safe = isinstance(value, str) and value.isascii() and value.isprintable()
    return value if safe else None


def _disposition(filename: Any) -> str:
    """How a browser is to call the file that it saves; it is never to show it as a page."""
    if not isinstance(filename, str) or not filename:
        return "attachment"
    name = re.sub(r"[/\\]", "-", filename)
    if _DOTS.fullmatch(name):
        name = "-" * len(name)
    plain = _UNSAFE.sub("_", name).replace('"', '\\"')
    shown = f'attachment; filename="{plain}"'
    return shown if plain == name else f"{shown}; filename*=UTF-8''{quote(name, safe='')}"
