"""``check``: whether a store is as it should be, and mending what can be mended."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from encore.cli.arguments import add_json, add_quiet, add_store
from encore.cli.output import count_text, printable, write_json, write_line
from encore.cli.recording import opened_history
from encore.cli.stores import opened_source, opened_target
from encore.config import Address, parse_address
from encore.errors import (
    CorruptValueError,
    EncoreError,
    ReadOnlyError,
    StoreError,
    UnsupportedError,
)
from encore.storage.abstract_store import AbstractStore
from encore.storage.checking import DAMAGE, UNFINISHED, Problem

_HISTORY = "history"


def add_check(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Read everything in a store, and say what is wrong: damaged or missing data, commits that "
        "were not carried out, what programs that died have left, a history that does not fit. "
        "Without --repair nothing is changed. The exit code is 1 if something is wrong, and has "
        "not been repaired."
    )
    add_store(parser)
    parser.add_argument(
        "--repair",
        action="store_true",
        help="mend what can be mended without losing anything; what cannot be explained stays",
    )
    add_json(
        parser,
        "a JSON object for each problem: what, key, explanation, can_repair, is_repaired",
    )
    add_quiet(parser, "print problems only")
    parser.set_defaults(run=check)


def check(args: argparse.Namespace) -> None:
    address = parse_address(args.store)
    found = _examined(address)
    if args.repair and any(problem.can_repair for problem in found):
        found = _repaired(address, found)
    for problem in found:
        if args.json:
            write_json(asdict(problem))
        else:
            write_line(printable(str(problem)))
    left = [problem for problem in found if not problem.is_repaired]
    if left:
        can_repair = sum(problem.can_repair for problem in left)
        advice = f", {can_repair} of which --repair mends" if can_repair and not args.repair else ""
        raise StoreError(f"{count_text(len(left), 'problem')} in {address}{advice}")
    if not found and not args.json and not args.quiet:
        write_line("no problems")


def _examined(address: Address) -> list[Problem]:
    """What is wrong with a store, which is only read."""
    try:
        with opened_source(address) as store:
            return [*store.verify(), *_of_history(store, address)]
    except ReadOnlyError as error:
        return [Problem(UNFINISHED, error.key, str(error), can_repair=True)]
    except CorruptValueError as error:
        return [Problem(DAMAGE, error.key, str(error))]


def _of_history(store: AbstractStore, address: Address) -> Iterator[Problem]:
    try:
        with opened_history(store, address) as history:
            for text in history.verify():
                yield Problem(_HISTORY, None, text)
    except UnsupportedError:
        return  # it keeps none
    except EncoreError as error:
        yield Problem(_HISTORY, error.key, str(error))


def _repaired(address: Address, found: list[Problem]) -> list[Problem]:
    """Mend what can be mended, and look again: some of it goes as soon as the store is opened."""
    with opened_target(address, create=False) as target:
        target.store.verify(repair=True)
    left = _examined(address)
    mended = [problem if problem in left else problem.repaired() for problem in found]
    return mended + [problem for problem in left if problem not in found]
