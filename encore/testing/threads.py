"""Laws of owners: threads and tasks, what they see of each other, and how they wait."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import Any

import pytest

from encore.errors import LockTimeoutError, TransactionClosedError, WrongOwnerError
from encore.storage.abstract_store import AbstractStore
from encore.testing.laws import (
    PATIENCE_SECONDS,
    Laws,
    in_thread,
    needs_fork,
    needs_transactions,
    seen,
    told_size,
)
from encore.testing.sources import pattern

_SHORT_SECONDS = 0.05


@needs_transactions
class ThreadLaws(Laws):
    """The owner of a transaction is a thread."""

    def test_other_threads_see_the_last_committed_state(self, store: AbstractStore) -> None:
        store.put("small", b"old", {"kind": "x"})
        store.put("large", pattern(200000, 1), {"kind": "x"})
        store.put("gone", b"", {"kind": "y"})
        before = self.contents(store)

        def look() -> dict[str, Any]:
            assert [*store.query_keys(kind="x")] == ["large", "small"]
            assert [*store.keys("g")] == [*store.glob("g*")] == ["gone"]
            assert store.get_data_range("large", 100, 70000).read() == pattern(200000, 1)[100:70000]
            assert "new" not in store
            return seen(store)

        with store.transaction():
            store.put("small", b"new", {"kind": "y"})
            store.put("large", pattern(200000, 2), {"kind": "z"})
            store.put("new", pattern(100000, 3), {"kind": "x"})
            store.delete("gone")
            with store.transaction():
                store.move("new", "newer")
                assert in_thread(look) == before
            after = seen(store)
        assert in_thread(lambda: seen(store)) == after == self.contents(store)

    def test_another_writer_waits_no_longer_than_the_timeout(self, store: AbstractStore) -> None:
        def write() -> None:
            with store.transaction(timeout=_SHORT_SECONDS):
                store.put("a", b"theirs")

        with store.transaction():
            store.put("a", b"mine")
            with pytest.raises(LockTimeoutError) as caught:
                in_thread(write)
            assert isinstance(caught.value, TimeoutError)
            assert threading.current_thread().name in str(caught.value)
        assert self.contents(store) == {"a": (b"mine", {})}
        in_thread(write)
        assert self.contents(store) == {"a": (b"theirs", {})}

    def test_another_writer_gets_its_turn(self, store: AbstractStore) -> None:
        begun = threading.Event()

        def write() -> None:
            begun.set()
            with store.transaction(timeout=PATIENCE_SECONDS):
                store.put("a", store.read("a") + b" theirs")

        thread = threading.Thread(target=write, daemon=True)
        with store.transaction():
            store.put("a", b"mine")
            thread.start()
            assert begun.wait(PATIENCE_SECONDS)
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
        assert store.read("a") == b"mine theirs"

    def test_counting_in_transactions_loses_no_update(self, store: AbstractStore) -> None:
        store.put("count", b"0")

        def count() -> None:
            for _ in range(25):
                with store.transaction(timeout=PATIENCE_SECONDS):
                    store.put("count", str(int(store.read("count")) + 1).encode())

        threads = [threading.Thread(target=count, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        assert store.read("count") == b"100"

    def test_lone_writes_of_many_threads_all_arrive(self, store: AbstractStore) -> None:
        def write(number: int) -> None:
            for turn in range(20):
                store.put(f"{number}/{turn}", pattern(turn * 500, number), {"turn": turn})
                store.put("shared", pattern(2000 * number, number))
                if turn % 3 == 0:
                    store.delete(f"{number}/{turn}")

        threads = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        contents = self.contents(store)
        data, _ = contents.pop("shared")
        assert data in [pattern(2000 * number, number) for number in range(4)]
        assert contents == {
            f"{number}/{turn}": (pattern(turn * 500, number), {"turn": turn})
            for number in range(4)
            for turn in range(20)
            if turn % 3
        }

    @pytest.mark.parametrize("size", [2000, 100000])
    def test_readers_beside_a_writer_see_whole_values(
        self, store: AbstractStore, size: int
    ) -> None:
        store.multiset({"a": (pattern(size, 0), {"n": 0}), "b": (pattern(size, 0), {"n": 0})})
        done = threading.Event()

        def read() -> int:
            times = 0
            while not done.is_set() or not times:
                value = store.get("a")
                number = value.metadata["n"]
                assert value.read() == pattern(size, number % 7)
                value.close()
                times += 1
            return times

        errors: list[BaseException] = []

        def reader() -> None:
            try:
                read()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=reader, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for number in range(1, 60):
                whole = (pattern(size, number % 7), {"n": number})
                store.multiset({"a": whole, "b": whole})
                if number % 10 == 0:
                    with store.transaction():
                        store.delete("a")
                        store.set("a", whole)
        finally:
            done.set()
            for thread in threads:
                thread.join(PATIENCE_SECONDS)
        assert errors == []

    def test_a_transaction_belongs_to_the_thread_that_began_it(self, store: AbstractStore) -> None:
        txn = store.transaction()
        txn.begin()
        store.put("a", b"1")
        for act in (txn.commit, txn.rollback, txn.begin, lambda: txn.on_commit(print)):
            with pytest.raises(WrongOwnerError):
                in_thread(act)
        assert in_thread(store.transaction) is not txn
        txn.commit()
        with pytest.raises(TransactionClosedError):
            in_thread(txn.commit)
        assert self.contents(store) == {"a": (b"1", {})}

    def test_what_a_thread_that_has_died_left_open_is_undone(self, store: AbstractStore) -> None:
        store.put("a", b"old")

        def die() -> None:
            store.transaction("Left open").begin()
            store.put("a", b"new")
            store.put("large", pattern(200000))

        in_thread(die)
        assert self.contents(store) == {"a": (b"old", {})}
        with store.transaction(timeout=PATIENCE_SECONDS):
            store.put("b", b"1")
        store.put("c", b"1")
        assert self.contents(store) == {"a": (b"old", {}), "b": (b"1", {}), "c": (b"1", {})}

    def test_a_store_can_be_closed_after_a_thread_died_in_a_transaction(
        self, store: AbstractStore
    ) -> None:
        in_thread(lambda: store.transaction("Left open").begin())
        store.close()

    @needs_fork
    @pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
    def test_a_forked_child_writes_on_its_own(self, store: AbstractStore) -> None:
        store.put("a", b"parent", {"x": 1})
        large = pattern(200000)
        store.put("large", large)
        held = store.get("large")
        child = os.fork()
        if child == 0:
            status = 1
            with suppress(BaseException):
                assert held.size == told_size(store, len(large))
                assert store.read("a") == b"parent"
                assert store.read("large") == large
                with store.transaction():
                    store.put("b", pattern(100000, 1), {"child": True})
                store.put("c", b"child")
                assert [*store.keys()] == ["a", "b", "c", "large"]
                store.close()
                status = 0
            os._exit(status)
        _, status = os.waitpid(child, 0)
        assert status == 0
        assert held.read() == large
        held.close()
        store.put("d", b"parent goes on")
        keys = [*self.contents(store)]
        assert keys in (["a", "b", "c", "d", "large"], ["a", "d", "large"])
        other = self.reopen(store)
        if other is not None:
            other.close()
            assert "b" in keys, "what the child wrote to the same place is there"

    @needs_fork
    @pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
    def test_a_child_forked_inside_a_transaction_does_not_own_it(
        self, store: AbstractStore
    ) -> None:
        store.put("a", b"committed")
        txn = store.transaction()
        txn.begin()
        store.put("a", b"parent's")
        child = os.fork()
        if child == 0:
            status = 1
            with suppress(BaseException):
                assert store.read("a") == b"committed"
                with suppress(Exception):
                    txn.commit()
                status = 0
            os._exit(status)
        _, status = os.waitpid(child, 0)
        assert status == 0
        txn.rollback()
        assert self.contents(store) == {"a": (b"committed", {})}
