"""The records of sidecars: what is known of a version, and how it is written on one line.

``sidecars`` says which record belongs to which version, and why. This subpackage and ``hashdir``
import this module.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from hashlib import blake2b
from json.encoder import encode_basestring
from typing import Any, NamedTuple
from zlib import crc32

from encore.errors import CorruptValueError
from encore.keys.rules import check_key
from encore.storage.metadata import EMPTY, decode_metadata, encode_metadata

_NEWLINE = 10
# What comes of a line that somebody else has put there, with its checksum.
_NO_RECORD = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
CRC_LENGTH = len('{"crc":"00000000",')
_load = json.JSONDecoder().decode


class Fields(NamedTuple):
    """What is known of a version besides its data; in the order of a store's records."""

    text: str
    created: float
    modified: float
    token: str


def sidecar_name(key: str) -> str:
    """Return the name of the sidecar of a key."""
    return blake2b(key.encode(), digest_size=16).hexdigest() + ".jsonl"


def signature(found: os.stat_result) -> str:
    """Return what tells this version of a file from every other."""
    return f"{found.st_ino:x}.{found.st_mtime_ns:x}.{found.st_size:x}"


def file_token(found: os.stat_result) -> str:
    """Return the token of a version without a record.

    Time and size only, so that a copy with the same time has the same token, and needs no record
    either: a tree that is copied to another store and back is as plain as it was.
    """
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"


def from_file(found: os.stat_result) -> Fields:
    """Return the fields of a file without a record."""
    modified = seconds(found.st_mtime_ns)
    return Fields(EMPTY, modified, modified, file_token(found))


def file_time(modified: float, token: str) -> int:
    """Return the time in nanoseconds for the file of a version.

    The token of a file is more exact than the seconds beside it.
    """
    begin = token.partition("-")[0]
    if len(begin) < len(token) <= 40:
        with suppress(ValueError, OverflowError):
            exact = int(begin, 16)
            if seconds(exact) == modified:
                return exact
    return nanoseconds(modified)


def seconds(nanoseconds: int) -> float:
    """Return a time in seconds, correctly rounded."""
    return nanoseconds / 1_000_000_000


def nanoseconds(seconds: float) -> int:
    """Return a time in nanoseconds that `seconds` turns into the same number again."""
    whole = int(seconds)
    return whole * 1_000_000_000 + round((seconds - whole) * 1e9)


# -- one line -------------------------------------------------------------------------------------


def line_of(key: str, file: str, fields: Fields) -> bytes:
    """Return the record of the version with the signature ``file``."""
    text, created, modified, token = fields
    if "\n" in text or "\r" in text:  # not our spelling of JSON
        text = encode_metadata(decode_metadata(text))
    quoted = f'"{token}"' if token.isalnum() else encode_basestring(token)
    return _checked(
        f'"file":"{file}","created":{created!r},"modified":{modified!r},'
        f'"token":{quoted},"key":{encode_basestring(key)},"metadata":{text}}}\n'
    )


def gone_line(key: str, file: str) -> bytes:
    """Return the record that says: this version is being removed, with all that went before."""
    return _checked(f'"file":"{file}","gone":true,"key":{encode_basestring(key)}}}\n')


def _checked(rest: str) -> bytes:
    body = rest.encode()
    return b'{"crc":"%08x",' % crc32(body) + body


def _is_whole(line: bytes) -> bool:
    try:
        return int(line[8:16], 16) == crc32(line[CRC_LENGTH:])
    except ValueError:
        return False


def _parse(line: bytes) -> Fields:
    try:
        # Inside a JSON string the quotation marks would be escaped, so this is the field itself.
        head, _, text = line.decode().partition(',"metadata":')
        parts = head.split(",", 5)
        if "\\" in parts[4] or not parts[5].startswith('"key":'):  # an unusual token
            found: dict[str, Any] = _load(head + "}")
            created, modified, token = (found[name] for name in ("created", "modified", "token"))
            return Fields(text[:-2], float(created), float(modified), token.encode().decode())
        # '"created":', '"modified":' and '"token":"' are cut off; a decoder would take longer.
        return Fields(text[:-2], float(parts[2][10:]), float(parts[3][11:]), parts[4][9:-1])
    except _NO_RECORD:
        return Fields("", 0.0, 0.0, "")  # whoever asks for the metadata hears that it is damaged


# -- all lines of a key ---------------------------------------------------------------------------


def fitting(lines: bytes, file: str) -> Fields | None:
    """Return the fields recorded for the version with the signature ``file``."""
    line = _fitting_line(lines, file)
    return None if line is None else _parse(line)


def in_place(lines: bytes, key: str, found: os.stat_result) -> tuple[bytes, float]:
    """Return the record of the version that is there, recorded or not, and when it was created."""
    file = signature(found)
    line = _fitting_line(lines, file)
    if line is not None:
        with suppress(ValueError):  # one that is no record is none to be kept either
            begin = line.index(b'"created":') + 10
            return line, float(line[begin : line.index(b",", begin)])
    fields = adopted(b"" if line is not None else lines, found)
    return line_of(key, file, fields), fields.created


def _fitting_line(lines: bytes, file: str) -> bytes | None:
    wanted = f'"file":"{file}","created"'.encode()
    end = len(lines)
    while (at := lines.rfind(wanted, 0, end)) >= 0:
        start = at - CRC_LENGTH
        if start >= 0 and (start == 0 or lines[start - 1] == _NEWLINE):
            line = lines[start : lines.find(b"\n", at) + 1]
            if _is_whole(line):
                return line
        end = at
    return None


def adopted(lines: bytes, found: os.stat_result) -> Fields:
    """Return the fields of a file that no record fits: foreign, or edited by another program."""
    for line in reversed(lines.splitlines(keepends=True)):
        if _is_whole(line):
            if b',"metadata":' not in line:
                break
            last = _parse(line)
            return Fields(last.text, last.created, seconds(found.st_mtime_ns), file_token(found))
    return from_file(found)


# -- whether they are good ------------------------------------------------------------------------


class Verdict(NamedTuple):
    """What can be said of the records of a key.

    Attributes
    ----------
    key : str or None
        Whose records they are, by the last good one.
    is_gone : bool
        Whether that says that the key is being removed.
    problem : str
        What is wrong with it.
    damaged : tuple of bytes
        Lines that are none; a crash may leave some.
    whole : bytes
        The good ones.
    """

    key: str | None
    is_gone: bool
    problem: str
    damaged: tuple[bytes, ...]
    whole: bytes

    def is_damaged(self, found: os.stat_result) -> bool:
        """Whether the record of the version that is in place is among what is damaged."""
        file = signature(found)
        if _fitting_line(self.whole, file) is not None:
            return False
        return any(f'"file":"{file}"'.encode() in line for line in self.damaged)


def judge(lines: bytes) -> Verdict:
    """Look at all records of a key."""
    good: list[bytes] = []
    bad: list[bytes] = []
    for line in lines.splitlines(keepends=True):
        if line.strip():
            (good if _is_whole(line) else bad).append(line)
    key, is_gone, problem = None, False, ""
    for line in reversed(good):
        head, mark, _ = line.partition(b',"metadata":')
        with suppress(*_NO_RECORD):
            key = _load((head + b"}" if mark else head).decode())["key"]
            check_key(key)
            is_gone = not mark
            break
        key = None
    else:
        problem = "no record of it is good"
    if key is not None and not is_gone:
        try:
            decode_metadata(_parse(good[-1]).text)
        except CorruptValueError as error:
            problem = str(error)
    return Verdict(key, is_gone, problem, tuple(bad), b"".join(good))
