"""A directory store that waits for the disk keeps the laws of writing, too.

Those of reading it shares with one that does not, which `test_conformance` examines.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fs_tools import remove_tree

from encore.events.event_manager import EventManager
from encore.storage.abstract_store import AbstractStore
from encore.storage.backends.filesystem import FilesystemStore
from encore.storage.template import Store
from encore.testing.failures import FailingSourceLaws
from encore.testing.metadata import MetadataLaws
from encore.testing.transactions import TransactionLaws
from encore.testing.values import ValueLaws


class TestDurableFilesystem(TransactionLaws, FailingSourceLaws, MetadataLaws, ValueLaws):
    directory: Path

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        self.directory = tmp_path / "store"
        store = self._opened()
        yield store
        store.close()
        remove_tree(self.directory)  # some of the keys make it very deep

    def reopen(self, store: AbstractStore) -> Store | None:
        return self._opened()

    def _opened(self) -> Store:
        return FilesystemStore(self.directory, durability="power", event_manager=EventManager())
