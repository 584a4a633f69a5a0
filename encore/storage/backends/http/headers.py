"""What headers say: which version this is, which part of it, and what there is to know of it.

Pure. The other modules of this package import it.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ContentRange", "Version", "length_of", "metadata_of", "modified_of", "seconds_to_wait"]

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_DIGITS = re.compile(r"[0-9]{1,18}")

#: Headers that become fields of the metadata, as they are.
_FIELDS = (
    "content_type", "content_language", "content_disposition", "cache_control", "expires",
    "etag", "last_modified",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Version:
    """Which version of a resource headers speak of.

    Attributes
    ----------
    etag : str or None
        As it came, quotes and all.
    modified : str or None
        What ``Last-Modified`` says.
    size : int or None
        Bytes.
    """

    etag: str | None = None
    modified: str | None = None
    size: int | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str], size: int | None) -> Version:
        return cls(headers.get("ETag"), headers.get("Last-Modified"), size)

    @property
    def token(self) -> str:
        """A token as stores have it; ``""`` where the server does not tell versions apart."""
        if self.etag is not None:
            return self.etag
        return "" if self.modified is None else f"{self.modified}, {self.size} bytes"

    def conditions(self) -> dict[str, str]:
        """The headers of a request that is to be answered from this version or not at all."""
        if self.etag is not None:
            # A weak one never matches a condition, by definition; `agrees` compares it.
            return {} if self.etag.startswith("W/") else {"If-Match": self.etag}
        return {} if self.modified is None else {"If-Unmodified-Since": self.modified}

    def agrees(self, other: Version) -> bool:
        """Whether nothing that both know is different: servers may ignore conditions."""
        if not _same(self.size, other.size):
            return False
        if self.etag is not None and other.etag is not None:
            return self.etag == other.etag
        return _same(self.modified, other.modified)

    def filled(self, other: Version) -> Version:
        """This version, with what only the other knows of it."""
        return Version(
            self.etag or other.etag,
            self.modified or other.modified,
            other.size if self.size is None else self.size,
        )


@dataclass(frozen=True, slots=True)
class ContentRange:
    """What ``Content-Range`` says: bytes ``start`` to ``end`` (exclusive) of ``size``."""

    start: int
    end: int
    size: int | None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> ContentRange | None:
        """None where there is none, or none that can be right."""
        found = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
        if found is None:
            return None
        start, last, size = found.groups()
        part = cls(int(start), int(last) + 1, None if size == "*" else int(size))
        sound = part.start < part.end and (part.size is None or part.end <= part.size)
        return part if sound else None


def _same(mine: object, theirs: object) -> bool:
    return mine is None or theirs is None or mine == theirs


def length_of(headers: Mapping[str, str]) -> int | None:
    """How many bytes of body are announced; None where nothing, or nonsense, is said of it.

    Raises
    ------
    ValueError
        Two lengths are announced, or one that is no number.
    """
    if headers.get("Transfer-Encoding", "identity").strip().lower() != "identity":
        return None
    announced = headers.get("Content-Length")
    if announced is None:
        return None
    length, *others = {length.strip() for length in announced.split(",")}
    if others or not _DIGITS.fullmatch(length):
        raise ValueError("the length that the server announces is no number")
    return int(length)


def modified_of(headers: Mapping[str, str]) -> float | None:
    """When it was changed last, in seconds since the epoch; None where that cannot be known."""
    try:
        return email.utils.parsedate_to_datetime(headers["Last-Modified"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None


def metadata_of(headers: Mapping[str, str]) -> dict[str, Any]:
    """The headers that describe the data, as metadata: ``{"content_type": "text/plain"}``."""
    found = {}
    for field in _FIELDS:
        text = headers.get(field.replace("_", "-"))
        if text is not None:
            found[field] = text.encode("latin-1", "replace").decode("utf-8", "replace")
    return found


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """What ``Retry-After`` asks for, where it is a number of seconds."""
    text = headers.get("Retry-After", "").strip()
    return float(text) if _DIGITS.fullmatch(text) else None
