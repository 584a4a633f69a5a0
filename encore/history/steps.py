"""What a history is made of: steps, and where it stands among them.

A `Step` is what applications see; a `Summary` is what a ledger keeps of it. Positions are told by
the id of the last step that is done, so that they stay valid while old steps are dropped. Only this
folder imports this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from encore.storage.values import Value

#: What no key has: the verb of a step whose label was given.
NAMED = ""

#: The position of content that is in no step any more.
LOST = None


class Summary(NamedTuple):
    """What a ledger keeps of a step, but for the versions.

    Attributes
    ----------
    id : int
    time : float
        Seconds since the epoch, UTC; of the last transaction in the step.
    label : str
    verb : str
        ``"Set"``, ``"Delete"`` or ``"Change"`` where the label was made from it, else empty.
    origin : str or None
    meta : dict
    merge_key : str or None
    key_count : int
        How many keys it changed.
    size : int
        Bytes of data that are kept for it alone.
    """

    id: int
    time: float
    label: str
    verb: str
    origin: str | None
    meta: dict[str, Any]
    merge_key: str | None
    key_count: int
    size: int


class State(NamedTuple):
    """Where a history stands.

    Attributes
    ----------
    undone : int
        The id of the first step that is undone; 0 if none is.
    base : int
        The id of the last step that has been dropped at the beginning; 0 if none has.
    saved : int or None
        After which step the content was saved; `LOST` if that cannot be reached.
    fence : int
        This step and those before it cannot be undone.
    last : int
        No step gets this id or a smaller one: the greatest of those that have been dropped.
    """

    undone: int = 0
    base: int = 0
    saved: int | None = LOST
    fence: int = 0
    last: int = 0

    def without(self, step: int) -> State:
        """Where a history stands when it has lost the steps up to this one."""
        is_lost = self.saved is None or self.saved < step
        return self._replace(base=step, saved=LOST if is_lost else self.saved)


@dataclass(frozen=True, slots=True)
class Captured:
    """What a transaction, or several merged, changed in one store or in all.

    Attributes
    ----------
    count : int
        Keys.
    size : int
        Bytes of data that are kept for it alone.
    removed : int
        How many of the keys are not there now.
    key : str
        One of them.
    """

    count: int
    size: int
    removed: int
    key: str

    def __add__(self, other: Captured) -> Captured:
        return Captured(
            self.count + other.count,
            self.size + other.size,
            self.removed + other.removed,
            self.key or other.key,
        )

    @property
    def verb(self) -> str:
        """What has been done, in a word."""
        if not self.removed:
            return "Set"
        return "Delete" if self.removed == self.count else "Change"


NOTHING = Captured(0, 0, 0, "")


def label_of(verb: str, count: int, key: str) -> str:
    """The label of a step that was not given one."""
    return f"{verb} {key}" if count == 1 else f"{verb} {count} keys"


@dataclass(frozen=True, slots=True)
class Step:
    """One undoable change: what one outermost transaction did.

    Attributes
    ----------
    id : int
        Unique, and greater than those of earlier steps.
    label : str
        What was done: "Crop image".
    time : float
        Seconds since the epoch, UTC.
    size : int
        Bytes of data that are kept for this step alone.
    origin : str or None
        Who made it, as the transaction said.
    meta : dict
        What the transaction gave to be kept.
    is_done : bool
        False while it is undone.
    keys : tuple of str
        The keys it changed, in order, as seen through the store of the history.
    """

    id: int
    label: str
    time: float
    size: int
    origin: str | None
    meta: Mapping[str, Any]
    is_done: bool
    _load_keys: Callable[[], tuple[str, ...]] = field(repr=False, compare=False)

    @property
    def keys(self) -> tuple[str, ...]:
        return self._load_keys()


@dataclass(frozen=True, slots=True)
class StepChange:
    """What a step did to one key.

    Attributes
    ----------
    key : str
    before, after : Value or None
        None where the key was, or is, not there.
    """

    key: str
    before: Value | None
    after: Value | None
