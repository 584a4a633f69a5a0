"""Code that is shown as a part of a source file is a part of it.

Indentation and blank lines aside. It stands after a comment ``<!-- not run: a part of NAME -->``.
"""

from __future__ import annotations

import re

import pytest
from docs_pages import PAGES, ROOT, name_of

_PART = re.compile(r"<!-- not run: a part of (\S+) -->\s*^```python\n(.*?)^```$", re.M | re.S)
_SHOWN = [
    pytest.param(name, body, id=f"{name_of(page)}:{name}:{number}")
    for page in PAGES
    for number, (name, body) in enumerate(_PART.findall(page.read_text(encoding="utf-8")))
]


def _bare(text: str) -> str:
    return "\n".join(stripped for line in text.splitlines() if (stripped := line.strip()))


@pytest.mark.parametrize(("name", "body"), _SHOWN)
def test_what_is_shown_is_in_the_source(name: str, body: str) -> None:
    sources = [*(ROOT / "encore").rglob(name)]
    assert any(_bare(body) in _bare(path.read_text(encoding="utf-8")) for path in sources), name


def test_something_is_shown() -> None:
    assert _SHOWN
