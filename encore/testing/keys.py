"""Laws of keys: the same set everywhere, nothing special about any of them."""

from __future__ import annotations

from typing import Any

import pytest

from encore.errors import InvalidKeyError
from encore.keys.rules import MAX_KEY_BYTES
from encore.storage.abstract_store import AbstractStore
from encore.testing import verbs
from encore.testing.laws import Laws, needs_transactions

#: Legal keys that file systems, SQL, globs, URLs and Unicode may find special.
NASTY_KEYS = (
    ".", "..", "../up", "/x", "//", "a", "a/", "a/b", "a//b", "a/b/", "A", "a.b", "a b", " ", "a ",
    "CON", "con", "nul.txt", "a:b", "a\\b", "a*", "a?", "[a]", "%", "%2F", "%61", "a%", "_", "'",
    '"', "`; DROP TABLE kv; --", "$", "~", "-rf", "#", "\t", "\n", "\r\n", "\x01", "\x7f",
    ".encore", ".encore/x", "\u00e9", "e\u0301", "\ufb01", "ß", "ss", "İ",
    "i", "日本語", "\ud7ff", "\ue000", "\uffff",
    "\U0001f600", "\U0010ffff", "a\U0010ffff", "x" * 1024, "é" * 512, "n" * 300,
)  # fmt: skip

#: Also legal, and dear to stores that make a directory of every slash.
DEEP_KEY = "d/" * 512

ILLEGAL_KEYS: dict[str, Any] = {
    "empty": "",
    "NUL": "a\0b",
    "lone high surrogate": "a\ud800",
    "lone low surrogate": "\udfff",
    "too long": "x" * 1025,
    "too long in bytes": "é" * 513,
    "bytes": b"a",
    "int": 1,
    "None": None,
    "unhashable": ["a"],
}

_ONE_KEY = (
    verbs.READING
    | verbs.TO_FILE
    | verbs.ASKING
    | verbs.REMOVING
    | {f"write: {name}": verb for name, verb in verbs.WRITING.items()}
    | verbs.TARGETING
)


def nasty_keys(store: AbstractStore) -> list[str]:
    """The nasty keys that are not too long for a store; the longest it says it takes among them."""
    longest = store.info()["key_bytes"]
    found = [key for key in NASTY_KEYS if len(key.encode()) <= longest]
    return found if longest == MAX_KEY_BYTES else [*found, "y" * longest]


