"""Laws of listings: ordered, lazy, paged, and safe while writing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest

from encore.storage.abstract_store import AbstractStore
from encore.testing.laws import Laws, needs_transactions
from encore.testing.sources import pattern

_KEYS = sorted(
    ["a", "a/", "a/b", "a/b/c", "a/c", "a0", "A", "b", "B/b", "é", "%", "a\U0010ffff", "\U0010ffff"]
    + [f"n/{number:03}" for number in range(40)]
)
_PREFIXES = ["", "a", "a/", "a/b", "n/", "n/01", "é", "none", "\U0010ffff", "a\U0010ffff", "%", "z"]
_PATTERNS: dict[str, Callable[[str], bool]] = {
    "**": lambda key: True,
    "*": lambda key: "/" not in key,
    "a/*": lambda key: key.startswith("a/") and "/" not in key[2:],
    "n/00?": lambda key: key.startswith("n/00"),
    "n/0[1-2][!3]": lambda key: key[:4] in ("n/01", "n/02") and key[4] != "3",
    "a/**": lambda key: key.startswith("a/"),
    "a/b": lambda key: key == "a/b",
    "%": lambda key: key == "%",
    "none*": lambda key: False,
}


def _fill(store: AbstractStore) -> None:
    store.multiset(_KEYS, [b""] * len(_KEYS))


class ListingLaws(Laws):
    """keys, list, glob."""

    @pytest.mark.parametrize("prefix", _PREFIXES)
    def test_prefix_start_after_and_limit_cut_the_ordered_keys(
        self, store: AbstractStore, prefix: str
    ) -> None:
        _fill(store)
        fitting = [key for key in _KEYS if key.startswith(prefix)]
        assert [*store.keys(prefix)] == fitting
        for after in ["", "0", "a/b", "a/bb", "n/010", "n/0105", "zz", "\U0010ffff"]:
            rest = [key for key in fitting if key > after]
            assert [*store.keys(prefix, after)] == rest
            for limit in (0, 1, 3, 1000):
                assert [*store.keys(prefix, start_after=after, limit=limit)] == rest[:limit]

    @pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside a transaction"])
    def test_items_entries_and_totals_agree_with_the_values(
        self, store: AbstractStore, inside: bool
    ) -> None:
        sizes = {"a": 0, "a/b": 10, "a/c": 1025, "b": 100000, "c/d": 2 << 20, "\u00e9": 70000}
        if inside and store.info()["transactions"] == "none":
            pytest.skip("there are no transactions")
        with store.transaction() if inside else nullcontext():
            for key, size in sizes.items():
                store.put(key, pattern(size), {"size": size})
            for prefix in ("", "a", "a/", "c", "none"):
                wanted = {key: size for key, size in sizes.items() if key.startswith(prefix)}
                assert store.totals(prefix) == (len(wanted), sum(wanted.values()))
                items = [*store.items(prefix)]
                assert [key for key, _ in items] == sorted(wanted)
                for key, value in items:
                    assert value.read() == pattern(sizes[key])
                    assert value.metadata == {"size": sizes[key]}
                assert [tuple(entry) for entry in store.entries(prefix)] == [
                    (key, value.size, value.modified, value.token) for key, value in items
                ]
                for _, value in items:
                    value.close()

    @pytest.mark.parametrize("page_size", [1, 7, len(_KEYS) - 1, len(_KEYS), 1000])
    def test_pages_are_full_but_the_last_and_never_empty(
        self, store: AbstractStore, page_size: int
    ) -> None:
        _fill(store)
        for prefix in _PREFIXES:
            fitting = [key for key in _KEYS if key.startswith(prefix)]
            cut = [fitting[at : at + page_size] for at in range(0, len(fitting), page_size)]
            assert [*store.list(prefix, page_size)] == cut

    @pytest.mark.parametrize("page_size", [0, -1])
    def test_a_page_without_keys_is_a_value_error(
        self, store: AbstractStore, page_size: int
    ) -> None:
        with pytest.raises(ValueError):
            [*store.list(page_size=page_size)]

    @pytest.mark.parametrize("pattern", _PATTERNS)
    def test_a_glob_finds_the_keys_that_fit(self, store: AbstractStore, pattern: str) -> None:
        _fill(store)
        assert [*store.glob(pattern)] == [key for key in _KEYS if _PATTERNS[pattern](key)]

    def test_more_keys_than_a_page_of_the_engine_are_listed_whole(
        self, store: AbstractStore
    ) -> None:
        keys = [f"{number:05}" for number in range(3001)]
        store.multiset(reversed(keys), [(b"", {"even": int(key) % 2 == 0}) for key in keys[::-1]])
        assert [*store.keys()] == keys
        assert [*store.keys("000")] == keys[:100]
        assert [*store.keys(start_after="00999", limit=1001)] == keys[1000:2001]
        assert [*store.query_keys(even=True)] == keys[::2]
        assert [*map(len, store.list())] == [1000, 1000, 1000, 1]

    def test_listings_follow_sets_and_deletes_of_the_same_keys(self, store: AbstractStore) -> None:
        for _ in range(3):
            store.put("a", b"")
            store.delete("a")
            assert [*store.keys()] == []
            store.put("a", b"")
            store.put("b", b"")
            store.delete("b")
            assert [*store.keys()] == ["a"]
            store.put("b", b"")
            assert [*store.keys()] == ["a", "b"]
            store.clear()

    @pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside a transaction"])
    @pytest.mark.parametrize("which", ["keys", "query", "list", "glob"])
    def test_writing_while_listing_is_safe(
        self, store: AbstractStore, which: str, inside: bool
    ) -> None:
        keys = [f"k{number:04}" for number in range(1500)]
        store.multiset(keys, [(b"", {"x": 1})] * len(keys))

        def run() -> list[str]:
            listings: dict[str, Callable[[], Iterator[str]]] = {
                "keys": lambda: store.keys("k"),
                "query": lambda: store.query_keys(x=1),
                "list": lambda: (key for page in store.list("k", 10) for key in page),
                "glob": lambda: store.glob("k*"),
            }
            found = []
            for number, key in enumerate(listings[which]()):
                found.append(key)
                if number % 100 == 0:
                    store.delete(key)
                    store.put(f"a{number}", b"", {"x": 1})
                    store.put(key + "+", b"", {"x": 1})
                    store.set_data(keys[-1], b"again")
                    store.delete(keys[(number + 750) % 1500], missing_ok=True)
            return found

        if inside:
            with store.transaction():
                found = run()
        else:
            found = run()
        assert found == sorted(set(found)), "ordered, and no key twice"
        untouched = {key for number, key in enumerate(keys) if number % 50}
        assert untouched <= set(found), "what nobody touched is listed"

    @needs_transactions
    def test_the_owner_lists_its_own_uncommitted_writes(self, store: AbstractStore) -> None:
        store.multiset({"a": b"", "c": b"", "e": (b"", {"x": 1})})
        with store.transaction():
            store.put("b", b"", {"x": 1})
            store.delete("c")
            store.put("f/g", b"", {"x": 1})
            store.set_metadata("e", {"x": 2})
            with store.transaction():
                store.put("d", b"", {"x": 1})
                store.put("c", b"")
                store.delete("a")
                assert [*store.keys()] == ["b", "c", "d", "e", "f/g"]
                assert len(store) == 5
                assert [*store.query_keys(x=1)] == ["b", "d", "f/g"]
            assert [*store.keys("f")] == [*store.glob("f/*")] == ["f/g"]
            assert [*store.keys(start_after="b", limit=2)] == ["c", "d"]
            assert [*store.list(page_size=4)] == [["b", "c", "d", "e"], ["f/g"]]
            assert [*store.query(where={"x": 2})] == [("e", {"x": 2})]
        assert [*self.contents(store)] == ["b", "c", "d", "e", "f/g"]
