"""Laws of hooks: what runs before the commit, after it, and after a rollback."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from encore.errors import TransactionError
from encore.storage.abstract_store import AbstractStore
from encore.storage.events import StoreModificationEvent
from encore.testing.laws import Laws, heard, needs_transactions, told
from encore.testing.transactions import Oops


@needs_transactions
class HookLaws(Laws):
    """before_commit, on_commit, on_rollback."""

    def test_hooks_run_in_the_order_of_things(self, store: AbstractStore) -> None:
        calls: list[Any] = []

        def before() -> None:
            calls.append(("before", store.read("a"), txn.depth))

        def after() -> None:
            calls.append(("after", txn.depth))

        with store.transaction() as txn:
            txn.before_commit(before)
            txn.before_commit(lambda: calls.append("second"))
            txn.on_commit(after)
            txn.on_rollback(lambda: calls.append("never"))
            store.put("a", b"1")
            assert calls == []
        assert calls == [("before", b"1", 1), "second", ("after", 0)]

    def test_a_hook_before_the_commit_may_write(self, store: AbstractStore) -> None:
        with heard(store, StoreModificationEvent) as events, store.transaction() as txn:
            txn.before_commit(lambda: store.put("b", b"2"))
            txn.before_commit(lambda: txn.before_commit(lambda: store.put("c", b"3")))
            store.put("a", b"1")
        assert told(events) == [("set", "a"), ("set", "b"), ("set", "c")]
        assert [*self.contents(store)] == ["a", "b", "c"]

    @pytest.mark.parametrize("error", [Oops, KeyboardInterrupt])
    def test_a_hook_before_the_commit_may_veto(
        self, store: AbstractStore, error: type[BaseException]
    ) -> None:
        calls = []

        def veto() -> None:
            raise error

        with heard(store, StoreModificationEvent) as events:
            with pytest.raises(error), store.transaction() as txn:  # noqa: PT012
                txn.before_commit(veto)
                txn.on_commit(lambda: calls.append("committed"))
                txn.on_rollback(lambda: calls.append("rolled back"))
                store.put("a", b"1")
            assert calls == ["rolled back"]
            assert events == []
        assert self.contents(store) == {}
        store.put("a", b"usable")

    def test_a_hook_of_a_block_that_was_undone_never_runs(self, store: AbstractStore) -> None:
        calls: list[str] = []
        with store.transaction() as txn:
            txn.on_rollback(lambda: calls.append("outer rolled back"))
            with suppress(Oops), store.transaction():
                txn.before_commit(lambda: calls.append("inner before"))
                txn.on_commit(lambda: calls.append("inner after"))
                txn.on_rollback(lambda: calls.append("inner rolled back"))
                raise Oops
            assert calls == ["inner rolled back"]
            with store.transaction():
                txn.before_commit(lambda: calls.append("kept before"))
                txn.on_commit(lambda: calls.append("kept after"))
        assert calls == ["inner rolled back", "kept before", "kept after"]

    def test_hooks_of_an_inner_block_wait_for_the_outermost_commit(
        self, store: AbstractStore
    ) -> None:
        calls: list[str] = []
        with suppress(Oops), store.transaction() as txn:
            with store.transaction():
                txn.before_commit(lambda: calls.append("before"))
                txn.on_commit(lambda: calls.append("after"))
                txn.on_rollback(lambda: calls.append("rolled back"))
            assert calls == []
            raise Oops
        assert calls == ["rolled back"]

    def test_what_an_on_commit_hook_raises_is_logged(
        self, store: AbstractStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail() -> None:
            raise Oops("in a hook")

        calls = []
        with store.transaction() as txn:
            txn.on_commit(fail)
            txn.on_commit(lambda: calls.append("the others run"))
            store.put("a", b"1")
        assert calls == ["the others run"]
        assert "in a hook" in caplog.text
        assert self.contents(store) == {"a": (b"1", {})}

    def test_an_on_commit_hook_may_begin_a_transaction(self, store: AbstractStore) -> None:
        def again() -> None:
            with store.transaction():
                store.put("b", b"2")

        with store.transaction() as txn:
            txn.on_commit(again)
            store.put("a", b"1")
        assert [*self.contents(store)] == ["a", "b"]

    def test_an_on_rollback_hook_may_begin_a_transaction(self, store: AbstractStore) -> None:
        with suppress(Oops), store.transaction() as txn:
            txn.on_rollback(lambda: store.put("b", b"2"))
            store.put("a", b"1")
            raise Oops
        assert [*self.contents(store)] == ["b"]

    def test_a_hook_that_leaves_a_block_open_undoes_everything(self, store: AbstractStore) -> None:
        with pytest.raises(TransactionError), store.transaction() as txn:  # noqa: PT012
            txn.before_commit(lambda: txn.begin())
            store.put("a", b"1")
        assert self.contents(store) == {}
        store.put("a", b"usable")
