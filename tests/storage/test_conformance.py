"""Every store in the register keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stores import STORES, WRAPPED, StoreUnderTest

from encore.events.event_manager import EventManager
from encore.storage.abstract_store import AbstractStore
from encore.storage.template import Store
from encore.testing.suite import StoreConformance


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

    def reopen(self, store: AbstractStore) -> Store | None:
        return self.entry.reopen(store, self.directory, event_manager=EventManager())
