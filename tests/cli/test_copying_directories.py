"""Laws of the main errand: a directory into one file, and back."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from command_runs import Run, contents, filled, start
from test_interruptions import interrupted, raw

OWN = ".encore"
MIB = 1 << 20


def tree(root: Path) -> dict[str, bytes]:
    """The files below a directory, but for what encore keeps for itself."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and OWN not in path.parts
    }


def names(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


@pytest.fixture
def source(place: Path) -> Path:
    root = place / "src"
    for name, data in {
        "a.txt": b"hi\r\n",
        "sub/deep/b.bin": os.urandom(2 * MIB + 3),
        "sub.txt": b"",
        "with space/ü.txt": b"\0",
        "%2e": b"looks escaped",
        ".hidden/.x": b"dots",
        "a;b'c\"d": b"quotes",
        "line\nbreak": b"odd",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return root


def test_a_directory_goes_into_a_file_and_comes_back_identical(
    run: Run, source: Path, place: Path
) -> None:
    before = names(source)
    count = json.loads(run("copy", source, "sqlite:t.db", "--verify", "--json").text)["keys"]
    assert count == len(tree(source))
    assert names(source) == before  # nothing was written into it
    assert contents(place / "t.db") == tree(source)
    run("copy", "sqlite:t.db", "dir:out", "--verify")
    assert tree(place / "out") == tree(source)
    for name in tree(source):
        assert (place / "out" / name).stat().st_mtime == 1_600_000_000


def test_empty_directories_are_not_kept(run: Run, source: Path, place: Path) -> None:
    (source / "empty").mkdir()
    run("copy", source, "sqlite:t.db")
    run("copy", "sqlite:t.db", "dir:out")
    assert not (place / "out" / "empty").exists()


def test_sync_follows_a_directory_there_and_back(run: Run, source: Path, place: Path) -> None:
    run("copy", source, "t.db")
    assert run("sync", source, "t.db", "--delete").text.startswith("synced 0 keys")
    (source / "a.txt").write_bytes(b"longer than before")
    (source / "new").write_bytes(b"new")
    (source / "sub.txt").unlink()
    text = run("sync", source, "t.db", "--delete").text
    assert text.startswith("synced 2 keys")
    assert "deleted 1" in text
    assert contents(place / "t.db") == tree(source)
    run("copy", "t.db", "dir:out")
    (source / "%2e").unlink()
    run("sync", source, "out", "--delete")
    assert tree(place / "out") == tree(source)


def test_every_command_takes_a_directory(run: Run, source: Path) -> None:
    assert "sub/deep/b.bin" in run("ls", source).lines
    assert run("get", source, "a.txt").out == b"hi\r\n"
    assert run("cat", source, "a.txt", "%2e").out == b"hi\r\nlooks escaped"
    assert json.loads(run("info", source, "--json").text)["keys"] == len(tree(source))
    assert run("query", source, "n=1").out == b""
    assert not (source / OWN).exists()
    run("meta", source, "a.txt", "n=1")
    assert run("query", source, "n=1", "--keys").lines == ["a.txt"]
    run("put", source, "x/y", source / "a.txt", "--meta", "n=1", "--durability", "power")
    assert (source / "x" / "y").read_bytes() == b"hi\r\n"
    run("rm", source, "--prefix", "x/")
    assert not (source / "x" / "y").exists()


def test_what_lies_inside_each_other_is_not_copied(
    run: Run, source: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(place)
    assert "lies inside" in run("copy", source, "sqlite:src/t.db", code=2).err
    assert "lies inside" in run("copy", source, "dir:src/copy", code=2).err
    assert "same store" in run("copy", source, "dir:./src/../src", code=2).err
    monkeypatch.chdir(source)
    assert "lies inside" in run("copy", ".", "t.db", code=2).err
    (place / "link").symlink_to(source)
    assert "same store" in run("copy", source, place / "link", code=2).err
    (place / "link").unlink()
    assert tree(place) == before


def test_syncing_does_not_delete_its_source(run: Run, source: Path, place: Path) -> None:
    filled(source / "t.db", {"a": b"1"})
    assert (
        "--delete would remove it" in run("sync", source / "t.db", source, "--delete", code=2).err
    )
    run("sync", source / "t.db", source)
    assert (source / "a").read_bytes() == b"1"
    assert contents(source / "t.db") == {"a": b"1"}


def test_a_file_is_not_copied_over_itself(run: Run, source: Path) -> None:
    before = filled(source / "sub" / "t.db", {"a": b"1", "sub/t.db": b"an old backup"}).read_bytes()
    err = run("copy", source / "sub" / "t.db", source, code=2).err
    assert "has a key 'sub/t.db'" in err
    assert (source / "sub" / "t.db").read_bytes() == before
    assert not (source / "a").exists()


def test_a_bare_path_makes_no_directory(run: Run, source: Path, place: Path) -> None:
    run("copy", source, "out", code=2)
    run("put", "out", "k", source / "a.txt", code=2)
    assert not (place / "out").exists()


def test_a_dry_run_makes_no_directory(run: Run, source: Path, place: Path) -> None:
    run("copy", source, "dir:out", "--dry-run")
    assert not (place / "out").exists()


def test_a_cancelled_copy_leaves_a_directory_as_it_was(run: Run, place: Path) -> None:
    (place / "data").write_bytes(b"old")
    for key in ("a", "z"):
        run("put", "dir:out", key, "data")
    files, everything = tree(place / "out"), names(place / "out")
    outcome = interrupted("dir:out")
    assert (outcome.code, outcome.err) == (130, "encore: cancelled; dir:out is as it was\n")
    assert tree(place / "out") == files == {"a": b"old", "z": b"old"}
    assert names(place / "out") == everything  # no staging is left
    assert run("ls", "out").lines == ["a", "z"]


def test_a_cancelled_copy_into_a_new_directory_leaves_no_file(run: Run, place: Path) -> None:
    outcome = interrupted("dir:out")
    assert outcome.code == 130
    if (place / "out").exists():
        assert outcome.err == "encore: cancelled; dir:out is new and empty\n"
        assert tree(place / "out") == {}
    else:
        assert outcome.err == "encore: cancelled; dir:out is as it was\n"


@pytest.mark.parametrize("target", ["sqlite:t.db", "dir:out"])
def test_a_real_copy_of_a_directory_is_cancelled(target: str, run: Run, place: Path) -> None:
    (place / "src").mkdir()
    for name in "abc":
        with open(place / "src" / name, "wb") as file:
            file.truncate(1024 * MIB)  # takes no room, and long to copy
    (place / "old").write_bytes(b"old")
    run("put", target, "b", "old")
    before = raw(place / "t.db") if target == "sqlite:t.db" else names(place / "out")
    with start("copy", "src", target, env={"ENCORE_PROGRESS": "on"}) as process:
        seen = b""
        while b"Copying" not in seen:
            seen += process.stderr.read1()
            assert process.poll() is None or seen
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    line = f"encore: cancelled; {target} is as it was\n"
    assert (seen + rest).decode().endswith(line)
    assert run("cat", target, *run("ls", target).lines).out == b"old"
    assert (raw(place / "t.db") if target == "sqlite:t.db" else names(place / "out")) == before
