"""The state in which random programs are played on a store with a history.

What the moves have in common: opening, writing a program to store and model alike, and telling what
the events should have been. Only ``history_machine`` imports this module.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from encore.events.abstract_event_manager import BaseEvent, BaseEventManager
from encore.events.event_manager import EventManager
from encore.storage.events import StoreModificationEvent
from encore.storage.transactions.several import transaction
from encore.testing.history_model import HistoryModel, ModelStep, Version, Versions
from encore.testing.model import as_text
from encore.testing.sources import MIB, Trickle, pattern

#: ``open_stores(directory, event_manager)`` opens one store, or several that have one history.
OpenStores = Callable[[Path, BaseEventManager], tuple[Any, ...]]
#: ``open_history(stores, **options)``
OpenHistory = Callable[..., Any]

KEYS = ["a", "b", "a/b", "\u00e9"]
SIZES = [0, 1, 1, 30, 30, 1025, 1025, 65537]
LARGE = 3 * MIB
MERGE_SECONDS = 2.0
Acts = list[tuple[Any, ...]]

keys = st.sampled_from(KEYS)
metadatas = st.sampled_from([{}, {}, {"x": 1}, {"x": [True, "\u00e9"]}])
datas = st.builds(pattern, st.sampled_from(SIZES), st.integers(0, 2))
plain_acts = st.one_of(
    st.tuples(st.just("put"), keys, datas, metadatas),
    st.tuples(st.just("put"), keys, datas, metadatas),
    st.tuples(st.just("stream"), keys, datas, metadatas),
    st.tuples(st.just("delete"), keys),
    st.tuples(st.just("metadata"), keys, metadatas),
    st.tuples(st.just("again"), keys),
    st.tuples(st.sampled_from(["copy", "move"]), keys, keys),
    st.tuples(st.just("clear"), st.sampled_from(["", "a", "a/"])),
    st.tuples(st.just("several"), st.lists(st.tuples(keys, datas, metadatas), max_size=3)),
)
rare_acts = st.tuples(st.just("large"), keys)
some_act = st.integers(0, 30).flatmap(lambda n: plain_acts if n else rare_acts)
nests = st.tuples(st.just("nest"), st.lists(some_act, max_size=3), st.booleans())
programs = st.lists(st.one_of(some_act, some_act, nests), min_size=1, max_size=4)


class HistoryPlayer(RuleBasedStateMachine):
    """Stores, their history, and the model of both."""

    open_stores: OpenStores
    open_history: OpenHistory
    listening = True
    shared = False
    persistent: bool | None = False

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory(prefix="encore-history-")
        self._manager = EventManager()
        self.model = HistoryModel(MERGE_SECONDS)
        self.heard: list[Any] = []
        self.told: list[Any] = []
        self.expected: dict[str, str] = {}
        self.expected_origin: str | None = None
        self.large = 0
        self.last_id = 0
        self.limits: dict[str, Any] = {}
        self.opened_groups: list[AbstractContextManager[None]] = []
        self.is_honest = True
        self.begun: Any = None  # what could be seen of the history when the groups were opened
        self.seen_before: Any = None  # and after the last move

    @initialize(
        limits=st.sampled_from(
            [
                {},
                {},
                {},
                {"max_steps": 2},
                {"max_steps": 10},
                {"max_bytes": 3000},
                {"max_age": 5.0},
                {"max_steps": 0},
            ]
        ),
        honest=st.booleans(),
    )
    def begin(self, limits: dict[str, Any], honest: bool) -> None:
        self.limits, self.is_honest = limits, honest
        self.open()

    def open(self, again: bool = False) -> None:
        if not again:
            self.stores = self.opened(self._manager)
        self.history = type(self).open_history(
            self.stores, clock=lambda: self.model.clock, merge_seconds=MERGE_SECONDS, **self.limits
        )
        if self.listening:
            if not again:
                self._manager.connect(StoreModificationEvent, self._hear)
            self._manager.connect(BaseEvent, self._hear_history, filter={"source": self.history})

    def opened(self, manager: BaseEventManager) -> tuple[Any, ...]:
        return type(self).open_stores(Path(self._directory.name), manager)

    def close(self) -> None:
        self.history.close()
        for store in self.stores:
            store.close()

    def _hear(self, event: Any) -> None:
        if event.source in self.stores:
            self.heard.append((event.key, event.action, event.origin))

    def _hear_history(self, event: Any) -> None:
        self.told.append(event)

    def teardown(self) -> None:
        try:
            if hasattr(self, "history"):
                self.leave_groups()
                if sys.exception() is None:  # else the reason is another
                    self.finish()
                self.close()
        finally:
            self._directory.cleanup()

    def finish(self) -> None:
        """What is looked at in the end; `HistoryMachine` has it."""

    def leave_groups(self) -> None:
        while self.model.groups:
            self.leave_group()

    def leave_group(self) -> None:
        self.opened_groups.pop().__exit__(None, None, None)
        self.model.groups.pop()
        if not self.model.groups:
            self.model.may_merge = False
            self.seen_before = self.begun

    # -- stores and keys --------------------------------------------------------------------------

    def store_of(self, key: str, stores: tuple[Any, ...] | None = None) -> Any:
        stores = self.stores if stores is None else stores
        return stores[KEYS.index(key) % len(stores)]

    def version(self, key: str) -> Version | None:
        """What is stored under a key."""
        store = self.store_of(key)
        if not store.exists(key):
            return None
        with closing(store.get(key)) as value:
            text = as_text(value.metadata)
            return Version(value.read(), text, value.created, value.modified, value.token)

    # -- programs ---------------------------------------------------------------------------------

    def transaction(self, stores: tuple[Any, ...], notes: str = "", **options: Any) -> Any:
        if len(stores) == 1:
            return stores[0].transaction(notes, **options)
        return transaction(*stores, notes=notes, **options)

    def play(self, acts: Acts, stores: tuple[Any, ...]) -> set[str]:
        """Write; return the keys that were touched."""
        touched: set[str] = set()
        for act in acts:
            touched |= self._play_one(stores, *act)
        return touched

    def _play_one(self, stores: tuple[Any, ...], name: str, *what: Any) -> set[str]:
        if name == "nest":
            return self._nest(stores, *what)
        if name == "several":
            return self._several(stores, *what)
        if name == "clear":
            found = {(store, key) for store in stores for key in store.keys(what[0])}
            for store in stores:
                store.clear(what[0])
            return {key for _, key in found}
        return self._write(self.store_of(what[0], stores), name, *what)

    def _nest(self, stores: tuple[Any, ...], acts: Acts, fails: bool) -> set[str]:
        touched: set[str] = set()
        with suppress(ZeroDivisionError), self.transaction(stores, "Nested"):
            touched = self.play(acts, stores)
            if fails:
                raise ZeroDivisionError
        return set() if fails else touched

    def _several(self, stores: tuple[Any, ...], items: list[Any]) -> set[str]:
        for store in stores:
            mine = [item for item in items if self.store_of(item[0], stores) is store]
            store.multiset([key for key, _, _ in mine], [(d, m) for _, d, m in mine])
        return {key for key, _, _ in items}

    def _write(self, store: Any, name: str, key: str, *what: Any) -> set[str]:
        if name == "put":
            store.put(key, *what)
        elif name == "stream":
            store.put(key, Trickle(what[0]), what[1], buffer_size=1000)
        elif name == "large":
            self.large += 1  # never the same twice: equal data of this size is not compared
            store.put(key, b"%d" % self.large + pattern(LARGE))
        elif name == "metadata":
            metadata = what[0]
            if store.exists(key) and store.get_metadata(key) == metadata and _is_large(store, key):
                return set()  # some stores cannot tell that the data is the same
            store.set_metadata(key, metadata)
        elif not store.exists(key):
            return set()
        elif name == "delete":
            store.delete(key)
        elif name == "again":
            with closing(store.get(key)) as value:
                if value.size > MIB:
                    return set()
                store.put(key, value.read(), value.metadata)
        else:
            return self._transfer(store, name == "move", key, what[0])
        return {key}

    def _transfer(self, store: Any, move: bool, source: str, target: str) -> set[str]:
        with closing(store.get(source)) as value:
            is_large = value.size > MIB
        if is_large or source == target or self.store_of(target) is not self.store_of(source):
            return set()
        (store.move if move else store.copy)(source, target)
        return {source, target} if move else {target}

    # -- what becomes of it -----------------------------------------------------------------------

    def after(self, touched: Collection[str]) -> dict[str, Version | None]:
        """What is stored under these keys, in order."""
        return {key: self.version(key) for key in sorted(touched)}

    def new_step(self, label: str, **options: Any) -> ModelStep:
        groups = self.model.groups
        return ModelStep(
            groups[0] if groups else label,
            self.model.clock,
            options.get("origin"),
            options.get("meta") or {},
            options.get("merge_key"),
            {},
            bool(groups or label),
        )

    def expect(self, before: Versions, after: dict[str, Version | None], origin: Any) -> None:
        """What should be heard when keys become something else."""
        for key, version in after.items():
            if key in before:
                self.expected[key] = "delete" if version is None else "update"
            elif version is not None:
                self.expected[key] = "set"
        self.expected_origin = origin

    # -- looking ----------------------------------------------------------------------------------

    def visible(self) -> tuple[Any, ...]:
        """What an application sees of the history."""
        history = self.history
        return (
            tuple((s.id, s.label, s.time, s.size, s.is_done) for s in history.steps),
            *self.position(),
        )

    def position(self) -> tuple[Any, ...]:
        history = self.history
        return (
            history.index,
            history.can_undo,
            history.can_redo,
            history.undo_label,
            history.redo_label,
            history.is_saved,
        )


def _is_large(store: Any, key: str) -> bool:
    with closing(store.get(key)) as value:
        return bool(value.size > MIB)
