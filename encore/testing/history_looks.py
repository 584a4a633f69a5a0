"""What holds after every move of the history's state machine, and looks at the past.

``history_machine`` imports this module.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis.stateful import invariant, rule

from encore.testing.history_model import ModelStep, Version, Versions
from encore.testing.history_moves import HistoryMoves, indices
from encore.testing.model import as_text


class HistoryLooks(HistoryMoves):
    """The history is what the model is."""

    held_bytes: Callable[[Path, tuple[Any, ...]], int] | None = None

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        if not hasattr(self, "history"):
            return
        self.check_content()
        self.check_steps()
        self.check_position()
        self.check_events()
        self.check_room()
        self.expected.clear()
        self.heard.clear()
        self.told.clear()
        self.seen_before = self.visible()

    def check_content(self) -> None:
        model = self.model
        for store in self.stores:
            wanted = sorted(key for key in model.now if self.store_of(key) is store)
            assert [*store.keys()] == wanted
        self.check_versions(model.now, self.store_of)

    def check_versions(self, wanted: Versions, store_of: Callable[[str], Any]) -> None:
        for key, version in wanted.items():
            with closing(store_of(key).get(key)) as value:
                text = as_text(value.metadata)
                found = (text, value.created, value.modified, value.token)
                assert found == version[1:], key
                assert value.read() == version.data, key

    def check_steps(self) -> None:
        steps, model = self.history.steps, self.model
        assert len(steps) == len(model.steps)
        assert self.history.index == model.index
        for n, (told, step) in enumerate(zip(steps, model.steps, strict=True)):
            self.check_step(told, step)
            assert told.is_done is (n < model.index)
        ids = [step.id for step in steps]
        assert ids == sorted(set(ids))

    def check_step(self, told: Any, step: ModelStep) -> None:
        if not step.id:
            assert told.id > self.last_id, "an id is used again"
            self.last_id = step.id = told.id
        assert told.id == step.id
        assert (told.time, dict(told.meta)) == (step.time, step.meta)
        # Of parts in several stores that were made larger at one time, any may have the last word.
        if len(self.stores) == 1:
            assert (told.label, told.origin) == (step.label, step.origin)
        assert sorted(told.keys) == sorted(step.kept)
        assert sorted(self.history.check(told)) == self.model.conflicts(step)

    def check_position(self) -> None:
        model, history = self.model, self.history
        can_undo, can_redo = model.undoable() > 0, model.index < len(model.steps)
        undo_label = history.steps[model.index - 1].label if can_undo else ""
        redo_label = history.steps[model.index].label if can_redo else ""
        assert (history.can_undo, history.can_redo) == (can_undo, can_redo)
        assert (history.undo_label, history.redo_label) == (undo_label, redo_label)
        assert history.saved_reachable is (model.saved_index is not None)
        is_saved = model.saved_index == model.index and not model.groups
        assert history.is_saved is is_saved
        if is_saved and not model.has_foreign:
            assert model.contents() == model.saved, "it says that the content is what was saved"

    def check_events(self) -> None:
        if not self.listening:
            return
        assert {key: action for key, action, _ in self.heard} == self.expected
        assert len(self.heard) == len(self.expected)
        assert all(origin == self.expected_origin for _, _, origin in self.heard)
        if self.model.groups:
            assert not self.told
            return
        has_changed = self.seen_before is not None and self.visible() != self.seen_before
        assert len(self.told) <= 1
        assert self.told or not has_changed, "nobody was told of a change"
        if self.told:
            event = self.told[0]
            told = (event.index, event.can_undo, event.can_redo, event.undo_label)
            assert (*told, event.redo_label, event.is_saved) == self.position()

    def check_room(self) -> None:
        history, model = self.history, self.model
        assert history.size >= sum(step.size for step in history.steps)
        problems = history.verify()
        assert [problem for problem in problems if "changed since" not in problem] == []
        near = model.steps[max(model.index - 1, 0) : model.index + 1]
        if not any(model.conflicts(step) for step in near):
            assert problems == []
        if self.held_bytes is not None:
            held = self.held_bytes(Path(self._directory.name), self.stores)
            if model.snapshots is None:  # what others replaced may be kept now, and not shared
                assert history.size <= held, "less is kept than the size says"
            else:
                assert history.size == held, "the size is not what is kept"

    def trim(self) -> None:
        """Have the model forget the oldest steps, if the history was right to."""
        model, told = self.model, self.history.steps
        gone = len(model.steps) - len(told)
        assert 0 <= gone <= model.index
        most, age = self.limits.get("max_steps"), self.limits.get("max_age")
        if most is not None or age is not None:
            left = model.index if most is None else min(most, model.index)
            oldest = model.clock - (age or 1e9)
            while left and model.steps[model.index - left].time < oldest:
                left -= 1
            assert model.index - gone == left, "more or fewer steps are kept than the limits say"
        elif "max_bytes" in self.limits:
            held = sum(step.size for step in told if step.is_done)
            assert held <= self.limits["max_bytes"], "more is kept than the limit says"
        else:
            assert not gone, "steps have gone for no reason"
        model.drop_oldest(gone)

    # -- looking at the past ----------------------------------------------------------------------

    @rule(index=indices)
    def look_at_the_past(self, index: int) -> None:
        if len(self.stores) > 1 or index > len(self.model.steps):
            return
        wanted, past = self.model.at(index), self.history.at(index)
        if self.model.snapshots is not None:
            assert wanted == self.model.snapshots[index], "the model contradicts itself"
        assert [*past.keys()] == sorted(wanted)
        self.check_versions(wanted, lambda key: past)

    @rule(index=indices)
    def look_at_a_step(self, index: int) -> None:
        if index >= len(self.model.steps):
            return
        before, after = self.model.at(index), self.model.at(index + 1)
        changes = self.history.diff(self.history.steps[index])
        assert sorted(change.key for change in changes) == sorted(self.model.steps[index].kept)
        for change in changes:
            _check_value(change.before, before.get(change.key))
            _check_value(change.after, after.get(change.key))

    def finish(self) -> None:
        """Undo everything, which gives the content before the first step, and redo it."""
        self.all_is_as_it_should_be()
        last = len(self.model.steps)
        for index in (self.model.index - self.model.undoable(), last):
            travel = partial(_go_to, self.history, index)
            self.go(index - self.model.index, None, travel)
            self.all_is_as_it_should_be()


def _go_to(history: Any, index: int, policy: Any) -> Any:
    return history.go_to(index, on_conflict=policy)


def _check_value(value: Any, version: Version | None) -> None:
    assert (value is None) is (version is None)
    if value is not None and version is not None:
        with closing(value):
            assert (value.read(), as_text(value.metadata)) == version.content
