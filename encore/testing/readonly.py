"""The suite for stores that are opened for reading: read-only means so through every verb.

A subclass fills a store with `ReadOnlyConformance.content`, and supplies it, opened for reading,
as the fixture ``store``. A store that says ``listing: False`` in ``info()`` has to refuse listings;
its keys are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from encore.errors import ReadOnlyError, UnsupportedError
from encore.storage.abstract_store import AbstractStore
from encore.testing import verbs
from encore.testing.laws import Contents, seen
from encore.testing.sources import pattern

_ON_KEYS = verbs.REMOVING | {f"write: {name}": verb for name, verb in verbs.WRITING.items()}
_OTHERS: dict[str, Callable[[AbstractStore], Any]] = {
    "delete missing": lambda s: s.delete("gone", missing_ok=True),
    "copy": lambda s: s.copy("a", "b/c"),
    "move": lambda s: s.move("a", "b/c"),
    "clear": lambda s: s.clear(),
    "clear a prefix": lambda s: s.clear("b"),
    "put a stream": lambda s: s.put("new", pattern(3 << 20)),
    "multiset nothing new": lambda s: s.multiset({"a": b""}),
}
del _ON_KEYS["write: put if_absent"]  # refused for another reason


class ReadOnlyConformance:
    """What holds for a store that is read-only."""

    #: What the store must hold.
    content: ClassVar[Contents] = {
        "a": (b"data", {"x": 1}),
        "b/c": (pattern(200000), {"x": [2]}),
    }

    def found(self, store: AbstractStore) -> Contents:
        """What the store shows."""
        if store.info().get("listing", True):
            return seen(store)
        return {
            key: (store.read(key), store.get_metadata(key)) for key in self.content if key in store
        }

    def test_it_says_that_it_is_read_only(self, store: AbstractStore) -> None:
        assert store.info()["readonly"] is True

    def test_everything_can_be_read(self, store: AbstractStore) -> None:
        assert self.found(store) == self.content
        for verb in verbs.READING.values():
            verb(store, "a")
        with store.get_data_range("b/c", 70000, 70010) as stream:
            assert stream.read() == self.content["b/c"][0][70000:70010]

    def test_what_is_there_can_be_listed_or_the_store_says_that_it_cannot(
        self, store: AbstractStore
    ) -> None:
        if store.info().get("listing", True):
            assert [*store.keys()] == sorted(self.content)
            assert [*store.query_keys(x=1)] == ["a"]
            return
        for name, verb in verbs.LISTING.items():
            try:
                verb(store)
            except UnsupportedError:
                continue
            pytest.fail(f"{name} listed something")

    def test_it_can_be_checked_and_not_repaired(self, store: AbstractStore) -> None:
        if store.info().get("listing", True):
            assert [*store.verify()] == []
        with pytest.raises(ReadOnlyError):
            store.verify(repair=True)

    @pytest.mark.parametrize("verb", _ON_KEYS.values(), ids=_ON_KEYS)
    def test_no_verb_writes_to_a_key(self, store: AbstractStore, verb: verbs.Verb) -> None:
        with pytest.raises(ReadOnlyError):
            verb(store, "a")
        assert self.found(store) == self.content

    @pytest.mark.parametrize("verb", _OTHERS.values(), ids=_OTHERS)
    def test_no_other_verb_writes(
        self, store: AbstractStore, verb: Callable[[AbstractStore], Any]
    ) -> None:
        with pytest.raises(ReadOnlyError):
            verb(store)
        assert self.found(store) == self.content
