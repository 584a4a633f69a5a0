"""The transaction context by itself, over an engine that only writes down what it is asked."""

from __future__ import annotations

from typing import Any

import pytest

from encore.errors import TransactionClosedError, TransactionError
from encore.storage.transactions.contexts import DummyTransactionContext, SimpleTransactionContext
from encore.storage.transactions.owners import OwnerState


class Engine:
    """A store as the context sees it."""

    can_prepare = False
    _recorder = None

    def __init__(self, fails: str = "") -> None:
        self._owner = OwnerState()
        self.fails = fails
        self.calls: list[str] = []

    def _call(self, name: str, context: SimpleTransactionContext) -> None:
        self.calls.append(f"{name} {context.depth}")
        if self.fails == self.calls[-1]:
            raise OSError("the engine refuses")

    def _begin_transaction(self, context: SimpleTransactionContext) -> None:
        self._call("begin", context)

    def _prepare_transaction(self, context: SimpleTransactionContext) -> None:
        self._call("prepare", context)

    def _commit_transaction(self, context: SimpleTransactionContext) -> None:
        self._call("commit", context)

    def _rollback_transaction(self, context: SimpleTransactionContext) -> None:
        self._call("rollback", context)

    def _announce_start(self, context: SimpleTransactionContext) -> None:
        self.calls.append("start")

    def _announce_end(self, context: SimpleTransactionContext, changes: Any) -> None:
        self.calls.append(f"end {context.state}")


def test_blocks_are_begun_and_ended_in_order() -> None:
    engine = Engine()
    with SimpleTransactionContext(engine, "outer") as txn:
        assert txn.state == "active"
        with txn.deepen("inner"):
            pass
        with pytest.raises(KeyError), txn:
            raise KeyError
    assert engine.calls == [
        "start", "begin 1", "begin 2", "commit 2", "begin 2", "rollback 2", "commit 1", "end done",
    ]  # fmt: skip
    assert engine._owner.context is None


def test_a_begin_that_fails_leaves_nothing_open() -> None:
    engine = Engine(fails="begin 1")
    txn = SimpleTransactionContext(engine)
    with pytest.raises(OSError, match="refuses"):
        txn.begin()
    assert (txn.depth, txn.state, engine._owner.context) == (0, "failed", None)
    assert engine.calls == ["start", "begin 1", "end failed"]


def test_an_inner_begin_that_fails_leaves_the_outer_block_open() -> None:
    engine = Engine(fails="begin 2")
    with SimpleTransactionContext(engine) as txn:
        with pytest.raises(OSError, match="refuses"):
            txn.begin()
        assert txn.depth == 1
    assert engine.calls[-2:] == ["commit 1", "end done"]


def test_a_commit_that_fails_rolls_back() -> None:
    engine = Engine(fails="commit 1")
    with pytest.raises(OSError, match="refuses"), SimpleTransactionContext(engine) as txn:
        pass
    assert txn.state == "failed"
    assert engine.calls == ["start", "begin 1", "commit 1", "rollback 1", "end failed"]


def test_an_inner_commit_that_fails_rolls_back_the_inner_block() -> None:
    engine = Engine(fails="commit 2")
    with SimpleTransactionContext(engine) as txn:
        with pytest.raises(OSError, match="refuses"), txn:
            pass
        assert txn.depth == 1
    assert engine.calls[2:] == ["begin 2", "commit 2", "rollback 2", "commit 1", "end done"]


def test_a_rollback_that_fails_ends_the_transaction_and_the_first_error_is_raised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Engine(fails="rollback 1")
    with pytest.raises(KeyError), SimpleTransactionContext(engine) as txn:
        raise KeyError
    assert (txn.depth, txn.state) == (0, "failed")
    assert "the engine refuses" in caplog.text


def test_an_interruption_after_the_commit_point_tells_the_truth() -> None:
    class Interrupted(Engine):
        def _commit_transaction(self, context: SimpleTransactionContext) -> None:
            context.mark_committed()
            raise KeyboardInterrupt

    engine = Interrupted()
    calls = []
    with pytest.raises(KeyboardInterrupt), SimpleTransactionContext(engine) as txn:
        txn.on_commit(lambda: calls.append("committed"))
    assert txn.state == "done"
    assert engine.calls[-1] == "end done"
    assert calls == ["committed"]


def test_a_quiet_context_has_no_id_and_another_has_one() -> None:
    engine = Engine()
    assert SimpleTransactionContext(engine, quiet=True).transaction_id is None
    one, two = SimpleTransactionContext(engine), SimpleTransactionContext(engine)
    assert one.transaction_id == one.transaction_id
    assert one.transaction_id != two.transaction_id


def test_a_context_is_used_once() -> None:
    txn = SimpleTransactionContext(Engine())
    with txn:
        pass
    with pytest.raises(TransactionClosedError):
        txn.begin()


def test_a_block_that_a_hook_leaves_open_is_an_error() -> None:
    engine = Engine()
    with pytest.raises(TransactionError), SimpleTransactionContext(engine) as txn:
        txn.before_commit(txn.begin)
    assert engine.calls[-3:] == ["rollback 2", "rollback 1", "end failed"]


def test_a_dummy_context_lets_everything_through() -> None:
    with DummyTransactionContext(object(), "notes") as txn:
        assert txn.notes == "notes"
    with pytest.raises(KeyError), DummyTransactionContext(object()):
        raise KeyError
    txn.begin()
    txn.commit()
    txn.rollback()
