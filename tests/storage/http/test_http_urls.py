"""Laws of addresses: what is taken, what a key becomes, and what may be shown."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encore.errors import InvalidKeyError
from encore.keys.rules import check_key
from encore.storage.backends.http.records import rest_path
from encore.storage.backends.http.urls import (
    Url,
    key_path,
    parse_url,
    redirect_target,
    shown_url,
)


def is_key(text: str) -> bool:
    try:
        check_key(text)
    except InvalidKeyError:
        return False
    return True


KEYS = st.text(min_size=1, max_size=40).filter(is_key) | st.lists(
    st.sampled_from(
        ["", ".", "..", "~", "~~", "~.", "a", "%2e", "%2F", "\\", "..\\..", "é", "?x#y"]
    ),
    min_size=2,
    max_size=6,
).map("/".join)


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        ("http://example.org", "http://example.org", "/"),
        ("HTTPS://Example.ORG:443/A", "https://example.org", "/A"),
        ("http://h:8080/a%20b?x=%2F&y", "http://h:8080", "/a%20b?x=%2F&y"),
        ("http://h/é/日?ß", "http://h", "/%C3%A9/%E6%97%A5?%C3%9F"),
        ("http://[::1]:81/x", "http://[::1]:81", "/x"),
        ("http://h/a#part", "http://h", "/a"),
    ],
)
def test_an_address_is_an_origin_and_a_target(text: str, origin: str, target: str) -> None:
    assert parse_url(text) == (Url(origin, target), None)


def test_user_and_password_are_taken_out() -> None:
    url, user = parse_url("https://me:p%40ss@h/x?sig=secret")
    assert user == ("me", "p@ss")
    assert "ss" not in repr(url)
    assert str(url) == "https://h/x"


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "/a", "//h/a", "file:///etc/passwd", "ftp://h/a", "http:/a", "http://", "http:///a",
        "http://h:port/", "http://h:99999999/", "http://[::1/", "http://good\\@evil/",
        "http://h/a b", "http://h/a\nb", "\thttp://h/", "javascript:alert(1)", "data:,x",
        "gopher://h/", "http://?x",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_url(text)
    assert len(text) < 4 or text not in str(caught.value)


@given(KEYS)
def test_the_path_of_a_key_never_leaves_its_base(key: str) -> None:
    path = key_path(key)
    if path is None:
        assert any(part in (".", "..") for part in key.replace("\\", "/").split("/"))
        return
    assert unquote(path) == key
    # What a server makes of it, whether it undoes the encoding first or last, or on Windows.
    for text in (path, unquote(path), unquote(path).replace("\\", "/")):
        assert posixpath.normpath("/a/base/" + text).startswith("/a/base")


@given(KEYS, KEYS)
def test_the_path_of_the_protocol_has_no_segment_that_servers_change(one: str, other: str) -> None:
    path = rest_path(one)
    segments = path.split("/")
    assert not {"", ".", ".."} & {unquote(segment) for segment in segments}
    assert "/".join(unquote(segment).removeprefix("~") for segment in segments) == one
    assert path.isascii()
    assert (path == rest_path(other)) == (one == other)


@pytest.mark.parametrize(
    ("location", "goal"),
    [
        ("/y", "https://h/y"),
        ("y?z=1", "https://h/a/y"),
        ("https://other:444/", "https://other:444/"),
        ("//other/x", "https://other/x"),
        ("../../../../etc", "https://h/etc"),
        ("/sp ace", "https://h/sp%20ace"),
        ("/\xc3\xa9", "https://h/%C3%A9"),
    ],
)
def test_a_redirect_leads_to_an_address(location: str, goal: str) -> None:
    assert str(redirect_target(Url("https://h", "/a/b"), location)) == goal


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://h/a", "ftp://h/", "http://\\evil/", "data:,x"]
)
def test_a_redirect_to_what_is_no_address_or_less_safe_is_refused(location: str) -> None:
    with pytest.raises(ValueError):
        redirect_target(Url("https://h", "/a/b"), location)


def test_a_redirect_may_become_safer() -> None:
    assert redirect_target(Url("http://h", "/a"), "https://h/a").origin == "https://h"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@h:8/p/q?sig=secret#secret", "https://h:8/p/q?..."),
        ("http://h/p", "http://h/p"),
        ("secret", "..."),
        ("http://[::secret", "..."),
    ],
)
def test_what_is_shown_of_an_address_holds_no_secret(text: str, shown: str) -> None:
    found = shown_url(text)
    assert "secret" not in found
    assert found.removeprefix("://") == shown
