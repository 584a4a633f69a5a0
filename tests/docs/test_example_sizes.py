"""What the documentation claims of the size of its examples."""

from __future__ import annotations

import ast

import pytest
from docs_pages import DOCS, blocks_of


def code_lines(source: str) -> int:
    """Lines of code, from the first class on: without blanks, comments and docstrings."""
    tree = ast.parse(source)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    lines: set[int] = set()
    for cls in classes:
        begin = min([cls.lineno, *(decorator.lineno for decorator in cls.decorator_list)])
        lines |= set(range(begin, (cls.end_lineno or 0) + 1))
        for node in ast.walk(cls):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
                text = node.body[0]
                lines -= set(range(text.lineno, (text.end_lineno or 0) + 1))
    shown = source.splitlines()
    return sum(1 for n in lines if shown[n - 1].strip() and shown[n - 1].lstrip()[0] != "#")


@pytest.mark.parametrize(
    ("page", "module", "limit", "claim"),
    [
        ("write-a-store.md", "json_store.py", 60, "at most 60 lines"),
        ("write-a-wrapper.md", "extension_store.py", 15, "at most 15 lines"),
        ("write-a-wrapper.md", "timed_store.py", 15, "at most 15 lines"),
    ],
)
def test_examples_are_as_short_as_the_page_says(
    page: str, module: str, limit: int, claim: str
) -> None:
    path = DOCS / "howto" / page
    assert claim in " ".join(path.read_text(encoding="utf-8").split())
    (source,) = [b.body for b in blocks_of(path) if b.body.startswith(f"# file: {module}\n")]
    assert 0 < code_lines(source) <= limit


def test_code_is_counted_and_nothing_else() -> None:
    source = 'import a\n\n@b\nclass C:\n    """Two\n    lines."""\n\n    # why\n    x = 1\n'
    assert code_lines(source) == 3
