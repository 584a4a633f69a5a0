"""What random programs are made of, and the state in which they are played.

Only the modules of the state machine import this one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
)

from encore.errors import KeyNotFoundError
from encore.events.abstract_event_manager import BaseEventManager
from encore.events.event_manager import EventManager
from encore.storage.abstract_store import AbstractStore
from encore.storage.events import StoreModificationEvent
from encore.storage.values import Value
from encore.testing.model import Content, Model, as_text
from encore.testing.sources import Trickle, pattern

OpenStore = Callable[[Path, BaseEventManager], AbstractStore]

# Few, so that programs meet the same key often, and close to one another.
KEYS = ["a", "a/b", "A", "\u00e9", "e\u0301", "..", "\U0010ffff"]
PREFIXES = ["", "a", "a/", "e", ".", "z"]
VALUES = [None, True, False, 0, 1, 1.0, "", "1", [1], [True], {"b": 1}]
SIZES = [0, 1, 1023, 1024, 1025, 65535, 65536, 65537, 150000]

keys = st.sampled_from(KEYS)
datas = st.builds(pattern, st.sampled_from(SIZES), st.integers(0, 3))
metadatas = st.dictionaries(st.sampled_from(["x", "y.z"]), st.sampled_from(VALUES), max_size=2)
# With a small buffer a value of a few KiB takes the way of one of many MiB.
buffer_sizes = st.sampled_from([1048576, 1048576, 1000, 70000])
kinds = st.sampled_from(["bytes", "bytearray", "stream", "value"])
errors = st.sampled_from([None, ValueError, KeyboardInterrupt])
programs = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "stream", "delete", "delete", "metadata", "copy", "move"]),
        st.sampled_from(KEYS[:3]),
        datas,
        metadatas,
    ),
    max_size=5,
)


class Player(RuleBasedStateMachine):
    """A store, its model, and what the moves have in common."""

    open_store: OpenStore
    listening = True
    shared = False
    keeps = True

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory(prefix="encore-machine-")
        self._manager = EventManager()
        self.heard: list[tuple[str, str, str | None]] = []
        self.model = Model()
        self.held: list[tuple[Value, Content, int]] = []
        self.ends = 0  # of blocks; a value that was read in one of them may be refused
        self.transaction: Any = None
        self.store = self.open()

    @initialize()
    def listen(self) -> None:
        if self.listening:
            self._manager.connect(StoreModificationEvent, self._hear)

    def open(self) -> AbstractStore:
        return type(self).open_store(Path(self._directory.name), self._manager)

    def _hear(self, event: Any) -> None:
        if event.source is not self.store:
            return  # a store that it is made of
        told = None if event.action == "delete" else as_text(event.metadata)
        self.heard.append((event.action, event.key, told))

    def teardown(self) -> None:
        try:
            self.let_go()
            while self.transaction is not None and self.transaction.depth:
                self.transaction.rollback()
            self.store.close()
        finally:
            self._directory.cleanup()

    def let_go(self) -> None:
        for value, _, _ in self.held:
            value.close()
        self.held.clear()

    # -- helpers ----------------------------------------------------------------------------------

    def one_act(self, change: Callable[[], None]) -> None:
        """Make a change of the model as a verb does: in a block of its own."""
        self.model.begin()
        change()
        self.model.commit()

    def note_put(self, key: str, data: bytes, metadata: str) -> None:
        self.one_act(lambda: self.model.put(key, data, metadata))

    def source(self, kind: str, data: bytes, metadata: Any = None) -> Any:
        if kind == "bytearray":
            return bytearray(data)
        if kind == "stream":
            return Trickle(data, 60000)
        if kind == "value":
            return Value(data, metadata)
        return data

    def expect_missing(self, act: Callable[[], object]) -> None:
        try:
            act()
        except KeyNotFoundError:
            return
        raise AssertionError("a missing key was found")
