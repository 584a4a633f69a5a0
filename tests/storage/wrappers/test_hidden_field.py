"""A field of the metadata that a wrapper keeps for itself, and nobody above it sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encore.events.event_manager import EventManager
from encore.storage.backends.memory import DictStore
from encore.storage.events import StoreModificationEvent
from encore.storage.metadata import encode_metadata
from encore.storage.template import Store
from encore.storage.values import Value
from encore.storage.wrappers.hidden import HiddenFieldStore
from encore.storage.wrappers.keymaps import PrefixStore
from encore.testing import verbs
from encore.testing.laws import heard, seen
from encore.testing.sources import Trickle, pattern


class CountingStore(HiddenFieldStore):
    """Keeps with each key how often it was written, and whether as a whole the last time."""

    field = "test.writes"

    def _next_hidden(self, old: Any, *, is_new: bool, is_whole: bool) -> Any:
        return [1 if is_new else old[0] + 1, is_whole]


@pytest.fixture
def store() -> CountingStore:
    return CountingStore(DictStore(event_manager=EventManager()))


def kept(store: CountingStore, key: str) -> Any:
    return store.base.get_metadata(key)["test.writes"]


def test_what_the_field_becomes_is_asked_at_every_write(store: CountingStore) -> None:
    store.put("a", b"1", {"x": 1})
    assert kept(store, "a") == [1, True]
    store.set_data("a", b"2")
    assert kept(store, "a") == [2, False]
    store.update_metadata("a", {"y": 2})
    assert kept(store, "a") == [3, False]
    store.multiset({"a": (Trickle(pattern(3 << 20)), {"z": 3}), "b": b""})
    assert (kept(store, "a"), kept(store, "b")) == ([4, True], [1, True])
    store.set_metadata("c", {})
    assert kept(store, "c") == [1, False]
    store.move("a", "d")
    assert kept(store, "d") == [4, True]
    assert seen(store) == {
        "b": (b"", {}), "c": (b"", {}), "d": (pattern(3 << 20), {"z": 3}),
    }  # fmt: skip


def test_the_field_stands_in_front_and_nothing_else_changes(store: CountingStore) -> None:
    store.put("a", b"", {"z": 1, "a": {"test.writes": "deep down it is anybody's"}})
    assert [*store.base.get_metadata("a")] == ["test.writes", "z", "a"]
    assert [*store.get_metadata("a")] == ["z", "a"]


def test_nothing_above_shows_the_field(store: CountingStore) -> None:
    store.put("a", b"1", {"x": 1})
    value = store.get("a")
    assert value.metadata == {"x": 1}
    assert store.get_metadata("a", ["test.writes", "x"]) == {"x": 1}
    assert [*store.multiget_metadata(["a"])] == [{"x": 1}]
    assert [*store.query(["test.writes"], x=1)] == [("a", {})]
    assert [*store.query()] == [("a", {"x": 1})]
    assert [value.metadata for _, value in store.items()] == [{"x": 1}]
    for found in (store.query, store.query_keys):
        assert [*found(where={"test.writes": [1, True]})] == []
        assert [*found(where={"test.writes": [1, True], "x": 1})] == []
    assert [*store.base.query_keys(where={"test.writes": [1, True]})] == ["a"]


def test_events_do_not_show_the_field(store: CountingStore) -> None:
    with heard(store, StoreModificationEvent) as events:
        store.put("a", b"1", {"x": 1})
        store.put("a", b"2")
        store.delete("a")
    assert [event.metadata for event in events] == [{"x": 1}, {}, {}]


def test_a_value_can_be_carried_elsewhere_without_the_field(store: CountingStore) -> None:
    store.put("a", pattern(70000), {"x": 1})
    other = DictStore(event_manager=EventManager())
    other.import_values([("a", store.get("a"))])
    assert other.get_metadata("a") == {"x": 1}
    assert other.get("a").token == store.get("a").token == store.base.get("a").token


_METADATA = {"x": 1, "test.writes": [0, True]}
_RESERVED: dict[str, Callable[[Store], object]] = {
    "put": lambda s: s.put("a", b"", _METADATA),
    "put a stream": lambda s: s.put("a", Trickle(pattern(3 << 20)), _METADATA),
    "set": lambda s: s.set("a", (b"", _METADATA)),
    "set a value": lambda s: s.set("a", Value(b"", _METADATA)),
    "set_metadata": lambda s: s.set_metadata("a", _METADATA),
    "update_metadata": lambda s: s.update_metadata("a", _METADATA),
    "multiset": lambda s: s.multiset({"b": b"", "a": (b"", _METADATA)}),
    "multiset_metadata": lambda s: s.multiset_metadata({"b": {}, "a": _METADATA}),
    "import": lambda s: s.import_values([("a", Value(b"", _METADATA))]),
    "import of an escaped name": lambda s: s.import_values(
        [("a", Value.of(b"", '{"test\\u002ewrites":9}', 0, 1.0, 1.0, "token"))]
    ),
}


@pytest.mark.parametrize("through", [False, True], ids=["directly", "through another wrapper"])
@pytest.mark.parametrize("write", _RESERVED.values(), ids=_RESERVED)
def test_metadata_that_names_the_field_is_refused(
    store: CountingStore, write: Callable[[Store], object], through: bool
) -> None:
    above = PrefixStore(store, "p/") if through else store
    above.put("a", b"old", {"old": 1})
    with pytest.raises(ValueError, match=r"test\.writes"):
        write(above)
    assert seen(above) == {"a": (b"old", {"old": 1})}


def test_a_stream_whose_metadata_is_refused_is_not_even_read(store: CountingStore) -> None:
    source = Trickle(b"data")
    with pytest.raises(ValueError):
        store.put("a", source, _METADATA)
    assert source.position == 0


def test_an_escaped_name_in_the_base_is_not_the_field_of_ours() -> None:
    """Whoever writes beside the wrapper cannot put a second one behind the first."""
    store = CountingStore(DictStore(event_manager=EventManager()))
    text = '{"test.writes":[5,true],"test\\u002ewrites":[9,true],"x":1}'
    store.base.import_values([("a", Value.of(b"", text, 0, 1.0, 1.0, "t"))])
    assert store.get_metadata("a") == {"x": 1}
    store.set_data("a", b"")
    assert kept(store, "a") == [6, False]


def test_metadata_written_beside_the_wrapper_may_look_different(store: CountingStore) -> None:
    for text in ('{ "x" : 1 }', '{"x":1,"test.writes":[1,true]}', '{"test.writes": [1, true]}'):
        store.base.import_values([("a", Value.of(b"", text, 0, 1.0, 1.0, "t"))])
        expected = {name: value for name, value in json.loads(text).items() if name == "x"}
        assert store.get_metadata("a") == expected
        if "test.writes" in text:
            store.set_data("a", b"")
            assert store.get_metadata("a") == expected
            assert kept(store, "a") == [2, False]


_SCALARS = st.none() | st.booleans() | st.integers() | st.text()
_JSON = st.recursive(_SCALARS, lambda inner: st.lists(inner), max_leaves=3)


@given(st.dictionaries(st.text(), _JSON, max_size=3), _JSON)
def test_joining_and_splitting_are_inverse(metadata: dict[str, Any], hidden: Any) -> None:
    store = CountingStore(DictStore(event_manager=EventManager()))
    metadata.pop("test.writes", None)
    text = encode_metadata(metadata)
    joined = store._joined(text, hidden)
    assert store._split(joined) == (hidden, text)
    json.loads(joined)


@pytest.mark.parametrize("write", verbs.WRITING.values(), ids=verbs.WRITING)
def test_every_verb_that_writes_keeps_the_field(store: CountingStore, write: verbs.Verb) -> None:
    write(store, "a")
    assert kept(store, "a")[0] == 1


def test_two_of_a_kind_keep_a_field_each(store: CountingStore) -> None:
    upper = CountingStore(PrefixStore(store, "p/"))
    upper.put("a", b"1", {"x": 1})
    upper.set_data("a", b"2")
    store.set_data("p/a", b"3")
    assert upper.get_metadata("a") == {"x": 1}
    assert store.get_metadata("p/a") == {"test.writes.2": [2, False], "x": 1}
    assert kept(store, "p/a") == [3, False]
    beside = CountingStore(PrefixStore(store, "p/"))
    beside.set_data("a", b"4")
    assert store.get_metadata("p/a")["test.writes.2"] == [3, False]
