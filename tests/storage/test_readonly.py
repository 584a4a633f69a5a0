"""Stores opened for reading: read-only through every verb."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from encore.storage.api import SqliteStore
from encore.testing.readonly import ReadOnlyConformance


class TestReadOnlySqlite(ReadOnlyConformance):
    @pytest.fixture
    def store(self, directory: Path) -> Iterator[SqliteStore]:
        path = directory / "store.db"
        with SqliteStore(path) as store:
            store.multiset(self.content)
        before = path.read_bytes()
        with SqliteStore(path, readonly=True) as store:
            yield store
        assert path.read_bytes() == before
        assert os.listdir(directory) == ["store.db"]
