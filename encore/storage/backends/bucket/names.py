"""A key <-> the name of its object.

Ordinary keys are the names of their objects, so that a bucket which others fill is a store as it
stands. Keys that a client or a server would rewrite, refuse or merge (``/lead``, ``tr/``, ``a//b``,
``../x``, a newline, a backslash, very long ones) have their objects in a folder of their own, under
names of ``[0-9A-Za-z]`` and four escapes.

The one idea: the escapes sort as what they stand for. A bucket is listed in the order of the bytes
of its names, and keys are to be listed in that of theirs; so both kinds come in order, and a
listing merges the two::

    byte            0x00-0x2f  0-9  0x3a-0x40  A-Z  0x5b-0x60  a-z  0x7b-0xff
    in the name     -XX        0-9  =XX        A-Z  _XX        a-z  ~XX

A ``/`` after every 200 characters keeps file systems under some servers content, and being at fixed
places does not disturb the order. A name that would have more than 600 is cut there and ends with a
digest; of those, keys that share the first 600 come in no order, and the object says its key.

There is no I/O here. Only this subpackage imports this module.
"""

from __future__ import annotations

import re
from hashlib import sha256

__all__ = [
    "ESCAPED",
    "HIDDEN",
    "before",
    "is_cut",
    "is_plain",
    "key_of",
    "lower_bound",
    "name_of",
    "not_after",
]

#: What the store keeps for itself; no plain key begins so.
HIDDEN = ".encore/"
#: Where the objects of keys are that cannot be names.
ESCAPED = ".encore/keys/"

_MOST_PLAIN_BYTES = 700
_SEGMENT_BYTES = 255  # of a file name; some servers keep objects as files
_CHUNK = 200
_MOST_CHARACTERS = 3 * _CHUNK

# A backslash is a slash to some servers. XML, in which listings come, has no control characters
# and no U+FFFE or U+FFFF.
_REWRITTEN = re.compile("[\x00-\x1f\x7f\\\\\ufffe\uffff]|//|(?:\\A|/)\\.\\.?(?:/|\\Z)|\\A/|/\\Z")
_LAST = "\U0010fffd"  # the greatest character that may be in a name
_OWN = re.compile(r"\.encore(?:/|\Z)")


def is_plain(key: str) -> bool:
    """Whether a key is the name of its object."""
    if _REWRITTEN.search(key) is not None or _OWN.match(key) is not None:
        return False
    if len(key) <= _SEGMENT_BYTES // 4:  # no character has more than 4 bytes
        return True
    return len(key.encode()) <= _MOST_PLAIN_BYTES and all(
        len(segment.encode()) <= _SEGMENT_BYTES for segment in key.split("/")
    )


def name_of(key: str) -> str:
    """Return the name of the object of a key, within the store's prefix."""
    if is_plain(key):
        return key
    escaped = _escape(key)
    if len(escaped) <= _MOST_CHARACTERS:
        return ESCAPED + _in_chunks(escaped)
    digest = sha256(key.encode()).hexdigest()
    return f"{ESCAPED}{_in_chunks(escaped[:_MOST_CHARACTERS])}/{digest}"


def key_of(name: str) -> str | None:
    """Return the key of the object with a name.

    Returns
    -------
    str or None
        None if no key has that name, or if the name was cut and only the object knows.
    """
    if not name.startswith(HIDDEN):
        return name if is_plain(name) else None
    if not name.startswith(ESCAPED) or is_cut(name):
        return None
    try:
        key = _unescape(name[len(ESCAPED) :].replace("/", ""))
    except (UnicodeDecodeError, ValueError):
        return None
    return key if key and name_of(key) == name else None


def is_cut(name: str) -> bool:
    """Whether a name under ``ESCAPED`` is that of a key too long to be told from it."""
    return name.count("/", len(ESCAPED)) == _MOST_CHARACTERS // _CHUNK


def lower_bound(prefix: str) -> str:
    """Return how all names under ``ESCAPED`` begin whose keys begin with a prefix.

    It sorts before those names, or is the first of them.
    """
    return ESCAPED + _in_chunks(_escape(prefix)[:_MOST_CHARACTERS])


def not_after(text: str) -> str:
    """Return the longest beginning of a text that a listing can go on after.

    Clients take only plain names for that; ``""`` is the beginning of the listing.
    """
    broken = _REWRITTEN.search(text)
    return text if broken is None else text[: broken.start()]


def before(text: str) -> str:
    """Return a name that sorts before ``text``, and as few others as may be between them."""
    if not text:
        return ""
    code = ord(text[-1]) - 1
    if 0xD800 <= code < 0xE000:  # there are no surrogates in names
        code = 0xD7FF
    return not_after(f"{text[:-1]}{chr(code)}{_LAST}") if code >= 0 else not_after(text[:-1])


def _escape(text: str) -> str:
    return "".join(_FORMS[byte] for byte in text.encode())


def _form(byte: int) -> str:
    character = chr(byte)
    if character.isascii() and character.isalnum():
        return character
    for limit, mark in ((ord("0"), "-"), (ord("A"), "="), (ord("a"), "_")):
        if byte < limit:
            return f"{mark}{byte:02x}"
    return f"~{byte:02x}"


_FORMS = [_form(byte) for byte in range(256)]
_ESCAPE = re.compile(r"[-=_~]([0-9a-f]{2})")


def _unescape(text: str) -> str:
    parts = _ESCAPE.split(text)  # plain, digits, plain, digits, ..., plain
    data = bytearray()
    for number, part in enumerate(parts):
        data += bytes.fromhex(part) if number % 2 else part.encode("ascii")
    return data.decode()


def _in_chunks(text: str) -> str:
    return "/".join(text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK))
