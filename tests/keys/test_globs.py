"""Globs over keys, against a matcher too simple to be wrong."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from encore.keys.globs import glob_prefix, glob_to_regex


def is_match(pattern: str, key: str) -> bool:
    return glob_to_regex(pattern).match(key) is not None


def naive(pattern: str, key: str, begun: bool = True) -> bool:
    """Match without classes, by trying everything; `begun`: at the beginning of a segment."""
    if not pattern:
        return not key
    if begun and pattern.startswith("**/"):
        rest = pattern[3:]
        starts = [0] + [i + 1 for i, character in enumerate(key) if character == "/"]
        return any(naive(rest, key[start:]) for start in starts)
    if pattern.startswith("**"):
        rest = pattern.lstrip("*")
        return any(naive(rest, key[i:], False) for i in range(len(key) + 1))
    if pattern[0] == "*":
        reach = key.index("/") if "/" in key else len(key)
        return any(naive(pattern[1:], key[i:], False) for i in range(reach + 1))
    if not key or (pattern[0] == "?" and key[0] == "/"):
        return False
    return pattern[0] in ("?", key[0]) and naive(pattern[1:], key[1:], pattern[0] == "/")


PATTERNS = st.lists(st.sampled_from(["a", "b", "/", "*", "**", "?", "**/", "/**/"]), max_size=9)
KEYS = st.text("ab/", max_size=12)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("a.txt", ["a.txt"], ["a.txt\n", "xa.txt", "a.txtx", "a_txt", "A.txt"]),
        ("*.tif", ["a.tif", ".tif", "a\nb.tif"], ["a/b.tif", "a.tiff"]),
        ("**.tif", ["a.tif", "a/b.tif"], ["a.tiff"]),
        ("**", ["", "a", "a/b", "\n"], []),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "a/b/c"]),
        ("**/b", ["b", "a/b"], ["ab", "a/ab"]),
        ("a/**", ["a/", "a/b", "a/b/c"], ["a", "ab"]),
        ("?", ["a", "é", "😀", "\n"], ["", "ab", "/", "e\u0301"]),
        ("[abc]x", ["ax", "cx"], ["dx", "x"]),
        ("[a-c]", ["a", "b"], ["d", "-", "B"]),
        ("[!a-c]", ["d", "-", "\n"], ["a", "/", ""]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[]a]", ["]", "a"], ["b"]),
        ("[!]a]", ["b"], ["]", "a"]),
        ("[*]", ["*"], ["a"]),
        ("[^a]", ["^", "a"], ["b"]),
        ("[\\d]", ["\\", "d"], ["1"]),
        ("[+-9]", ["+", "0", "."], ["/"]),
        ("[z-a]", [], ["z", "a", "-", "/"]),
        ("[!z-a]", ["z"], ["/"]),
        ("[é-ü]", ["ê"], ["e"]),
        ("[😀-😂]", ["😁"], ["😃"]),
        ("a[", ["a["], ["a"]),
        ("[]", ["[]"], [""]),
        ("[!]", ["[!]"], ["!", "a"]),
        ("a+(b)|c", ["a+(b)|c"], ["aab"]),
    ],
)
def test_the_language_means_what_its_table_says(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    assert [key for key in matching if not is_match(pattern, key)] == []
    assert [key for key in others if is_match(pattern, key)] == []


@given(PATTERNS.map("".join), KEYS)
@example("**a*b", "a/ab")
@example("**a*b**", "a/ab")
@example("*a/**/b*", "a/b/aba")
@settings(max_examples=1000)
def test_matching_agrees_with_trying_everything(pattern: str, key: str) -> None:
    assert is_match(pattern, key) == naive(pattern, key)


@given(PATTERNS.map("".join), KEYS)
def test_every_match_begins_with_the_literal_head(pattern: str, key: str) -> None:
    if is_match(pattern, key):
        assert key.startswith(glob_prefix(pattern))


@pytest.mark.parametrize(
    ("pattern", "head"),
    [
        ("a/b", "a/b"),
        ("a/*", "a/"),
        ("*", ""),
        ("a?", "a"),
        ("a/**/b", "a/"),
        ("[*]x*", "*x"),
        ("a[", "a["),
        ("a[bc]", "a"),
        ("[!a]", ""),
        ("[/]", ""),
        ("", ""),
    ],
)
def test_the_literal_head_goes_as_far_as_the_pattern_has_no_choice(pattern: str, head: str) -> None:
    assert glob_prefix(pattern) == head


@pytest.mark.parametrize("pattern", ["*a" * 20, "**a" * 20, "*a**b" * 10, "**/a*" * 10])
def test_a_hostile_pattern_does_not_explode(pattern: str) -> None:
    begin = perf_counter()
    assert not is_match(pattern + "c", "ab/" * 300)
    assert perf_counter() - begin < 5


def test_a_pattern_is_compiled_once() -> None:
    assert glob_to_regex("once/*") is glob_to_regex("once/*")


def test_a_pattern_of_another_type_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        glob_to_regex(b"a")  # type: ignore[arg-type]
