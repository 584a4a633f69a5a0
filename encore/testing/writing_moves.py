"""The moves of the state machine that write. ``machine`` imports this module."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    rule,
)

from encore.errors import ConflictError
from encore.storage.values import Value
from encore.testing.model import as_text
from encore.testing.player import (
    KEYS,
    PREFIXES,
    Player,
    buffer_sizes,
    datas,
    keys,
    kinds,
    metadatas,
)
from encore.testing.sources import Failing, SourceBroke, pattern


class WritingMoves(Player):
    """Verbs that write, each with what it means for the model."""

    @rule(key=keys, data=datas, metadata=metadatas, kind=kinds, buffer_size=buffer_sizes)
    def put(self, key: str, data: bytes, metadata: Any, kind: str, buffer_size: int) -> None:
        self.store.put(key, self.source(kind, data), metadata, buffer_size=buffer_size)
        self.note_put(key, data, as_text(metadata))

    @rule(key=keys, data=datas, metadata=metadatas, kind=kinds, buffer_size=buffer_sizes)
    def set(self, key: str, data: bytes, metadata: Any, kind: str, buffer_size: int) -> None:
        source = self.source(kind, data, metadata)
        value = source if isinstance(source, Value) else (source, metadata)
        self.store.set(key, value, buffer_size)
        self.note_put(key, data, as_text(metadata))

    @rule(key=keys, data=datas, absent=st.booleans(), stale=st.booleans(), size=buffer_sizes)
    def put_on_condition(self, key: str, data: bytes, absent: bool, stale: bool, size: int) -> None:
        there = key in self.model.now
        if absent:
            options: dict[str, Any] = {"if_absent": True}
            allowed = not there
        else:
            token = self.store.get(key).token if there else "none"
            options = {"if_token": "stale" if stale else token}
            allowed = there and not stale
        try:
            self.store.put(key, data, buffer_size=size, **options)
        except ConflictError:
            assert not allowed
        else:
            assert allowed
            self.note_put(key, data, "{}")

    @rule(key=keys, data=datas, kind=kinds, buffer_size=buffer_sizes)
    def set_data(self, key: str, data: bytes, kind: str, buffer_size: int) -> None:
        self.store.set_data(key, self.source(kind, data), buffer_size)
        self.note_put(key, data, self.model.now.get(key, (b"", "{}"))[1])

    @rule(key=keys, metadata=metadatas)
    def set_metadata(self, key: str, metadata: Any) -> None:
        self.store.set_metadata(key, metadata)
        self.note_put(key, self.model.now.get(key, (b"", "{}"))[0], as_text(metadata))

    @rule(key=keys, metadata=metadatas)
    def update_metadata(self, key: str, metadata: Any) -> None:
        self.store.update_metadata(key, metadata)
        data, text = self.model.now.get(key, (b"", "{}"))
        self.note_put(key, data, as_text(json.loads(text) | metadata))

    @rule(key=keys, missing_ok=st.booleans())
    def delete(self, key: str, missing_ok: bool) -> None:
        if key in self.model.now:
            self.store.delete(key, missing_ok)
            self.one_act(lambda: self.model.delete(key))
        elif missing_ok:
            self.store.delete(key, missing_ok=True)
        else:
            self.expect_missing(lambda: self.store.delete(key))

    @rule(source=keys, onto=keys, move=st.booleans())
    def transfer(self, source: str, onto: str, move: bool) -> None:
        verb = self.store.move if move else self.store.copy
        if source not in self.model.now:
            self.expect_missing(lambda: verb(source, onto))
            return
        verb(source, onto)
        if source == onto:
            return

        def change() -> None:
            self.model.put(onto, *self.model.now[source])
            if move:
                self.model.delete(source)

        self.one_act(change)

    @rule(prefix=st.sampled_from(PREFIXES))
    def clear(self, prefix: str) -> None:
        self.store.clear(prefix)

        def change() -> None:
            for key in sorted(self.model.now):
                if key.startswith(prefix):
                    self.model.delete(key)

        self.one_act(change)

    @rule(
        items=st.lists(st.tuples(st.sampled_from(KEYS[:3]), datas, metadatas, kinds), max_size=6),
        size=buffer_sizes,
        fails=st.sampled_from([None, None, None, 0, 2000, 100000]),
    )
    def multiset(self, items: list[Any], size: int, fails: int | None) -> None:
        names = [key for key, _, _, _ in items]
        values = [
            (self.source("bytes" if kind == "value" else kind, data), metadata)
            for _, data, metadata, kind in items
        ]
        if fails is not None:
            names.append("a")
            values.append((Failing(pattern(fails)), {}))
        with suppress(SourceBroke):
            self.store.multiset(names, values, size)
            assert fails is None, "a failing source went unnoticed"

            def change() -> None:
                for key, data, metadata, _ in items:
                    self.model.put(key, data, as_text(metadata))

            self.one_act(change)

    @rule(items=st.dictionaries(keys, metadatas, max_size=3), update=st.booleans())
    def multiset_metadata(self, items: dict[str, Any], update: bool) -> None:
        verb = self.store.multiupdate_metadata if update else self.store.multiset_metadata
        verb(items)

        def change() -> None:
            for key, metadata in items.items():
                data, text = self.model.now.get(key, (b"", "{}"))
                merged = json.loads(text) | metadata if update else metadata
                self.model.put(key, data, as_text(merged))

        self.one_act(change)

    @rule(key=keys, before=st.sampled_from([0, 10, 1025, 70000]), buffer_size=buffer_sizes)
    def write_that_fails(self, key: str, before: int, buffer_size: int) -> None:
        try:
            self.store.put(key, Failing(pattern(before)), {"x": "new"}, buffer_size=buffer_size)
        except SourceBroke:
            return
        raise AssertionError("a failing source went unnoticed")
