"""Every store in the register keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stores import STORES, WRAPPED, StoreUnderTest

from encore.errors import StoreError
from encore.events.event_manager import EventManager
from encore.storage.abstract_store import AbstractStore
from encore.storage.template import Store
from encore.testing.sources import MIB, Failing, SourceBroke, Trickle, pattern
from encore.testing.suite import StoreConformance

_KEPT = pytest.StashKey[list[BaseException]]()


class TestConformance(StoreConformance):
    entry: StoreUnderTest
    directory: Path

    @pytest.fixture(params=STORES + WRAPPED, ids=str)
    def store(self, request: pytest.FixtureRequest, directory: Path) -> Iterator[Store]:
        self.entry, self.directory = request.param, directory
        if self.entry.needs:
            request.getfixturevalue(self.entry.needs)
        store = self.entry.open(self.directory, event_manager=EventManager())
        yield store
        store.close()

    def test_errors_that_somebody_keeps_keep_nothing_open(
        self, store: Store, request: pytest.FixtureRequest
    ) -> None:
        # As loggers and debuggers do, longer than the store is open: what was left is counted then.
        kept = request.node.stash.setdefault(_KEPT, [])
        store.put("a", Trickle(pattern(3 * MIB)), {"x": 1})
        found = store.multiget_metadata(["a", "gone"])
        assert next(found) == {"x": 1}
        for fail in (
            lambda: next(found),
            lambda: store.read("gone"),
            lambda: store.get_data_range("a", -1),
            lambda: store.put("a", b"", if_absent=True),
            lambda: store.put("a", b"", if_token="none"),
            lambda: store.put("a", Failing(pattern(3 * MIB))),
            lambda: store.multiset({"b": b"1", "c": Failing(pattern(3 * MIB))}),
        ):
            with pytest.raises((StoreError, ValueError, SourceBroke)) as error:
                fail()
            kept.append(error.value)

    def reopen(self, store: AbstractStore) -> Store | None:
        return self.entry.reopen(store, self.directory, event_manager=EventManager())
