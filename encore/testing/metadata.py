"""Laws of metadata: JSON objects, copied in and out, with their types."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from encore.storage.abstract_store import AbstractStore
from encore.storage.values import Value
from encore.testing.laws import Laws

#: Metadata with every type and every awkward text that JSON knows.
RICH: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "float one": 1.0,
    "negative zero": -0.0,
    "large": 2**70,
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "tenth": 0.1,
    "text": 'line\nbreak "quoted" back\\slash tab\t nul\0 del\x7f \x1f',
    "unicode": "/ \u00e9 e\u0301 \U0001f600 \u2028",
    "list": [1, [2, [3, {"deep": None}]], []],
    "object": {"b": 1, "a": {"": ""}},
    "": "empty name",
    "a.b": "dot",
    'a"b': "quote",
    "a'b": "apostrophe",
    "a[0]": "bracket",
    "$": "dollar",
    "é\0": "odd",
    "a\\b": "backslash",
}

_cycle: dict[str, Any] = {}
_cycle["self"] = _cycle

NOT_JSON: dict[str, Any] = {
    "list": [1],
    "text": "text",
    "number": 1,
    "bytes inside": {"a": b"x"},
    "object inside": {"a": object()},
    "set inside": {"a": {1}},
    "int name": {1: "a"},
    "int name inside": {"a": [{1: 2}]},
    "None name": {None: 1},
    "NaN": {"a": math.nan},
    "infinity": {"a": [math.inf]},
    "surrogate": {"a": "\ud800"},
    "surrogate name": {"\udfff": 1},
    "cycle": _cycle,
}

_WRITES: dict[str, Callable[[AbstractStore, Any], object]] = {
    "put": lambda s, m: s.put("a", b"new", m),
    "put a stream": lambda s, m: s.put("a", Value(b"new").data, m),
    "set": lambda s, m: s.set("a", (b"new", m)),
    "set_metadata": lambda s, m: s.set_metadata("a", m),
    "update_metadata": lambda s, m: s.update_metadata("a", m),
    "multiset": lambda s, m: s.multiset(["a"], [(b"new", m)]),
    "multiset_metadata": lambda s, m: s.multiset_metadata(["a"], [m]),
    "multiupdate_metadata": lambda s, m: s.multiupdate_metadata(["a"], [m]),
}


class MetadataLaws(Laws):
    """What metadata is, and whose."""

    @pytest.mark.parametrize("write", _WRITES.values(), ids=_WRITES)
    def test_everything_that_json_knows_comes_back_with_its_type(
        self, store: AbstractStore, write: Callable[[AbstractStore, Any], object]
    ) -> None:
        write(store, RICH)
        found = store.get_metadata("a")
        # repr tells True from 1, 1 from 1.0, and 0.0 from -0.0; order is kept, too.
        assert repr(found) == repr(RICH)
        assert repr(store.get("a").metadata) == repr(RICH)
        assert repr([*store.query()]) == repr([("a", RICH)])
        assert self.contents(store)["a"][1] == RICH

    @pytest.mark.parametrize("write", _WRITES.values(), ids=_WRITES)
    def test_what_is_not_json_is_a_type_error_and_writes_nothing(
        self, store: AbstractStore, write: Callable[[AbstractStore, Any], object]
    ) -> None:
        for there in (False, True):
            if there:
                store.put("a", b"old", {"old": 1})
            for what, bad in NOT_JSON.items():
                try:
                    write(store, bad)
                except TypeError:
                    continue
                pytest.fail(f"accepted: {what}")
            assert [*store.keys()] == ["a"] * there
        assert self.contents(store) == {"a": (b"old", {"old": 1})}

    @pytest.mark.parametrize("write", _WRITES.values(), ids=_WRITES)
    def test_metadata_is_copied_in_and_out(
        self, store: AbstractStore, write: Callable[[AbstractStore, Any], object]
    ) -> None:
        mine: dict[str, Any] = {"list": [1]}
        write(store, mine)
        mine["list"].append(2)
        mine["more"] = True
        found = store.get_metadata("a")
        assert found == {"list": [1]}
        found["list"].append(3)
        store.get("a").metadata["more"] = 4
        next(store.query())[1]["list"].append(5)
        next(store.multiget_metadata(["a"]))["list"].append(6)
        assert self.contents(store)["a"][1] == {"list": [1]}

    def test_any_mapping_is_metadata_and_tuples_are_lists(self, store: AbstractStore) -> None:
        store.put("a", b"", OrderedDict(z=1, a=(1, 2)))
        store.set_metadata("b", MappingProxyType({"x": 1}))
        assert repr(store.get_metadata("a")) == repr({"z": 1, "a": [1, 2]})
        assert store.get_metadata("b") == {"x": 1}

    def test_update_replaces_whole_fields(self, store: AbstractStore) -> None:
        store.put("a", b"1", {"x": {"deep": 1}, "y": 1})
        store.update_metadata("a", {"x": {"other": 2}, "y": None})
        store.update_metadata("a", {})
        assert self.contents(store) == {"a": (b"1", {"x": {"other": 2}, "y": None})}

    def test_large_metadata_is_kept(self, store: AbstractStore) -> None:
        metadata = {f"field {number}": "é" * 100 for number in range(2000)}
        store.put("a", b"1", metadata)
        assert self.contents(store) == {"a": (b"1", metadata)}

    def test_metadata_changed_by_its_reader_can_be_set_again(self, store: AbstractStore) -> None:
        store.put("a", b"1", {"x": 1})
        value = store.get("a")
        value.metadata["y"] = 2
        store.set("b", value)
        assert self.contents(store) == {"a": (b"1", {"x": 1}), "b": (b"1", {"x": 1, "y": 2})}
