"""What every group of laws builds on: how a store is looked at, and which laws apply to it.

A group is a class of tests; ``suite`` gathers the groups. A test that is marked with one of the
conditions below is skipped, with a reason, on a store that does not claim the ability.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from encore.storage.abstract_store import AbstractStore
from encore.storage.events import StoreEvent

Contents = dict[str, tuple[bytes, dict[str, Any]]]
_T = TypeVar("_T")

#: Seconds after which a thread that should have ended counts as stuck.
PATIENCE_SECONDS = 30.0


def needs_transactions(law: _T) -> _T:
    """Mark a test, or a class of tests, that only holds where transactions are real."""
    return _mark(law, "needs_transactions")


def needs_fork(law: _T) -> _T:
    """Mark a test that only holds for stores that a forked process can go on using."""
    return _mark(law, "needs_fork")


def _mark(law: _T, name: str) -> _T:
    if isinstance(law, type):
        for member, function in vars(law).items():
            if member.startswith("test_"):
                setattr(function, name, True)
    else:
        setattr(law, name, True)
    return law


class Laws:
    """Tests of a store that the subclass supplies.

    Subclasses define a fixture ``store`` (a fresh, open, empty store) and may define `reopen`.
    """

    @pytest.fixture
    def store(self) -> AbstractStore:
        """A fresh, empty store, open or to be opened by its first use; close it afterwards."""
        raise NotImplementedError("a subclass of the suite supplies the fixture `store`")

    def reopen(self, store: AbstractStore) -> AbstractStore | None:
        """Return another store over the same data, sharing nothing else; None if there is none."""
        return None

    @pytest.fixture(autouse=True)
    def _law_applies(self, request: pytest.FixtureRequest, store: AbstractStore) -> None:
        info = store.info()
        needs = getattr(request.function, "needs_transactions", False)
        if needs and info["transactions"] == "none":
            pytest.skip(f"{info['type']} says that it has no transactions")
        if getattr(request.function, "needs_fork", False) and not info.get("forks", True):
            pytest.skip(f"{info['type']} says that it does not survive a fork")
        if info["readonly"]:
            pytest.skip(f"{info['type']} is read-only here; see ReadOnlyConformance")

    def contents(self, store: AbstractStore) -> Contents:
        """Everything that is committed, which must look the same through another door."""
        found = seen(store)
        other = self.reopen(store)
        if other is not None:
            try:
                assert other is not store
                assert seen(other) == found, "the other door shows something else"
            finally:
                other.close()
        return found


def seen(store: AbstractStore) -> Contents:
    """Everything that is visible to the caller, read key by key; listings must agree."""
    keys = [*store.keys()]
    assert keys == sorted(keys), "listings are in code-point order"
    assert len(store) == len(keys), "the count agrees with the listing"
    found = {key: (store.read(key), store.get_metadata(key)) for key in keys}
    assert len(found) == len(keys), "no key is listed twice"
    size = sum(len(data) for data, _ in found.values())
    assert store.totals() == (len(keys), told_size(store, size))
    assert [*store.query()] == [(key, metadata) for key, (_, metadata) in found.items()]
    return found


def told_size(store: AbstractStore, size: int) -> int | None:
    """A size as the store has to tell it: None if it says that it knows sizes only by reading."""
    return size if store.info()["sizes"] else None


def state_of(store: AbstractStore, key: str) -> tuple[Any, ...] | None:
    """Everything there is to know about a key, or None."""
    if key not in store:
        return None
    value = store.get(key)
    try:
        text = json.dumps(value.metadata)
        return value.read(), text, value.size, value.created, value.modified, value.token
    finally:
        value.close()


@contextmanager
def heard(store: AbstractStore, cls: type = StoreEvent) -> Iterator[list[Any]]:
    """The events of a class that a store announces meanwhile."""
    events: list[Any] = []
    with store.event_manager.listening(cls, events.append, filter={"source": store}):
        yield events


def told(events: list[Any]) -> list[tuple[str, str]]:
    """Key events as (action, key)."""
    return [(event.action, event.key) for event in events]


def in_thread(work: Callable[[], _T], name: str = "another thread") -> _T:
    """Run ``work`` on a thread of its own, wait for it, and return or raise what it did."""
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # handed to the caller
            errors.append(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive(), f"{name} is stuck"
    if errors:
        raise errors[0]
    return results[0]
