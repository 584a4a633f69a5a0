"""Stores opened for reading: read-only through every verb."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stores import COMPOSED, WRAPPERS

from encore.storage.api import DictStore, ReadonlyStore, SqliteStore, Store
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


class TestWrapperOverReadOnly(ReadOnlyConformance):
    @pytest.fixture(params=[*WRAPPERS, *COMPOSED])
    def store(self, request: pytest.FixtureRequest) -> Iterator[Store]:
        name, bases = request.param, [DictStore(), DictStore()]
        make: Any = WRAPPERS.get(name) or COMPOSED[name]
        count = 1 if name in WRAPPERS else 2
        make(*bases[:count]).multiset(self.content)
        sealed = [ReadonlyStore(bases[0]), ReadonlyStore(bases[1])]
        if name.startswith("caching"):  # which writes to its cache
            sealed[1:] = bases[1:]
        with make(*sealed[:count]) as store:
            yield store
