"""Validators refuse by raising, and keep secrets to themselves."""

from __future__ import annotations

import re

import pytest

from encore.errors import InvalidKeyError
from encore.keys.validators import is_http_url, matches


@pytest.mark.parametrize("pattern", [r"[a-z]+\d", re.compile(r"[a-z]+\d")])
def test_the_whole_key_has_to_match(pattern: str) -> None:
    check = matches(pattern)
    check("ab1")
    for key in ("ab", "ab1\n", "xab1x", "", "AB1"):
        with pytest.raises(InvalidKeyError) as caught:
            check(key)
        assert caught.value.key == key


@pytest.mark.parametrize("pattern", ["^a$", "a", r"\Aa\Z", "(?m)^a$", "a|ab"])
def test_anchors_let_no_line_end_pass(pattern: str) -> None:
    matches(pattern)("a")
    for key in ("a\n", "\na", "a\nb", "a\na"):
        with pytest.raises(InvalidKeyError):
            matches(pattern)(key)


def test_validators_of_one_pattern_are_equal() -> None:
    assert matches("a+") == matches(re.compile("a+"))
    assert hash(matches("a+")) == hash(matches("a+"))
    assert matches("a+") != matches(re.compile("a+", re.DOTALL))
    assert repr(matches("a+")) == "matches('a+')"


@pytest.mark.parametrize(
    "key",
    [
        "http://example.org",
        "https://example.org:8443/a?b=c#d",
        "HTTP://example.org/ü",
        "https://[::1]/",
        "https://user:secret@example.org/x",
    ],
)
def test_absolute_http_urls_are_taken(key: str) -> None:
    is_http_url(key)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a/b",
        "ftp://example.org",
        "http:",
        "http://",
        "http:///x",
        "http://:80",
        "//example.org",
        "http://example.org:x",
        "http://example.org:99999",
        "http://[::1",
        "http://a b",
        "http://a\n",
        " http://example.org",
        "javascript:alert(1)",
        "http://a\tb/",
    ],
)
def test_everything_else_is_refused(key: str) -> None:
    with pytest.raises(InvalidKeyError):
        is_http_url(key)


def test_the_refusal_of_a_url_does_not_show_it() -> None:
    with pytest.raises(InvalidKeyError) as caught:
        is_http_url("ftp://user:secret@example.org/x?token=secret")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(caught.value)
