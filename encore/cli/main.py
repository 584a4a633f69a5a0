"""The `encore` command: finds what was asked for, runs it, and reports how it ended.

A command's module is loaded when the command is called, and no other. Every way out ends in an
exit code and at most one line on standard error:

=========  =======================================================
0          done
1          the operation failed
2          the command was called wrongly, or an address is unknown
130, 143   cancelled by Ctrl-C, by SIGTERM; 129: the terminal closed
141        whoever read the output has stopped reading; no message
=========  =======================================================
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import encore
from encore.cli.arguments import CommandParser, Parser, UsageError
from encore.cli.interrupts import Interrupts
from encore.cli.output import printable
from encore.errors import ConfigError, EncoreError, OperationCancelled

# The module of each command, and a line about it. The module has ``add_<command>(parser)``.
COMMANDS = {
    "copy": ("copying", "copy a store into another: encore copy DIRECTORY sqlite:FILE"),
    "sync": ("copying", "copy only what is missing or differs"),
    "ls": ("listing", "list keys"),
    "get": ("reading", "write the data of a key to standard output or a file"),
    "put": ("writing", "store data under a key"),
    "cat": ("reading", "write the data of several keys to standard output"),
    "rm": ("writing", "remove keys"),
    "info": ("listing", "say what a store is and how much it holds"),
    "meta": ("writing", "show or change the metadata of a key"),
    "query": ("listing", "find keys by their metadata"),
    "log": ("past", "list the steps that can be undone"),
    "undo": ("undoing", "take back what a command did: encore undo STORE"),
    "redo": ("undoing", "do again what was undone"),
    "show": ("past", "say what a step changed"),
    "at": ("past", "list or read what was there after a step"),
    "check": ("checking", "look for damage and what crashes have left, and mend it"),
    "serve": ("serving", "serve a store over HTTP: encore serve sqlite:FILE"),
    "explain": ("explaining", "say which stores a configuration builds, and what they promise"),
}

_NOWHERE = logging.NullHandler()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments without the program; by default those of the process.

    Returns
    -------
    int
        The exit code.
    """
    with Interrupts() as interrupts:
        try:
            try:
                _run(sys.argv[1:] if argv is None else argv, interrupts)
            finally:
                _flush()
        except SystemExit as done:  # --help and --version
            return int(done.code or 0)
        except BrokenPipeError:
            return 141
        except (KeyboardInterrupt, OperationCancelled) as error:
            _complain(error, "cancelled")
            return interrupts.exit_code
        except Exception as error:
            _complain(error, _describe(error))
            return 2 if isinstance(error, UsageError | ConfigError) else 1
    return 0


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """Return the parser, with the arguments of one command only."""
    parser = Parser(
        prog="encore",
        description="Copy, list and edit key-value stores.",
        epilog="A store is sqlite:PATH, dir:PATH, memory:, config:FILE, "
        "service:http://HOST:PORT/USECASE/SCOPES (with a token from ENCORE_SERVICE_TOKEN), an "
        "existing directory, or a path that ends in .db, .sqlite or .sqlite3. Exit codes: 0 done, "
        "1 failed, 2 called wrongly, 130 cancelled. Progress bars follow "
        "ENCORE_PROGRESS=auto|on|off.",
    )
    parser.add_argument("--version", action="version", version=f"encore {encore.__version__}")
    commands = parser.add_subparsers(
        metavar="COMMAND", required=True, parser_class=CommandParser, title="commands"
    )
    for name, (module, summary) in COMMANDS.items():
        chosen = commands.add_parser(name, help=summary)
        if name == command:
            getattr(importlib.import_module(f"encore.cli.{module}"), f"add_{name}")(chosen)
    return parser


def _run(argv: Sequence[str], interrupts: Interrupts) -> None:
    command = next((word for word in argv if not word.startswith("-")), None)
    if command is not None and command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, n=1)
        meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
        raise UsageError(f"there is no command {command!r}; {meant}")
    args = build_parser(command).parse_args(argv)
    args.cancel = interrupts.token
    if not _is_debugging():
        # What a library logs for programmers is no line for the people at a terminal.
        logging.getLogger("encore").addHandler(_NOWHERE)
    args.run(args)


def _describe(error: Exception) -> str:
    if isinstance(error, EncoreError | UsageError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, OSError | TypeError | ValueError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (ENCORE_DEBUG=1 shows where)"


def _complain(error: BaseException, message: str) -> None:
    if sys.stderr is None:
        return
    if _is_debugging():
        import traceback

        traceback.print_exception(error)
    line = "; ".join([message, *getattr(error, "__notes__", ())])
    if isinstance(error, KeyboardInterrupt) and sys.stderr.isatty():
        print(file=sys.stderr)  # below the ^C
    print(f"encore: {printable(line)}", file=sys.stderr)


def _is_debugging() -> bool:
    return os.environ.get("ENCORE_DEBUG", "0") not in ("", "0")


def _flush() -> None:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        # The interpreter would try again when it ends, and say so: let it write into nothing.
        with suppress(OSError, ValueError):
            output = sys.stdout.fileno()
            with open(os.devnull, "wb") as nothing:
                os.dup2(nothing.fileno(), output)
        raise
