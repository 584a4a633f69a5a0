"""Threads and processes that write at the same time, checked for what cannot have happened."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from histories import FIRST, Transaction, faults
from stress_tools import LONG, needs_fork, run, run_on_broken
from stressed import DICT, STORES, Stressed

from encore.errors import LockTimeoutError

_EVERY_STORE = pytest.mark.parametrize("store", STORES, ids=lambda store: store.name)


@pytest.mark.parametrize("store", [DICT, *STORES], ids=lambda store: store.name)
@pytest.mark.parametrize("transactions", [15, pytest.param(1000, marks=LONG)])
def test_threads_lose_no_update_and_see_nothing_torn(store, transactions) -> None:  # type: ignore[no-untyped-def]
    told = run("contending.py", store.name, "--threads", 8, "--transactions", transactions)
    assert told["count"] > 0


@needs_fork
@_EVERY_STORE
@pytest.mark.parametrize(("transactions", "deaths"), [(12, 2), pytest.param(500, 50, marks=LONG)])
def test_so_do_processes_while_others_die(store, transactions, deaths) -> None:  # type: ignore[no-untyped-def]
    arguments = ("--processes", 4, "--threads", 2, "--deaths", deaths)
    told = run("contending.py", store.name, *arguments, "--transactions", transactions)
    assert told["count"] > 0


@needs_fork
def test_a_store_that_lets_others_write_is_found_out() -> None:
    arguments = ("--processes", 4, "--threads", 1, "--transactions", 60)
    run_on_broken("contending.py", "unlocked", *arguments, error="Error")


def test_a_store_that_shows_uncommitted_data_is_found_out() -> None:
    run_on_broken("contending.py", "dirty", "--transactions", 40, error="never committed")


def test_a_store_that_writes_over_what_it_has_not_seen_is_found_out() -> None:
    run_on_broken("contending.py", "stale", "--transactions", 40, error="lost update")


# -- who waits ------------------------------------------------------------------------------------


@needs_fork
@_EVERY_STORE
def test_who_waits_is_told_who_holds_the_lock_and_goes_on_when_the_holder_dies(
    store: Stressed, tmp_path: Path
) -> None:
    with store.open(tmp_path, timeout=0.1) as opened:
        opened.put("a", b"old")
        begun, begin = os.pipe()
        holder = os.fork()
        if holder == 0:  # it goes on with what it has inherited
            opened.transaction("Hold").begin()
            opened.put("a", b"uncommitted")
            os.write(begin, b"!")
            signal.pause()
        try:
            os.read(begun, 1)
            with pytest.raises(LockTimeoutError, match=f"process {holder}"):
                opened.put("a", b"new")
            with pytest.raises(LockTimeoutError, match=f"process {holder}"), opened.transaction():
                pass
            assert opened.read("a") == b"old"
        finally:
            os.kill(holder, signal.SIGKILL)
            os.waitpid(holder, 0)
            os.close(begun)
            os.close(begin)
        begin_seconds = time.monotonic()
        opened.put("a", b"new")
        assert time.monotonic() - begin_seconds < 10
        assert opened.read("a") == b"new"


@needs_fork
@_EVERY_STORE
def test_a_transaction_that_a_fork_has_inherited_is_the_parents(
    store: Stressed, tmp_path: Path
) -> None:
    with store.open(tmp_path, timeout=0.1) as opened:
        opened.put("a", b"old")
        context = opened.transaction("Ours").begin()
        opened.put("a", b"ours")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                try:
                    context.commit()
                except Exception:
                    status = 0 if opened.read("a") == b"old" else 2
                try:
                    opened.put("a", b"the child's")
                except LockTimeoutError:
                    opened.close()
                else:
                    status = 3
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert opened.read("a") == b"ours"
        context.commit()
        assert opened.read("a") == b"ours"
    with store.open(tmp_path) as opened:
        assert opened.read("a") == b"ours"


# -- the checker itself ---------------------------------------------------------------------------


def one(name: str, begin: int, end: int, reads: str = "", writes: str = "") -> Transaction:
    """A transaction: reads as "x:version ...", writes as "x:version:replaced ..."."""
    return Transaction(
        name,
        begin,
        end,
        [tuple(read.split(":")) for read in reads.split()],  # type: ignore[misc]
        [tuple(write.split(":")) for write in writes.split()],  # type: ignore[misc]
    )


def test_a_history_in_order_has_no_fault() -> None:
    history = [
        one("a", 0, 1, writes=f"x:1:{FIRST}"),
        one("b", 2, 5, reads="x:1", writes="y:1:first"),
        one("c", 3, 6, writes="x:2:1"),
        one("d", 7, 8, reads="x:2 y:1"),
    ]
    assert faults(history) == []


@pytest.mark.parametrize(
    ("history", "told"),
    [
        ([one("a", 0, 9, writes="x:1:first"), one("b", 0, 9, writes="x:2:first")], "lost update"),
        ([one("a", 0, 9, reads="x:aborted")], "never committed"),
        (
            [one("a", 0, 9, writes="x:1:first y:1:first"), one("b", 0, 9, reads="x:1 y:first")],
            "a cycle of a, b",
        ),
        (
            [
                one("a", 0, 9, "x:first", "y:1:first"),
                one("b", 0, 9, "y:first", "x:1:first"),
            ],
            "a cycle of a, b",
        ),
        ([one("a", 0, 1, writes="x:1:first"), one("b", 2, 3, reads="x:first")], "a cycle of a, b"),
    ],
    ids=["lost update", "aborted read", "read skew", "write skew", "stale read"],
)
def test_what_cannot_have_happened_is_told(history: list[Transaction], told: str) -> None:
    assert any(told in fault for fault in faults(history)), faults(history)
