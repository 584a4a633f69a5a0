"""Steps: what a command writes becomes one in the target's history, so that it can be undone.

Only stores that keep a history themselves get one; for the others a history would end with the
command. ``copying``, ``writing`` and ``undoing`` use it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from encore.cli.output import count_text
from encore.cli.stores import opened_source
from encore.config import Address
from encore.config.secrecy import hide_login
from encore.errors import HistoryError, UnsupportedError
from encore.storage.abstract_store import AbstractStore

if TYPE_CHECKING:
    from encore.history import History, Step

# Of a label, in characters: a line of `encore log` should stay one.
_LABEL_LENGTH = 100


def add_history(parser: argparse.ArgumentParser) -> None:
    """Add ``--history`` and ``--no-history``."""
    parser.add_argument(
        "--history",
        action=argparse.BooleanOptionalAction,
        help="leave a step for 'encore undo', or leave none and keep nothing of what is replaced "
        "or removed; by default a step is left wherever the store can keep its history itself, "
        "but for a copy into an empty directory, which then has the files and nothing else",
    )


@contextmanager
def recorded(
    args: argparse.Namespace, store: AbstractStore, label: str, *, is_copy: bool = False
) -> Iterator[None]:
    """Record all that is committed inside as one step, unless told not to, or the store cannot."""
    with ExitStack() as stack:
        history = None if args.history is False else _history_of(store)
        if history is not None:
            stack.enter_context(history)
            if is_copy and args.history is None and _is_empty_directory(history):
                history.close()
            else:
                stack.enter_context(history.group(label))
        yield


@contextmanager
def opened_history(store: AbstractStore, address: Address) -> Iterator[History]:
    """Open the history of an open store.

    Raises
    ------
    UnsupportedError
        The store is of a kind that keeps none.
    """
    history = _history_of(store)
    if history is None:
        raise UnsupportedError(
            f"{address} keeps no history: only SQLite files and directories do", store=store
        )
    with history:
        yield history


def _is_empty_directory(history: History) -> bool:
    """Whether what is copied there is all that there will be: files to be taken elsewhere."""
    from encore.storage.backends.filesystem import FilesystemStore

    engine = history.stores[0]._engine()
    if not isinstance(engine, FilesystemStore) or history.steps:
        return False
    return next(engine.keys(limit=1), None) is None


def _history_of(store: AbstractStore) -> History | None:
    """Open the history that a store keeps itself; None if it is of a kind that keeps none."""
    from encore.history import History  # not for --help, nor for what is not recorded

    try:
        return History(store, persistent=True)
    except UnsupportedError:
        return None


@contextmanager
def opened_past(address: Address) -> Iterator[History]:
    """Open the history of a store that is only read."""
    with opened_source(address) as store, opened_history(store, address) as history:
        yield history


def find_step(history: History, number: int) -> Step:
    """Return a step by the number that the log gives it.

    Raises
    ------
    HistoryError
        There is none.
    """
    for step in history.steps:
        if step.id == number:
            return step
    raise HistoryError(f"there is no step {number}; 'encore log' lists those that there are")


def label_of(command: str, keys: Sequence[str]) -> str:
    """Return what a step on keys is called: ``rm a.txt b.txt and 3 keys more``."""
    label, count = command, 0
    for count, key in enumerate(keys):
        if count and len(label) + len(key) > _LABEL_LENGTH:
            return f"{label} and {count_text(len(keys) - count, 'key')} more"
        label += f" {key}"
    return label


def typed(text: str) -> str:
    """Return an address as it was typed, but without what is secret in it."""
    return hide_login(text) if "://" in text else text
