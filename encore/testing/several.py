"""Laws of verbs for several keys: one transaction each, and the same result as one by one."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from encore.storage.abstract_store import AbstractStore
from encore.storage.values import Value
from encore.testing.laws import Laws, needs_transactions, state_of
from encore.testing.sources import MIB, Trickle, pattern

_WRITES: dict[str, Callable[[AbstractStore, Any, Any], None]] = {
    "multiset": lambda s, keys, values: s.multiset(keys, values),
    "multiset_data": lambda s, keys, values: s.multiset_data(keys, values),
    "multiset_metadata": lambda s, keys, values: s.multiset_metadata(keys, values),
    "multiupdate_metadata": lambda s, keys, values: s.multiupdate_metadata(keys, values),
}


class SeveralLaws(Laws):
    """multiset and its kin."""

    @needs_transactions
    @pytest.mark.parametrize("write", _WRITES.values(), ids=_WRITES)
    @pytest.mark.parametrize("surplus", [-1, 1])
    def test_more_keys_than_values_or_fewer_is_an_error_and_writes_nothing(
        self, store: AbstractStore, write: Callable[..., None], surplus: int, request: Any
    ) -> None:
        value: Any = {"x": 1} if "metadata" in request.node.name else b"1"
        with pytest.raises(ValueError):
            write(store, iter("abc"), iter([value] * (3 + surplus)))
        assert self.contents(store) == {}

    @pytest.mark.parametrize("write", _WRITES.values(), ids=_WRITES)
    def test_a_mapping_or_keys_and_values_but_not_both(
        self, store: AbstractStore, write: Callable[..., None]
    ) -> None:
        with pytest.raises(TypeError):
            write(store, {"a": b""}, [b""])
        with pytest.raises(TypeError):
            write(store, ["a"], None)
        assert self.contents(store) == {}

    def test_multiset_takes_values_as_set_does(self, store: AbstractStore) -> None:
        store.put("source", pattern(100000), {"from": "store"})
        store.multiset(
            ["a", "b", "c", "d", "e"],
            [
                b"1",
                (b"2", {"pair": True}),
                Value(b"3", {"value": True}),
                io.BytesIO(b"4"),
                store.get("source"),
            ],
        )
        store.delete("source")
        assert self.contents(store) == {
            "a": (b"1", {}),
            "b": (b"2", {"pair": True}),
            "c": (b"3", {"value": True}),
            "d": (b"4", {}),
            "e": (pattern(100000), {"from": "store"}),
        }

    @pytest.mark.parametrize("sizes", [(1, 5000, 2), (5000, 1, 5001), (70000, 2, 3), (1, 2, 3)])
    @pytest.mark.parametrize("before", [None, 1, 80000])
    def test_of_a_key_that_comes_several_times_the_last_value_stays(
        self, store: AbstractStore, sizes: tuple[int, ...], before: int | None
    ) -> None:
        if before is not None:
            store.put("a", pattern(before), {"old": True})
        values = [(pattern(size, size), {"size": size}) for size in sizes]
        store.multiset(["a", "b"] * len(sizes), [value for value in values for _ in "ab"])
        assert self.contents(store) == {"a": values[-1], "b": values[-1]}

    def test_long_and_short_values_and_streams_can_be_mixed(self, store: AbstractStore) -> None:
        sizes = [1, 5000, 2 * MIB, 70000, 3, 1025, 2 * MIB + 1, 1024]
        items = {f"k{number}": pattern(size, number) for number, size in enumerate(sizes)}
        store.multiset(
            {key: Trickle(data, 60000) if len(data) > MIB else data for key, data in items.items()}
        )
        assert self.contents(store) == {key: (data, {}) for key, data in items.items()}

    def test_many_keys_can_be_set_at_once(self, store: AbstractStore) -> None:
        keys = [f"{number:05}" for number in range(2500)]
        store.multiset(keys, [key.encode() for key in keys])
        store.multiset(keys[::2], [(b"again", {"n": key}) for key in keys[::2]])
        assert len(store) == 2500
        contents = self.contents(store)
        assert [*contents] == keys
        assert contents["00002"] == (b"again", {"n": "00002"})
        assert contents["00003"] == (b"00003", {})

    def test_multiset_keeps_created(self, store: AbstractStore) -> None:
        for key, size in {"a": 1, "b": 100000}.items():
            store.put(key, pattern(size))
        before = {key: store.get(key).created for key in "ab"}
        store.multiset({"a": pattern(100000), "b": b""})
        assert {key: store.get(key).created for key in "ab"} == before

    def test_a_generator_of_values_may_read_the_store(self, store: AbstractStore) -> None:
        store.put("a", b"1")
        store.multiset(("b", "c"), (store.read("a") + key for key in (b"b", b"c")))
        assert store.read("c") == b"1c"

    @pytest.mark.parametrize("size", [10, 100000, 2 * MIB])
    def test_import_keeps_times_and_token(self, store: AbstractStore, size: int) -> None:
        store.put("a", pattern(size), {"x": 1})
        before = state_of(store, "a")
        value = store.get("a")
        store.import_values([("b", value)])
        value.close()
        store.put("c", pattern(90000, 3))
        value = store.get("a")
        store.import_values([("c", value)])
        value.close()
        assert state_of(store, "b") == state_of(store, "c") == state_of(store, "a") == before
        assert self.contents(store) == dict.fromkeys("abc", (pattern(size), {"x": 1}))

    def test_import_takes_times_that_a_caller_made_up(self, store: AbstractStore) -> None:
        store.import_values([("a", Value(b"1", {"m": 1}, created=1.5, modified=2.5))])
        store.import_values([("b", Value(b"1"))])
        value = store.get("a")
        assert (value.created, value.modified) == (1.5, 2.5)
        assert value.token
        assert store.get("b").created is not None
        assert self.contents(store) == {"a": (b"1", {"m": 1}), "b": (b"1", {})}
