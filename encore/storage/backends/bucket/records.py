"""What is kept of a value beside its bytes, and where.

Metadata, times and token are user metadata of the object itself, so that both are replaced in one
step. Header values are ASCII and, with their names, at most 2 KiB; the text is JSON and can say
everything with that.

What does not fit goes into a *record*: an object of its own under ``.encore/records/``, whose id
the object of the value bears. It is written before that object, so that what points to it never
points to nothing. Large values have their metadata there too, from the beginning: an S3 server
changes user metadata only by writing the object again, but a record is small.

A record belongs to one object and one id. A copy of the object that another program makes has the
id but no record, and therefore no metadata, rather than somebody else's.

There is no I/O here. Only this subpackage imports this module.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from hashlib import sha256
from typing import NamedTuple

from encore.errors import CorruptValueError
from encore.storage.backends.bucket.client import Found
from encore.storage.backends.bucket.names import HIDDEN
from encore.storage.metadata import EMPTY

__all__ = [
    "RECORDS",
    "About",
    "about_of",
    "inline",
    "key_in",
    "pointing",
    "record_folder",
    "record_id",
    "version_id",
]

#: Where records are: a folder for each object, an object for each id.
RECORDS = f"{HIDDEN}records/"

# Names that all services take: Azure wants identifiers, proxies drop underscores.
_TOKEN, _CREATED, _MODIFIED = "encoretoken", "encorecreated", "encoremodified"
_METADATA, _RECORD, _KEY = "encoremetadata", "encorerecord", "encorekey"

_MOST_BYTES = 2000  # S3 counts names and values together, and allows 2048
# DEL is no header character; runs of blanks are folded by whoever signs; =? begins an encoded word.
_UNSAFE = re.compile("[^\x00-\x7e]|(?<= ) |(?<==)\\?")


class About(NamedTuple):
    """A value without its data: metadata as JSON text, times, token."""

    text: str
    created: float
    modified: float
    token: str

    def to_json(self, key: str) -> bytes:
        """The content of a record."""
        head = {"key": key, "created": self.created, "modified": self.modified, "token": self.token}
        return f'{json.dumps(head)[:-1]}, "metadata": {self.text}}}'.encode()

    @classmethod
    def from_json(cls, data: bytes) -> About:
        """Read a record.

        Raises
        ------
        CorruptValueError
        """
        try:
            found = json.loads(data)
            text = json.dumps(found["metadata"], separators=(",", ":"), ensure_ascii=False)
            created, modified = float(found["created"]), float(found["modified"])
            return cls(text, created, modified, str(found["token"]))
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptValueError(f"a record in the bucket is damaged: {error}") from error


def inline(about: About, key: str | None) -> dict[str, str] | None:
    """Return the attributes that say everything; None if they would be too many bytes.

    Parameters
    ----------
    about : About
    key : str or None
        Where the name of the object does not say it.
    """
    attributes = {
        _TOKEN: about.token,
        _CREATED: repr(about.created),
        _MODIFIED: repr(about.modified),
        **_key_attribute(key),
    }
    if about.text != EMPTY:
        attributes[_METADATA] = _to_ascii(about.text)
    size = sum(len(name) + len(value) for name, value in attributes.items())
    return attributes if size <= _MOST_BYTES and about.token.isascii() else None


def pointing(record: str, key: str | None) -> dict[str, str]:
    """Return the attributes of an object whose record has an id."""
    return {_RECORD: record, **_key_attribute(key)}


def record_id(found: Found) -> str | None:
    """The id of the record of an object, if it has one."""
    return found.attributes.get(_RECORD)


def version_id(etag: str | None) -> str:
    """The id of the record of an object on a service that keeps no user metadata."""
    return sha256((etag or "").encode()).hexdigest()[:32]


def record_folder(name: str) -> str:
    """The folder of the records of an object."""
    return f"{RECORDS}{sha256(name.encode()).hexdigest()[:32]}/"


def key_in(found: Found) -> str | None:
    """The key that an object says it has, where its name does not."""
    try:
        return base64.urlsafe_b64decode(found.attributes.get(_KEY, "")).decode() or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def about_of(found: Found) -> About:
    """What an object says of itself; one by another program has the times and tag of the server."""
    attributes = found.attributes
    try:
        text = attributes.get(_METADATA, EMPTY)
        if not isinstance(json.loads(text), dict):
            raise ValueError("metadata is no JSON object")
        created, modified = float(attributes[_CREATED]), float(attributes[_MODIFIED])
        return About(text, created, modified, attributes[_TOKEN])
    except KeyError:
        return About(EMPTY, found.modified, found.modified, foreign_token(found))
    except ValueError as error:
        raise CorruptValueError(
            f"the metadata of the object {found.name!r} is damaged: {error}"
        ) from error


def foreign_token(found: Found) -> str:
    """A token for a version that another program wrote."""
    return f"{(found.version or found.etag or '').strip(chr(34))}-{found.modified:.6f}"


def _key_attribute(key: str | None) -> dict[str, str]:
    return {} if key is None else {_KEY: base64.urlsafe_b64encode(key.encode()).decode()}


def _to_ascii(text: str) -> str:
    """The same JSON in printable ASCII. What is replaced can only be inside of strings."""
    return _UNSAFE.sub(lambda match: _units(match[0]), text)


def _units(character: str) -> str:
    data = character.encode("utf-16-be")
    return "".join(f"\\u{data[at]:02x}{data[at + 1]:02x}" for at in range(0, len(data), 2))
