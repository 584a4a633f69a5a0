"""What is a key, what is a prefix, and where a prefix ends."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from encore.errors import InvalidKeyError
from encore.keys import MAX_KEY_BYTES, check_key, check_prefix, prefix_end

LAST = "\U0010ffff"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


class Label(str):
    """A string with a name of its own."""

    __slots__ = ()


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "..",
        "/",
        "a//b",
        "CON",
        "é",
        "e\u0301",
        "\n",
        " ",
        "\x7f",
        LAST,
        "x" * 1024,
        "é" * 512,
        "😀" * 256,
        Label("a"),
        Label("é"),
    ],
)
def test_every_string_of_1_to_1024_bytes_is_a_key(key: str) -> None:
    check_key(key)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "empty"),
        (Label(""), "empty"),
        ("x" * 1025, "1025 bytes"),
        ("é" * 513, "1026 bytes"),
        ("\0", "NUL"),
        ("é\0", "NUL"),
        ("a\ud800b", "surrogate at position 1"),
        (None, "NoneType"),
        (b"a", "bytes"),
        (3, "int"),
        (("a", "b"), "tuple"),
    ],
)
def test_anything_else_is_refused_and_told_why(key: object, why: str) -> None:
    with pytest.raises(InvalidKeyError, match=why) as caught:
        check_key(key)
    assert "1 to 1024 UTF-8 bytes" in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, KeyError)


def test_a_long_key_is_shortened_in_the_message() -> None:
    with pytest.raises(InvalidKeyError) as caught:
        check_key("x" * 10**6)
    assert len(str(caught.value)) < 300
    with pytest.raises(InvalidKeyError) as caught:
        check_key(b"x" * 10**6)
    assert len(str(caught.value)) < 300


@given(st.text(max_size=8), st.integers(0, MAX_KEY_BYTES + 1))
def test_a_key_is_legal_exactly_when_the_definition_says_so(piece: str, repeat: int) -> None:
    key = piece * repeat
    try:
        legal = 1 <= len(key.encode()) <= MAX_KEY_BYTES and "\0" not in key
    except UnicodeEncodeError:
        legal = False
    if legal:
        check_key(key)
    else:
        with pytest.raises(InvalidKeyError):
            check_key(key)


@pytest.mark.parametrize("prefix", ["", "a/", "é", "x" * 5000])
def test_a_prefix_may_be_empty_and_of_any_length(prefix: str) -> None:
    check_prefix(prefix)


@pytest.mark.parametrize("prefix", ["a\0", "é\0", "\udfff"])
def test_a_prefix_of_no_key_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidKeyError):
        check_prefix(prefix)


@pytest.mark.parametrize("prefix", [None, b"a", 1])
def test_a_prefix_of_another_type_is_a_type_error(prefix: object) -> None:
    with pytest.raises(TypeError):
        check_prefix(prefix)


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        ("", None),
        (LAST * 3, None),
        ("a", "b"),
        ("a/", "a0"),
        ("a" + LAST * 2, "b"),
        ("\ud7ff", "\ue000"),
        ("a\uffff", "a\U00010000"),
    ],
)
def test_a_prefix_ends_at_its_successor(prefix: str, end: str | None) -> None:
    assert prefix_end(prefix) == end


@given(TEXT, TEXT)
@example("\ud7ff", "\ue000")
@example("a" + LAST, "a" + LAST)
def test_a_string_begins_with_a_prefix_exactly_when_it_lies_in_its_range(
    prefix: str, text: str
) -> None:
    for candidate in (text, prefix + text, prefix[:-1] + text):
        end = prefix_end(prefix)
        inside = prefix <= candidate and (end is None or candidate < end)
        assert inside == candidate.startswith(prefix)


@given(TEXT)
def test_the_end_of_a_prefix_is_the_least_and_encodable(prefix: str) -> None:
    end = prefix_end(prefix)
    if end is None:
        assert set(prefix) <= {LAST}
        return
    end.encode()
    # Whatever is less than the end and not less than the prefix begins with it: nothing between.
    assert end > prefix + LAST * 5
    before = end[:-1] + chr(ord(end[-1]) - (1 if end[-1] != "\ue000" else 0x801))
    assert prefix.startswith(before)
