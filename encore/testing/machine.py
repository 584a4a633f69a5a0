"""Random programs, played on a store and on plain dictionaries, which must not differ.

::

    from encore.testing.machine import QUICK, make_machine

    TestMyStore = make_machine(lambda directory, manager: MyStore(directory)).TestCase
    TestMyStore.settings = QUICK

The events heard must be the difference between two committed states, in the order in which the
keys were touched first. Play every store with ``listening=False`` too: where nobody listens, stores
take shorter ways.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
)

from encore.testing.model import as_text
from encore.testing.player import OpenStore, errors, programs
from encore.testing.reading_moves import ReadingMoves
from encore.testing.writing_moves import WritingMoves

#: For every day.
QUICK = settings(
    derandomize=True,  # the long form explores; this one repeats what is known to hold
    max_examples=16,
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
#: For the night.
LONG = settings(QUICK, max_examples=3000, stateful_step_count=100)


class StoreMachine(WritingMoves, ReadingMoves):
    """All the moves. `make_machine` says on which store."""

    @precondition(lambda self: self.model.depth < 4)
    @rule()
    def begin(self) -> None:
        if not self.model.depth:
            self.transaction = self.store.transaction("machine")
        assert self.store.transaction("machine") is self.transaction or not self.model.depth
        self.transaction.begin()
        self.model.begin()
        assert self.transaction.depth == self.model.depth

    @precondition(lambda self: self.model.depth)
    @rule()
    def commit(self) -> None:
        self.transaction.commit()
        self.model.commit()
        self.ends += 1

    @precondition(lambda self: self.model.depth)
    @rule()
    def rollback(self) -> None:
        self.transaction.rollback()
        self.model.rollback()
        self.ends += 1

    @rule(acts=programs)
    def burst(self, acts: list[Any]) -> None:
        """Several writes without a look at the store between them."""
        self._play(acts)

    @rule(blocks=st.lists(st.tuples(programs, errors), max_size=3), error=errors)
    def nest(self, blocks: list[Any], error: type[BaseException] | None) -> None:
        """A block with blocks inside it, each of which may be undone."""

        def inside() -> None:
            for acts, inner_error in blocks:
                self._block(partial(self._play, acts), inner_error)

        self._block(inside, error)

    def _block(self, work: Callable[[], None], error: type[BaseException] | None) -> None:
        self.model.begin()
        with suppress(ValueError, KeyboardInterrupt), self.store.transaction():
            work()
            if error is not None:
                raise error
        if error is None:
            self.model.commit()
        else:
            self.model.rollback()
        self.ends += 1

    def _play(self, acts: list[Any]) -> None:
        for act in acts:
            self._act(*act)
        if acts:
            self.hold(acts[-1][1])

    def _act(self, name: str, key: str, data: bytes, metadata: Any) -> None:
        if name == "put":
            self.put(key, data, metadata, "bytes", 1048576)
        elif name == "stream":
            self.put(key, data, metadata, "stream", 1000)
        elif name == "delete":
            self.delete(key, missing_ok=True)
        elif name == "metadata":
            self.set_metadata(key, metadata)
        else:
            self.transfer(key, "a", move=name == "move")

    @precondition(lambda self: self.keeps and not self.model.depth)
    @rule(another=st.booleans())
    def reopen(self, another: bool) -> None:
        self.let_go()
        self.store.close()
        if self.shared and another:
            self.store = self.open()
        else:
            self.store.connect()

    # -- what holds after every move --------------------------------------------------------------

    @invariant()
    def the_store_is_what_the_model_is(self) -> None:
        model = self.model.now
        assert [*self.store.keys()] == sorted(model)
        assert len(self.store) == len(model)
        found = {key: as_text(metadata) for key, metadata in self.store.query()}
        assert found == {key: metadata for key, (_, metadata) in model.items()}
        assert self.store.totals() == (len(model), sum(len(data) for data, _ in model.values()))
        for key, (data, _) in model.items():
            assert self.store.read(key) == data, key

    @invariant()
    def the_events_are_what_was_committed(self) -> None:
        if self.listening:
            assert self.heard == self.model.events


def make_machine(
    open_store: OpenStore, *, listening: bool = True, shared: bool = False, keeps: bool = True
) -> type[StoreMachine]:
    """Return the machine for a store.

    Parameters
    ----------
    open_store : callable
        ``open_store(directory, event_manager)`` returns a store that keeps its data in the
        directory, or a new one.
    listening : bool, optional
        Whether somebody listens to the store from the beginning.
    shared : bool, optional
        Whether opening the same directory again gives the same data.
    keeps : bool, optional
        Whether the data is there again when the store is closed and connected.
    """
    attributes = {
        "open_store": staticmethod(open_store),
        "listening": listening,
        "shared": shared,
        "keeps": keeps,
    }
    return type("StoreMachine", (StoreMachine,), attributes)
