"""Built keys are listed keys."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encore.errors import InvalidKeyError
from encore.keys import KeyBuilder, check_key

PARTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1),
    min_size=1,
    max_size=4,
)


def test_a_key_is_the_prefix_and_the_parts_joined() -> None:
    assert KeyBuilder().build("a", "b") == "encore/a/b"
    assert KeyBuilder(":", "cache").build("a/b") == "cache:a/b"
    assert KeyBuilder("--", "x--y").build("a") == "x--y--a"


def test_no_parts_give_the_prefix() -> None:
    assert KeyBuilder().build() == "encore"
    assert not KeyBuilder().validate("encore")


def test_an_empty_prefix_leaves_no_leading_separator() -> None:
    builder = KeyBuilder(prefix="")
    assert builder.build("a", "b") == "a/b"
    assert builder.validate("a/b")
    with pytest.raises(InvalidKeyError):
        builder.build()


@pytest.mark.parametrize("part", ["", "/", "a/b", "a/", "\0", "\ud800", "x" * 1025])
def test_a_part_that_would_not_stay_one_part_is_refused(part: str) -> None:
    with pytest.raises(InvalidKeyError):
        KeyBuilder().build("a", part)


@pytest.mark.parametrize("part", [None, 1, b"a", ["a"]])
def test_a_part_of_another_type_is_a_type_error(part: object) -> None:
    with pytest.raises(TypeError):
        KeyBuilder().build("a", part)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "valid"),
    [
        ("encore/a", True),
        ("encore/", True),
        ("encore", False),
        ("encorex/a", False),
        ("a", False),
        ("", False),
        ("encore/\0", False),
        ("encore/" + "x" * 1024, False),
    ],
)
def test_a_key_is_valid_exactly_under_the_prefix(key: str, valid: bool) -> None:
    assert KeyBuilder().validate(key) is valid


def test_what_is_no_key_is_not_valid() -> None:
    assert not KeyBuilder().validate(None)  # type: ignore[arg-type]
    assert not KeyBuilder(prefix="").validate("")


@given(PARTS, st.sampled_from(["", "encore", "a/b"]))
def test_what_is_built_is_legal_valid_and_unambiguous(parts: list[str], prefix: str) -> None:
    builder = KeyBuilder(prefix=prefix)
    try:
        key = builder.build(*parts)
    except InvalidKeyError:  # too long
        return
    check_key(key)
    assert builder.validate(key)
    assert key.removeprefix(prefix and prefix + "/").split("/") == parts


def test_a_builder_is_a_value() -> None:
    builder = KeyBuilder()
    assert builder == KeyBuilder("/", "encore")
    assert hash(builder) == hash(KeyBuilder("/", "encore"))
    assert repr(builder) == "KeyBuilder(split_char='/', prefix='encore')"
    with pytest.raises(FrozenInstanceError):
        builder.prefix = "x"  # type: ignore[misc]


def test_a_builder_without_a_separator_is_refused() -> None:
    with pytest.raises(ValueError, match="split_char"):
        KeyBuilder(split_char="")
    with pytest.raises(TypeError):
        KeyBuilder(prefix=None)  # type: ignore[arg-type]
    with pytest.raises(InvalidKeyError):
        KeyBuilder(prefix="\0")
