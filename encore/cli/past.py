"""``log``, ``show`` and ``at``: what was done to a store, and what it held before."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from encore.cli.arguments import UsageError, add_json, add_store
from encore.cli.fields import format_field
from encore.cli.listing import add_ls_options, list_keys
from encore.cli.output import count_text, printable, size_text, time_text, write_json, write_line
from encore.cli.reading import print_values
from encore.cli.recording import find_step, opened_past
from encore.config import parse_address

if TYPE_CHECKING:
    from encore.history import History, Step, StepChange
    from encore.storage.values import Value


def add_log(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the steps of a store's history, the newest last. '>' stands before the step that the "
        "store is at; those below it are undone, and can be done again with 'encore redo'. The "
        "size is what is kept to go back and forth."
    )
    add_store(parser)
    add_json(
        parser,
        "a JSON object for each step: step, time (seconds, UTC), label, keys, size (bytes), "
        "origin, meta, done, current, saved",
    )
    parser.set_defaults(run=log)


def log(args: argparse.Namespace) -> None:
    address = parse_address(args.store)
    with opened_past(address) as history:
        if args.json:
            saved = history.saved_index
            for place, step in enumerate(history.steps, 1):
                write_json(_fields(step, place == history.index, place == saved))
            return
        for line in _table(history):
            write_line(line)


def _fields(step: Step, is_current: bool, is_saved: bool) -> dict[str, Any]:
    return {
        "step": step.id,
        "time": step.time,
        "label": step.label,
        "keys": len(step.keys),
        "size": step.size,
        "origin": step.origin,
        "meta": step.meta,
        "done": step.is_done,
        "current": is_current,
        "saved": is_saved,
    }


def _table(history: History) -> Iterator[str]:
    steps = history.steps
    if not steps:
        yield "no steps"
        return
    yield f"{'step':>8}  {'time':<19}  {'keys':>8}  {'size':>9}  label"
    index, saved = history.index, history.saved_index
    if 0 in (index, saved):
        here = ">" if index == 0 else " "
        yield f"{here}{0:>7}  {'before the first step':<19}{'  (saved)' if saved == 0 else ''}"
    for place, step in enumerate(steps, 1):
        notes = "" if step.is_done else "  (undone)"
        notes += "  (saved)" if place == saved else ""
        yield (
            f"{'>' if place == index else ' '}{step.id:>7}  {time_text(step.time)}  "
            f"{len(step.keys):>8,}  {size_text(step.size):>9}  {printable(step.label)}{notes}"
        )


def add_show(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Say what a step changed: '+' stands before keys that it added, '~' before those that it "
        "changed, '-' before those that it removed, each with its size and below it, after the "
        "same signs, its metadata as far as that changed."
    )
    add_store(parser)
    parser.add_argument("step", metavar="STEP", type=int, help="the step, by its number in the log")
    add_json(
        parser,
        "a JSON object for each key: key, change (added, changed, removed), before and after "
        "(size, modified, metadata)",
    )
    parser.set_defaults(run=show)


def show(args: argparse.Namespace) -> None:
    with opened_past(parse_address(args.store)) as history:
        step = find_step(history, args.step)
        if not args.json:
            write_line(_title(step))
        for change in history.diff(step):
            if args.json:
                write_json(_difference(change))
            else:
                for line in _lines(change):
                    write_line(line)


def _title(step: Step) -> str:
    undone = "" if step.is_done else ", undone"
    return printable(f"step {step.id}: {step.label} ({time_text(step.time)}{undone})")


def _difference(change: StepChange) -> dict[str, Any]:
    return {
        "key": change.key,
        "change": _SIGNS[_sign(change.before, change.after)],
        "before": _side(change.before),
        "after": _side(change.after),
    }


_SIGNS = {"+": "added", "~": "changed", "-": "removed"}


def _sign(before: object, after: object) -> str:
    return "+" if before is None else "-" if after is None else "~"


def _side(value: Value | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"size": value.size, "modified": value.modified, "metadata": value.metadata}


def _lines(change: StepChange) -> Iterator[str]:
    before, after = change.before, change.after
    sizes = [_size(value) for value in (before, after) if value is not None]
    yield f"{_sign(before, after)} {printable(change.key)}  {' -> '.join(sizes)}"
    old = before.metadata if before is not None else {}
    new = after.metadata if after is not None else {}
    for name in sorted({*old, *new}):
        sides = [format_field(name, fields[name]) for fields in (old, new) if name in fields]
        if len(set(sides)) == 2:
            yield f"    ~ {' -> '.join(sides)}"
        elif len(sides) == 1:
            yield f"    {'-' if name in old else '+'} {sides[0]}"


def _size(value: Value) -> str:
    return "?" if value.size is None else count_text(value.size, "byte")


def add_at(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the keys of a store, or write the data of keys to standard output, as they were "
        "after a step of its history, as 'encore ls' and 'encore cat' do. Step 0 is what was there "
        "before the first step."
    )
    add_store(parser)
    parser.add_argument(
        "step", metavar="STEP", type=int, help="the step, by its number in the log; 0: before all"
    )
    parser.add_argument("command", metavar="ls|cat", choices=("ls", "cat"), help="what to do")
    parser.add_argument(
        "keys",
        metavar="KEY",
        nargs="*",
        help="for cat, the keys to read, in this order; for ls, what keys are to begin with",
    )
    add_ls_options(parser)
    parser.set_defaults(run=at)


def at(args: argparse.Namespace) -> None:
    _check(args)
    with opened_past(parse_address(args.store)) as history:
        past = history.at(find_step(history, args.step) if args.step else 0)
        with past:
            if args.command == "ls":
                list_keys(past, args.keys[0] if args.keys else "", args)
            else:
                print_values(past, args.keys, f"{args.store} at step {args.step}")


def _check(args: argparse.Namespace) -> None:
    if args.command == "ls" and len(args.keys) > 1:
        raise UsageError("ls takes one PREFIX (see 'encore at --help')")
    if args.command == "cat" and not args.keys:
        raise UsageError("cat wants a KEY (see 'encore at --help')")
    if args.command == "cat" and (args.long or args.json):
        raise UsageError("--long and --json are for ls (see 'encore at --help')")
