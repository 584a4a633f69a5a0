"""The laws that every key map keeps, for any key of the contract and any name beneath."""

from __future__ import annotations

import hashlib
import pickle
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from key_strategies import CLOSE_KEYS, KEYS

from encore.errors import InvalidKeyError
from encore.keys import (
    MAX_KEY_BYTES,
    Chain,
    HashPrefix,
    KeyMap,
    Prefix,
    UrlEncoded,
    Valid,
    check_key,
)
from encore.keys.validators import matches


def is_not_bad(key: str) -> None:
    """A validator that refuses in its own words."""
    if "bad" in key:
        raise ValueError("bad keys are not wanted")


no_blanks = matches(r"[^ ]+")

MAPS: list[KeyMap] = [
    Prefix("a/"),
    Prefix(""),
    Prefix("\u00e9."),
    Prefix("a"),
    HashPrefix(),
    HashPrefix(1, ""),
    HashPrefix(64, "\u00e9/"),
    UrlEncoded(),
    Valid(is_not_bad),
    Valid(no_blanks),
    Chain(),
    Chain(Prefix("x/."), UrlEncoded()),
    Chain(UrlEncoded(), Prefix("%/")),
    Chain(UrlEncoded(), HashPrefix(2), Prefix("a")),
    Chain(Valid(is_not_bad), Prefix("bad ")),
    Chain(Chain(Prefix("b"), Prefix("a")), UrlEncoded()),
]
every_map = pytest.mark.parametrize("keymap", MAPS, ids=lambda keymap: f"{MAPS.index(keymap)}")

