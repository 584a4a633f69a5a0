"""argparse as the commands use it: errors of one line, options anywhere, shared options.

Imports nothing heavy: ``encore --help`` passes through here.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn


class UsageError(Exception):
    """The command was not called as it can be: exit code 2."""


class Parser(argparse.ArgumentParser):
    """A parser that raises `UsageError`; options are not abbreviated, so that new ones break
    no script."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see '{self.prog} --help')")


class CommandParser(Parser):
    """A parser of one command, with options before, between and after what they apply to.

    Left to itself, argparse gives an optional argument its default as soon as an option comes
    before it: ``put STORE KEY --meta a=1 FILE`` would be an error.
    """

    _mixing = False

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        if self._mixing:
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False


def add_store(parser: argparse.ArgumentParser, name: str = "store", text: str = "") -> None:
    """Add the address of a store."""
    parser.add_argument(name, metavar=name.upper(), help=text or "the address of the store")


def add_json(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help=text)


def add_quiet(parser: argparse.ArgumentParser, text: str = "no progress bars") -> None:
    """Add ``--quiet``."""
    parser.add_argument("-q", "--quiet", action="store_true", help=text)


def add_durability(parser: argparse.ArgumentParser) -> None:
    """Add ``--durability``."""
    parser.add_argument(
        "--durability",
        choices=("process", "power"),
        help="what is to survive: a crash of the program (the default), or a power cut too",
    )


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add ``--dry-run``."""
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="only say what would be done, and do nothing"
    )


def positive(text: str) -> int:
    """Parse a number of at least one; argparse makes the message from this function's name."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number
