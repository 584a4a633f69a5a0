"""Declared indexes are used, and agree with searching without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encore.storage.api import DictStore, SqliteStore
from encore.storage.backends.sqlite.searching import Search

_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 0.1, 1e-7, 2**53, 2**63, 2**70, 1e300, "", "a", "A", "\u00e9",
    "a\0b", "a\nb", '"', "\\", "true", "null", "[1]", "{}", [1], [True], {"a": 1}, {}, [],
]  # fmt: skip


@pytest.fixture
def store(directory: Path) -> Any:
    with SqliteStore(directory / "store.db", index=["kind", "plate number"]) as store:
        yield store


def _plan(store: SqliteStore, **where: Any) -> str:
    plans: list[str] = []

    def explain(statement: str, parameters: tuple[Any, ...]) -> Any:
        connection = store._connection()
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        plans.extend(row[3] for row in rows)
        return connection.execute(statement, parameters).fetchall()

    [*Search(where).pages(explain, "key")]
    return " ".join(plans)


@pytest.mark.parametrize("value", ["a", 5, 0.5, None, True], ids=repr)
def test_a_declared_index_is_used(store: SqliteStore, value: Any) -> None:
    store.multiset({f"{n:03}": (b"", {"kind": n % 7, "other": n}) for n in range(500)})
    assert "INDEX field_" in _plan(store, kind=value)
    assert "INDEX field_" not in _plan(store, other=value)


@pytest.mark.parametrize("name", ["kind", "plate number"])
def test_an_indexed_search_agrees_with_one_without(store: SqliteStore, name: str) -> None:
    plain = DictStore()
    for number, value in enumerate(_VALUES):
        for each in (store, plain):
            each.put(f"{number:03}", b"", {name: value})
    for value in _VALUES:
        found = [*store.query_keys({name: value})]
        assert found == [*plain.query_keys({name: value})], repr(value)
        assert found == [key for key, _ in store.query(where={name: value})]


def test_an_index_can_be_declared_for_data_that_is_there(directory: Path) -> None:
    path = directory / "later.db"
    with SqliteStore(path) as store:
        store.multiset({f"{n:03}": (b"", {"kind": n % 7}) for n in range(200)})
        assert "INDEX field_" not in _plan(store, kind=3)
    with SqliteStore(path, index=["kind"]) as store:
        assert "INDEX field_" in _plan(store, kind=3)
        assert len([*store.query_keys(kind=3)]) == 29
    with SqliteStore(path) as store:
        assert "INDEX field_" in _plan(store, kind=3), "it stays in the file"


@settings(max_examples=100)
@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False),
            st.integers(),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_every_number_and_text_is_found_by_itself(values: list[Any]) -> None:
    with SqliteStore(":memory:", index=["x"]) as store:
        plain = DictStore()
        for number, value in enumerate(values):
            store.put(f"{number}", b"", {"x": value})
            plain.put(f"{number}", b"", {"x": value})
        for value in values:
            assert [*store.query_keys(x=value)] == [*plain.query_keys(x=value)]