_PARTS = st.sampled_from(
    [
        *["a", "b", "/", ".", "..", "%", "%2E", "%2F", "%00", "%C3%A9", "%c3%a9", "%ED%A0%80"],
        *["%4", "\u00e9", "~", "bad", " ", "x/.", "\U0001f600", "\n", "%0A", "5", "0", "f", "a/"],
    ]
)
#: Half as many examples as usual for each map: there are many, and they share their parts.
fewer = settings(max_examples=settings().max_examples // 2)
#: Keys that are close to what the maps here make, or are no key's name by a little.
NEAR_KEYS = st.lists(_PARTS, min_size=1, max_size=6).map("".join).filter(bool)
ANY_KEYS = KEYS | CLOSE_KEYS | NEAR_KEYS


def named(keymap: KeyMap, key: str) -> str:
    """The name of a key; examples that a validator refuses are no examples."""
    try:
        return keymap.to_base(key)
    except InvalidKeyError:
        assume(False)
        raise


@every_map
@fewer
@given(key=ANY_KEYS)
def test_keys_come_back(keymap: KeyMap, key: str) -> None:
    name = named(keymap, key)
    assert name
    assert "\0" not in name
    name.encode()
    assert keymap.from_base(name) == key


@every_map
@fewer
@given(one=ANY_KEYS, other=ANY_KEYS)
def test_no_two_keys_have_one_name(keymap: KeyMap, one: str, other: str) -> None:
    assume(one != other)
    assert named(keymap, one) != named(keymap, other)


@every_map
@fewer
@given(name=ANY_KEYS)
def test_names_are_nobodys_or_lead_back_exactly(keymap: KeyMap, name: str) -> None:
    key = keymap.from_base(name)
    if key is not None:
        check_key(key)
        assert keymap.to_base(key) == name


@every_map
@fewer
@given(key=ANY_KEYS, other=ANY_KEYS, data=st.data())
def test_names_a_little_off_lead_back_exactly_or_nowhere(
    keymap: KeyMap, key: str, other: str, data: st.DataObject
) -> None:
    name = named(keymap, key)
    at = data.draw(st.integers(0, len(name)))
    for wrong in (name[:at] + other + name[at:], name[:at] + name[at + 1 :], name.lower()):
        assume(wrong)
        found = keymap.from_base(wrong)
        if found is not None:
            check_key(found[: MAX_KEY_BYTES // 4])
            assert keymap.to_base(found) == wrong


@every_map
@fewer
@given(key=ANY_KEYS, data=st.data())
def test_a_prefix_covers_its_keys(keymap: KeyMap, key: str, data: st.DataObject) -> None:
    name = named(keymap, key)
    for length in {0, len(key), data.draw(st.integers(0, len(key)))}:
        prefix = keymap.prefix_to_base(key[:length])
        assert prefix is None or name.startswith(prefix)


@pytest.mark.parametrize("number", [n for n, keymap in enumerate(MAPS) if keymap.keeps_order])
@fewer
@given(keys=st.lists(ANY_KEYS, min_size=2, max_size=6))
def test_order_is_kept_where_it_is_said_to_be(number: int, keys: list[str]) -> None:
    keymap = MAPS[number]
    names = [named(keymap, key) for key in sorted(keys)]
    assert names == sorted(names)


@every_map
@fewer
@given(key=ANY_KEYS, limit=st.integers(0, 4 * MAX_KEY_BYTES))
def test_keys_that_are_not_too_long_fit(keymap: KeyMap, key: str, limit: int) -> None:
    name = named(keymap, key)
    if len(key.encode()) <= keymap.longest_key(limit):
        assert len(name.encode()) <= limit
    assert len(name.encode()) <= limit or keymap.longest_key(limit) < len(key.encode())
    assert keymap.longest_key(limit) >= 0


@every_map
def test_the_longest_key_is_not_understated(keymap: KeyMap) -> None:
    longest = keymap.longest_key(MAX_KEY_BYTES)
    assert len(keymap.to_base("%" * longest).encode()) <= MAX_KEY_BYTES
    if not isinstance(keymap, Chain):
        assert len(keymap.to_base("%" * (longest + 1)).encode()) > MAX_KEY_BYTES


@every_map
def test_maps_are_their_configuration(keymap: KeyMap) -> None:
    same = pickle.loads(pickle.dumps(keymap))
    assert same == keymap
    assert hash(same) == hash(keymap)
    if "function" not in repr(keymap):
        assert eval(repr(keymap)) == keymap
    assert [other for other in MAPS if other == keymap] == [keymap]
    with pytest.raises((AttributeError, TypeError)):
        keymap.prefix = "b"  # type: ignore[attr-defined]


def test_the_bare_prefix_is_no_key() -> None:
    assert Prefix("a/").from_base("a/") is None
    assert Prefix("a/").from_base("a") is None
    assert Prefix("a/").from_base("ab") is None
    assert Prefix("a/").prefix_to_base("") == "a/"


@given(ANY_KEYS)
def test_a_hash_that_is_not_the_keys_is_nobodys(key: str) -> None:
    digits = hashlib.sha256(key.encode()).hexdigest()
    assert HashPrefix().to_base(key) == f"{digits[:8]}/{key}"
    assert HashPrefix(3, "-").to_base(key) == f"{digits[:3]}-{key}"
    wrong = "0" if digits[0] != "0" else "1"
    assert HashPrefix().from_base(f"{wrong}{digits[1:8]}/{key}") is None
    assert HashPrefix().from_base(f"{digits[:8]}-{key}") is None
    assert HashPrefix().from_base(f"{digits[:8]}/") is None
    assert HashPrefix().prefix_to_base(key) is None


@pytest.mark.parametrize("length", [0, 65, -1, "8", None])
def test_a_hash_has_so_many_digits(length: int) -> None:
    with pytest.raises(ValueError, match="digits"):
        HashPrefix(length)


@given(ANY_KEYS)
@example("\u00e9/\u20ac\U0001f600")
def test_percent_encoding_is_that_of_everybody(key: str) -> None:
    parts = (
        part.replace(".", "%2E") if part in (".", "..") else quote(part, safe="")
        for part in key.split("/")
    )
    assert UrlEncoded().to_base(key) == "/".join(parts)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("...", "..."),
        ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"),
        ("a/./b", "a/%2E/b"),
        ("a/.b", "a/.b"),
        ("..\n", "..%0A"),
        ("\n..", "%0A.."),
        ("a b", "a%20b"),
        ("100%", "100%25"),
        ("a//b/", "a//b/"),
        ("/", "/"),
    ],
)
def test_percent_encoding_by_example(key: str, name: str) -> None:
    assert UrlEncoded().to_base(key) == name
    assert UrlEncoded().from_base(name) == key


@pytest.mark.parametrize(
    "name",
    [
        *[
            "%2e",
            "%2E%2e",
            ".",
            "..",
            "a/../b",
            "%41",
            "%2F",
            "%",
            "%4",
            "%G0",
            "%%",
            "a b",
            "a+b:",
        ],
        *["\u00e9", "%00", "a%00b", "%ED%A0%80", "%C3", "%A9%C3", "%FF", "%c3%a9", "a\n", ".%2E"],
    ],
)
def test_names_that_are_not_in_the_one_right_form_are_nobodys(name: str) -> None:
    assert UrlEncoded().from_base(name) is None


def test_percent_encoding_does_not_keep_the_order() -> None:
    assert "~" < "\u00e9"
    assert UrlEncoded().to_base("~") > UrlEncoded().to_base("\u00e9")
    assert not UrlEncoded().keeps_order


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        *[("", ""), ("a/b", "a/b"), ("\u00e9", "%C3%A9"), ("a/", "a/"), (".", ""), ("..", "")],
        *[("a/.", "a/"), ("a/..", "a/"), ("./", "%2E/"), ("...", "..."), ("../x", "%2E%2E/x")],
    ],
)
def test_prefixes_of_percent_encoded_keys(prefix: str, expected: str) -> None:
    assert UrlEncoded().prefix_to_base(prefix) == expected


def test_validators_refuse_above_and_hide_beneath() -> None:
    keymap = Valid(is_not_bad)
    assert keymap.to_base("good") == keymap.from_base("good") == "good"
    assert keymap.from_base("bad") is None
    with pytest.raises(InvalidKeyError, match="not wanted") as caught:
        keymap.to_base("bad")
    assert caught.value.key == "bad"
    with pytest.raises(InvalidKeyError, match="does not match"):
        Valid(no_blanks).to_base("a b")

    def broken(key: str) -> None:
        raise RuntimeError("a mistake of the validator, not of the key")

    with pytest.raises(RuntimeError):
        Valid(broken).from_base("a")


def test_the_first_of_a_chain_is_the_nearest_to_the_caller() -> None:
    assert Chain(Prefix("b/"), Prefix("a/")).to_base("x") == "a/b/x"
    assert Chain(Prefix("b/"), Prefix("a/")).keeps_order
    assert not Chain(Prefix("b/"), UrlEncoded()).keeps_order
    assert Chain(Prefix("\u00e9"), UrlEncoded()).prefix_to_base("x/.") == "%C3%A9x/"
    assert Chain(HashPrefix(), Prefix("a/")).prefix_to_base("x") is None
    assert Chain(UrlEncoded(), Prefix("abcd")).longest_key(13) == 3


@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_what_no_key_may_contain_no_map_may_add(text: str) -> None:
    with pytest.raises(InvalidKeyError):
        Prefix(text)
    with pytest.raises(InvalidKeyError):
        HashPrefix(separator=text)
