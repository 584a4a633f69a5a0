"""Laws of log, undo, redo, show and at, and of the steps that commands leave."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from command_runs import Run, contents, filled, run_process, start
from test_copying_directories import tree
from test_interruptions import interrupted

from encore.config import open_store
from encore.history import History
from encore.storage.abstract_store import AbstractStore

THREE = {"a/1": b"one", "a/2": b"twotwo", "b": b"\0\n\xff"}
KEEPERS = ("sqlite:t.db", "dir:t", "hashdir:t", "gzip+sqlite:t.db", "base64+dir:t")


def held(address: str) -> dict[str, bytes]:
    """What a store holds, asked for without the command."""
    with open_store(address) as store:
        return {key: store.read(key) for key in store}


def record(store: AbstractStore, key: str) -> tuple[Any, ...]:
    value = store.get(key)
    value.close()
    return value.metadata, value.size, value.created, value.modified, value.token


def steps(run: Run, address: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run("log", address, "--json").lines]


def labels(run: Run, address: Any) -> list[str]:
    return [step["label"] for step in steps(run, address)]


@pytest.fixture
def edited(run: Run, place: Path) -> str:
    """A store ``t.db`` with three steps: a put, another one over it, and a removal."""
    (place / "data").write_bytes(b"first")
    run("put", "t.db", "k", "data", "--meta", "n=1", "--meta", "old=x")
    (place / "data").write_bytes(b"second!")
    run("put", "t.db", "k", "data", "--meta", "n=2", "--meta", "new=y")
    run("put", "t.db", "other", "data", "--no-history")
    run("rm", "t.db", "k")
    return "t.db"


# -- copies, in processes of their own ------------------------------------------------------------


@pytest.mark.parametrize("address", KEEPERS)
def test_a_copy_is_taken_back_and_done_again(address: str, place: Path) -> None:
    filled(place / "s.db", THREE)
    with open_store(address) as store:
        store.put("b", b"mine", {"n": 1})
        store.put("z", b"kept")
        before = record(store, "b")
    run_process("copy", "s.db", address)
    assert held(address) == {**THREE, "z": b"kept"}
    outcome = run_process("undo", address)
    assert outcome.text == f"Undid: copy s.db -> {address} (3 keys)\n"
    assert outcome.err == ""
    assert held(address) == {"b": b"mine", "z": b"kept"}
    with open_store(address) as store:
        assert record(store, "b") == before
    assert run_process("redo", address).text == f"Redid: copy s.db -> {address} (3 keys)\n"
    assert held(address) == {**THREE, "z": b"kept"}


@pytest.mark.parametrize("address", KEEPERS)
def test_a_copy_that_made_its_target_is_taken_back(address: str, place: Path) -> None:
    filled(place / "s.db", THREE)
    run_process("copy", "s.db", address, "--history")
    run_process("undo", address)
    assert held(address) == {}
    run_process("redo", address)
    assert held(address) == THREE


def test_the_files_of_a_directory_come_and_go(run: Run, place: Path) -> None:
    (place / "photos").mkdir()
    (place / "photos" / "cat.jpg").write_bytes(b"cat")
    run("copy", "photos", "dir:out", "--history")
    (place / "photos" / "cat.jpg").write_bytes(b"a better cat")
    (place / "photos" / "dog.jpg").write_bytes(b"dog")
    run("sync", "photos", "out")
    assert tree(place / "out") == tree(place / "photos")
    run("undo", "out")
    assert tree(place / "out") == {"cat.jpg": b"cat"}
    run("undo", "out")
    assert tree(place / "out") == {}
    run("redo", "out", "-n", "2")
    assert tree(place / "out") == tree(place / "photos")
    assert not (place / "photos" / ".encore").exists()


def test_a_copy_into_an_empty_directory_is_files_and_nothing_else(run: Run, place: Path) -> None:
    filled(place / "s.db", THREE)
    run("copy", "s.db", "dir:out")
    assert tree(place / "out") == THREE
    assert not (place / "out" / ".encore" / "history").exists()
    assert "nothing to undo" in run("undo", "out", code=1).err
    filled(place / "s.db", {"b": b"newer"})
    run("copy", "s.db", "dir:out")  # now there is something to lose
    run("undo", "out")
    assert tree(place / "out") == THREE


def test_batches_are_one_step(run: Run, store: Path, place: Path) -> None:
    run("copy", store, "t.db", "--batch", "1")
    assert labels(run, "t.db") == [f"copy {store} -> t.db"]
    run("undo", "t.db")
    assert contents(place / "t.db") == {}


def test_a_copy_that_changes_nothing_leaves_no_step(run: Run, store: Path) -> None:
    run("copy", store, "t.db")
    run("sync", store, "t.db")
    run("copy", store, "t.db", "--dry-run")
    assert len(steps(run, "t.db")) == 1


# -- what leaves a step ---------------------------------------------------------------------------


@pytest.mark.parametrize("address", KEEPERS)
def test_every_command_that_writes_leaves_a_step(address: str, run: Run, place: Path) -> None:
    (place / "data").write_bytes(b"x" * 3_000_000)  # more than is kept inside a record
    states = [{}]
    for words, label in (
        (["put", address, "k", "data"], "put k"),
        (["put", address, "k", "s.db"], "put k"),
        (["meta", address, "k", "n=1", "m=secret"], "meta k n m"),
        (["meta", address, "k", "--delete", "n"], "meta k n"),
        (["copy", "s.db", address, "--prefix", "a/"], f"copy s.db -> {address}"),
        (["rm", address, "k", "a/1"], "rm k a/1"),
        (["sync", "s.db", address, "--delete"], f"sync s.db -> {address}"),
        (["rm", address, "--prefix", "a/"], "rm --prefix a/"),
        (["rm", address, "--all"], "rm --all"),
    ):
        filled(place / "s.db", THREE)
        run(*words)
        assert labels(run, address)[-1] == label
        states.append(held(address))
    assert len(steps(run, address)) == len(states) - 1
    for state in reversed(states[:-1]):
        run("undo", address)
        assert held(address) == state
    assert "nothing to undo" in run("undo", address, code=1).err
    for state in states[1:]:
        run("redo", address)
        assert held(address) == state
    assert "nothing to redo" in run("redo", address, code=1).err


def test_no_history_leaves_no_step_and_keeps_nothing(run: Run, place: Path) -> None:
    filled(place / "s.db", THREE)
    (place / "data").write_bytes(b"data")
    for words in (
        ["put", "t.db", "k", "data"],
        ["meta", "t.db", "k", "n=1"],
        ["copy", "s.db", "t.db"],
        ["sync", "s.db", "t.db", "--delete"],
        ["rm", "t.db", "--all"],
        ["copy", "s.db", "dir:out"],
    ):
        run(*words, "--no-history")
    assert labels(run, "t.db") == labels(run, "out") == []
    assert not list((place / "out" / ".encore").glob("hist*"))


def test_a_failed_command_leaves_no_step(run: Run, edited: str) -> None:
    before = steps(run, edited)
    run("rm", edited, "other", "missing", code=1)
    run("meta", edited, "missing", "n=1", code=1)
    run("put", edited, "k" * 2000, "data", code=1)
    assert steps(run, edited) == before


@pytest.mark.parametrize("address", ["sqlite:t.db", "dir:t", "hashdir:t"])
def test_a_cancelled_copy_leaves_no_step(address: str, run: Run, place: Path) -> None:
    (place / "data").write_bytes(b"mine")
    run("put", address, "b", "data")
    outcome = interrupted(address)
    assert (outcome.code, outcome.err) == (130, f"encore: cancelled; {address} is as it was\n")
    assert labels(run, address) == ["put b"]
    run("undo", address)
    assert held(address) == {}


def test_the_batches_of_a_cancelled_copy_are_taken_back_together(run: Run, place: Path) -> None:
    assert interrupted("sqlite:t.db", "--batch", "1").code == 130
    assert sorted(contents(place / "t.db")) == ["a", "b"]
    (step,) = steps(run, "t.db")
    assert step["label"] == "copy blocking:- -> sqlite:t.db"
    run("undo", "t.db")
    assert contents(place / "t.db") == {}


def test_a_step_survives_a_killed_process(place: Path, run: Run) -> None:
    filled(place / "s.db", THREE)
    run("copy", "s.db", "t.db")
    with start("put", "t.db", "b") as process:
        process.stdin.write(b"x" * 20_000_000)
        process.stdin.flush()
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert labels(run, "t.db") == ["copy s.db -> t.db"]
    run("undo", "t.db")
    assert contents(place / "t.db") == {}


def test_two_commands_at_once_leave_two_steps(run: Run, place: Path) -> None:
    (place / "data").write_bytes(b"data")
    started = [start("put", "sqlite:t.db", f"k{n}", "data") for n in range(4)]
    for process in started:
        with process:
            _, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (0, b"")
    assert sorted(labels(run, "t.db")) == ["put k0", "put k1", "put k2", "put k3"]
    run("undo", "t.db", "-n", "4")
    assert contents(place / "t.db") == {}


def test_stores_that_keep_no_history_are_written_as_ever(run: Run, store: Path) -> None:
    run("copy", store, "zip:t.zip")
    assert held("zip:t.zip") == THREE
    for words in (["undo"], ["redo"], ["log"], ["show", "1"], ["at", "1", "ls"]):
        err = run(words[0], "zip:t.zip", *words[1:], code=1).err
        assert "zip:t.zip" in err
        assert "history" in err


def test_an_address_is_written_down_without_its_login(run: Run, place: Path) -> None:
    from encore.cli.recording import typed

    shown = typed("https://ada:hunter2@example.org/data?signature=hunter2")
    assert "hunter2" not in shown
    assert "example.org/data" in shown
    assert typed("photos 2026") == "photos 2026"


# -- undo -----------------------------------------------------------------------------------------


def test_several_steps_at_once(run: Run, edited: str, place: Path) -> None:
    assert run("undo", edited, "-n", "3").lines == [
        "Undid: rm k (1 key)",
        "Undid: put k (1 key)",
        "Undid: put k (1 key)",
    ]
    assert contents(place / edited) == {"other": b"second!"}
    found = run("redo", edited, "-n", "2", "--json").lines
    assert [json.loads(line) for line in found] == [
        {"step": 1, "label": "put k", "keys": 1},
        {"step": 2, "label": "put k", "keys": 1},
    ]
    assert contents(place / edited)["k"] == b"second!"
    assert run("redo", edited, "--quiet").out == b""
    assert "k" not in contents(place / edited)


def test_nothing_to_undo_is_a_failure(run: Run, store: Path) -> None:
    for word in ("undo", "redo"):
        err = run(word, store, code=1).err
        assert err == f"encore: there is nothing to {word} in sqlite:{store}\n"
    assert "there is no file" in run("undo", "missing.db", code=1).err
    assert contents(store) == THREE


def test_an_earlier_step_is_undone_if_no_later_one_touched_its_keys(run: Run, place: Path) -> None:
    (place / "data").write_bytes(b"data")
    for key in ("a", "b", "a/b"):
        run("put", "t.db", key, "data")
    assert run("undo", "t.db", "--step", "2").text == "Undid: put b (1 key)\n"
    assert sorted(contents(place / "t.db")) == ["a", "a/b"]
    assert labels(run, "t.db") == ["put a", "put b", "put a/b", "Undo put b"]
    (place / "data").write_bytes(b"other data")
    run("put", "t.db", "a", "data")
    err = run("undo", "t.db", "--step", "1", code=1).err
    assert err.startswith("encore: cannot undo step 1 by itself: 'a' changed since; --on-conflict=")
    assert "no step 77" in run("undo", "t.db", "--step", "77", code=1).err


def test_a_conflict_is_refused_skipped_or_forced(run: Run, place: Path) -> None:
    (place / "data").write_bytes(b"data")

    def prepare() -> None:
        filled(place / "s.db", THREE)
        run("copy", "s.db", "t.db")
        run("put", "t.db", "b", "data", "--no-history")

    prepare()
    err = run("undo", "t.db", code=1).err
    assert err.startswith("encore: cannot undo: 'b' changed since, without a step; --on-conflict=")
    assert err.endswith("; sqlite:t.db is as it was\n")
    assert contents(place / "t.db") == {**THREE, "b": b"data"}
    run("undo", "t.db", "--on-conflict", "skip")
    assert contents(place / "t.db") == {"b": b"data"}
    run("rm", "t.db", "--all", "--no-history")
    prepare()
    run("undo", "t.db", "--on-conflict", "force")
    assert contents(place / "t.db") == {}


def test_a_step_by_itself_is_forced_or_leaves_what_changed_since(run: Run, place: Path) -> None:
    filled(place / "s.db", THREE)
    run("copy", "s.db", "t.db")
    (place / "data").write_bytes(b"later")
    run("put", "t.db", "b", "data")
    assert "; --on-conflict=" in run("undo", "t.db", "--step", "1", code=1).err
    run("undo", "t.db", "--step", "1", "--on-conflict", "skip")
    assert contents(place / "t.db") == {"b": b"later"}
    run("undo", "t.db")
    run("undo", "t.db", "--step", "1", "--on-conflict", "force")
    assert contents(place / "t.db") == {}
    run("undo", "t.db")
    assert contents(place / "t.db") == {**THREE, "b": b"later"}


def test_undo_is_refused_what_is_not_to_be_written(run: Run, edited: str) -> None:
    run("undo", f"readonly+sqlite:{edited}", code=1)
    assert all(step["done"] for step in steps(run, edited))


# -- log, show, at --------------------------------------------------------------------------------


def test_the_log_is_a_table_of_steps(
    run: Run, edited: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    run("undo", edited)
    head, first, second, third = run("log", edited).lines
    assert head.split() == ["step", "time", "keys", "size", "label"]
    assert first.split()[0] == "1"
    assert first.endswith("  put k")
    assert second.startswith(">")
    assert third.endswith("  rm k  (undone)")
    run("undo", edited, "-n", "2")
    head, nothing, first, *_ = run("log", edited).lines
    assert nothing.startswith(">      0")
    assert first.endswith("put k  (undone)")


def test_the_log_marks_the_step_at_which_the_content_was_saved(run: Run, edited: str) -> None:
    with open_store(edited) as store, History(store) as history:
        history.undo()
        history.mark_saved()
        history.redo()
    _, first, second, third = run("log", edited).lines
    assert second.endswith("  (saved)")
    assert third.startswith(">")
    assert "(saved)" not in first + third
    assert [step["saved"] for step in steps(run, edited)] == [False, True, False]
    with open_store(edited) as store, History(store) as history:
        history.undo(3)
        history.mark_saved()
        history.redo()
    assert run("log", edited).lines[1].endswith("  (saved)")


def test_the_log_in_json(run: Run, edited: str) -> None:
    began = time.time() - 600
    run("undo", edited)
    first, second, third = steps(run, edited)
    assert began < first["time"] <= second["time"] <= third["time"] < time.time() + 1
    assert first["size"] >= 0
    del first["time"], first["size"]
    assert first == {
        "step": 1, "label": "put k", "keys": 1, "origin": None, "meta": {}, "done": True,
        "current": False, "saved": False,
    }  # fmt: skip
    assert (second["done"], second["current"]) == (True, True)
    assert (third["done"], third["current"]) == (False, False)


def test_looking_back_changes_nothing(run: Run, edited: str, store: Path, place: Path) -> None:
    (place / "plain").mkdir()
    (place / "plain" / "a.txt").write_bytes(b"text")
    before = store.read_bytes()
    for address in (store, "plain"):
        assert run("log", address).text == "no steps\n"
        assert run("log", address, "--json").out == b""
        assert "no step 1" in run("show", address, "1", code=1).err
        assert "no step 1" in run("at", address, "1", "ls", code=1).err
    assert store.read_bytes() == before
    assert [path.name for path in (place / "plain").iterdir()] == ["a.txt"]
    past = (place / edited).read_bytes()
    run("log", edited)
    run("show", edited, "1")
    run("at", edited, "1", "ls")
    assert (place / edited).read_bytes() == past


def test_show_says_what_a_step_changed(run: Run, edited: str) -> None:
    title, *lines = run("show", edited, "2").lines
    assert title.startswith("step 2: put k (")
    assert lines == [
        "~ k  5 bytes -> 7 bytes", "    ~ n=1 -> n=2", "    + new=y", "    - old=x",
    ]  # fmt: skip
    assert run("show", edited, "1").lines[1:] == ["+ k  5 bytes", "    + n=1", "    + old=x"]
    run("undo", edited)
    title, *lines = run("show", edited, "3").lines
    assert title.endswith(", undone)")
    assert lines == ["- k  7 bytes", "    - n=2", "    - new=y"]


def test_show_in_json(run: Run, edited: str) -> None:
    (line,) = run("show", edited, "2", "--json").lines
    found = json.loads(line)
    assert found["before"].pop("modified") <= found["after"].pop("modified")
    assert found == {
        "key": "k",
        "change": "changed",
        "before": {"size": 5, "metadata": {"n": 1, "old": "x"}},
        "after": {"size": 7, "metadata": {"n": 2, "new": "y"}},
    }
    assert json.loads(run("show", edited, "1", "--json").text)["before"] is None


@pytest.mark.parametrize("address", KEEPERS)
def test_what_was_there_is_listed_and_read(address: str, run: Run, place: Path) -> None:
    for number, data in enumerate((b"first", b"second!", b"third"), 1):
        (place / "data").write_bytes(data)
        run("put", address, "k", "data")
        run("put", address, f"k/{number}", "data")
    run("rm", address, "--all")
    assert run("ls", address).out == b""
    assert run("at", address, "0", "ls").out == b""
    assert run("at", address, "1", "ls").lines == ["k"]
    assert run("at", address, "4", "ls").lines == ["k", "k/1", "k/2"]
    assert run("at", address, "4", "ls", "k/").lines == ["k/1", "k/2"]
    assert run("at", address, "2", "cat", "k", "k/1").out == b"firstfirst"
    assert run("at", address, "6", "cat", "k", "k/2", "k/3").out == b"thirdsecond!third"
    assert run("at", address, "1", "ls", "-l").lines[0].split()[0] == "5"
    assert json.loads(run("at", address, "1", "ls", "--json").text)["size"] == 5
    err = run("at", address, "1", "cat", "k", "k/1", code=1).err
    assert err == f"encore: there is no key 'k/1' in {address} at step 1\n"


WRONG_CALLS = [
    ["at", "t.db", "1"],
    ["at", "t.db", "1", "rm", "k"],
    ["at", "t.db", "1", "cat"],
    ["at", "t.db", "1", "cat", "k", "--json"],
    ["at", "t.db", "1", "ls", "a", "b"],
    ["at", "t.db", "one", "ls"],
    ["show", "t.db"],
    ["undo", "t.db", "-n", "0"],
    ["undo", "t.db", "-n", "1", "--step", "1"],
    ["undo", "t.db", "--on-conflict", "guess"],
]


@pytest.mark.usefixtures("edited")
@pytest.mark.parametrize("words", WRONG_CALLS)
def test_a_wrong_call_is_one_line(words: list[str], run: Run) -> None:
    outcome = run(*words, code=2)
    assert outcome.out == b""
    assert outcome.err.startswith("encore: ")
    assert outcome.err.count("\n") == 1
