"""One piece of a key <-> one file name.

A key is split at ``/`` into segments, and a segment is the name of a file or directory as it
stands, unless it cannot be. The one idea: what has to be said beyond the text is introduced by the
two characters ``%=``, so rare in real names that ordinary ones (``my%20file.txt``, ``100%.txt``)
stay exactly as they are.

=========  ==================================================================================
``%=XX``   one byte of an escaped character (see `escapes`); ``%=`` itself is ``%=25=``
``%=``     alone: the empty segment
``%=~H``   clash form: H, 8 hexadecimal digits of the SHA-256 of the text, tells names apart that
           the file system would merge
``%=@``    marked form, of a file: a directory has its plain name (``a`` beside ``a/b``)
``%=+``    continued: the text goes on, without ``/``, in a name within this directory
=========  ==================================================================================

(The marker is not ``%=.``, because Windows would strip the dot.) A segment whose name would pass
255 bytes becomes a chain of names: pieces of at most 240 bytes, cut between characters, all
continued but the last.

Reading is strict: a name is accepted only if writing its text gives the same name, so no two names
stand for one text in one form. Only `filenames` imports this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from encore.keys.escapes import MAX_NAME_BYTES, ON_WINDOWS, cut, escape, unescape

__all__ = [
    "CONTINUED",
    "MARKED",
    "Part",
    "clash_name",
    "fits",
    "is_marked",
    "marked_name",
    "read_name",
    "write_name",
]

CONTINUED = "%=+"
MARKED = "%=@"
_CLASH = "%=~"
_DIGITS = 8

_FORM = re.compile(rf"(.*?)(?:%=~([0-9a-f]{{{_DIGITS}}}))?(%=[+@])?\Z", re.DOTALL)


class Part(NamedTuple):
    """What one name says: its text, whether in clash form, and its suffix (or ``""``)."""

    text: str
    clashed: bool
    end: str


def read_name(name: str, *, windows: bool, root: bool) -> Part | None:
    """Return what `name` says, None if no piece of a key is ever written so.

    A text in clash form is recognised also after a file system composed or decomposed the name.
    """
    try:
        if len(name.encode()) > MAX_NAME_BYTES:
            return None
    except UnicodeEncodeError:  # bytes that are no UTF-8, as os.listdir hands them over
        return None
    match = _FORM.match(name)
    assert match is not None
    body, digest, end = match.group(1), match.group(2), match.group(3) or ""
    # What is escaped of a segment must not depend on its form; the pieces of a chain are no
    # segments, and none of them alone names the own folder.
    root = root and end != CONTINUED
    for spelling in _spellings(body) if digest else (body,):
        text = unescape(spelling)
        if text is None or escape(text, windows=windows, root=root) != spelling:
            continue
        if digest is None or digest == _digest(text):
            return Part(text, digest is not None, end)
    return None


def write_name(
    text: str, *, windows: bool, root: bool, clashed: bool = False, marked: bool = False
) -> str:
    """Return the name of a whole segment; where it is a chain, the names joined by ``/``."""
    body = escape(text, windows=windows, root=root)
    if fits(body, clashed=clashed, marked=marked):
        return body + (_CLASH + _digest(text) if clashed else "") + (MARKED if marked else "")
    return _chain(text, windows=windows, clashed=clashed, marked=marked)


def fits(body: str, *, clashed: bool, marked: bool) -> bool:
    """Return whether an escaped text is one name in that form, not a chain."""
    suffix = (len(_CLASH) + _DIGITS if clashed else 0) + (len(MARKED) if marked else 0)
    return len(body.encode()) + suffix <= MAX_NAME_BYTES


def marked_name(name: str, *, windows: bool = ON_WINDOWS) -> str:
    """Return the form of `name` for a file whose plain name a directory has.

    Parameters
    ----------
    name : str
        The last component of a path of `filenames.encode_key`, in clash form or not.
    windows : bool
        As the path was made.

    Returns
    -------
    str
        The name to use instead; two names joined by ``/`` where one would be too long. A marked
        name is returned as it is.
    """
    return _reform(name, windows=windows, marked=True)


def clash_name(name: str, *, windows: bool = ON_WINDOWS) -> str:
    """Return the form of `name` that is kept apart from names the file system merges with it.

    Parameters
    ----------
    name : str
        Any component of a path of `filenames.encode_key`, marked or not.
    windows : bool
        As the path was made.

    Returns
    -------
    str
        The name to use instead; two names joined by ``/`` where one would be too long. A name in
        clash form is returned as it is.
    """
    return _reform(name, windows=windows, clashed=True)


def is_marked(name: str) -> bool:
    """Return whether `name` (or the path it ends) is in the form of `marked_name`."""
    return name.endswith(MARKED)


def _reform(name: str, *, windows: bool, clashed: bool = False, marked: bool = False) -> str:
    match = _FORM.match(name)
    assert match is not None
    body, digest, end = match.groups()
    text = unescape(body)
    if text is None or (marked and end == CONTINUED):
        raise ValueError(f"{name!r} is not the name of a key's file")
    clashed = clashed or digest is not None
    if end == CONTINUED:
        return body + _CLASH + (digest or _digest(text)) + CONTINUED
    marked = marked or end == MARKED
    if fits(body, clashed=clashed, marked=marked):
        suffix = _CLASH + (digest or _digest(text)) if clashed else ""
        return body + suffix + (MARKED if marked else "")
    return _chain(text, windows=windows, clashed=clashed, marked=marked)


def _chain(text: str, *, windows: bool, clashed: bool, marked: bool) -> str:
    pieces = cut(text, windows=windows)
    names = [escape(piece, windows=windows, root=False) for piece in pieces]
    if clashed:
        names[0] += _CLASH + _digest(pieces[0])
    return f"{CONTINUED}/".join(names) + (MARKED if marked else "")


def _digest(text: str) -> str:
    # hashlib and unicodedata are loaded by the rare store that needs them.
    from hashlib import sha256

    return sha256(text.encode()).hexdigest()[:_DIGITS]


def _spellings(body: str) -> Iterator[str]:
    from unicodedata import normalize

    yield body
    yield normalize("NFC", body)
    yield normalize("NFD", body)
