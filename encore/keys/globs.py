"""Globs over keys, turned into regular expressions.

======== ==================================================================
``*``    any run of characters but ``/``, or none
``?``    one character but ``/``
``**``   any run of characters, or none
``**/``  at the beginning of a segment: any number of whole segments, or none
``[ab]`` one of these; ``[a-z]`` a range of code points; ``[!ab]`` any other
         character. Never ``/``. ``[*]`` is how to say a literal ``*``
======== ==================================================================

Everything else is itself, a ``[`` that is never closed too; the whole key has to match, by code
points, with no folding of case. The one idea: a pattern is a row of tokens, and where a later
wildcard can take up whatever an earlier one left, the earlier one keeps its first match (an atomic
group). So a hostile pattern over a long key costs time that is polynomial of a low degree, where
the textbook translation explodes.

Anybody may import this module.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["glob_prefix", "glob_to_regex"]

_TOKEN = re.compile(
    r"(?P<segments>(?:(?<=/)|\A)\*\*/)"
    r"|(?P<deep>\*\*+)"
    r"|(?P<star>\*)"
    r"|(?P<one>\?)"
    r"|\[(?P<negated>!?+)(?P<members>\][^\]]*|[^\]]+)\]"
    r"|(?P<literal>.)",
    re.DOTALL,
)

_SEGMENTS, _DEEP, _STAR = "segments", "deep", "star"


@lru_cache(maxsize=256)
def glob_to_regex(pattern: str) -> re.Pattern[str]:
    """Compile `pattern`; the result matches from the beginning of a key to its end.

    Parameters
    ----------
    pattern : str
        A glob, in the language that this module's head describes.

    Returns
    -------
    re.Pattern
        Use its ``match``: the end is anchored.
    """
    # Split at the wildcards that cross segments: they reach farther than all that is between them.
    parts: list[str] = []
    opener: str | None = None
    group: list[tuple[str, str]] = []
    for kind, text in _tokens(pattern):
        if kind in (_SEGMENTS, _DEEP):
            parts.append(f"(?>{_reach(opener, lazy=True)}{_within_segments(group, last=False)})")
            opener, group = kind, []
        else:
            group.append((kind, text))
    parts.append(_reach(opener, lazy=False) + _within_segments(group, last=True))
    return re.compile("".join(parts) + r"\Z", re.DOTALL)


@lru_cache(maxsize=256)
def glob_prefix(pattern: str) -> str:
    """Return the literal head of `pattern`: every key that matches begins with it.

    Parameters
    ----------
    pattern : str
        A glob.

    Returns
    -------
    str
        The head, empty if `pattern` begins with a wildcard; all of the only match if it has none.
    """
    head: list[str] = []
    for match in _TOKEN.finditer(pattern):
        members = match["members"]
        if match["literal"] is not None:
            head.append(match["literal"])
        elif members is not None and len(members) == 1 and members != "/" and not match["negated"]:
            head.append(members)
        else:
            break
    return "".join(head)


def _tokens(pattern: str) -> list[tuple[str, str]]:
    """Return the pattern as (kind, regular expression) pairs."""
    found: list[tuple[str, str]] = []
    for match in _TOKEN.finditer(pattern):
        if match["members"] is not None:
            found.append(("class", _class(match["members"], negated=bool(match["negated"]))))
        elif match["literal"] is not None:
            found.append(("literal", re.escape(match["literal"])))
        elif match["one"] is not None:
            found.append(("one", "[^/]"))
        else:
            found.append((str(match.lastgroup), ""))
    return found


def _reach(opener: str | None, *, lazy: bool) -> str:
    """Return what stands for the far-reaching wildcard that opens a group."""
    if opener is None:
        return ""
    if opener == _SEGMENTS:
        return "(?:.*?/)??" if lazy else "(?:.*/)?"
    return ".*?" if lazy else ".*"


def _within_segments(group: list[tuple[str, str]], *, last: bool) -> str:
    """Return the expression for tokens among which only ``*`` is of variable length."""
    runs: list[str] = [""]
    for kind, text in group:
        if kind == _STAR:
            runs.append("")
        else:
            runs[-1] += text
    first, *others = runs
    parts = [first]
    for index, run in enumerate(others, start=1):
        # The last star of all has no later one to take up the rest: it must be able to give back.
        final = last and index == len(others)
        parts.append(f"[^/]*{run}" if final else f"(?>[^/]*?{run})")
    return "".join(parts)


def _class(members: str, *, negated: bool) -> str:
    """Return a character class; a range that ends before it begins is empty."""
    pieces: list[str] = []
    index = 0
    while index < len(members):
        low = high = members[index]
        if index + 2 < len(members) and members[index + 1] == "-":
            high = members[index + 2]
            index += 2
        index += 1
        if low <= high:
            pieces.append(f"\\U{ord(low):08x}-\\U{ord(high):08x}")
    if not pieces:
        return "[^/]" if negated else r"(?!)"
    return f"(?!/)[{'^' if negated else ''}{''.join(pieces)}]"
