"""``undo`` and ``redo``: steps of a store's history, taken back and done again."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from encore.cli.arguments import add_durability, add_json, add_quiet, add_store, positive
from encore.cli.output import count_text, printable, write_json, write_line
from encore.cli.recording import find_step, opened_history
from encore.cli.stores import opened_target
from encore.config import parse_address
from encore.errors import HistoryError, UndoConflict

if TYPE_CHECKING:
    from encore.history import History, Step

# Of the keys in a message.
_SHOWN_KEYS = 5


def add_undo(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Take back the last step of a store's history, or several, or an earlier one that no later "
        "step depends on. If something has changed its keys since then, nothing is done, unless "
        "--on-conflict says what to do. 'encore log' lists the steps."
    )
    add_store(parser)
    which = parser.add_mutually_exclusive_group()
    _add_number(which, "take back")
    which.add_argument(
        "--step",
        type=positive,
        metavar="STEP",
        help="take back this step, which need not be the last; that is a step of its own then",
    )
    _add_common(parser)
    parser.set_defaults(run=undo)


def add_redo(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Do again what was undone last, or several steps of it. What was undone can be done again "
        "until the next new step."
    )
    add_store(parser)
    _add_number(parser, "do again")
    _add_common(parser)
    parser.set_defaults(run=redo, step=None)


def _add_number(parser: argparse._ActionsContainer, what: str) -> None:
    parser.add_argument(
        "-n",
        "--number",
        type=positive,
        metavar="N",
        help=f"how many steps to {what}: 1 by default, and no more than there are",
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--on-conflict",
        choices=("skip", "force"),
        help="what becomes of keys that something else has changed since: they stay as they are "
        "(skip), or are set like the others (force)",
    )
    add_durability(parser)
    add_json(parser, "print each step as a JSON object: step, label, keys")
    add_quiet(parser, "print nothing")


def undo(args: argparse.Namespace) -> None:
    def act(history: History) -> Iterable[Step]:
        if args.step is not None:
            return history.undo(step=find_step(history, args.step), on_conflict=args.on_conflict)
        return history.undo(args.number or 1, on_conflict=args.on_conflict)

    _run(args, act, "undo", "Undid")


def redo(args: argparse.Namespace) -> None:
    def act(history: History) -> Iterable[Step]:
        return history.redo(args.number or 1, on_conflict=args.on_conflict)

    _run(args, act, "redo", "Redid")


def _run(
    args: argparse.Namespace, act: Callable[[History], Iterable[Step]], verb: str, done: str
) -> None:
    address = parse_address(args.store)
    with (
        opened_target(address, create=False, durability=args.durability) as target,
        opened_history(target.store, address) as history,
    ):
        try:
            # Keys are read from the history, while it is open.
            steps = [(step.id, step.label, len(step.keys)) for step in act(history)]
        except UndoConflict as error:
            raise HistoryError(_refusal(error.keys, verb, args.step)) from error
    if not steps:
        raise HistoryError(f"there is nothing to {verb} in {address}")
    for step, label, count in steps:
        if args.json:
            write_json({"step": step, "label": label, "keys": count})
        elif not args.quiet:
            write_line(printable(f"{done}: {label} ({count_text(count, 'key')})"))


def _refusal(keys: Iterable[str], verb: str, step: int | None) -> str:
    first, *rest = keys
    shown = ", ".join(map(repr, [first, *rest[: _SHOWN_KEYS - 1]]))
    more = len(rest) - (_SHOWN_KEYS - 1)
    named = f"{shown} and {count_text(more, 'key')} more" if more > 0 else shown
    what = "" if step is None else f" step {step} by itself"
    how = ", without a step" if step is None else ""
    return (
        f"cannot {verb}{what}: {named} changed since{how}; --on-conflict=skip leaves such "
        "keys as they are, --on-conflict=force sets them too"
    )
