"""Laws of ls, info, query, get and cat."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from command_runs import Run, filled, run_process, start

from encore.cli.output import duration_text, printable, rate_text, size_text
from encore.storage.api import SqliteStore

MIB = 1 << 20


def test_ls_writes_a_key_a_line_in_order(run: Run, store: Path) -> None:
    assert run("ls", store).out == b"a/1\na/2\nb\n"
    assert run("ls", store, "a/").out == b"a/1\na/2\n"
    assert run("ls", store, "zzz").out == b""


def test_ls_long_shows_sizes_and_times(run: Run, place: Path) -> None:
    with SqliteStore(place / "t.db") as store:
        store.put("a", b"x" * 1234567)
    (line,) = run("ls", "t.db", "--long").lines
    size, date, clock, key = line.split()
    assert (size, key) == ("1,234,567", "a")
    assert (len(date), len(clock)) == (10, 8)


def test_ls_json_is_a_line_for_each_key(run: Run, store: Path) -> None:
    found = [json.loads(line) for line in run("ls", store, "--json").lines]
    with SqliteStore(store) as opened:
        assert found == [entry._asdict() for entry in opened.entries()]


ODD = "a\nb\x1b[31m\u202e é 日本"


def test_json_and_pipes_are_exact_and_human_listings_escape(run: Run, place: Path) -> None:
    filled(place / "t.db", {ODD: b""})
    assert run("ls", "t.db").out == ODD.encode() + b"\n"
    assert json.loads(run("ls", "t.db", "--json").text)["key"] == ODD
    escaped = "a\\nb\\x1b[31m\\u202e é 日本"
    assert run("ls", "t.db", "-l").text.rstrip("\n").endswith(f"  {escaped}")
    assert run("query", "t.db").text == f"{escaped}  {{}}\n"
    assert json.loads(run("query", "t.db", "--json").text) == {"key": ODD, "metadata": {}}
    assert run("query", "t.db", "--keys").out == ODD.encode() + b"\n"
    assert printable(ODD) == escaped


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals here")
def test_a_terminal_gets_keys_escaped(place: Path) -> None:
    filled(place / "t.db", {ODD: b""})
    ours, theirs = os.openpty()
    try:
        run_process("ls", "t.db", stdout=theirs)
        assert os.read(ours, 4096).decode().splitlines() == ["a\\nb\\x1b[31m\\u202e é 日本"]
        run_process("ls", "t.db", "--json", stdout=theirs)
        text = os.read(ours, 4096)
        assert text.isascii()
        assert json.loads(text)["key"] == ODD
    finally:
        os.close(ours)
        os.close(theirs)


def test_info_says_what_it_is_and_how_much(run: Run, store: Path) -> None:
    known = json.loads(run("info", store, "--json").text)
    assert known["type"] == "SqliteStore"
    assert known["transactions"] == "native"
    assert (known["keys"], known["bytes"]) == (3, 12)
    text = run("info", store).text
    assert "SqliteStore" in text
    assert "12 bytes" in text


def with_metadata(path: Path) -> None:
    with SqliteStore(path) as store:
        store.put("one", b"", {"n": 1, "kind": "x"})
        store.put("text", b"", {"n": "1", "kind": "x"})
        store.put("true", b"", {"n": True, "kind": "y"})
        store.put("null", b"", {"n": None, "a b": [1, 2]})


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        (["n=1"], ["one"]),
        (['n="1"'], ["text"]),
        (["n=true"], ["true"]),
        (["n=null"], ["null"]),
        (["kind=x"], ["one", "text"]),
        (["kind=x", "n=1"], ["one"]),
        (["a b=[1, 2]"], ["null"]),
        (["kind=NaN"], []),
        (["kind="], []),
        ([], ["null", "one", "text", "true"]),
    ],
)
def test_query_finds_by_json_or_text(
    fields: list[str], keys: list[str], run: Run, place: Path
) -> None:
    with_metadata(place / "t.db")
    assert run("query", "t.db", *fields, "--keys").lines == keys
    found = [json.loads(line) for line in run("query", "t.db", *fields, "--json").lines]
    assert [one["key"] for one in found] == keys
    with SqliteStore(place / "t.db") as store:
        assert [one["metadata"] for one in found] == [store.get_metadata(key) for key in keys]
    both = [json.loads(line) for line in run("query", "t.db", *fields, "--keys", "--json").lines]
    assert both == [{"key": key} for key in keys]


def test_get_is_the_data_and_nothing_else(run: Run, store: Path) -> None:
    assert run("get", store, "b").out == b"\0\n\xff"
    assert run("get", store, "b", "-o", "-").out == b"\0\n\xff"


def test_get_writes_a_file_that_is_replaced_whole(run: Run, store: Path, place: Path) -> None:
    (place / "out").write_bytes(b"before")
    assert run("get", store, "b", "-o", "out").out == b""
    assert (place / "out").read_bytes() == b"\0\n\xff"
    (place / "kept").write_bytes(b"before")
    run("get", store, "missing", "-o", "kept", code=1)
    assert (place / "kept").read_bytes() == b"before"


def test_get_goes_through_links_and_into_devices(run: Run, store: Path, place: Path) -> None:
    (place / "real").write_bytes(b"before")
    (place / "link").symlink_to("real")
    run("get", store, "b", "-o", "link")
    assert (place / "link").is_symlink()
    assert (place / "real").read_bytes() == b"\0\n\xff"
    os.mkfifo(place / "pipe")
    reader = os.open(place / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        run("get", store, "b", "-o", "pipe")
        assert os.read(reader, 100) == b"\0\n\xff"
    finally:
        os.close(reader)
    assert (place / "pipe").is_fifo()


def test_large_data_comes_through_whole(run: Run, place: Path) -> None:
    data = os.urandom(3 * MIB + 17)
    filled(place / "t.db", {"big": data})
    assert run("get", "t.db", "big").out == data
    run("get", "t.db", "big", "-o", "out")
    assert (place / "out").read_bytes() == data


def test_cat_writes_keys_one_after_the_other_or_nothing(run: Run, store: Path) -> None:
    assert run("cat", store, "b", "a/1", "b").out == b"\0\n\xffone\0\n\xff"
    assert run("cat", store, "b", "missing", code=1).out == b""


def test_reading_makes_nothing(run: Run, place: Path) -> None:
    for words in (["ls"], ["info"], ["query"], ["get", "k"], ["cat", "k"], ["meta", "k"]):
        run(words[0], "sqlite:typo.db", *words[1:], code=1)
        run(words[0], "dir:typo", *words[1:], code=1)
    assert not list(place.iterdir())


def test_a_closed_output_is_said_in_a_line(store: Path) -> None:
    code = (
        "import os, sys; os.close(1); sys.stdout = None\n"
        "from encore.cli.main import main; sys.exit(main())"
    )
    outcome = run_process("ls", store, program=("-c", code), code=1)
    assert outcome.err == "encore: there is no standard output to write to\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device here")
def test_a_full_output_is_said_in_a_line(store: Path) -> None:
    with open("/dev/full", "wb") as full:
        outcome = run_process("ls", store, stdout=full, code=1)
    assert outcome.err == "encore: No space left on device\n"


def test_a_reader_that_has_seen_enough_is_no_error(place: Path) -> None:
    filled(place / "t.db", {f"{number:06}": b"" for number in range(30000)})
    filled(place / "u.db", {"big": b"line\n" * MIB})
    for words in (["ls", "t.db"], ["ls", "t.db", "--json"], ["get", "u.db", "big"]):
        with start(*words) as process:
            assert process.stdout.readline()
            process.stdout.close()
            assert process.wait(60) == 141
            assert process.stderr.read() == b""


def test_bytes_pass_pipes_unchanged(place: Path) -> None:
    data = bytes(range(256)) * 5000 + b"\r\n\x1a"
    assert run_process("put", "t.db", "k", "-", data=data).out == b""
    assert run_process("get", "t.db", "k").out == data
    assert run_process("cat", "t.db", "k", "k").out == data * 2


def test_keys_of_any_script_go_through_any_locale(place: Path) -> None:
    key = "schlüssel/日本"
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    filled(place / "t.db", {key: b"1"})
    assert run_process("ls", "t.db", env=env).out == key.encode() + b"\n"
    assert run_process("get", "t.db", "none\u20ac", env=env, code=1).err.startswith("encore: ")


def test_numbers_are_written_as_people_read_them() -> None:
    assert [size_text(n) for n in (0, 1, 999, 1000, 1500, 999_949, 999_950, 512_345_678)] == [
        "0 B", "1 B", "999 B", "1.0 kB", "1.5 kB", "999.9 kB", "1.0 MB", "512.3 MB",
    ]  # fmt: skip
    assert size_text(7 * 10**15) == "7,000.0 TB"
    assert rate_text(512_345_678, 3.2) == "160 MB/s"
    assert rate_text(15_000_000, 10) == "1.5 MB/s"
    assert rate_text(7 * 10**18, 1) == "7,000,000 TB/s"
    assert [duration_text(s) for s in (0, 3.24, 99.94, 99.96, 320, 7500)] == [
        "0.0 s", "3.2 s", "99.9 s", "1 min 40 s", "5 min 20 s", "2 h 5 min",
    ]  # fmt: skip


def test_the_streams_of_the_process_are_left_open(run: Run, store: Path) -> None:
    run("ls", store)
    assert not sys.stdout.closed
