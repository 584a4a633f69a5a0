"""Laws of opening and closing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from encore.errors import StoreError, TransactionError
from encore.storage.abstract_store import AbstractStore
from encore.testing import verbs
from encore.testing.laws import Laws, needs_transactions
from encore.testing.sources import pattern

_ON_KEYS = (
    verbs.READING
    | verbs.TO_FILE
    | verbs.ASKING
    | verbs.REMOVING
    | {f"write: {name}": verb for name, verb in verbs.WRITING.items()}
    | {"copy": lambda s, k: s.copy(k, "b"), "move": lambda s, k: s.move(k, "b")}
)
_OTHERS: dict[str, Callable[[AbstractStore], object]] = verbs.LISTING | {
    "clear": lambda s: s.clear(),
    "delete missing": lambda s: s.delete("gone", missing_ok=True),
    "transaction": lambda s: s.transaction().begin(),
    "iteration": lambda s: next(iter(s), None),
}


class ClosingLaws(Laws):
    """close, connect, disconnect, is_connected, info, with."""

    @pytest.mark.parametrize("verb", _ON_KEYS.values(), ids=_ON_KEYS)
    def test_a_closed_store_refuses_every_verb_on_a_key(
        self, store: AbstractStore, verb: verbs.Verb
    ) -> None:
        store.put("a", b"1")
        store.close()
        with pytest.raises(StoreError, match="closed") as caught:
            verb(store, "a")
        assert not isinstance(caught.value, KeyError)

    @pytest.mark.parametrize("verb", _OTHERS.values(), ids=_OTHERS)
    def test_a_closed_store_refuses_every_other_verb(
        self, store: AbstractStore, verb: Callable[[AbstractStore], object]
    ) -> None:
        store.put("a", b"1")
        store.close()
        with pytest.raises(StoreError, match="closed"):
            verb(store)

    def test_closing_twice_is_fine(self, store: AbstractStore) -> None:
        store.put("a", b"1")
        store.close()
        store.close()
        store.disconnect()
        assert not store.is_connected()

    def test_closing_what_was_never_used_is_fine_and_closes_it(self, store: AbstractStore) -> None:
        store.close()
        with pytest.raises(StoreError):
            store.put("a", b"1")

    def test_a_store_that_has_been_used_is_connected(self, store: AbstractStore) -> None:
        store.put("a", b"1")
        assert store.is_connected()

    def test_a_store_that_has_been_read_is_connected(self, store: AbstractStore) -> None:
        assert "a" not in store
        assert store.is_connected()

    def test_connect_opens_a_closed_store_again(self, store: AbstractStore) -> None:
        store.put("a", pattern(100000), {"x": 1})
        store.close()
        store.connect()
        store.connect()
        assert store.is_connected()
        if self._keeps(store):
            assert self.contents(store) == {"a": (pattern(100000), {"x": 1})}
        store.put("b", b"2")
        assert store.read("b") == b"2"

    def test_with_opens_and_closes(self, store: AbstractStore) -> None:
        with store as entered:
            assert entered is store
            assert store.is_connected()
            store.put("a", b"1")
        assert not store.is_connected()

    @needs_transactions
    def test_closing_inside_a_transaction_is_an_error(self, store: AbstractStore) -> None:
        with store.transaction("Crop"):
            store.put("a", b"1")
            for close in (store.close, store.disconnect):
                with pytest.raises(TransactionError, match="Crop"):
                    close()
            store.put("b", b"2")
        assert [*self.contents(store)] == ["a", "b"]

    def test_others_at_work_see_that_it_is_closed_and_nothing_worse(
        self, store: AbstractStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        store.put("a", pattern(100000))
        ends, surprises = threading.Event(), []

        def work(key: str) -> None:
            while not ends.is_set():
                try:
                    store.put(key, pattern(3000))
                    store.read("a")
                    assert all(isinstance(name, str) for name in store)
                except (StoreError, KeyError):  # what lives in the process is gone after a close
                    ends.wait(0.001)
                except BaseException as error:
                    surprises.append(error)

        threads = [threading.Thread(target=work, args=(key,), daemon=True) for key in "bcd"]
        for thread in threads:
            thread.start()
        for _ in range(5):
            ends.wait(0.01)
            with suppress(TransactionError):  # one of them is writing
                store.close()
            ends.wait(0.002)
            store.connect()
        ends.set()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)
        assert surprises == []
        store.put("z", b"1")
        assert store.read("z") == b"1"
        caplog.clear()  # errors that are logged hold on to what was in use

    def test_info_says_what_the_store_promises(self, store: AbstractStore) -> None:
        info: dict[str, Any] = store.info()
        assert info["type"] == type(store).__name__
        assert info["transactions"] in ("native", "staged", "none")
        assert isinstance(info["readonly"], bool)

    def test_what_is_held_can_be_closed_after_the_store(self, store: AbstractStore) -> None:
        store.put("a", pattern(200000))
        value, stream = store.get("a"), store.get_data("a")
        stream.read(10)
        store.close()
        value.close()
        stream.close()

    def test_a_second_life_begins_without_the_transactions_of_the_first(
        self, store: AbstractStore
    ) -> None:
        store.put("a", b"1")
        store.close()
        store.connect()
        store.put("b", b"2")
        if store.info()["transactions"] != "none":
            with store.transaction() as txn:
                assert txn.depth == 1
                store.put("c", b"3")
        assert store.read("b") == b"2"

    def _keeps(self, store: AbstractStore) -> bool:
        """Whether data outlives `close`: true of everything but what lives in the process."""
        other = self.reopen(store)
        if other is None:
            return False
        other.close()
        return True
