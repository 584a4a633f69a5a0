"""The moves of the state machine that read. ``machine`` imports this module."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
)

from encore.errors import StoreError
from encore.testing.laws import in_thread
from encore.testing.model import Content, as_text, equal_json
from encore.testing.player import (
    PREFIXES,
    SIZES,
    VALUES,
    Player,
    keys,
)


class ReadingMoves(Player):
    """Verbs that read, each compared with the model."""

    @rule(key=keys)
    def read(self, key: str) -> None:
        if key not in self.model.now:
            self.expect_missing(lambda: self.store.read(key))
            return
        data, metadata = self.model.now[key]
        assert self.store.read(key) == data
        assert as_text(self.store.get_metadata(key)) == metadata
        value = self.store.get(key)
        assert (value.size, as_text(value.metadata)) == (len(data), metadata)
        assert b"".join(value.iterdata(50000)) == data
        value.close()

    @rule(key=keys, start=st.sampled_from(SIZES), length=st.sampled_from(SIZES))
    def read_range(self, key: str, start: int, length: int) -> None:
        if key in self.model.now:
            with self.store.get_data_range(key, start, start + length) as stream:
                assert stream.read() == self.model.now[key][0][start : start + length]

    @rule(wanted=st.lists(keys, max_size=4))
    def read_several(self, wanted: list[str]) -> None:
        there = [key for key in wanted if key in self.model.now]
        found = [(value.read(), as_text(value.metadata)) for value in self.store.multiget(there)]
        assert found == [self.model.now[key] for key in there]

    @rule(
        prefix=st.sampled_from(PREFIXES),
        after=st.none() | keys,
        limit=st.none() | st.integers(0, 3),
    )
    def list_some(self, prefix: str, after: str | None, limit: int | None) -> None:
        wanted = [
            key
            for key in sorted(self.model.now)
            if key.startswith(prefix) and (after is None or key > after)
        ]
        assert [*self.store.keys(prefix, after, limit)] == wanted[:limit]

    @rule(name=st.sampled_from(["x", "y.z"]), value=st.sampled_from(VALUES))
    def query(self, name: str, value: Any) -> None:
        wanted = []
        for key in sorted(self.model.now):
            metadata = json.loads(self.model.now[key][1])
            if name in metadata and equal_json(metadata[name], value):
                wanted.append(key)
        assert [*self.store.query_keys({name: value})] == wanted
        assert [key for key, _ in self.store.query(where={name: value})] == wanted

    @precondition(lambda self: self.model.depth)
    @rule()
    def look_from_another_thread(self) -> None:
        def look() -> dict[str, Content]:
            return {
                key: (self.store.read(key), as_text(metadata))
                for key, metadata in self.store.query()
            }

        assert in_thread(look) == self.model.committed

    @rule(key=keys)
    def hold(self, key: str) -> None:
        if key in self.model.now and len(self.held) < 5:
            inside = self.ends if self.model.depth else -1
            self.held.append((self.store.get(key), self.model.now[key], inside))

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 4), let_go=st.booleans())
    def read_what_is_held(self, which: int, let_go: bool) -> None:
        which %= len(self.held)
        value, (data, metadata), ends = self.held[which]
        try:
            assert value.read() == data
        except StoreError:
            # Inside a transaction a value may be good only as long as the block it was read in.
            assert ends not in (-1, self.ends)
        assert as_text(value.metadata) == metadata
        if let_go:
            value.close()
            del self.held[which]
