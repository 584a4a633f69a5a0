"""Laws of transactions: together or not at all, at every level."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from encore.errors import KeyNotFoundError, TransactionClosedError, TransactionError
from encore.storage.abstract_store import AbstractStore
from encore.storage.events import StoreModificationEvent
from encore.testing.laws import Laws, heard, needs_transactions, seen, state_of
from encore.testing.sources import pattern


class Oops(Exception):  # noqa: N818  what people say
    """What a block raises in these laws."""


#: One of each kind of change, of data and of metadata, small and large.
_CHANGES: dict[str, Callable[[AbstractStore], object]] = {
    "put new": lambda s: s.put("new", b"1", {"x": 1}),
    "put over small": lambda s: s.put("small", b"1", {"x": 1}),
    "put over large": lambda s: s.put("large", b"1", {"x": 1}),
    "put large": lambda s: s.put("small", pattern(200000, 1)),
    "replace large": lambda s: s.put("large", pattern(200000, 1)),
    "set_data": lambda s: s.set_data("large", b"1"),
    "set_metadata": lambda s: s.set_metadata("small", {"x": 1}),
    "update_metadata": lambda s: s.update_metadata("large", {"x": 1}),
    "delete small": lambda s: s.delete("small"),
    "delete large": lambda s: s.delete("large"),
    "copy": lambda s: s.copy("large", "small"),
    "move": lambda s: s.move("small", "large"),
    "clear": lambda s: s.clear(),
    "multiset": lambda s: s.multiset({"large": b"1", "new": pattern(70000), "small": b"2"}),
    "multiset_metadata": lambda s: s.multiset_metadata({"large": {}, "new": {"x": 2}}),
    "delete and set": lambda s: (s.delete("large"), s.put("large", b"again")),
    "set and delete": lambda s: (s.put("new", pattern(70000)), s.delete("new")),
}
_CHANGE = pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES)


def _fill(store: AbstractStore) -> None:
    store.put("small", b"old", {"old": 1})
    store.put("large", pattern(150000, 7), {"old": [2]})


@needs_transactions
class TransactionLaws(Laws):
    """Nesting, and what a rollback undoes."""

    def test_the_owner_sees_its_writes_through_every_verb(self, store: AbstractStore) -> None:
        _fill(store)
        data = pattern(150000, 3)
        with store.transaction():
            store.put("large", data, {"kind": "new"})
            store.delete("small")
            assert store.read("large") == store.to_bytes("large") == data
            assert store.get("large").read() == data
            assert store.get_data_range("large", 70000, 140000).read() == data[70000:140000]
            assert next(store.multiget(["large"])).read() == data
            assert next(store.multiget_data(["large"])).read() == data
            assert next(store.multiget_metadata(["large"])) == {"kind": "new"}
            assert "small" not in store
            with pytest.raises(KeyNotFoundError):
                store.read("small")
            with pytest.raises(KeyNotFoundError):
                store.delete("small")
            with pytest.raises(KeyNotFoundError):
                [*store.multiget(["small"])]
            assert seen(store) == {"large": (data, {"kind": "new"})}
            assert [*store.query_keys(kind="new")] == ["large"]
        assert self.contents(store) == {"large": (data, {"kind": "new"})}

    @_CHANGE
    def test_a_block_that_ends_well_is_kept(
        self, store: AbstractStore, change: Callable[[AbstractStore], object]
    ) -> None:
        _fill(store)
        with store.transaction("outer"):
            with store.transaction("inner"):
                change(store)
            inside = seen(store)
        assert self.contents(store) == inside

    @_CHANGE
    def test_whatever_is_raised_undoes_everything(
        self, store: AbstractStore, change: Callable[[AbstractStore], object]
    ) -> None:
        _fill(store)
        before = {key: state_of(store, key) for key in ("small", "large", "new")}
        for error in (Oops, KeyboardInterrupt, GeneratorExit, SystemExit):
            with pytest.raises(error), store.transaction():  # noqa: PT012
                change(store)
                raise error
        assert {key: state_of(store, key) for key in before} == before
        assert [*self.contents(store)] == ["large", "small"]

    @_CHANGE
    @pytest.mark.parametrize("first", [None, "put new", "delete large", "replace large", "clear"])
    def test_an_inner_failure_undoes_the_inner_block_only(
        self,
        store: AbstractStore,
        change: Callable[[AbstractStore], object],
        first: str | None,
    ) -> None:
        _fill(store)
        with store.transaction():
            if first is not None:
                _CHANGES[first](store)
            before = seen(store)
            with suppress(Oops, KeyNotFoundError), store.transaction():
                change(store)
                raise Oops
            assert seen(store) == before
            store.put("after", b"outer continues")
        assert self.contents(store) == before | {"after": (b"outer continues", {})}

    def test_levels_are_undone_one_by_one(self, store: AbstractStore) -> None:
        txn = store.transaction()
        seen_before = []
        for level in range(6):
            seen_before.append(seen(store))
            txn.begin()
            assert txn.depth == level + 1
            store.put("a", pattern(level * 40000, level), {"level": level})
            store.put(f"only {level}", b"")
            if level:
                store.delete(f"only {level - 1}")
        for level in reversed(range(3, 6)):
            txn.rollback()
            assert seen(store) == seen_before[level]
        inside = seen(store)
        for _ in range(3):
            txn.commit()
        assert self.contents(store) == inside
        assert store.get_metadata("a") == {"level": 2}

    def test_a_block_kept_inside_one_that_is_undone_is_undone(self, store: AbstractStore) -> None:
        _fill(store)
        before = self.contents(store)
        with store.transaction():
            with suppress(Oops), store.transaction():
                with store.transaction():
                    for change in ("replace large", "put new"):
                        _CHANGES[change](store)
                raise Oops
            assert seen(store) == before
        assert self.contents(store) == before

    def test_the_same_context_is_entered_again(self, store: AbstractStore) -> None:
        with store.transaction("outer") as outer, store.transaction("inner") as inner:
            assert outer is inner
            assert outer.depth == 2
            assert outer.notes == "outer"
        assert outer.depth == 0

    def test_a_transaction_by_hand_from_mouse_down_to_mouse_up(self, store: AbstractStore) -> None:
        txn = store.transaction("Drag")
        txn.begin()
        store.put("a", b"1")
        assert txn.depth == 1
        txn.commit()
        assert self.contents(store) == {"a": (b"1", {})}
        again = store.transaction("Drag")
        again.begin()
        store.put("a", b"2")
        again.rollback()
        assert self.contents(store) == {"a": (b"1", {})}

    def test_a_block_may_be_ended_by_hand(self, store: AbstractStore) -> None:
        with store.transaction() as txn:
            store.put("a", b"1")
            txn.commit()
        with store.transaction() as txn:
            store.put("b", b"1")
            txn.rollback()
            store.put("c", b"a write of its own")
        with store.transaction() as txn:
            store.put("d", b"1")
            with store.transaction():
                store.put("e", b"1")
                txn.rollback()
            store.put("f", b"1")
        assert [*self.contents(store)] == ["a", "c", "d", "f"]

    @pytest.mark.parametrize("act", ["commit", "rollback"])
    def test_what_has_ended_or_not_begun_cannot_be_ended(
        self, store: AbstractStore, act: str
    ) -> None:
        txn = store.transaction()
        with pytest.raises(TransactionClosedError):
            getattr(txn, act)()
        txn.begin()
        getattr(txn, act)()
        for end in (txn.commit, txn.rollback, txn.begin, txn.__enter__):
            with pytest.raises(TransactionClosedError):
                end()
        for hook in (txn.before_commit, txn.on_commit, txn.on_rollback):
            with pytest.raises(TransactionClosedError):
                hook(lambda: None)
        store.put("a", b"usable")
        assert self.contents(store) == {"a": (b"usable", {})}

    def test_a_second_context_cannot_begin_beside_the_first(self, store: AbstractStore) -> None:
        one, two = store.transaction("one"), store.transaction("two")
        with one:
            store.put("a", b"1")
            with pytest.raises(TransactionError):
                two.begin()
            store.put("b", b"1")
        assert [*self.contents(store)] == ["a", "b"]

    def test_a_block_left_open_inside_another_is_undone_and_reported(
        self, store: AbstractStore
    ) -> None:
        txn = store.transaction()
        with pytest.raises(TransactionError), txn:  # noqa: PT012
            store.put("a", b"1")
            txn.begin()
            store.put("b", b"1")
        assert self.contents(store) == {}
        store.put("c", b"usable")

    def test_a_lone_write_needs_no_transaction_and_leaves_none_open(
        self, store: AbstractStore
    ) -> None:
        for change in _CHANGES.values():
            store.clear()
            _fill(store)
            change(store)
            other = self.reopen(store)
            if other is not None:
                other.put("other door", b"is not locked out")
                other.close()
                store.delete("other door")
            self.contents(store)

    def test_an_empty_transaction_changes_nothing(self, store: AbstractStore) -> None:
        _fill(store)
        before = state_of(store, "large")
        with heard(store, StoreModificationEvent) as events, store.transaction():
            pass
        assert events == []
        assert state_of(store, "large") == before

    def test_created_survives_a_rollback_and_a_replacement(self, store: AbstractStore) -> None:
        _fill(store)
        created = store.get("small").created
        with suppress(Oops), store.transaction():
            store.delete("small")
            store.put("small", b"")
            raise Oops
        store.put("small", b"2")
        assert store.get("small").created == created

    def test_a_failed_verb_inside_leaves_the_rest_of_the_transaction(
        self, store: AbstractStore
    ) -> None:
        with store.transaction():
            store.put("a", b"1")
            with pytest.raises(KeyNotFoundError):
                store.move("gone", "a")
            with pytest.raises(TypeError):
                store.put("a", b"2", {"x": object()})
            with pytest.raises(ValueError):
                store.multiset(["b", "c"], [b""])
        assert self.contents(store) == {"a": (b"1", {})}
