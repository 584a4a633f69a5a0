"""What a history should be: a list of steps, and a list of snapshots of plain dictionaries.

As long as nobody writes behind the history's back, undoing leads exactly to an earlier snapshot.
Where somebody does, what a step has kept of each key says what is to be expected. Only the modules
of the history's state machine import this one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Version(NamedTuple):
    """Everything that undo has to bring back of a key."""

    data: bytes
    metadata: str
    created: float
    modified: float
    token: str

    @property
    def content(self) -> tuple[bytes, str]:
        return self.data, self.metadata


Versions = dict[str, Version]


def token_of(version: Version | None) -> str | None:
    return None if version is None else version.token


class Kept(NamedTuple):
    """What a step keeps of a key: the version that is not there now, and what is expected there."""

    version: Version | None
    expect: str | None
    is_skipped: bool = False


@dataclass
class ModelStep:
    """A step as it should be."""

    label: str
    time: float
    origin: str | None
    meta: dict[str, Any]
    merge_key: str | None
    kept: dict[str, Kept]
    is_labelled: bool = True  # by the application
    is_fenced: bool = False
    id: int = 0  # as the history says when it is first seen

    def relabel(self) -> None:
        """Say what the step does, if nobody else has."""
        if not self.is_labelled:
            removed = sum(kept.expect is None for kept in self.kept.values())
            added = len(self.kept) - removed
            verb = "Set" if not removed else "Change" if added else "Delete"
            what = next(iter(self.kept)) if len(self.kept) == 1 else f"{len(self.kept)} keys"
            self.label = f"{verb} {what}"


def _first() -> list[Versions] | None:
    return [{}]


@dataclass
class HistoryModel:
    """Where a history, and the content that it follows, should stand."""

    merge_seconds: float
    now: Versions = field(default_factory=dict)
    clock: float = 1000.0
    steps: list[ModelStep] = field(default_factory=list)
    index: int = 0
    #: The content after 0, 1, ... steps; None once somebody has written behind the history's back.
    snapshots: list[Versions] | None = field(default_factory=_first)
    #: What was saved, and after how many steps that is; None: it cannot be reached.
    saved: dict[str, tuple[bytes, str]] | None = None
    saved_index: int | None = None
    has_foreign: bool = False  # changes since it was saved that no history could see
    may_merge: bool = False
    groups: list[str] = field(default_factory=list)
    group_step: ModelStep | None = None

    # -- looking ----------------------------------------------------------------------------------

    @property
    def done(self) -> list[ModelStep]:
        return self.steps[: self.index]

    def undoable(self) -> int:
        """How many steps can be undone."""
        return next((n for n, step in enumerate(reversed(self.done)) if step.is_fenced), self.index)

    def contents(self) -> dict[str, tuple[bytes, str]]:
        return {key: version.content for key, version in self.now.items()}

    def conflicts(self, step: ModelStep) -> list[str]:
        return sorted(
            key
            for key, kept in step.kept.items()
            if not kept.is_skipped and kept.expect != token_of(self.now.get(key))
        )

    def at(self, count: int) -> Versions:
        """The content after ``count`` steps, as far as it is known."""
        found: dict[str, Version | None] = {**self.now}
        if count < self.index:
            between: Iterator[ModelStep] = reversed(self.steps[count : self.index])
        else:
            between = iter(self.steps[self.index : count])
        for step in between:
            for key, kept in step.kept.items():
                if not kept.is_skipped:
                    found[key] = kept.version
        return {key: version for key, version in found.items() if version is not None}

    # -- recording --------------------------------------------------------------------------------

    def change(self, touched: dict[str, Version | None]) -> dict[str, Kept]:
        """Have keys change; return what a step would keep of them."""
        changed = {}
        for key, new in touched.items():
            old = self.now.pop(key, None)
            if new is not None:
                self.now[key] = new
            if old is None and new is None:
                continue
            if old is not None and new is not None and old.content == new.content:
                self._retarget(key, old, new)
            else:
                changed[key] = Kept(old, token_of(new))
        return changed

    def _retarget(self, key: str, old: Version, new: Version) -> None:
        """A key has been written and is what it was: what leads here is to lead here still."""
        for near in (reversed(self.steps[: self.index]), iter(self.steps[self.index :])):
            step = next((step for step in near if key in step.kept), None)
            if step is not None and step.kept[key].expect == old.token:
                step.kept[key] = step.kept[key]._replace(expect=new.token)
        if self.snapshots is not None:
            for way in (range(self.index, -1, -1), range(self.index, len(self.snapshots))):
                for n in way:
                    if self.snapshots[n].get(key) not in (old, new):
                        break
                    self.snapshots[n] = {**self.snapshots[n], key: new}

    def unseen(self, touched: dict[str, Version | None]) -> None:
        """A transaction that is not recorded."""
        for key, new in touched.items():
            self.now.pop(key, None)
            if new is not None:
                self.now[key] = new
        if touched:
            self.snapshots = None

    def record(self, touched: dict[str, Version | None], new: ModelStep) -> bool:
        """A transaction that is: it becomes a step, or a part of one, or nothing."""
        changed = self.change(touched)
        if not changed:
            return False
        self.drop_from(self.index)
        into = self._merges_into(new)
        new.kept = changed
        if into is None:
            self.steps.append(new)
            self.index += 1
            into = new
        else:
            self._merge(into, new)
        self.group_step = into if self.groups else None
        self.may_merge = bool(into.kept)
        into.relabel()
        if not into.kept:
            self.drop_from(self.index - 1)
        elif self.snapshots is not None:
            self.snapshots = [*self.snapshots[: self.index], dict(self.now)]
        return True

    def _merges_into(self, new: ModelStep) -> ModelStep | None:
        if not self.index:
            return None
        last = self.steps[self.index - 1]
        if self.groups:
            return last if last is self.group_step else None
        is_same = (last.merge_key, last.origin) == (new.merge_key, new.origin)
        is_soon = new.time - last.time <= self.merge_seconds
        is_open = not last.is_fenced and self.saved_index != self.index
        may = new.merge_key is not None and self.may_merge
        return last if may and is_same and is_soon and is_open else None

    def _merge(self, into: ModelStep, new: ModelStep) -> None:
        into.time, into.origin, into.merge_key = new.time, new.origin, new.merge_key
        self.index -= 1  # its neighbours are the steps before it
        for key, kept in new.kept.items():
            first = into.kept.pop(key, None)
            live = self.now.get(key)
            if first is None:
                into.kept[key] = kept
            elif first.version is None or live is None:
                if first.version is not live:
                    into.kept[key] = Kept(first.version, kept.expect)
            elif first.version.content == live.content:
                self._retarget(key, first.version, live)
            else:
                into.kept[key] = Kept(first.version, kept.expect)
        self.index += 1

    def drop_from(self, count: int) -> None:
        """Drop the steps from here on: what was undone, or merged to nothing."""
        del self.steps[count:]
        self.index = min(self.index, count)
        if self.snapshots is not None:
            del self.snapshots[count + 1 :]
        if self.saved_index is not None and self.saved_index > count:
            self.saved_index = None

    def drop_oldest(self, count: int) -> None:
        """Drop the first steps."""
        del self.steps[:count]
        self.index -= count
        if self.snapshots is not None:
            del self.snapshots[:count]
        if self.saved_index is not None:
            self.saved_index = None if self.saved_index < count else self.saved_index - count

    # -- travelling -------------------------------------------------------------------------------

    def travel(self, count: int, skip: bool) -> dict[str, tuple[Version | None, Version | None]]:
        """Go forth or, if negative, back; return what has become of each key on the way."""
        seen: dict[str, tuple[Version | None, Version | None]] = {}
        for _ in range(abs(count)):
            step = self.steps[self.index if count > 0 else self.index - 1]
            skipped = self.conflicts(step) if skip else []
            if skipped:
                self.snapshots = None
            self._exchange(step, skipped, seen)
            self.index += 1 if count > 0 else -1
        if self.snapshots is not None:
            assert self.snapshots[self.index] == self.now, "the model contradicts itself"
        self.may_merge = self.may_merge and not count
        return seen

    def _exchange(
        self,
        step: ModelStep,
        skipped: Collection[str],
        seen: dict[str, tuple[Version | None, Version | None]],
    ) -> None:
        for key, kept in step.kept.items():
            if kept.is_skipped or key in skipped:
                step.kept[key] = kept._replace(is_skipped=key in skipped)
                continue
            old = self.now.pop(key, None)
            if kept.version is not None:
                self.now[key] = kept.version
            step.kept[key] = Kept(old, token_of(kept.version))
            seen[key] = (seen[key][0] if key in seen else old, kept.version)

    def forget(self, key: str) -> None:
        """Drop what is kept of a key."""
        known = [step.kept.pop(key, None) is not None for step in self.steps]
        is_saved = self.saved_index == self.index
        self.index = sum(bool(step.kept) for step in self.done)
        self.steps = [step for step in self.steps if step.kept]
        if any(known):
            self.snapshots = None
            self.saved_index = self.index if is_saved else None

    def clear(self) -> None:
        """Drop every step."""
        is_saved = self.saved_index == self.index
        self.steps.clear()
        self.index = 0
        self.saved_index = 0 if is_saved else None
        self.snapshots = [dict(self.now)]

    def mark_saved(self) -> None:
        """The content, as it is, is what was saved."""
        self.saved, self.saved_index = self.contents(), self.index
        self.has_foreign = False
