"""Laws of values: one version, whole, whatever is written later."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from encore.errors import StoreError
from encore.storage.abstract_store import AbstractStore
from encore.storage.values import Value
from encore.testing.laws import Laws, in_thread, needs_transactions, told_size
from encore.testing.sources import MIB, Trickle, pattern

_OLD = {"small": 100, "one chunk": 60000, "large": 300000, "very large": 3 * MIB}

#: What may happen to a key while somebody holds its value.
_CHANGES: dict[str, Callable[[AbstractStore, bytes], object]] = {
    "put": lambda s, new: s.put("a", new, {"new": 1}),
    "put a stream": lambda s, new: s.put("a", Trickle(new, 65536), {"new": 1}),
    "set_data": lambda s, new: s.set_data("a", new),
    "multiset": lambda s, new: s.multiset({"a": (new, {"new": 1})}),
    "set_metadata": lambda s, new: s.set_metadata("a", {"new": 1}),
    "delete": lambda s, new: s.delete("a"),
    "move": lambda s, new: s.move("a", "b"),
    "move onto": lambda s, new: (s.put("b", new), s.move("b", "a")),
    "clear": lambda s, new: s.clear(),
    "delete and put": lambda s, new: (s.delete("a"), s.put("a", new)),
    "clear and put another": lambda s, new: (s.clear(), s.put("b", new)),
}


class ValueLaws(Laws):
    """What a value that somebody holds shows."""

    @pytest.mark.parametrize("size", _OLD.values(), ids=_OLD)
    @pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES)
    def test_a_value_that_is_held_stays_whole(
        self, store: AbstractStore, change: Callable[[AbstractStore, bytes], object], size: int
    ) -> None:
        old, new = pattern(size, 1), pattern(size, 2)
        store.put("a", old, {"old": 1})
        held, half = store.get("a"), store.get("a")
        stream = half.data
        head = stream.read(50)
        change(store, new)
        assert held.read() == old
        assert held.metadata == {"old": 1}
        assert held.size == told_size(store, size)
        assert head + stream.read() == old
        with held.range(40, 60) as part:
            assert part.read() == old[40:60]
        held.close()
        half.close()

    @needs_transactions
    @pytest.mark.parametrize("size", _OLD.values(), ids=_OLD)
    @pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES)
    def test_a_value_that_is_held_in_a_transaction_stays_whole_while_it_lasts(
        self, store: AbstractStore, change: Callable[[AbstractStore, bytes], object], size: int
    ) -> None:
        old, new = pattern(size, 1), pattern(size, 2)
        store.put("a", pattern(size, 3), {"old": 1})
        with store.transaction():
            before = store.get("a")
            store.set_data("a", old)
            held = store.get("a")
            with store.transaction():
                change(store, new)
                assert held.read() == old
            assert held.read() == old
            assert before.read() == pattern(size, 3)
            assert held.metadata == {"old": 1}

    @needs_transactions
    @pytest.mark.parametrize("size", _OLD.values(), ids=_OLD)
    def test_a_value_of_a_block_that_was_undone_never_shows_other_data(
        self, store: AbstractStore, size: int
    ) -> None:
        txn = store.transaction()
        txn.begin()
        txn.begin()
        store.put("a", pattern(size, 1))
        held = store.get("a")
        txn.rollback()
        store.put("b", pattern(size, 2))
        _whole_or_refused(held, pattern(size, 1))
        txn.commit()
        store.put("c", pattern(size, 3))
        _whole_or_refused(held, pattern(size, 1))

    @needs_transactions
    @pytest.mark.parametrize("size", _OLD.values(), ids=_OLD)
    def test_a_value_held_over_a_commit_never_shows_other_data(
        self, store: AbstractStore, size: int
    ) -> None:
        with store.transaction():
            store.put("a", pattern(size, 1))
            held = store.get("a")
        store.delete("a")
        store.put("b", pattern(size, 2))
        _whole_or_refused(held, pattern(size, 1))

    @pytest.mark.parametrize("size", [100, 300000])
    def test_a_value_held_while_another_thread_replaces_it_stays_whole(
        self, store: AbstractStore, size: int
    ) -> None:
        store.put("a", pattern(size, 1))
        held = store.get("a")
        in_thread(lambda: store.put("a", pattern(size, 2)))
        assert held.read() == pattern(size, 1)
        held.close()
        assert store.read("a") == pattern(size, 2)

    @pytest.mark.parametrize("size", [100, 300000])
    def test_a_value_held_while_another_door_replaces_it_stays_whole(
        self, store: AbstractStore, size: int
    ) -> None:
        store.put("a", pattern(size, 1))
        other = self.reopen(store)
        if other is None:
            pytest.skip("there is no other door")
        held = store.get("a")
        other.put("a", pattern(size, 2))
        other.delete("a")
        other.put("b", pattern(size, 3))
        other.close()
        assert held.read() == pattern(size, 1)
        held.close()
        assert "a" not in store

    def test_many_values_can_be_held_at_once(self, store: AbstractStore) -> None:
        store.multiset({f"{n:03}": pattern(70000 + n, n) for n in range(60)})
        values = [*store.multiget(f"{n:03}" for n in range(60))]
        store.clear()
        for n, value in enumerate(values):
            assert value.read() == pattern(70000 + n, n)
            value.close()

    @pytest.mark.parametrize("size", [100, 300000])
    def test_a_value_can_be_read_again_and_again(self, store: AbstractStore, size: int) -> None:
        store.put("a", pattern(size))
        value = store.get("a")
        assert value.read() == value.data.read() == b"".join(value.iterdata(999)) == pattern(size)
        assert value.data.read() == b"", "data is one stream, and it was read"
        value.data.seek(0)
        assert value.data.read() == value.read()
        value.close()
        value.close()

    @pytest.mark.parametrize("size", [100, 300000, 3 * MIB])
    def test_a_value_can_be_set_under_its_own_key_and_others(
        self, store: AbstractStore, size: int
    ) -> None:
        store.put("a", pattern(size), {"x": 1})
        value = store.get("a")
        store.set("a", value)
        store.set("b", value)
        value.close()
        again = store.get("a")
        store.multiset(["a", "c"], [again, again])
        again.close()
        assert self.contents(store) == dict.fromkeys("abc", (pattern(size), {"x": 1}))

    @pytest.mark.parametrize("size", [0, 10, 100000])
    def test_a_one_shot_stream_is_not_replayed_empty(self, store: AbstractStore, size: int) -> None:
        value = Value(Trickle(pattern(size)), {"x": 1})
        store.set("a", value)
        store.put("b", b"old", {"old": 1})
        with pytest.raises(ValueError):
            store.set("b", value)
        with pytest.raises(ValueError):
            store.set_data("b", value)
        with pytest.raises(ValueError):
            value.read()
        assert self.contents(store) == {"a": (pattern(size), {"x": 1}), "b": (b"old", {"old": 1})}

    def test_a_stream_of_one_value_feeds_another(self, store: AbstractStore) -> None:
        store.put("a", pattern(300000))
        with store.get_data_range("a", 1000, 290000) as part:
            store.put("b", part)
        with store.get_data("a") as stream:
            store.put("a", stream)
        assert self.contents(store) == {
            "a": (pattern(300000), {}),
            "b": (pattern(300000)[1000:290000], {}),
        }

    def test_a_stream_is_closed_with_its_value(self, store: AbstractStore) -> None:
        store.put("a", b"x")
        value = store.get("a")
        with value as stream:
            assert isinstance(stream, io.IOBase)
        assert stream.closed


def _whole_or_refused(value: Value, data: bytes) -> None:
    try:
        found = value.read()
    except StoreError:
        return
    assert found == data
