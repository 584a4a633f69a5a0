"""Keys for the tests of this folder: ordinary ones, and the nastiest that are legal."""

from __future__ import annotations

from hypothesis import strategies as st

NASTY = [
    *["%=", "%", "=", "%=@", "%=+", "%=~", "%=~01234567", "%=25", "%=2E", "%=2e", "%=-", "%%", "@"],
    *["", ".", "..", "...", ".encore", ".ENCORE", ".enc\u200core", "\ufeff.encore", ".encore.bak"],
    *["encore~1", "EN12AB~1", "~1", "~"],
    *["CON", "con", "nul.txt", "NUL .tar.gz", "COM1", "com\u00b9", "CONIN$", "LPT9.", "CONTROL"],
    *["a.", "a ", " ", "a:b", "a\\b", 'q"', "<x>", "a|b", "?", "*"],
    *["\n", "\t", "\x01", "\x7f", "\r\n"],
    *["\u00e9", "e\u0301", "\u00c9", "\u212b", "\u1e9e", "ss", "I", "\u0131", "\ud55c"],
    *["a", "A", "b", "a-b", "a.txt", "a0", "my%20file.txt", "100%.txt", "\U0001f600", "\U0010ffff"],
    *["x" * 230, "x" * 240, "x" * 250, "x" * 255, "x" * 256, "%=" * 60, "\U0001f600" * 62],
    *["\u00e9" * 127, "?" * 60, "X" * 245, "x" * 233 + "\u00e9", "\u200c" * 79 + ".encore"],
]

_PIECE = st.sampled_from(NASTY) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), max_size=4
)
_SEGMENT = st.lists(_PIECE, min_size=1, max_size=3).map("".join) | st.sampled_from(NASTY)


def _shortened(key: str) -> str:
    return key.encode()[:1024].decode(errors="ignore")


#: Any legal key.
KEYS = st.lists(_SEGMENT, min_size=1, max_size=4).map("/".join).map(_shortened).filter(bool)

#: Keys that share segments, so that trees of them have files beside directories, and chains.
_CLOSE = st.sampled_from(
    [
        *["a", "A", "a-b", "a.txt", "a0", "b", "", "..", ".encore", "%=@", "a\n"],
        *["\u00e9", "e\u0301", "x" * 234 + "a", "x" * 233 + "\u00e9" * 9, "x" * 234 + "y" * 20],
        *("x" * length for length in (233, 234, 235, 240, 250, 254, 256, 300)),
    ]
)
CLOSE_KEYS = st.lists(_CLOSE, min_size=1, max_size=3).map("/".join).map(_shortened).filter(bool)
