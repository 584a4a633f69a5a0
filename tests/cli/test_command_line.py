"""Laws of the command as a whole: help, exit codes, one line for an error."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_runs import Run, filled, run_process

import encore
from encore.cli.main import COMMANDS, build_parser, main


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_and_what_each_argument_means(
    command: str, run: Run
) -> None:
    parser = build_parser(command)
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    chosen = commands.choices[command]
    assert chosen.description
    for action in chosen._actions:
        assert action.help, f"{command} {action.option_strings or action.metavar}"
    text = run(command, "--help").text
    assert text.startswith(f"usage: encore {command}")
    assert COMMANDS[command][1] in run("--help").text


def test_the_help_of_copying_says_what_a_directory_loses(run: Run) -> None:
    for command in ("copy", "sync"):
        text = " ".join(run(command, "--help").text.split())
        assert "Empty directories and file permissions are not kept" in text
        assert ".encore" in text


def test_the_commands_asked_for_are_all_there() -> None:
    wanted = ["copy", "sync", "ls", "get", "put", "cat", "rm", "info", "meta", "query", "explain"]
    wanted += ["check", "serve"]
    wanted += ["log", "undo", "redo", "show", "at"]
    assert sorted(COMMANDS) == sorted(wanted)


def test_the_version_is_the_package_s(run: Run) -> None:
    assert run("--version").text == f"encore {encore.__version__}\n"


def test_the_command_is_installed_as_a_module_and_as_a_script() -> None:
    assert run_process("--help").text.startswith("usage: encore ")
    project = Path(encore.__file__).parent.parent / "pyproject.toml"
    scripts = tomllib.loads(project.read_text())["project"]["scripts"]
    assert scripts["encore"] == "encore.cli.main:main"


def test_help_loads_no_store() -> None:
    code = (
        "import sys; from encore.cli.main import main; main(['--help'])\n"
        "print([m for m in ('encore.storage', 'sqlite3', 'tqdm', 'blinker') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


WRONG_CALLS = [
    [],
    ["cpy"],
    ["--nonsense"],
    ["ls"],
    ["ls", "s.db", "--nonsense"],
    ["ls", "nonsense:x"],
    ["ls", "out"],
    ["copy", "s.db"],
    ["copy", "s.db", "out"],
    ["copy", "s.db", "sqlite:t.db", "--batch", "0"],
    ["copy", "s.db", "sqlite:t.db", "--batch", "many"],
    ["copy", "s.db", "sqlite:t.db", "--skip", "--overwrite"],
    ["copy", "s.db", "memory:", "--durability", "power"],
    ["copy", "s.db", "sqlite:./s.db"],
    ["sync", "s.db", "sqlite:t.db", "--compare", "colour"],
    ["put", "s.db", "k", "--meta", "n"],
    ["put", "s.db", "k", "--meta", "=1"],
    ["query", "s.db", "n"],
    ["query", "s.db", "n=1e999"],
    ["rm", "s.db"],
    ["rm", "s.db", "--prefix", ""],
    ["meta", "s.db", "b", "--replace", "--delete", "n"],
]

FAILURES = [
    ["ls", "missing.db"],
    ["ls", "sqlite:missing.db"],
    ["ls", "dir:missing"],
    ["info", "other.db"],
    ["copy", "missing.db", "sqlite:t.db"],
    ["sync", "dir:missing", "sqlite:t.db"],
    ["get", "s.db", "missing"],
    ["get", "s.db", "a\nb\x1b[31m"],
    ["get", "s.db", ""],
    ["get", "s.db", "\udc80"],
    ["get", "s.db", "missing", "-o", "out"],
    ["get", "s.db", "b", "-o", "no/such/directory/out"],
    ["get", "s.db", "b", "-o", "."],
    ["cat", "s.db", "b", "missing"],
    ["put", "s.db", "k", "missing.txt"],
    ["put", "new.db", "k", "missing.txt"],
    ["put", "s.db", "k" * 1025, "s.db"],
    ["put", "other.db", "k", "s.db"],
    ["rm", "s.db", "missing"],
    ["rm", "missing.db", "k"],
    ["rm", "s.db", "missing", "--dry-run"],
    ["meta", "s.db", "missing"],
    ["meta", "s.db", "missing", "n=1"],
    ["meta", "missing.db", "k", "n=1"],
    ["meta", "s.db", "b", "--delete", "n"],
    ["query", "missing.db", "n=1"],
]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("words", "code"),
    [(words, 2) for words in WRONG_CALLS] + [(words, 1) for words in FAILURES],
)
def test_an_error_is_one_line_and_changes_nothing(
    words: list[str], code: int, run: Run, place: Path
) -> None:
    Path("other.db").write_bytes(b"no database, but long enough to look like one" * 100)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    outcome = run(*words, code=code)
    assert outcome.out == b""
    assert outcome.err.startswith("encore: ")
    assert outcome.err.count("\n") == 1
    assert outcome.err.endswith("\n")
    assert outcome.err[:-1].isprintable()
    assert "Traceback" not in outcome.err
    after = {path.name: path.read_bytes() for path in place.iterdir()}
    # An SQLite file that is opened to be written is brought up to date even if nothing is.
    for name in set(before) | set(after):
        assert name in after, f"{name} was taken away"
        assert name in before, f"{name} was made"
        if name != "s.db":
            assert before[name] == after[name]


def test_an_unknown_command_is_guessed(run: Run) -> None:
    assert "did you mean 'copy'" in run("cpy", code=2).err


def test_a_path_that_does_not_say_what_it_is_gets_both_readings(run: Run, store: Path) -> None:
    err = run("copy", store, "out", code=2).err
    assert "'dir:out'" in err
    assert "'sqlite:out'" in err


def test_debugging_shows_where(run: Run, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCORE_DEBUG", "1")
    err = run("get", store, "missing", code=1).err
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("encore: get: there is no key 'missing'")
    monkeypatch.setenv("ENCORE_DEBUG", "0")
    assert "Traceback" not in run("get", store, "missing", code=1).err


def test_the_environment_s_arguments_are_the_default(
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    monkeypatch.setattr(sys, "argv", ["encore", "ls", str(store)])
    assert main() == 0
    assert capsysbinary.readouterr().out == b"a/1\na/2\nb\n"


def test_options_may_stand_anywhere(run: Run, place: Path) -> None:
    (place / "data").write_bytes(b"data")
    run("put", "s.db", "--meta", "n=1", "k", "--meta", "m=2", "data", "-q")
    assert run("get", "s.db", "k").out == b"data"
    assert json.loads(run("meta", "--json", "s.db", "k").text) == {"n": 1, "m": 2}
    assert run("ls", "s.db", "-l", "k").lines[0].endswith("  k")
    run("rm", "s.db", "--missing-ok", "k", "--quiet", "x")
    assert run("ls", "s.db").out == b""


def test_keys_that_look_like_options_follow_two_dashes(run: Run, place: Path) -> None:
    filled(place / "s.db", {"--json": b"1", "-l": b"2"})
    assert run("get", "s.db", "--", "--json").out == b"1"
    assert run("cat", "s.db", "--", "-l", "--json").out == b"21"
    run("rm", "s.db", "--", "-l")
    assert run("ls", "s.db").out == b"--json\n"
