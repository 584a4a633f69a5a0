"""The suite and the machine on the store's other settings, and opened for reading."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hashdir_tools import files_of, opened
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from encore.storage.abstract_store import AbstractStore
from encore.storage.api import HashdirStore
from encore.testing.machine import QUICK, make_machine
from encore.testing.readonly import ReadOnlyConformance
from encore.testing.suite import StoreConformance

_INLINE = {"inline_bytes": 1000}
_SETTINGS: dict[str, dict[str, Any]] = {
    "some inline": _INLINE,
    "shallow": {"width": 1, "depth": 1},
    "power": {"durability": "power"},
}


@pytest.mark.sampled
class TestSomeInline(StoreConformance):
    directory: Path

    @pytest.fixture
    def store(self, directory: Path) -> Iterator[HashdirStore]:
        self.directory = directory
        with opened(directory, **_INLINE) as store:
            yield store

    def reopen(self, store: AbstractStore) -> HashdirStore:
        return opened(self.directory, **_INLINE)


@pytest.mark.timeout(600)  # a failure takes a while to be made short
@pytest.mark.parametrize("listening", [True, False], ids=["heard", "unheard"])
@pytest.mark.parametrize("options", _SETTINGS.values(), ids=_SETTINGS)
def test_random_programs_do_what_dictionaries_do(options: dict[str, Any], listening: bool) -> None:
    machine = make_machine(
        lambda directory, manager: opened(directory, event_manager=manager, **options),
        listening=listening,
        shared=True,
    )
    waits = options.get("durability") == "power"  # for the disk, thousands of times
    run_state_machine_as_test(machine, settings=settings(QUICK, max_examples=3 if waits else 15))


class TestReadOnly(ReadOnlyConformance):
    @pytest.fixture
    def store(self, directory: Path) -> Iterator[HashdirStore]:
        with opened(directory) as store:
            store.multiset(self.content)
        index = directory / ".encore" / "index.db"
        before = files_of(directory), index.read_bytes()
        with opened(directory, readonly=True) as store:
            yield store
        assert (files_of(directory), index.read_bytes()) == before
