"""Laws of asyncio tasks: where a loop runs, the owner of a transaction is a task."""

from __future__ import annotations

import asyncio

import pytest

from encore.errors import LockTimeoutError, WrongOwnerError
from encore.storage.abstract_store import AbstractStore
from encore.testing.laws import Laws, needs_transactions
from encore.testing.sources import pattern

_SHORT_SECONDS = 0.05


@needs_transactions
class TaskLaws(Laws):
    """Where a loop runs, the owner is a task."""

    def test_tasks_of_one_thread_do_not_share_a_transaction(self, store: AbstractStore) -> None:
        store.put("a", b"old", {"x": 1})
        store.put("large", pattern(200000, 1))
        trace: list[str] = []

        async def writer(written: asyncio.Event, looked: asyncio.Event) -> None:
            with store.transaction() as txn:
                store.put("a", b"new", {"x": 2})
                store.put("large", pattern(200000, 2))
                store.put("b", b"new")
                written.set()
                await looked.wait()
                assert store.read("a") == b"new"
                assert txn.depth == 1
                assert [*store.keys()] == ["a", "b", "large"]
            trace.append("committed")

        async def reader(written: asyncio.Event, looked: asyncio.Event) -> None:
            await written.wait()
            try:
                assert store.read("a") == b"old"
                assert store.get_metadata("a") == {"x": 1}
                assert store.read("large") == pattern(200000, 1)
                assert [*store.keys()] == ["a", "large"]
                assert [*store.query_keys(x=2)] == []
                assert "b" not in store
                with pytest.raises(LockTimeoutError):
                    store.transaction(timeout=_SHORT_SECONDS).begin()
                trace.append("looked")
            finally:
                looked.set()

        async def main() -> None:
            written, looked = asyncio.Event(), asyncio.Event()
            await asyncio.gather(writer(written, looked), reader(written, looked))

        asyncio.run(main())
        assert trace == ["looked", "committed"]
        assert store.read("a") == b"new"
        store.put("c", b"usable")
        assert [*self.contents(store)] == ["a", "b", "c", "large"]

    def test_a_task_cannot_end_the_transaction_of_another(self, store: AbstractStore) -> None:
        async def main() -> None:
            with store.transaction() as txn:
                store.put("a", b"1")

                async def meddle() -> None:
                    for act in (txn.commit, txn.rollback, txn.begin):
                        with pytest.raises(WrongOwnerError):
                            act()

                await asyncio.create_task(meddle())

        asyncio.run(main())
        assert self.contents(store) == {"a": (b"1", {})}

    def test_a_task_that_is_cancelled_rolls_back(self, store: AbstractStore) -> None:
        async def write(begun: asyncio.Event) -> None:
            with store.transaction():
                store.put("a", b"1")
                begun.set()
                await asyncio.Event().wait()

        async def main() -> None:
            begun = asyncio.Event()
            task = asyncio.create_task(write(begun))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            store.put("b", b"2")

        asyncio.run(main())
        assert self.contents(store) == {"b": (b"2", {})}
