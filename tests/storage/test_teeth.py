"""The suite and the machine have teeth: stores that are broken on purpose make them fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from encore.events.event_manager import EventManager
from encore.storage.backends.memory import DictStore
from encore.storage.template import Store
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.testing import transactions
from encore.testing.machine import QUICK, make_machine
from encore.testing.sources import pattern
from encore.testing.suite import StoreConformance

# Fixed programs, many of them, and no search for a shorter one: any failure will do.
_HUNT = settings(
    QUICK,
    max_examples=400,
    derandomize=True,
    phases=[Phase.generate],
    database=None,
)


@pytest.fixture(autouse=True)
def _short_explanations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures are what these tests want: spare pytest the full difference that it draws on CI."""
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)


class KeepsInnerWrites(DictStore):
    """Rolling back a block keeps what the block wrote."""

    def _rollback_transaction(self, context: SimpleTransactionContext) -> None:
        if context.depth > 1:
            overlay = self._levels()
            overlay[-2].update(overlay[-1])
        super()._rollback_transaction(context)


class LeaksInnerEvents(DictStore):
    """Rolling back a block undoes its writes, and announces them all the same."""

    def _rollback_transaction(self, context: SimpleTransactionContext) -> None:
        if context.depth > 1:
            *_, outer, inner = context._levels
            outer.absorb(inner)
        super()._rollback_transaction(context)


class WritesInPlace(DictStore):
    """A stream is written piece by piece, where everybody can see it."""

    def put(self, key: str, data: Any, metadata: Any = None, **options: Any) -> None:
        if not hasattr(data, "read"):
            super().put(key, data, metadata, **options)
            return
        arrived = b""
        while chunk := data.read(4096):
            arrived += chunk
            super().put(key, arrived, metadata)


class ForgetsMetadata(DictStore):
    """set_data drops the metadata."""

    def set_data(self, key: str, data: Any, buffer_size: int = 1048576) -> None:
        self.set(key, data, buffer_size)


class ListsInOrderOfArrival(DictStore):
    """Listings are in the order of insertion."""

    def _keys(self, prefix: str, start_after: str | None) -> Any:
        return iter([key for key in self._kept if key.startswith(prefix)])


class TellsNothingOfDeletes(DictStore):
    """Deletes are not announced."""

    def delete(self, key: str, missing_ok: bool = False) -> None:
        with self.transaction() as context:
            super().delete(key, missing_ok)
            if context._levels[-1].changes is not None:
                context._levels[-1].changes._changes.pop(key, None)


class DirtyReads(DictStore):
    """Everybody sees uncommitted data."""

    def _lookup(self, key: str) -> Any:
        for level in reversed(self._pending or []):
            if key in level:
                return level[key]
        return super()._lookup(key)


_BROKEN: dict[type[Store], Callable[[Any, Store], None]] = {
    KeepsInnerWrites: lambda suite, store: suite.test_an_inner_failure_undoes_the_inner_block_only(
        store, transactions._CHANGES["put new"], None
    ),
    LeaksInnerEvents: lambda suite, store: suite.test_an_inner_failure_drops_only_inner_events(
        store
    ),
    WritesInPlace: lambda suite, store: (
        suite.test_a_source_that_fails_in_a_transaction_undoes_its_own_write_only(
            store, lambda s, key, source: s.put(key, source), 70000
        )
    ),
    ForgetsMetadata: lambda suite, store: suite.test_set_data_keeps_the_metadata(
        store, b"old", b"new"
    ),
    ListsInOrderOfArrival: lambda suite, store: suite.test_every_listing_is_in_code_point_order(
        store
    ),
    TellsNothingOfDeletes: lambda suite, store: suite.test_changes_of_a_key_are_told_as_one(
        store, True, "delete", ["delete"], False
    ),
    DirtyReads: lambda suite, store: suite.test_other_threads_see_the_last_committed_state(store),
}


@pytest.mark.parametrize("broken", _BROKEN, ids=lambda cls: cls.__name__)
def test_the_law_that_a_broken_store_breaks_fails(broken: type[Store]) -> None:
    law = _BROKEN[broken]
    law(StoreConformance(), DictStore(event_manager=EventManager()))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        law(StoreConformance(), broken(event_manager=EventManager()))


@pytest.mark.parametrize("broken", _BROKEN, ids=lambda cls: cls.__name__)
def test_the_machine_finds_a_broken_store(broken: Callable[..., Store]) -> None:
    machine = make_machine(lambda directory, manager: broken(event_manager=manager))
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=_HUNT)


def test_a_sound_store_survives_the_same_hunt() -> None:
    machine = make_machine(lambda directory, manager: DictStore(event_manager=manager))
    run_state_machine_as_test(machine, settings=settings(_HUNT, max_examples=40))


def test_patterns_of_different_seeds_differ() -> None:
    assert pattern(100, 1) == pattern(100, 1) != pattern(100, 2)
    assert pattern(200000)[:65521] == pattern(200000)[65521:131042]
