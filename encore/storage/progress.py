"""Progress of what stores do: the manager, and chunks that report as they pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from encore.events.progress_events import ProgressManager
from encore.storage.events import (
    StoreProgressEndEvent,
    StoreProgressStartEvent,
    StoreProgressStepEvent,
)


class StoreProgressManager(ProgressManager):
    """A `ProgressManager` whose events are store events; give it ``key=`` and ``metadata=``."""

    StartEventType = StoreProgressStartEvent
    StepEventType = StoreProgressStepEvent
    EndEventType = StoreProgressEndEvent


def watched(
    store: Any, key: str, chunks: Iterator[bytes], size: int | None, verb: str
) -> Iterator[bytes]:
    """Yield ``chunks``, telling the store's listeners how many bytes have passed.

    Parameters
    ----------
    store : AbstractStore
        The source of the events.
    key : str
    chunks : iterator of bytes
    size : int or None
        Bytes expected, if known.
    verb : str
        What is going on, for people: "Writing".

    Raises
    ------
    OperationCancelled
        A listener asked for it.
    """
    steps = -1 if size is None else size
    manager = store.event_manager
    with StoreProgressManager(
        manager, store, message=f"{verb} {key}", steps=steps, unit="B", key=key
    ) as progress:
        done = 0
        for chunk in chunks:
            yield chunk
            done += len(chunk)
            progress(step=done)
