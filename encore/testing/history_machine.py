"""Random programs of writing, undoing and redoing, against a list of snapshots.

::

    from encore.history import History
    from encore.testing.history_machine import QUICK, make_history_machine

    TestMine = make_history_machine(
        lambda directory, manager: (MyStore(directory, event_manager=manager),),
        lambda stores, **options: History(stores, **options),
    ).TestCase
    TestMine.settings = QUICK

After every move the content, the steps, what can be undone and the events are compared with the
model; at the end everything is undone, which gives the first content, and redone. Half of the
programs also write behind the history's back. Play every store with ``listening=False`` too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from encore.testing import machine
from encore.testing.history_looks import HistoryLooks
from encore.testing.history_player import OpenHistory, OpenStores, keys

#: For every day.
QUICK = settings(machine.QUICK, max_examples=12, stateful_step_count=25)
#: For the night.
LONG = settings(QUICK, derandomize=False, max_examples=600, stateful_step_count=60)

#: ``held_bytes(directory, stores)`` counts what is kept beside the content.
HeldBytes = Callable[[Path, tuple[Any, ...]], int]


class HistoryMachine(HistoryLooks):
    """All the moves. `make_history_machine` says on which stores."""

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 2.5, 10.0]))
    def wait(self, seconds: float) -> None:
        self.model.clock += seconds

    @precondition(lambda self: len(self.model.groups) < 2)
    @rule(label=st.sampled_from(["Import", "Paste"]))
    def enter_group(self, label: str) -> None:
        if not self.model.groups:
            self.begun, self.model.group_step = self.visible(), None
        group = self.history.group(label)
        group.__enter__()
        self.opened_groups.append(group)
        self.model.groups.append(label)

    @precondition(lambda self: self.model.groups)
    @rule()
    def end_group(self) -> None:
        self.leave_group()

    @rule()
    def stop_merging(self) -> None:
        self.history.stop_merging()
        self.model.may_merge = False

    @precondition(lambda self: not self.model.groups)
    @rule()
    def mark_saved(self) -> None:
        self.history.mark_saved()
        self.model.mark_saved()
        self.model.may_merge = False

    @precondition(lambda self: not self.model.groups)
    @rule()
    def barrier(self) -> None:
        self.history.barrier()
        for step in self.model.done:
            step.is_fenced = True
        self.model.may_merge = False

    @precondition(lambda self: not self.model.groups)
    @rule(key=keys)
    def forget(self, key: str) -> None:
        self.history.forget(key)
        self.model.forget(key)
        self.model.may_merge = False

    @precondition(lambda self: not self.model.groups)
    @rule(sure=st.integers(0, 4))
    def clear(self, sure: int) -> None:
        if not sure:
            self.history.clear()
            self.model.clear()
            self.model.may_merge = False

    @precondition(lambda self: not self.model.groups)
    @rule()
    def pack(self) -> None:
        self.history.pack()

    @precondition(lambda self: not self.model.groups and self.persistent is not None)
    @rule()
    def reopen(self) -> None:
        if self.shared:
            self.close()
        else:
            self.history.close()
        if not self.persistent:
            self.model.clear()
            self.model.saved_index = None
            self.last_id = 0
        self.open(again=not self.shared)
        self.model.may_merge = False
        self.trim()
        self.told.clear()
        self.seen_before = self.visible()


def make_history_machine(
    open_stores: OpenStores,
    open_history: OpenHistory,
    *,
    listening: bool = True,
    shared: bool = False,
    persistent: bool | None = False,
    held_bytes: HeldBytes | None = None,
) -> type[HistoryMachine]:
    """Return the machine for a store, or for several that have one history.

    Parameters
    ----------
    open_stores : callable
        ``open_stores(directory, event_manager)`` returns a tuple of stores that keep their data in
        the directory, or of new ones.
    open_history : callable
        ``open_history(stores, **options)`` returns a `History`; the options are its parameters.
    listening : bool, optional
        Whether somebody listens to stores and history.
    shared : bool, optional
        Whether opening the same directory again gives the same data.
    persistent : bool, optional
        Whether the steps are there again, too. None: a part of them is, and it is not opened again.
    held_bytes : callable, optional
        ``held_bytes(directory, stores)`` counts the bytes that are kept beside the content, by what
        lies in the directory or in memory.
    """
    attributes = {
        "open_stores": staticmethod(open_stores),
        "open_history": staticmethod(open_history),
        "listening": listening,
        "shared": shared,
        "persistent": persistent,
        "held_bytes": held_bytes and staticmethod(held_bytes),
    }
    return type("HistoryMachine", (HistoryMachine,), attributes)
