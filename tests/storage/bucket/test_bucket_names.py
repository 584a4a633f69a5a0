"""Laws of names: every key has one, no two share it, and they sort as their keys do."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from encore.keys.rules import MAX_KEY_BYTES
from encore.storage.backends.bucket.names import (
    ESCAPED,
    HIDDEN,
    before,
    is_cut,
    is_plain,
    key_of,
    lower_bound,
    name_of,
    not_after,
)
from encore.testing.keys import DEEP_KEY, NASTY_KEYS

characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
odd = st.sampled_from(["/", "//", ".", "..", "/../", "\\", "\n", "\x7f", "a", "Z", "0", "é", "~"])
pieces = st.lists(odd | st.text(characters, max_size=3), min_size=1, max_size=8).map("".join)
long = st.tuples(pieces, st.integers(1, 500)).map(lambda one: one[0] * one[1])
keys = (pieces | long).filter(lambda key: 0 < len(key.encode()) <= MAX_KEY_BYTES)
listed = st.lists(keys | st.sampled_from([*NASTY_KEYS, DEEP_KEY]), max_size=20, unique=True)


@given(keys)
@example(".encore")
@example(".encore/keys/a")
@example("a" * 1024)
def test_a_name_leads_back_to_its_key(key: str) -> None:
    name = name_of(key)
    if name.startswith(ESCAPED) and is_cut(name):
        assert len(key.encode()) > 200
        return
    assert key_of(name) == key


@given(keys)
def test_a_name_is_one_that_no_server_rewrites(key: str) -> None:
    name = name_of(key)
    segments = name.split("/")
    assert all(segment not in ("", ".", "..") for segment in segments)
    assert all(len(segment.encode()) <= 255 for segment in segments)
    assert len(name.encode()) <= 768, "with the longest prefix it has at most 1024 bytes"
    assert not any(ord(character) < 32 or character in "\x7f\\\ufffe\uffff" for character in name)


@given(listed)
def test_no_two_keys_share_a_name(found: list[str]) -> None:
    assert len({name_of(key) for key in found}) == len(found)


@given(listed)
def test_names_of_each_kind_sort_as_their_keys_do(found: list[str]) -> None:
    for plain in (True, False):
        ordered = sorted(key for key in found if is_plain(key) is plain)
        names = [name_of(key) for key in ordered]
        # Cut names tell their order only up to the cut.
        told = [name.rpartition("/")[0] if is_cut(name) and not plain else name for name in names]
        assert told == sorted(told)


@given(keys, keys)
def test_what_a_listing_begins_with_comes_before_all_it_is_for(key: str, prefix: str) -> None:
    if key.startswith(prefix) and not is_plain(key):
        assert name_of(key).startswith(lower_bound(prefix))
    for text in (key, lower_bound(key)):
        assert before(text) < text
        assert not_after(text) <= text
    if key >= prefix:
        assert before(prefix) < key


@given(st.text(characters, min_size=1, max_size=30))
def test_only_what_was_written_is_read(text: str) -> None:
    for name in (text, HIDDEN + text, ESCAPED + text):
        key = key_of(name)
        assert key is None or name_of(key) == name
