"""What a history asks of transactions, and what they ask of it.

A store knows of at most one `Recorder`. It is told of each outermost transaction while its writes
can still be undone, so that what it writes down is committed with them or not at all::

    StoreTransactionStartEvent
    ...                             writes
    before_commit hooks
    record(contexts)                may write, and veto by raising
    -- commit point --
    passed(context)                 where there is a lock, it is still held
    StoreTransactionEndEvent, key events, on_commit hooks
    committed(context)              or, if it is rolled back, rolled_back(context)

``contexts`` imports this module; ``history`` has the recorder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypedDict


class StepOptions(TypedDict, total=False):
    """What the outermost transaction says about itself, for a history.

    Attributes
    ----------
    meta : mapping of str to JSON
        Kept with the step, and given back when it is undone: a selection, a view.
    undoable : bool
        False: no step is recorded, and undo does not know of the changes.
    merge_key : str
        Transactions with the same one that follow each other quickly become one step.
    origin : str
        Who wrote: the ``origin`` of the key events, and of the step.
    """

    meta: Mapping[str, Any]
    undoable: bool
    merge_key: str | None
    origin: str | None


class Recorder(Protocol):
    """Who remembers what the transactions of a store change."""

    def follows(self, context: Any) -> bool:
        """Whether what the transaction that begins here changes is to be remembered."""

    def record(self, contexts: Sequence[Any]) -> None:
        """The outermost transactions of stores that end together are about to commit."""

    def passed(self, context: Any) -> None:
        """One of them has passed its commit point; may be told twice, and must not fail."""

    def committed(self, context: Any) -> None:
        """One of them has committed, and everybody has been told."""

    def rolled_back(self, context: Any) -> None:
        """One of them, recorded or not, has been rolled back."""


def record_together(contexts: Sequence[Any]) -> None:
    """Have the transactions that end together recorded, each by the recorder of its store."""
    by_recorder: dict[Any, list[Any]] = {}
    for context in contexts:
        if context.recorder is not None and not context.has_been_recorded:
            by_recorder.setdefault(context.recorder, []).append(context)
    for recorder, recorded in by_recorder.items():
        recorder.record(recorded)
        for context in recorded:
            context.has_been_recorded = True


class KeptVersions(Protocol):
    """How a staged store keeps the content of versions that have been replaced."""

    def keep(self, key: str, content: Any) -> Any:
        """Hold on to the content of a committed record; called before it is replaced.

        What is returned stands for it: bytes, or what can be written down as JSON.
        """

    def is_same(self, kept: Any, content: Any) -> bool:
        """Whether the content of a record takes no more room than it does without being kept."""

    def content(self, kept: Any) -> Any:
        """Content for a record, to be written back: bytes, or a `Staged`."""

    def open(self, kept: Any, size: int) -> Any:
        """The content for reading: bytes, or a `Content`."""

    def release(self, kept: Any) -> None:
        """Let go of it; called after the commit that makes it useless."""
