"""Metadata as text: what is JSON, how it is merged, and when two values are equal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encore.storage.metadata import (
    as_json,
    decode_metadata,
    encode_metadata,
    matches,
    merge_metadata,
    same_json,
    select_metadata,
)
from encore.testing.metadata import NOT_JSON, RICH
from encore.testing.model import equal_json

_texts = st.text(st.characters(exclude_categories=["Cs"]))
_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
_json = st.recursive(
    _scalars | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=10,
)
_objects = st.dictionaries(_texts, _json, max_size=5)


@given(_objects)
def test_every_json_object_comes_back_as_it_was(metadata: dict[str, Any]) -> None:
    text = encode_metadata(metadata)
    assert repr(decode_metadata(text)) == repr(metadata)
    assert json.loads(text) == metadata
    assert encode_metadata(decode_metadata(text)) == text, "one text for one object"


@given(_objects, _objects)
def test_merging_is_the_union_of_dictionaries(old: dict[str, Any], new: dict[str, Any]) -> None:
    merged = merge_metadata(encode_metadata(old), new)
    assert repr(decode_metadata(merged)) == repr(old | new)
    assert encode_metadata(decode_metadata(merged)) == merged


@given(_json, _json)
def test_equality_is_symmetric_and_that_of_json(a: Any, b: Any) -> None:
    assert same_json(a, b) is same_json(b, a) is equal_json(a, b)
    assert same_json(a, as_json(a))


@pytest.mark.parametrize("bad", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_a_type_error(bad: Any) -> None:
    with pytest.raises(TypeError):
        encode_metadata(bad)


def test_rich_metadata_comes_back_as_it_was() -> None:
    assert repr(decode_metadata(encode_metadata(RICH))) == repr(RICH)


@pytest.mark.parametrize("depth", [100, 100000])
def test_nesting_comes_back_or_is_a_type_error(depth: int) -> None:
    metadata: Any = {}
    for _ in range(depth):
        metadata = {"": metadata}
    try:
        text = encode_metadata(metadata)
    except TypeError:
        assert depth == 100000
    else:
        assert encode_metadata(decode_metadata(text)) == text


def test_decoding_makes_a_new_dictionary_each_time() -> None:
    text = encode_metadata({"x": [1]})
    decode_metadata(text)["x"].append(2)
    assert decode_metadata(text) == {"x": [1]}
    assert decode_metadata("{}") is not decode_metadata("{}")


def test_fields_are_selected_as_far_as_they_are_there() -> None:
    assert select_metadata({"x": 1, "y": 2}, ["y", "z"]) == {"y": 2}
    assert select_metadata({"x": 1}, None) == {"x": 1}


def test_a_field_that_is_absent_matches_nothing() -> None:
    assert matches({"x": None}, {"x": None})
    assert not matches({}, {"x": None})
    assert matches({"x": 1}, {})
