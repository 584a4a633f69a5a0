"""What has to be escaped in a file name, and how.

The one idea: an escape is ``%=XX``, once per byte of UTF-8, upper-case; everything else is itself,
and of a name that as a whole means something else (``..``, ``CON``) a single character is escaped,
which is enough to make it another name. ``%=`` alone is the empty text.

Escaped everywhere: the ``%`` of ``%=``, the last dot of ``.`` and ``..``, and at the root whatever
would name the store's own folder. With ``windows``: also ``<>:"\\|?*``, control characters, a
trailing dot or blank, and device names.

Only `names` and `filenames` import this module.
"""

from __future__ import annotations

import os
import re

__all__ = ["MAX_NAME_BYTES", "ON_WINDOWS", "cut", "escape", "is_plain", "unescape"]

ON_WINDOWS = os.name == "nt"

MAX_NAME_BYTES = 255
# What a piece of a chain may cost before the adjustments for its end (`escape` adds at most two, of
# 3 bytes each); the suffixes for clash and continuation still fit behind the 240 that gives.
_MAX_PIECE_COST = 234
# No UTF-8 character has more than 4 bytes: so many are short enough without counting.
_SURELY_SHORT = MAX_NAME_BYTES // 4

_EMPTY = "%="
_HEX = re.compile(r"(?:%=[0-9A-F]{2})+")
_ESCAPED = re.compile(r"%(?==)")
_ESCAPED_ON_WINDOWS = re.compile(r'%(?==)|[\x00-\x1f<>:"\\|?*]|[. ]\Z')
_COSTLY = re.compile("%")
_COSTLY_ON_WINDOWS = re.compile(r'[%\x00-\x1f<>:"\\|?*]')

# With any extension, and blanks before it: "NUL .tar.gz" is the device too. The superscripts count
# as digits. https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
_DEVICES = r"(?:CON|PRN|AUX|NUL|COM[1-9¹²³]|LPT[1-9¹²³]|CONIN\$|CONOUT\$)(?= *(?:[./]|\Z))"
_DEVICE = re.compile(_DEVICES, re.IGNORECASE)

_OWN_FOLDER = ".encore"
# The names that NTFS and FAT may give the own folder besides, in the 8.3 form.
_OWN_SHORT_NAME = re.compile(r"en(?:c|co|cor|core|[0-9a-f]{4})?(?=~[0-9])", re.IGNORECASE)
# HFS+ ignores these when it compares names: https://nvd.nist.gov/vuln/detail/CVE-2014-9390
_IGNORABLE = "\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
_IGNORABLE += "\u206a\u206b\u206c\u206d\u206e\u206f\ufeff"
_IGNORED = dict.fromkeys(map(ord, _IGNORABLE))

_CAREFUL_BEGINNING = frozenset("./" + _IGNORABLE)
_CAREFUL_ON_WINDOWS = re.compile(
    rf'[\x00-\x1f<>:"\\|?*]|[. ](?:/|\Z)|(?:\A|(?<=/)){_DEVICES}|\A[^/~]{{2,6}}~', re.IGNORECASE
)


def is_plain(text: str, *, windows: bool) -> bool:
    """Return whether `text`, a key or a name and not empty, is surely its own path.

    False only means that it is worth a closer look: this is the quick test for ordinary names, and
    it runs no loop over their characters.
    """
    return (
        "%=" not in text
        and "/." not in text
        and "//" not in text
        and text[0] not in _CAREFUL_BEGINNING
        and text[-1] != "/"
        and (len(text) <= _SURELY_SHORT or (len(text) <= MAX_NAME_BYTES and text.isascii()))
        and not (windows and _CAREFUL_ON_WINDOWS.search(text))
    )


def escape(text: str, *, windows: bool, root: bool) -> str:
    """Return the name for `text`, whatever its length, before any suffix."""
    if not text:
        return _EMPTY
    if text in (".", ".."):
        return text[:-1] + _hex(".")
    escaped = _ESCAPED_ON_WINDOWS if windows else _ESCAPED
    at = _special_position(text, windows=windows, root=root)
    if at is None:
        return escaped.sub(_hex_match, text)
    return (
        escaped.sub(_hex_match, text[:at])
        + _hex(text[at])
        + escaped.sub(_hex_match, text[at + 1 :])
    )


def unescape(body: str) -> str | None:
    """Return the text that `escape` makes `body` of; None where the bytes are no UTF-8."""
    if "%=" not in body:
        return body
    if body == _EMPTY:
        return ""
    try:
        return _HEX.sub(lambda m: bytes.fromhex(m[0].replace("%=", "")).decode(), body)
    except UnicodeDecodeError:
        return None


def cut(text: str, *, windows: bool) -> list[str]:
    """Return the pieces that `text` has as a chain, each as long as may be."""
    costly = _COSTLY_ON_WINDOWS if windows else _COSTLY
    pieces: list[str] = []
    begin = cost = 0
    for index, character in enumerate(text):
        # Whether a % is escaped depends on what follows; counted as if it were, the pieces can be
        # told by themselves.
        added = 4 if costly.match(character) else len(character.encode())
        if cost + added > _MAX_PIECE_COST:
            pieces.append(text[begin:index])
            begin, cost = index, 0
        cost += added
    pieces.append(text[begin:])
    return pieces


def _special_position(text: str, *, windows: bool, root: bool) -> int | None:
    """Return which character to escape of a name that as a whole means something else."""
    if root and text.translate(_IGNORED).casefold() == _OWN_FOLDER:
        return text.index(".")
    if not windows:
        return None
    if root and (alias := _OWN_SHORT_NAME.match(text)) is not None:
        return alias.end()
    device = _DEVICE.match(text)
    return None if device is None else device.end() - 1


def _hex(character: str) -> str:
    return "".join(f"%={byte:02X}" for byte in character.encode())


def _hex_match(match: re.Match[str]) -> str:
    return _hex(match[0])
