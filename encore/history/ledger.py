"""Where one store's part of a history is kept: steps, and one version of each key they changed.

A step that is done keeps the version of each key that it *replaced*, a step that is undone the one
that it would bring *back*: undoing and redoing both exchange these versions, the *images*, with
what is in the store. So every version is there once, large data is never copied, and the same act
goes both ways. With each image stands what the store has to have under the key for the exchange to
be right, the token that the step left there.

``sql_ledger`` keeps it in the tables of the store's own file, in the same transactions as the data;
``staged_ledger`` in memory, with a log beside a staged store if it is to stay. The recorder decides
what is a step; a ledger carries it out. Everything that changes a ledger happens in an open
transaction of its store, and counts when that commits::

    capture(context, step)      the images of what the transaction has changed
    merge(into, step)           two steps become one
    exchange(context, step)     undo it, or redo it
    write(edit)                 the summaries and the state that follow from that
    passed()                    or rolled_back()

Only this folder imports this module.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from encore.history.steps import Captured, State, Summary
from encore.storage.values import Value

#: Larger data is not compared: it counts as changed whenever it is written.
COMPARED_BYTES = 1 << 20


class Conflict(NamedTuple):
    """A key that is not what a step left."""

    key: str
    expected: str | None
    found: str | None


@dataclass(slots=True)
class Edit:
    """What a transaction does to the steps of a ledger.

    Attributes
    ----------
    put : dict of int to Summary
        Steps that are new, or have changed.
    drop : list of int
        Steps that go.
    state : State
    """

    state: State
    put: dict[int, Summary] = field(default_factory=dict)
    drop: list[int] = field(default_factory=list)


def _never() -> bool:
    return False


def _none(count: int) -> int:
    return 0


def _nothing() -> None:
    pass


class Images(ABC):
    """The part of a history that one store keeps, for reading.

    Parameters
    ----------
    store : Store
        A backend.
    follows : callable, optional
        Returns what a key is called in labels, None if it is not remembered; default: every key is,
        and is called what it is.

    Attributes
    ----------
    steps : dict of int to Summary
        Those that are committed, in the order of their ids.
    state : State
    is_persistent : bool
        Whether it is there again after a restart.

    Notes
    -----
    *Threads*: any.
    """

    is_persistent = False

    def __init__(self, store: Any, follows: Callable[[str], str | None] | None) -> None:
        self.store = store
        self.follows = follows
        self.steps: dict[int, Summary] = {}
        self.state = State()
        self.unread = 0  # steps that have been appended and are not in ``steps`` yet
        # Whether a lone write of a small value may become a step by the shortest way, how many of
        # so many steps go for it, and what is called when it has.
        self.may_append: Callable[[], bool] = _never
        self.superfluous: Callable[[int], int] = _none
        self.appended: Callable[[], None] = _nothing
        self.clock: Callable[[], float] = time.time

    @property
    def count(self) -> int:
        """How many steps there are, with those that are not in ``steps`` yet."""
        return len(self.steps) + self.unread

    @property
    def size(self) -> int:
        """Bytes of data that are kept."""
        return sum(step.size for step in list(self.steps.values()))

    def is_done(self, step: int) -> bool:
        """Whether a step is done, by what is committed."""
        return not self.state.undone or step < self.state.undone

    @abstractmethod
    def conflicts(self, step: int) -> list[Conflict]:
        """The keys that are not what the step left, or what undoing it left."""

    @abstractmethod
    def keys(self, step: int) -> list[str]:
        """The keys of a step, in order."""

    @abstractmethod
    def image(self, key: str, step: int) -> tuple[bool, Value | None]:
        """What a step has kept of a key: whether it has anything, and what, if it was there."""

    @abstractmethod
    def around(self, key: str, position: int) -> tuple[bool, Value | None]:
        """A key as it was after the step ``position``, if that is in an image."""

    @abstractmethod
    def overrides(self, position: int, prefix: str) -> Iterator[tuple[str, bool]]:
        """The keys, in order, that are in an image around a position; whether they are there."""

    @abstractmethod
    def problems(self) -> list[str]:
        """What is wrong with what is kept; empty if nothing is."""


class Ledger(Images):
    """The part of a history that one store keeps.

    The parameters are those of `Images`.

    Notes
    -----
    *Threads*: what changes it belongs to the owner of the transaction.
    """

    # -- life -------------------------------------------------------------------------------------

    @abstractmethod
    def attach(self) -> None:
        """Read what there is, and begin to follow the store."""

    @abstractmethod
    def detach(self) -> None:
        """Stop following the store; what is persistent stays."""

    def refresh(self) -> None:
        """Take notice of what another process may have done."""

    # -- in a transaction -------------------------------------------------------------------------

    def next_id(self, context: Any) -> int:
        """An id that no step of this ledger has had."""
        return max(next(reversed(self.steps), 0), self.state.base, self.state.last) + 1

    @abstractmethod
    def capture(self, context: Any, step: int) -> Captured:
        """Make the images of ``step`` of what the transaction has changed, and that is any."""

    @abstractmethod
    def merge(self, context: Any, into: int, step: int) -> Captured:
        """Add the images of one step to those of the step before; return what that is then."""

    @abstractmethod
    def exchange(self, context: Any, step: int, skip: Collection[str]) -> int:
        """Undo or redo a step but for some keys; return the size of its images then.

        The transaction is told of the changes; the keys that were left out when it was undone are
        left out when it is redone.
        """

    @abstractmethod
    def settle(self, step: int, keys: Iterable[str]) -> None:
        """Expect from now on what the transaction has under these keys of an exchanged step."""

    @abstractmethod
    def write(self, edit: Edit) -> None:
        """Make summaries and state part of the transaction; called once, last."""

    def apply(self, edit: Edit) -> None:
        """Know what an edit says."""
        # In a new dictionary, since others may be looking through this one.
        steps = self.steps.copy()
        for step in edit.drop:
            steps.pop(step, None)
        steps.update(edit.put)
        newest = next(reversed(self.steps), 0)
        if any(step < newest and step not in self.steps for step in edit.put):
            steps = dict(sorted(steps.items()))
        self.steps = steps
        self.state = edit.state

    @abstractmethod
    def passed(self) -> None:
        """The transaction has been committed; may be told twice."""

    @abstractmethod
    def rolled_back(self) -> None:
        """The transaction has been rolled back."""

    @abstractmethod
    def forget(self, context: Any, key: str) -> dict[int, Captured]:
        """Drop every image of a key; return what the steps that had one are then."""

    def pack(self) -> None:
        """Give room back that is not needed."""
