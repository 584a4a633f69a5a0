"""Laws of checking: what is well is found well, and looking changes nothing."""

from __future__ import annotations

import pytest

from encore.errors import TransactionError
from encore.storage.abstract_store import AbstractStore
from encore.testing.laws import Laws, needs_transactions, seen
from encore.testing.sources import MIB, Failing, SourceBroke, pattern


class CheckingLaws(Laws):
    """`verify`."""

    def test_an_empty_store_has_no_problems(self, store: AbstractStore) -> None:
        assert [*store.verify()] == []
        assert [*store.verify(repair=True)] == []

    def test_a_store_that_has_been_used_has_no_problems(self, store: AbstractStore) -> None:
        _use(store)
        before = seen(store)
        assert [*store.verify()] == []
        assert [*store.verify(repair=True)] == []
        assert seen(store) == before
        other = self.reopen(store)
        if other is not None:
            try:
                assert [*other.verify()] == []
            finally:
                other.close()
        store.put("later", b"", {})
        assert [*store.verify()] == []

    @needs_transactions
    def test_a_transaction_is_to_be_ended_first(self, store: AbstractStore) -> None:
        with store.transaction():
            store.put("a", b"1")
            with pytest.raises(TransactionError):
                store.verify()
        assert [*store.verify()] == []


def _use(store: AbstractStore) -> None:
    """Leave traces of all kinds."""
    store.multiset({f"k/{number}": (pattern(number * 37), {"n": number}) for number in range(30)})
    store.put("large", pattern(MIB + 5), {"large": True})
    store.put("gone", pattern(200_000), {"a": 1})
    store.update_metadata("large", {"é": ["\n", {}]})
    store.put("k/3", b"replaced")
    store.delete("gone")
    store.move("k/4", "k")
    with pytest.raises(SourceBroke):
        store.put("broken", Failing(pattern(3 * MIB)))
