"""The laws once more where the usual ones do not lead: everything large, read-only, other services.

With a low threshold nearly every value takes the ways of one of many MiB: parts, records, staged
objects, copies by the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bucket_tools import fresh_prefix, open_bucket
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from obstore.store import MemoryStore
from servers import BucketServer, prefix_for

from encore.errors import ConflictError
from encore.events.event_manager import EventManager
from encore.storage.abstract_store import AbstractStore
from encore.storage.backends.bucket import BucketStore
from encore.storage.template import Store
from encore.testing.data import DataLaws
from encore.testing.failures import FailingSourceLaws
from encore.testing.machine import QUICK, make_machine
from encore.testing.metadata import MetadataLaws
from encore.testing.reading import ReadingLaws
from encore.testing.readonly import ReadOnlyConformance
from encore.testing.transactions import TransactionLaws
from encore.testing.writing import WritingLaws


class LowBucketStore(BucketStore):
    """A store to which more than a KiB is large."""

    small = 1024


class LowLaws(DataLaws, FailingSourceLaws, MetadataLaws, ReadingLaws, TransactionLaws, WritingLaws):
    """The laws that have to do with size."""


@pytest.mark.sampled
class TestEverythingIsLarge(DataLaws, TransactionLaws, WritingLaws):
    prefix: str
    client: Any

    @pytest.fixture
    def store(self, bucket_server: BucketServer) -> Iterator[Store]:
        self.prefix, self.client = fresh_prefix(), bucket_server.client
        store = self._opened()
        yield store
        store.close()

    def reopen(self, store: AbstractStore) -> Store | None:
        return self._opened()

    def _opened(self) -> Store:
        return LowBucketStore(
            "encore", prefix=self.prefix, client=self.client, event_manager=EventManager()
        )


class TestReadOnlyBucket(ReadOnlyConformance):
    @pytest.fixture
    def store(self, bucket_server: BucketServer) -> Iterator[Store]:
        prefix = fresh_prefix()
        with open_bucket(bucket_server, prefix) as store:
            store.multiset(self.content)
        with open_bucket(bucket_server, prefix, readonly=True) as store:
            yield store


@pytest.mark.sampled
class TestBucketInMemory(LowLaws):
    """obstore's store in memory: another service, with an order and conditions of its own."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        self.client = MemoryStore()
        store = LowBucketStore("memory", client=self.client, event_manager=EventManager())
        yield store
        store.close()

    def reopen(self, store: AbstractStore) -> Store | None:
        return LowBucketStore("memory", client=self.client, event_manager=EventManager())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("listening", [True, False], ids=["heard", "unheard"])
def test_random_programs_on_large_values(bucket_server: BucketServer, listening: bool) -> None:
    def opened(directory: Path, manager: Any) -> BucketStore:
        prefix = f"low/{prefix_for(directory)}"
        return LowBucketStore(
            "encore", prefix=prefix, client=bucket_server.client, event_manager=manager
        )

    machine = make_machine(opened, listening=listening, shared=True)

    class Machine(machine):  # type: ignore[misc, valid-type]
        """Values that are held may be refused, once they have been replaced."""

        def hold(self, key: str) -> None:
            pass

    Machine.__name__ = "StoreMachine"
    run_state_machine_as_test(Machine, settings=settings(QUICK, max_examples=6))


def test_held_values_are_refused_rather_than_mixed(bucket_server: BucketServer) -> None:
    with LowBucketStore("encore", prefix=fresh_prefix(), client=bucket_server.client) as store:
        store.put("a", b"1" * 5000)
        held = store.get("a")
        store.put("a", b"2" * 5000)
        with pytest.raises(ConflictError, match="get it again"):
            held.read()
