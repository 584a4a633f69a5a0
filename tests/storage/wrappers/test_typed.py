"""Stores that take and give text, JSON values and buffers."""

from __future__ import annotations

import io
from typing import Any

import pytest

from encore.errors import CorruptValueError
from encore.events.event_manager import EventManager
from encore.storage.backends.memory import DictStore
from encore.storage.values import Value
from encore.storage.wrappers.typed import BufferStore, JsonStore, TextEncodingStore
from encore.testing.laws import seen


@pytest.fixture
def base() -> DictStore:
    return DictStore(event_manager=EventManager())


# -- text ------------------------------------------------------------------------------------------


def test_text_is_held_in_its_encoding(base: DictStore) -> None:
    store = TextEncodingStore(base, "latin-1")
    store.put("a", "café", {"kind": 1})
    store.set("b", ("naïve", {"kind": 2}))
    store.set_data("a", "thé")
    assert seen(base) == {
        "a": ("thé".encode("latin-1"), {"kind": 1}),
        "b": ("naïve".encode("latin-1"), {"kind": 2}),
    }
    assert store.read("a") == "thé"
    assert store.to_bytes("a") == store.get("a").read() == "thé".encode()


def test_text_that_the_encoding_lacks_writes_nothing(base: DictStore) -> None:
    store = TextEncodingStore(base, "latin-1")
    store.put("a", "old")
    for write in (
        lambda: store.put("a", "5 €"),
        lambda: store.set("a", ("5 €", {"new": 1})),
        lambda: store.set_data("a", "5 €"),
        lambda: store.multiset({"b": "fine", "a": "5 €"}),
        lambda: store.put("a", io.BytesIO("€".encode() * (1 << 20))),
    ):
        with pytest.raises(ValueError, match="latin-1 cannot hold"):
            write()
    assert seen(base) == {"a": (b"old", {})}


def test_what_is_not_text_cannot_be_read(base: DictStore) -> None:
    base.put("a", b"\xff")
    with pytest.raises(CorruptValueError):
        TextEncodingStore(base).read("a")


def test_long_text_passes_as_a_stream(base: DictStore) -> None:
    text = "grün und blau, " * 200000
    store = TextEncodingStore(base, "utf-16")
    store.put("a", io.BytesIO(text.encode()))
    assert base.read("a").decode("utf-16") == text
    assert store.read("a") == text


# -- JSON ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "thing", [0, -1.5, 1e300, True, None, "é\u2028", [], [1, [2]], {"a": {"b": None}}, 10**30]
)
def test_what_json_can_hold_comes_back(base: DictStore, thing: Any) -> None:
    store = JsonStore(base)
    store.put("put", thing)
    store.set("set", (thing, {"kind": 1}))
    store.set_data("set_data", thing)
    store.multiset({"multiset": thing})
    store.mapping()["mapping"] = thing
    assert [*store] == ["mapping", "multiset", "put", "set", "set_data"]
    for key in store:
        assert store.read(key) == thing
        assert type(store.read(key)) is type(thing)
    assert dict(store.mapping()) == dict.fromkeys(store, thing)
    assert store.get_metadata("set") == {"kind": 1}


@pytest.mark.parametrize(
    "thing", [float("nan"), float("inf"), b"bytes", object(), {1, 2}, [float("-inf")]]
)
def test_what_json_cannot_hold_writes_nothing(base: DictStore, thing: Any) -> None:
    store = JsonStore(base)
    store.put("a", "old")
    for write in (
        lambda: store.put("a", thing),
        lambda: store.set("a", thing),
        lambda: store.set_data("a", thing),
        lambda: store.multiset({"b": 1, "a": thing}),
    ):
        with pytest.raises((TypeError, ValueError)):
            write()
    assert seen(base) == {"a": (b'"old"', {})}


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100000])
def test_what_is_not_json_cannot_be_read(base: DictStore, data: bytes) -> None:
    base.put("a", data)
    store = JsonStore(base)
    with pytest.raises(CorruptValueError) as caught:
        store.read("a")
    assert (caught.value.key, caught.value.store) == ("a", store)
    assert store.to_bytes("a") == data


# -- buffers ---------------------------------------------------------------------------------------


def test_buffers_are_fresh(base: DictStore) -> None:
    store = BufferStore(base)
    store.put("a", io.BytesIO(b"data"))
    one, other = store.read("a"), store.read("a")
    one.write(b"DATA")
    assert other.read() == base.read("a") == b"data"


@pytest.mark.parametrize("store_class", [TextEncodingStore, JsonStore, BufferStore])
def test_values_pass_as_they_are(base: DictStore, store_class: Any) -> None:
    store = store_class(base)
    store.set("a", Value(b"1", {"x": 1}))
    store.set("b", store.get("a"))
    store.copy("a", "c")
    assert seen(base) == dict.fromkeys("abc", (b"1", {"x": 1}))
