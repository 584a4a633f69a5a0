"""The saved marker: it says no more than is true."""

from __future__ import annotations

from typing import Any

from encore.history import History


def test_it_is_saved_where_it_was_saved(store: Any, history: History) -> None:
    assert not history.is_saved
    store.put("a", b"1")
    history.mark_saved()
    assert history.is_saved
    store.put("a", b"2")
    assert not history.is_saved
    assert history.saved_reachable
    history.undo()
    assert history.is_saved
    history.undo()
    assert not history.is_saved
    history.redo()
    assert history.is_saved


def test_it_can_be_saved_before_the_first_step(store: Any, history: History) -> None:
    history.mark_saved()
    store.put("a", b"1")
    assert not history.is_saved
    history.undo()
    assert history.is_saved


def test_it_is_lost_with_the_steps_that_lead_there(store: Any, history: History) -> None:
    store.put("a", b"1")
    history.mark_saved()
    history.undo()
    store.put("a", b"2")
    assert not history.saved_reachable
    history.undo()
    assert not history.is_saved


def test_it_is_lost_when_something_changes_unseen(store: Any, history: History) -> None:
    store.put("a", b"1")
    history.mark_saved()
    with store.transaction(undoable=False):
        store.put("a", b"2")
    assert not history.is_saved
    assert not history.saved_reachable


def test_it_is_not_saved_inside_a_transaction_or_group(store: Any, history: History) -> None:
    history.mark_saved()
    with store.transaction():
        assert not history.is_saved
    with history.group("Group"):
        assert not history.is_saved
    assert history.is_saved


def test_writing_what_is_there_leaves_it_saved(store: Any, history: History) -> None:
    store.put("a", b"1")
    history.mark_saved()
    store.put("a", b"1")
    assert history.is_saved


def test_forgetting_what_was_done_since_makes_it_unreachable(store: Any, history: History) -> None:
    history.mark_saved()
    with store.transaction():
        store.put("secret", b"1")
        store.put("a", b"1")
    history.forget("secret")
    history.undo()
    assert list(store) == ["secret"]
    assert not history.is_saved


def test_forgetting_and_clearing_leave_what_is_saved_saved(store: Any, history: History) -> None:
    store.put("a", b"1")
    store.put("b", b"1")
    history.mark_saved()
    history.forget("b")
    assert history.is_saved
    history.clear()
    assert history.is_saved
    store.put("a", b"2")
    assert not history.is_saved
    history.undo()
    assert history.is_saved
