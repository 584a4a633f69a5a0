"""Laws of queries: equality as JSON has it."""

from __future__ import annotations

from typing import Any

import pytest

from encore.storage.abstract_store import AbstractStore
from encore.testing.laws import Laws

# Pairs of the same group are equal, pairs of different groups are not.
_GROUPS: list[list[Any]] = [
    [None],
    [True],
    [False],
    [1, 1.0],
    [0, 0.0, -0.0],
    [-1, -1.0],
    [2**53, float(2**53)],
    [2**53 + 1],
    [1e300, int(1e300)],
    [2**64],
    [0.1],
    [0.1 + 0.2],
    [5e-324],
    [1e22, 10**22],
    [1e-7],
    ["1"],
    ["true"],
    ["null"],
    [""],
    ["a"],
    ["A"],
    ["\u00e9"],
    ["e\u0301"],
    ['"'],
    ["'"],
    ["\\"],
    ["\\u0061"],
    ["a\nb"],
    ["a\0b"],
    ["\x7f"],
    ["\x1f"],
    ["/"],
    ["\u2028"],
    ["\U0001f600"],
    ["%"],
    ["[]"],
    [[]],
    [{}],
    [[1], [1.0], (1,)],
    [[True]],
    [[1, 2]],
    [[2, 1]],
    [["1"]],
    [[None]],
    [{"a": 1, "b": 2}, {"b": 2.0, "a": 1}],
    [{"a": True, "b": 2}],
    [{"a": {"b": [1]}}],
    [{"a": None}],
]
_VALUES = [(number, value) for number, group in enumerate(_GROUPS) for value in group]

_ODD_NAMES = [
    "", " ", "a.b", "a[0]", "[0]", "$", "$.x", "#", '"', "'", "''", "\\", "a\\b", "\u00e9",
    "e\u0301", "a\0b", "\n", "*", "?", "%", "select", "where", "self", "key", "x" * 300, "0", "-1",
    "\U0001f600",
]  # fmt: skip


class QueryLaws(Laws):
    """query and query_keys."""

    @pytest.mark.parametrize("name", ["x", "a.b", "é", ""])
    def test_equality_is_that_of_json(self, store: AbstractStore, name: str) -> None:
        for place, (_, value) in enumerate(_VALUES):
            store.put(f"{place:03}", b"", {name: value, "other": 1})
        store.put("absent", b"", {"other": 1})
        for number, value in _VALUES:
            wanted = [f"{place:03}" for place, (group, _) in enumerate(_VALUES) if group == number]
            assert [*store.query_keys(where={name: value})] == wanted, repr(value)
            assert [key for key, _ in store.query(where={name: value})] == wanted, repr(value)

    @pytest.mark.parametrize("name", _ODD_NAMES, ids=ascii)
    def test_every_name_can_be_asked_for(self, store: AbstractStore, name: str) -> None:
        store.put("a", b"", {name: 1})
        store.put("b", b"", {name: 2, "x": 1})
        store.put("c", b"", {"x": {name: 1}})
        assert [*store.query_keys({name: 1})] == ["a"]
        assert [*store.query(where={name: 2})] == [("b", {name: 2, "x": 1})]
        assert [*store.query([name], {"x": 1})] == [("b", {name: 2})]

    def test_all_conditions_must_hold(self, store: AbstractStore) -> None:
        store.put("a", b"", {"x": 1, "y": "u", "z": [1]})
        store.put("b", b"", {"x": 1, "y": "v", "z": [1]})
        store.put("c", b"", {"x": 1, "y": "u"})
        assert [*store.query_keys(x=1)] == ["a", "b", "c"]
        assert [*store.query_keys(x=1, y="u")] == ["a", "c"]
        assert [*store.query_keys({"z": [1]}, y="u")] == ["a"]
        assert [*store.query_keys({"y": "u"}, y="v")] == ["b"]
        assert [*store.query_keys(x=1, missing=None)] == []

    def test_select_gives_these_fields_only(self, store: AbstractStore) -> None:
        store.put("a", b"", {"x": 1, "y": 2})
        store.put("b", b"", {"x": 1})
        assert [*store.query(iter(["y", "none"]), x=1)] == [("a", {"y": 2}), ("b", {})]
        assert [*store.query(select=[])] == [("a", {}), ("b", {})]

    @pytest.mark.parametrize(
        "bad", [b"x", object(), {1}, float("nan"), {1: 2}, "\ud800"], ids=range(6)
    )
    def test_a_value_that_is_not_json_is_a_type_error(self, store: AbstractStore, bad: Any) -> None:
        store.put("a", b"", {"x": 1})
        with pytest.raises(TypeError):
            [*store.query(x=bad)]
        with pytest.raises(TypeError):
            [*store.query_keys({"x": bad})]

    def test_a_condition_may_be_changed_after_asking(self, store: AbstractStore) -> None:
        store.put("a", b"", {"x": [1]})
        wanted = {"x": [1]}
        found = store.query(where=wanted)
        wanted["x"].append(2)
        assert [*found] == [("a", {"x": [1]})]

    def test_text_that_looks_like_sql_is_text(self, store: AbstractStore) -> None:
        evil = "'; DELETE FROM kv; --"
        store.put("a", b"", {evil: evil})
        assert [*store.query_keys({evil: evil})] == ["a"]
        assert [*store.query_keys({"x": "' OR '1'='1"})] == []
        assert self.contents(store) == {"a": (b"", {evil: evil})}

    def test_a_query_follows_writes(self, store: AbstractStore) -> None:
        store.put("a", b"", {"x": 1})
        store.put("b", pattern_data(), {"x": 1})
        store.update_metadata("a", {"x": 2})
        store.delete("b")
        assert [*store.query_keys(x=1)] == []
        assert [*store.query_keys(x=2)] == ["a"]


def pattern_data() -> bytes:
    """Data too large to be kept beside the metadata."""
    return b"x" * 100000
