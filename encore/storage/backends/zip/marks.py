"""The mark: what encore says of an entry, in an extra field that other programs carry along.

The field has the kind ``en``, stands first, and is the same in the local header and in the central
directory::

    version       1 byte    1
    what follows  1 byte    bits: 1 a key, 2 the name of another entry, 4 this is such another entry
    check         4 bytes   CRC-32 of all that follows
    crc           4 bytes   CRC-32 of the data that the mark was made for
    created       8 bytes   seconds since the epoch, UTC, as a double
    modified      8 bytes
    lengths       2, 4      bytes of the key, and of the token
    key                     where the name of the entry is not the key
    token
    metadata                JSON, up to the end of the field

A field has 64 KiB at most. Where token and metadata are longer they are the data of an entry of
their own, which carries a mark, too, and is no key; the field has its name in their place.

An entry without a mark, or whose data another program has replaced since, speaks for itself.

Only this subpackage imports this module.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from encore.errors import CorruptValueError, UnsupportedError
from encore.keys.filenames import encode_key
from encore.storage.backends.zip.headers import Entry, fields, pack_field
from encore.storage.backends.zip.stamps import from_stamp
from encore.storage.metadata import EMPTY

KIND = b"en"
_VERSION = 1
HAS_KEY, ELSEWHERE, NO_KEY = 1, 2, 4
_FIXED = struct.Struct("<IddHI")
_BEGIN = 4 + 2 + 4 + _FIXED.size  # with the kind and the length of the field
#: So long may a mark be, in bytes, that the other extra fields have room besides.
_MOST = 65000


class Mark(NamedTuple):
    """What a mark says.

    Attributes
    ----------
    kind : int
        Bits, see above.
    key : str or None
        Where the name is not the key.
    crc : int
        Of the data it was made for.
    created, modified : float
        Seconds since the epoch, UTC.
    token, text : str
        Text is the metadata as JSON.
    elsewhere : bytes or None
        The name of the entry that has token and text instead.
    """

    kind: int
    key: str | None
    crc: int
    created: float
    modified: float
    token: str
    text: str
    elsewhere: bytes | None = None


def write_mark(mark: Mark) -> bytes:
    """Return the extra field of a mark that fits into one."""
    key = b"" if mark.key is None else mark.key.encode()
    token, text = mark.token.encode(), mark.text.encode()
    if mark.elsewhere is not None:
        token, text = b"", mark.elsewhere
    fixed = _FIXED.pack(mark.crc, mark.created, mark.modified, len(key), len(token))
    body = fixed + key + token + text
    check = zlib.crc32(body).to_bytes(4, "little")
    return pack_field(KIND, bytes((_VERSION, mark.kind)) + check + body)


def is_too_long(mark: Mark) -> bool:
    """Whether token and metadata need an entry of their own."""
    if len(mark.text) + len(mark.token) < _MOST // 4:
        return False
    key = "" if mark.key is None else mark.key
    return len((mark.text + mark.token + key).encode()) + _BEGIN > _MOST


def write_elsewhere(token: str, text: str) -> bytes:
    """What the other entry holds: the token, a line feed, the metadata."""
    return f"{token}\n{text}".encode()


def read_elsewhere(data: bytes) -> tuple[str, str]:
    """Return token and metadata; the token may have line feeds, JSON that is compact has none."""
    try:
        token, _, text = data.decode().rpartition("\n")
    except UnicodeDecodeError:
        raise CorruptValueError("metadata that is kept apart is damaged") from None
    return token, text


def field_of(extra: bytes) -> bytes | None:
    """The content of the mark, unchecked; None where there is none."""
    if extra[:2] == KIND and len(extra) >= 4:
        end = 4 + int.from_bytes(extra[2:4], "little")
        if end <= len(extra):
            return extra[4:end]
    if KIND in extra:
        for kind, field in fields(extra):
            if kind == KIND:
                return field
    return None


def read_mark(extra: bytes) -> Mark | None:
    """Return the mark among the extra fields; None where there is none.

    Raises
    ------
    CorruptValueError
        It is damaged.
    UnsupportedError
        A newer encore wrote it.
    """
    field = field_of(extra)
    if field is None:
        return None
    if len(field) < 2 or field[0] == _VERSION:
        body = field[6:]
        if len(body) < _FIXED.size or zlib.crc32(body) != int.from_bytes(field[2:6], "little"):
            raise CorruptValueError("the metadata in the archive is damaged")
    else:
        raise UnsupportedError(
            f"the metadata in the archive has version {field[0]}, and this encore knows {_VERSION};"
            " a newer encore reads it"
        )
    crc, created, modified, key_length, token_length = _FIXED.unpack_from(body)
    kind = field[1]
    at = _FIXED.size
    try:
        key = body[at : at + key_length].decode() if kind & HAS_KEY else None
        at += key_length
        token = body[at : at + token_length].decode()
        rest = body[at + token_length :]
        if kind & ELSEWHERE:
            return Mark(kind, key, crc, created, modified, "", EMPTY, rest)
        return Mark(kind, key, crc, created, modified, token, rest.decode())
    except UnicodeDecodeError:
        raise CorruptValueError("the metadata in the archive is damaged") from None


def without_mark(entry: Entry) -> Mark:
    """What an entry of another program says of itself."""
    modified = from_stamp(entry.stamp, entry.extra)
    token = f"{entry.crc:08x}-{entry.size:x}-{entry.stamp:x}"
    return Mark(0, None, entry.crc, modified, modified, token, EMPTY)


def mark_of(entry: Entry) -> Mark:
    """The mark of an entry, be it ours, another program's, or ours with data of another's."""
    mark = read_mark(entry.extra)
    if mark is None:
        return without_mark(entry)
    if mark.crc != entry.crc:  # the metadata stays, as it does for files that others change
        own = without_mark(entry)
        return mark._replace(modified=own.modified, token=own.token)
    return mark


def name_of(key: str) -> bytes:
    """The name under which a key is found in the archive by other programs.

    The path that the key would have in a directory: ordinary keys as they are, and nothing that
    leads out of the directory where somebody unpacks it, or that passes for a directory itself.
    """
    return encode_key(key, windows="\\" in key).encode()
