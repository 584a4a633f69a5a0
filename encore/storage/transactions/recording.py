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

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypedDict

from encore.storage.metadata import decode_metadata, encode_metadata


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


_NAMES = StepOptions.__annotations__.keys()


def checked(options: StepOptions) -> StepOptions:
    """Return options with a copy of their metadata.

    Raises
    ------
    TypeError
        There is no such option, or ``meta`` is no JSON.
    """
    unknown = options.keys() - _NAMES
    if unknown:
        raise TypeError(f"a transaction takes no {', '.join(sorted(unknown))}")
    if options.get("meta"):
        options["meta"] = decode_metadata(encode_metadata(options["meta"]))
    return options


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
    """How the content of versions that have been replaced is kept.

    What stands for a kept content is bytes, or what can be written down as JSON. All of it happens
    under the writer lock of the store, but for reading.
    """

    def keep(self, key: str, content: Any) -> Any:
        """Hold on to the content of a record, and return what stands for it.

        Called before the version is replaced; it may be one of the open transaction.
        """

    def is_same(self, kept: Any, content: Any) -> bool:
        """Whether the content of a record takes no more room than it does without being kept."""

    def content(self, kept: Any, key: str) -> Any:
        """Content for a record, to be written back: bytes, or a `Staged`."""

    def open(self, kept: Any, size: int) -> Any:
        """The content for reading: bytes, or a `Content`.

        Raises
        ------
        CorruptValueError
            It is there no more, or has been changed.
        """

    def size(self, kept: Any) -> int | None:
        """How many bytes are kept; None if they are lost."""

    def flush(self) -> None:
        """Called before the commit: from now on a crash is not to lose what was kept."""

    def release(self, kept: Sequence[Any]) -> None:
        """Let go of contents: of those that a commit has made useless, or a rollback."""

    def close(self) -> None:
        """Give back what is held."""


class VersionLog(Protocol):
    """Records, in order, that are there after a restart; more are added, none is changed.

    Attributes
    ----------
    size : int
        Bytes that have been read or added.
    """

    size: int

    def exists(self) -> bool:
        """Whether anything may have been written, here or by `KeptVersions.keep`."""

    def is_current(self) -> bool:
        """Whether there is nothing to `read`; cheap."""

    def read(self, *, mend: bool) -> tuple[bool, list[bytes]]:
        """Whether all begins anew, and the records since the last time.

        With ``mend``, under the lock, what a crash left of a record is removed.
        """

    def step_back(self) -> None:
        """Have the record that was read last be read again."""

    def start_over(self) -> None:
        """Have all of them be read again."""

    def append(self, record: bytes) -> None:
        """Add a record."""

    def replace(self, records: Iterable[bytes]) -> None:
        """Put these in the place of all, in one step."""


class LastingVersions(KeptVersions, Protocol):
    """Versions that are kept over a restart, and the log that says what they are."""

    @property
    def log(self) -> VersionLog: ...

    def sweep(self, needed: Collection[Any]) -> None:
        """Remove what a crash has left: all but these. Under the lock."""
