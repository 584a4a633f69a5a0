"""Stores that refuse: read-only and write-only through every verb, and keys that do not fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from encore.errors import InvalidKeyError, ReadOnlyError, UnsupportedError
from encore.events.event_manager import EventManager
from encore.storage.api import SqliteStore
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.backends.memory import DictStore
from encore.storage.template import Store
from encore.storage.wrappers.guards import (
    KeyValidatingStore,
    ReadonlyStore,
    RegexValidatingStore,
    UrlValidatingStore,
    WriteonlyStore,
)
from encore.storage.wrappers.keymaps import PrefixStore
from encore.testing import verbs
from encore.testing.laws import Contents, seen
from encore.testing.readonly import ReadOnlyConformance
from encore.testing.sources import Trickle, pattern

_BASES: dict[str, Callable[[Path], Store]] = {
    "dict": lambda directory: DictStore(),
    "sqlite": lambda directory: SqliteStore(directory / "store.db"),
    "filesystem": FilesystemStore,
}


class TestReadonlyStore(ReadOnlyConformance):
    @pytest.fixture(params=_BASES.values(), ids=_BASES)
    def store(self, request: pytest.FixtureRequest, directory: Path) -> Iterator[Store]:
        with request.param(directory) as base:
            base.multiset(self.content)
            yield ReadonlyStore(base)
            assert seen(base) == self.content

    def test_no_transaction_can_be_begun(self, store: Store) -> None:
        with pytest.raises(ReadOnlyError):
            store.transaction()

    def test_what_is_refused_is_not_read_first(self, store: Store) -> None:
        source = Trickle(pattern(3 << 20))
        with pytest.raises(ReadOnlyError) as caught:
            store.put("new", source)
        assert caught.value.store is store
        assert source.position <= 2 << 20

    def test_it_is_read_only_beneath_another_wrapper(self, store: Store) -> None:
        above = PrefixStore(store, "b/")
        assert above.info()["readonly"]
        assert [*above] == ["c"]
        for refused in (lambda: above.put("c", b""), lambda: above.delete("c"), above.clear):
            with pytest.raises(ReadOnlyError):
                refused()

    def test_what_changes_beneath_shows(self, store: Any) -> None:
        store.base.put("later", b"1")
        assert store.read("later") == b"1"
        store.base.delete("later")


_LOOKING: dict[str, Callable[[Store], Any]] = {
    **{name: lambda s, verb=verb: verb(s, "a") for name, verb in verbs.READING.items()},
    **{f"list: {name}": verb for name, verb in verbs.LISTING.items()},
    "totals": lambda s: s.totals(),
    "missing": lambda s: s.read("gone"),
    "query": lambda s: [*s.query()],
    "entries": lambda s: [*s.entries()],
    "mapping": lambda s: dict(s.mapping()),
}

_WRITING: dict[str, tuple[Callable[[Store], Any], Contents]] = {
    "put": (lambda s: s.put("n", b"1"), {"n": (b"1", {})}),
    "put a stream": (
        lambda s: s.put("n", Trickle(pattern(2 << 20))),
        {"n": (pattern(2 << 20), {})},
    ),
    "set": (lambda s: s.set("n", (b"1", {"x": 1})), {"n": (b"1", {"x": 1})}),
    "set_data": (lambda s: s.set_data("a", b"2"), {"a": (b"2", {"x": 1})}),
    "set_metadata": (lambda s: s.set_metadata("a", {}), {"a": (b"1", {})}),
    "update_metadata": (
        lambda s: s.update_metadata("a", {"y": 2}),
        {"a": (b"1", {"x": 1, "y": 2})},
    ),
    "multiset": (lambda s: s.multiset({"n": b"1"}), {"n": (b"1", {})}),
    "multiupdate_metadata": (
        lambda s: s.multiupdate_metadata({"a": {"y": 2}}),
        {"a": (b"1", {"x": 1, "y": 2})},
    ),
    "copy": (lambda s: s.copy("a", "n"), {"n": (b"1", {"x": 1})}),
    "from_bytes": (lambda s: s.from_bytes("n", b"1"), {"n": (b"1", {})}),
}


@pytest.fixture(params=_BASES.values(), ids=_BASES)
def base(request: pytest.FixtureRequest, directory: Path) -> Iterator[Store]:
    with request.param(directory) as base:
        base.put("a", b"1", {"x": 1})
        yield base


@pytest.mark.parametrize("look", _LOOKING.values(), ids=_LOOKING)
def test_a_write_only_store_shows_nothing(base: Store, look: Callable[[Store], Any]) -> None:
    with pytest.raises(UnsupportedError):
        look(WriteonlyStore(base))


@pytest.mark.parametrize(("write", "expected"), _WRITING.values(), ids=_WRITING)
def test_a_write_only_store_can_be_written(
    base: Store, write: Callable[[Store], Any], expected: Contents
) -> None:
    write(WriteonlyStore(base))
    assert seen(base) == {"a": (b"1", {"x": 1}), **expected}


def test_a_write_only_store_can_be_emptied(base: Store) -> None:
    store = WriteonlyStore(base)
    store.move("a", "b/a")
    assert [*base] == ["b/a"]
    store.put("c", b"2")
    store.clear("b/")
    assert [*base] == ["c"]
    store.delete("c")
    store.delete("c", missing_ok=True)
    store.put("d", b"3")
    store.clear()
    assert [*base] == []


@pytest.mark.parametrize("condition", [{"if_absent": True}, {"if_token": "x"}])
def test_a_write_only_store_does_not_tell_what_is_there(
    base: Store, condition: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedError):
        WriteonlyStore(base).put("a", b"", **condition)
    assert base.read("a") == b"1"


# -- validators ------------------------------------------------------------------------------------


def _no_spaces(key: str) -> None:
    if " " in key:
        raise ValueError("there is a space in it")


@pytest.mark.parametrize(
    ("make", "fit", "unfit"),
    [
        (lambda base: KeyValidatingStore(base, _no_spaces), "ab", "a b"),
        (lambda base: RegexValidatingStore(base, "[a-z]+"), "ab", "ab1"),
        (lambda base: RegexValidatingStore(base, re.compile("[A-Z]+", re.I)), "aB", "a\n"),
        (UrlValidatingStore, "https://example.org/x", "ftp://example.org/x"),
    ],
    ids=["function", "expression", "compiled", "url"],
)
def test_only_keys_that_fit_are_taken(make: Callable[[Store], Store], fit: str, unfit: str) -> None:
    base = DictStore(event_manager=EventManager())
    base.put(unfit, b"theirs")
    store = make(base)
    store.put(fit, b"ours")
    assert [*store] == [fit]
    refused: list[Callable[[], Any]] = [
        lambda: store.put(unfit, b""),
        lambda: store.put(unfit, Trickle(pattern(3 << 20))),
        lambda: store.multiset({fit: b"new", unfit: b"new"}),
        lambda: store.set_metadata(unfit, {}),
        lambda: store.read(unfit),
        lambda: store.delete(unfit),
        lambda: store.copy(fit, unfit),
        lambda: store.move(unfit, fit),
        lambda: store.exists(unfit),
    ]
    for act in refused:
        with pytest.raises(InvalidKeyError) as caught:
            act()
        assert caught.value.key == unfit
    store.clear()
    assert seen(base) == {unfit: (b"theirs", {})}
