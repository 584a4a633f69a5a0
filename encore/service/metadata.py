"""What is known of an object beside its data, and the headers that say it.

A header holds printable ASCII, so everything else in a value is percent-encoded. Names of custom
fields are whatever their case, and are lower-case here. Client and server import this module.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

from encore.service.durations import Policy, format_policy, parse_moment, parse_policy

__all__ = [
    "CUSTOM",
    "DEFAULT_TYPE",
    "Metadata",
    "decode_value",
    "encode_value",
    "is_header_name",
    "repr_digest",
]

DEFAULT_TYPE = "application/octet-stream"
CUSTOM = "x-snme-"
_EXPIRATION = "x-sn-expiration"
_FREE_TEXT = ("origin", "filename")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,200}")
_TYPE = re.compile(
    r"[\w!#$&^.+*-]+/[\w!#$&^.+*-]+(\s*;\s*[\w!#$&^.+*-]+=([\w!#$&^.+*:/-]+|\"[^\"\\\x00-\x1f]*\"))*\s*",
    re.ASCII,
)
_ESCAPED = re.compile(r"[^\x20-\x7e]|%|^ | $")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What is known of an object.

    Attributes
    ----------
    content_type : str
        A media type; ``"application/octet-stream"`` if nobody has said.
    compression : str or None
        ``"zstd"`` if that is how the data is stored.
    expiration_policy : TimeToLive, TimeToIdle or None
    custom : dict of str to str
        The names in lower case.
    origin, filename : str or None
        Free text.
    time_created, time_expires : datetime or None
        In UTC; said by the server.
    size : int or None
        Bytes as stored; said by the server.
    """

    content_type: str = DEFAULT_TYPE
    compression: str | None = None
    expiration_policy: Policy | None = None
    custom: dict[str, str] = field(default_factory=dict)
    origin: str | None = None
    filename: str | None = None
    time_created: datetime | None = None
    time_expires: datetime | None = None
    size: int | None = None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> Metadata:
        """Read headers, whatever the case of their names.

        Raises
        ------
        ValueError
            One of them cannot be what it says.
        """
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        found = {name.lower(): value for name, value in pairs}
        size = found.get("x-sn-size")
        return cls(
            content_type=found.get("content-type", DEFAULT_TYPE),
            compression=found.get("content-encoding"),
            expiration_policy=parse_policy(found.get(_EXPIRATION, "manual")),
            custom={
                name.removeprefix(CUSTOM): decode_value(value)
                for name, value in found.items()
                if name.startswith(CUSTOM)
            },
            origin=_decoded(found.get("x-sn-origin")),
            filename=_decoded(found.get("x-sn-filename")),
            time_created=_moment(found.get("x-sn-time-created")),
            time_expires=_moment(found.get("x-sn-time-expires")),
            size=int(size) if size is not None and size.isascii() and size.isdigit() else None,
        )

    @classmethod
    def from_request(cls, headers: Iterable[tuple[str, str]]) -> Metadata:
        """Read the headers of a request that writes: what the server says itself is not believed.

        Raises
        ------
        ValueError
            The media type or the encoding is none that is taken, or a value cannot be decoded.
        """
        ours = ("x-sn-time-created", "x-sn-time-expires", "x-sn-size")
        found = cls.from_headers([pair for pair in headers if pair[0].lower() not in ours])
        if len(found.content_type) > 1000 or _TYPE.fullmatch(found.content_type) is None:
            raise ValueError("the Content-Type is no media type")
        if found.compression not in (None, "zstd"):
            raise ValueError("the Content-Encoding is zstd, or there is none")
        return found

    def decompressed(self) -> Metadata:
        """The same without ``compression``."""
        return replace(self, compression=None)

    def as_headers(self) -> dict[str, str]:
        """The headers of a request that writes.

        Raises
        ------
        ValueError
            The name of a custom field cannot be part of a header, or the policy is too short.
        """
        found = {"content-type": self.content_type}
        policy = format_policy(self.expiration_policy)
        if self.compression is not None:
            found["content-encoding"] = self.compression
        if policy is not None:
            found[_EXPIRATION] = policy
        for name in _FREE_TEXT:
            text = getattr(self, name)
            if text is not None:
                found[f"x-sn-{name}"] = encode_value(text)
        for name, value in self.custom.items():
            if not is_header_name(name):
                raise ValueError(
                    f"a custom field is called by letters, digits and -_, not {name!r}"
                )
            found[CUSTOM + name.lower()] = encode_value(value)
        return found


def is_header_name(name: str) -> bool:
    """Whether a header may be called so."""
    return _NAME.fullmatch(name) is not None


def encode_value(text: str) -> str:
    """Return text as the value of a header: what is no printable ASCII, and ``%``, encoded."""
    return _ESCAPED.sub(lambda found: "".join(f"%{b:02X}" for b in found[0].encode()), text)


def decode_value(value: str) -> str:
    """Undo `encode_value`; ValueError for what is no UTF-8."""
    # Headers arrive as Latin-1, whatever was meant.
    return unquote_to_bytes(value.encode("latin-1")).decode("utf-8")


def repr_digest(digest: bytes) -> str:
    """A SHA-256 as RFC 9530 writes it."""
    return f"sha-256=:{base64.b64encode(digest).decode()}:"


def _decoded(value: str | None) -> str | None:
    return None if value is None else decode_value(value)


def _moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(parse_moment(value), UTC)
