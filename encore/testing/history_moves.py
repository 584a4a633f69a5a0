"""The moves of the history's state machine that write, undo and redo.

``history_machine`` imports this module.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from encore.errors import HistoryBusy, HistoryError, UndoConflict
from encore.events.event_manager import EventManager
from encore.storage.values import Value
from encore.testing.history_model import ModelStep, token_of
from encore.testing.history_player import Acts, HistoryPlayer, programs
from encore.testing.model import as_text

indices = st.integers(0, 8)
policies = st.sampled_from([None, None, "skip", "force", "merge"])


def _label(name: str, *what: Any) -> str:
    """How verbs that are transactions call themselves."""
    if name == "clear":
        return f"Clear {what[0]}".strip()
    return f"{name.capitalize()} {what[0]} to {what[1]}" if name in ("copy", "move") else ""


class HistoryMoves(HistoryPlayer):
    """What a program may do."""

    def trim(self) -> None:
        """Have the model forget the oldest steps, if the history was right to."""
        raise NotImplementedError

    # -- writing ----------------------------------------------------------------------------------

    @rule(
        acts=programs,
        label=st.sampled_from(["", "Crop image"]),
        merge_key=st.sampled_from([None, None, "drag", "drag", "type"]),
        origin=st.sampled_from([None, None, "mouse"]),
        meta=st.sampled_from([{}, {}, {"selection": [1]}]),
    )
    def write(self, acts: Acts, label: str, **options: Any) -> None:
        with self.transaction(self.stores, label, **options) as context:
            touched = self.play(acts, self.stores)
            with pytest.raises(HistoryBusy):
                self.history.undo()
            assert not self.history.is_saved
            del context
        self.recorded(touched, label, **options)

    @rule(acts=programs)
    def write_alone(self, acts: Acts) -> None:
        for act in acts[:1]:
            if act[0] == "nest" or (act[0] in ("several", "clear") and len(self.stores) > 1):
                return  # these are several transactions
            self.recorded(self.play([act], self.stores), _label(*act))

    @rule(acts=programs, interrupt=st.booleans())
    def fail(self, acts: Acts, interrupt: bool) -> None:
        error = KeyboardInterrupt if interrupt else ZeroDivisionError
        with suppress(error), self.transaction(self.stores, "Failing"):
            self.play(acts, self.stores)
            raise error

    def recorded(self, touched: set[str], label: str, **options: Any) -> None:
        after = self.after(touched)
        self.expect(self.model.now, after, options.get("origin"))
        if self.model.record(after, self.new_step(label, **options)):
            self.trim()

    @precondition(lambda self: not self.is_honest)
    @rule(acts=programs, suspended=st.booleans())
    def write_unrecorded(self, acts: Acts, suspended: bool) -> None:
        with (
            self.history.suspended() if suspended else nullcontext(),
            self.transaction(self.stores, "Unseen", undoable=suspended),
        ):
            touched = self.play(acts, self.stores)
        after = self.after(touched)
        self.expect(self.model.now, after, None)
        self.model.unseen(after)
        self.model.saved_index = None

    @precondition(lambda self: not self.is_honest and self.shared)
    @rule(acts=programs)
    def write_elsewhere(self, acts: Acts) -> None:
        """Another program, which keeps no history, has the same file open."""
        others = self.opened(EventManager())
        try:
            with self.transaction(others):
                touched = self.play(acts, others)
        finally:
            for store in others:
                store.close()
        self.model.unseen(self.after(touched))
        self.model.has_foreign = True

    # -- undo and redo ----------------------------------------------------------------------------

    @rule(n=st.sampled_from([1, 1, 1, 2, 5, 0]), policy=policies)
    def undo(self, n: int, policy: Any) -> None:
        count = min(n, self.model.undoable())
        self.go(-count, policy, lambda how: self.history.undo(n, on_conflict=how))

    @rule(n=st.sampled_from([1, 1, 1, 2, 5, 0]), policy=policies)
    def redo(self, n: int, policy: Any) -> None:
        count = min(n, len(self.model.steps) - self.model.index)
        self.go(count, policy, lambda how: self.history.redo(n, on_conflict=how))

    @rule(index=indices, policy=policies)
    def go_to(self, index: int, policy: Any) -> None:
        model = self.model
        if model.groups:
            return
        if index > len(model.steps):
            with pytest.raises(IndexError):
                self.history.go_to(index)
        elif model.index - index > model.undoable():
            with pytest.raises(HistoryError):
                self.history.go_to(index)
        else:
            self.go(
                index - model.index, policy, lambda how: self.history.go_to(index, on_conflict=how)
            )

    def go(self, count: int, policy: Any, act: Callable[[Any], tuple[Any, ...]]) -> None:
        model, before = self.model, dict(self.model.now)
        if model.groups:
            with pytest.raises(HistoryBusy):
                act(None)
            return
        if self.is_refused(count):
            if policy is None or abs(count) != 1:
                with pytest.raises(UndoConflict) as refusal:
                    act(None)
                assert refusal.value.keys
                return
        elif policy == "merge":
            policy = None
        way = range(model.index, model.index + count) if count > 0 else range(-count)
        steps = [model.steps[n if count > 0 else model.index - 1 - n] for n in way]
        conflicts = model.conflicts(steps[0]) if steps else []
        seen = model.travel(count, policy == "skip")
        found = act(self.merged if policy == "merge" else policy)
        assert [step.id for step in found] == [step.id for step in steps]
        assert all(step.is_done is (count > 0) for step in found)
        assert [dict(step.meta) for step in found] == [step.meta for step in steps]
        self.expect(before, {k: after for k, (_, after) in seen.items()}, "undo")
        self.expected_origin = "redo" if count > 0 else "undo"
        if policy == "merge":
            self.settled(steps[0], conflicts)

    def is_refused(self, count: int) -> bool:
        """Whether going there meets a conflict."""
        model = self.model
        tokens = {key: token_of(version) for key, version in model.now.items()}
        for n in range(abs(count)):
            step = model.steps[model.index + n if count > 0 else model.index - 1 - n]
            for key, kept in step.kept.items():
                if not kept.is_skipped:
                    if kept.expect != tokens.get(key):
                        return True
                    tokens[key] = token_of(kept.version)
        return False

    @staticmethod
    def merged(before: Value | None, after: Value | None, current: Value | None) -> bytes:
        sizes = []
        for value in (before, current):
            sizes.append(-1 if value is None else len(value.read()))
            if value is not None:
                value.close()
        return b"%d, %d" % tuple(sizes)

    def settled(self, step: ModelStep, conflicts: list[str]) -> None:
        """Keys that were in conflict have become what `merged` has made of them."""
        self.model.snapshots = None
        for key in conflicts:
            back, was = self.model.now.get(key), step.kept[key].version
            found = self.version(key)
            assert found is not None
            sizes = (-1 if version is None else len(version.data) for version in (back, was))
            assert found.data == b"%d, %d" % tuple(sizes)
            assert found.metadata == (as_text({}) if back is None else back.metadata)
            self.model.now[key] = found
            step.kept[key] = step.kept[key]._replace(expect=found.token)
            self.expected[key] = "set" if was is None else "update"

    @rule(which=indices, policy=st.sampled_from([None, None, "skip", "force"]))
    def undo_older(self, which: int, policy: Any) -> None:
        model = self.model
        if model.groups or not model.index:
            return
        which %= model.index
        step, told = model.steps[which], self.history.steps[which]
        if which < model.index - model.undoable():
            with pytest.raises(HistoryError):
                self.history.undo(step=told)
        elif which == model.index - 1:
            self.go(-1, policy, lambda how: self.history.undo(step=told, on_conflict=how))
        elif policy is None and model.conflicts(step):
            with pytest.raises(UndoConflict) as refusal:
                self.history.undo(step=told)
            assert refusal.value.keys
            model.may_merge = False
        else:
            self.reversed(step, told, policy)

    def reversed(self, step: ModelStep, told: Any, policy: Any) -> None:
        """Undo a step that others followed, which is a step of its own."""
        model = self.model
        left_out = model.conflicts(step) if policy == "skip" else []
        assert self.history.undo(step=told, on_conflict=policy)[0].id == step.id
        after = {
            key: kept.version
            for key, kept in step.kept.items()
            if not kept.is_skipped and key not in left_out
        }
        model.may_merge = False
        self.expect(model.now, after, "undo")
        if model.record(after, self.new_step(f"Undo {step.label}", origin="undo")):
            self.trim()
        model.may_merge = False
