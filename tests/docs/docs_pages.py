"""The pages of the documentation, and the code in them.

What runs, all of a page in one temporary directory and one namespace, in the order of the page:

====================  =============================================================================
```` ```python ````   executed; a comment ``# prints TEXT`` says what it writes, line for line
``# file: NAME``      as its first line: written to that file instead; also in yaml and toml
```` ```pycon ````    a doctest: every value is compared
```` ```console ````  lines that begin with ``$ `` go to a shell, what follows is compared, with
                      ``...`` for anything; a command that is to fail shows ``encore: `` first
====================  =============================================================================

A block after a comment ``<!-- not run: REASON -->`` is shown only.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from encore.storage.api import AbstractStore

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

_BLOCK = re.compile(
    r"^(?P<fence>`{3,})(?P<kind>\w+)\n(?P<body>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL
)
_SHOWN_ONLY = re.compile(r"<!-- not run: [^>]+ -->\s*\Z")
_FILE = re.compile(r"# file: (\S+)\n")
_PRINTS = re.compile(r"# prints (.*)$", re.MULTILINE)
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_SECONDS = 600  # for a command; one of them is the whole conformance suite
_FOR_WINDOWS = ("encore.adapters.qt", "encore.examples.lab_notebook")
RUNNABLE = ("python", "pycon", "console")


def name_of(page: Path) -> str:
    """The name of a page for people: its path from the root of the repository."""
    return page.relative_to(ROOT).as_posix()


def load(module: str) -> ModuleType:
    """Import a module of encore; skip the test if it is for Qt or Tk, and these are missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if not module.startswith(_FOR_WINDOWS):
            raise
        pytest.skip(f"{module} cannot be loaded here: {error}")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Attributes
    ----------
    kind : str
        ``"python"``, ``"pycon"``, ``"console"`` or another language.
    body : str
    line : int
        Of the page, where the body begins.
    runs : bool
    """

    kind: str
    body: str
    line: int
    runs: bool


def blocks_of(page: Path) -> list[Block]:
    """Every fenced block of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            match["kind"],
            match["body"],
            text.count("\n", 0, match.start("body")) + 1,
            (match["kind"] in RUNNABLE or bool(_FILE.match(match["body"])))
            and not _SHOWN_ONLY.search(text, 0, match.start()),
        )
        for match in _BLOCK.finditer(text)
    ]


class Runner:
    """Runs the blocks of one page in the current directory."""

    def __init__(self, page: Path) -> None:
        self._page = page
        self.namespace: dict[str, Any] = {"__name__": "__page__"}

    def run(self, block: Block) -> None:
        kind = "python" if _FILE.match(block.body) else block.kind
        getattr(self, f"_run_{kind}")(block)

    def close(self) -> None:
        """Close the stores that the page leaves open, as the end of a program would."""
        for value in self.namespace.values():
            if isinstance(value, AbstractStore):
                value.close()
        self.namespace.clear()

    def _run_python(self, block: Block) -> None:
        named = _FILE.match(block.body)
        if named:
            Path(named[1]).write_text(block.body[named.end() :], encoding="utf-8")
            return
        # Blank lines in front, so that a traceback names the line of the page.
        code = compile("\n" * (block.line - 1) + block.body, str(self._page), "exec")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, self.namespace)
        self._compare("".join(f"{line}\n" for line in _PRINTS.findall(block.body)), printed, block)

    def _run_pycon(self, block: Block) -> None:
        parser = doctest.DocTestParser()
        test = parser.get_doctest(
            block.body, self.namespace, name_of(self._page), str(self._page), block.line - 1
        )
        complaints: list[str] = []
        runner = doctest.DocTestRunner(optionflags=_FLAGS, verbose=False)
        runner.run(test, out=complaints.append, clear_globs=False)
        self.namespace.update(test.globs)
        assert not complaints, "".join(complaints)

    def _run_console(self, block: Block) -> None:
        for command, expected in _commands(block.body):
            done = subprocess.run(
                command,
                shell=True,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                timeout=_SECONDS,
                check=False,
            )
            fails = any(line.startswith("encore: ") for line in expected.splitlines())
            assert (done.returncode != 0) == fails, f"{command}\n{done.stdout}"
            self._compare(expected, io.StringIO(done.stdout), block, command)

    def _compare(self, expected: str, got: io.StringIO, block: Block, what: str = "") -> None:
        found = got.getvalue()
        same = doctest.OutputChecker().check_output(expected, found, _FLAGS)
        assert same, (
            f"{name_of(self._page)}, line {block.line}: {what}\n"
            f"expected:\n{expected}\nprinted:\n{found}"
        )


def _commands(body: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it is to print."""
    found: list[tuple[str, list[str]]] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("> ") and not found[-1][1]:
            command, output = found.pop()
            found.append((f"{command}\n{line[2:]}", output))
        else:
            found[-1][1].append(line)
    return [(command, "".join(f"{line}\n" for line in lines)) for command, lines in found]


def _environment() -> dict[str, str]:
    """What commands need: this interpreter and its scripts, and this encore."""
    paths = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    modules = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PATH": os.pathsep.join(filter(None, paths)),
        "PYTHONPATH": os.pathsep.join(filter(None, modules)),
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "88",
        "TZ": "UTC",
    }