class KeyLaws(Laws):
    """Which keys there are, and how they are ordered."""

    def test_every_legal_key_is_kept_apart_from_every_other(self, store: AbstractStore) -> None:
        keys = nasty_keys(store)
        for number, key in enumerate(keys):
            store.put(key, str(number).encode(), {"number": number})
        assert self.contents(store) == {
            key: (str(number).encode(), {"number": number}) for number, key in enumerate(keys)
        }

    def test_a_key_longer_than_the_store_says_is_refused_by_every_verb_or_by_none(
        self, store: AbstractStore
    ) -> None:
        long = "\x7f" * MAX_KEY_BYTES  # every map makes it longer that makes any key longer
        if store.info()["key_bytes"] == MAX_KEY_BYTES:
            pytest.skip("every legal key is short enough")
        store.put("source", b"1")
        try:
            store.exists(long)
        except InvalidKeyError:
            for name, verb in _ONE_KEY.items():
                try:
                    verb(store, long)
                except InvalidKeyError:
                    continue
                pytest.fail(f"{name} accepted it")
            assert self.contents(store) == {"source": (b"1", {})}
        else:  # some keys may be longer than every key may be, where parts take different ones
            store.put(long, b"2")
            assert self.contents(store) == {"source": (b"1", {}), long: (b"2", {})}

    def test_a_key_of_512_segments_is_a_key(self, store: AbstractStore) -> None:
        deep = DEEP_KEY[: store.info()["key_bytes"] & ~1]
        store.put(deep, b"deep")
        store.put(deep[:-1], b"nearly as deep")
        assert [*store.keys()] == [deep[:-1], deep]
        store.delete(deep[:-1])
        assert store.read(deep) == b"deep"

    def test_every_listing_is_in_code_point_order(self, store: AbstractStore) -> None:
        keys = nasty_keys(store)
        store.multiset(keys, [b""] * len(keys))
        ordered = sorted(keys)
        assert [*store.keys()] == [*store] == [*store.mapping()] == ordered
        assert [key for page in store.list(page_size=7) for key in page] == ordered
        assert [*store.glob("**")] == [*store.query_keys()] == ordered
        assert [key for key, _ in store.query()] == ordered

    def test_nasty_keys_can_be_removed_one_by_one(self, store: AbstractStore) -> None:
        keys = nasty_keys(store)
        store.multiset(keys, [b""] * len(keys))
        left = set(keys)
        for key in keys:
            store.delete(key)
            left.remove(key)
            assert key not in store
        assert self.contents(store) == {}

    def test_large_values_under_nasty_keys_are_kept_apart(self, store: AbstractStore) -> None:
        datas = {key: str(number).encode() * 20000 for number, key in enumerate(nasty_keys(store))}
        for key, data in datas.items():
            store.put(key, data)
        assert {key: data for key, (data, _) in self.contents(store).items()} == datas

    @pytest.mark.parametrize("verb", _ONE_KEY.values(), ids=_ONE_KEY)
    def test_an_illegal_key_is_refused_by_every_verb(
        self, store: AbstractStore, verb: verbs.Verb
    ) -> None:
        store.put("source", b"stays")
        for what, bad in ILLEGAL_KEYS.items():
            try:
                verb(store, bad)
            except InvalidKeyError:
                continue
            pytest.fail(f"accepted: {what}")
        assert [*store.keys()] == ["source"]

    @needs_transactions
    @pytest.mark.parametrize("bad", ILLEGAL_KEYS.values(), ids=ILLEGAL_KEYS)
    def test_an_illegal_key_is_refused_inside_a_transaction_too(
        self, store: AbstractStore, bad: Any
    ) -> None:
        with store.transaction():
            store.put("source", b"stays")
            for name, verb in _ONE_KEY.items():
                try:
                    verb(store, bad)
                except InvalidKeyError:
                    continue
                pytest.fail(f"{name} accepted it")
        assert self.contents(store) == {"source": (b"stays", {})}

    def test_one_illegal_key_among_several_lets_nothing_be_written(
        self, store: AbstractStore
    ) -> None:
        if store.info()["transactions"] == "none":
            pytest.skip("several writes are one act only where there are transactions")
        with pytest.raises(InvalidKeyError):
            store.multiset(["a", "", "b"], [b"1", b"2", b"3"])
        assert self.contents(store) == {}

    def test_a_subclass_of_str_is_a_key(self, store: AbstractStore) -> None:
        class Name(str):
            __slots__ = ()

        store.put(Name("a"), b"1")
        store.put("b", b"2")
        assert store.read("a") == store.read(Name("a")) == b"1"
        assert store.read(Name("b")) == b"2"
        assert Name("b") in store

    @pytest.mark.parametrize("prefix", ["a\0", "\ud800"])
    def test_a_prefix_that_begins_no_key_is_refused(
        self, store: AbstractStore, prefix: str
    ) -> None:
        store.put("a", b"")
        with pytest.raises(InvalidKeyError):
            [*store.keys(prefix)]
        with pytest.raises(InvalidKeyError):
            [*store.list(prefix)]
        with pytest.raises(InvalidKeyError):
            store.clear(prefix)

    def test_a_position_with_a_lone_surrogate_is_refused(self, store: AbstractStore) -> None:
        store.put("a", b"")
        with pytest.raises(InvalidKeyError):
            [*store.keys(start_after="a\ud800")]
