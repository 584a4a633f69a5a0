"""What becomes a step: labels, merging, groups, limits, and what is not recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from history_stores import Clock

from encore.history import History
from encore.testing.sources import pattern

Remember = Callable[..., History]


def labels(history: History) -> list[str]:
    return [step.label for step in history.steps]


# -- labels ---------------------------------------------------------------------------------------


def test_a_step_is_called_as_its_transaction(store: Any, history: History) -> None:
    with store.transaction("Crop image", meta={"selection": [1, 2]}, origin="mouse"):
        store.put("a", b"1")
    (step,) = history.steps
    assert (step.label, step.meta, step.origin) == ("Crop image", {"selection": [1, 2]}, "mouse")
    assert (history.undo_label, history.redo_label) == ("Crop image", "")
    history.undo()
    assert (history.undo_label, history.redo_label) == ("", "Crop image")


def test_a_step_without_a_name_says_what_it_did(store: Any, history: History) -> None:
    store.put("a", b"1")
    store.put("a", b"2")
    store.delete("a")
    with store.transaction():
        store.put("a", b"1")
        store.put("b", b"2")
    with store.transaction():
        store.put("b", b"3")
        store.delete("a")
    assert labels(history) == ["Set a", "Set a", "Delete a", "Set 2 keys", "Change 2 keys"]


def test_a_step_tells_when_it_was_and_whether_it_is_done(
    store: Any, history: History, clock: Clock
) -> None:
    store.put("a", b"1")
    clock.now += 60
    store.put("b", b"2")
    history.undo()
    assert [step.time for step in history.steps] == [1000.0, 1060.0]
    assert [step.is_done for step in history.steps] == [True, False]


# -- merging --------------------------------------------------------------------------------------


def drag(store: Any, text: bytes, key: str = "a", merge_key: str = "slider") -> None:
    with store.transaction("Drag", merge_key=merge_key):
        store.put(key, text)


def test_quick_transactions_with_one_merge_key_are_one_step(
    store: Any, history: History, clock: Clock
) -> None:
    store.put("a", b"first", {"x": 1})
    for n in range(5):
        clock.now += 1.5
        drag(store, pattern(2000, n))
    assert labels(history) == ["Set a", "Drag"]
    history.undo()
    assert (store.read("a"), store.get_metadata("a")) == (b"first", {"x": 1})
    history.redo()
    assert store.read("a") == pattern(2000, 4)


def test_a_pause_another_key_or_another_origin_begins_a_step(
    store: Any, history: History, clock: Clock
) -> None:
    drag(store, b"1")
    clock.now += 2.5
    drag(store, b"2")
    drag(store, b"3", merge_key="other")
    with store.transaction("Drag", merge_key="other", origin="script"):
        store.put("a", b"4")
    store.put("a", b"5")
    assert history.index == 5


def test_stop_merging_saving_undo_and_a_barrier_begin_a_step(store: Any, history: History) -> None:
    acts = [history.stop_merging, history.mark_saved, history.barrier]
    for n, act in enumerate([*acts, lambda: (history.undo(), history.redo())]):
        drag(store, b"%d" % n)
        act()
    drag(store, b"last")
    assert history.index == 5


def test_a_drag_that_ends_where_it_began_is_no_step(store: Any, history: History) -> None:
    store.put("a", b"first")
    history.mark_saved()
    history.stop_merging()
    drag(store, b"1")
    drag(store, b"first")
    assert labels(history) == ["Set a"]
    assert history.is_saved
    history.undo()
    assert list(store) == []


def test_metadata_and_data_that_are_merged_keep_their_data(store: Any, history: History) -> None:
    with history.group("Edit"):
        store.put("a", pattern(70000), {"x": 1})
        store.set_metadata("a", {"x": 2})
    assert store.read("a") == pattern(70000)
    assert history.verify() == []
    history.undo()
    history.redo()
    assert (store.read("a"), store.get_metadata("a")) == (pattern(70000), {"x": 2})


# -- groups ---------------------------------------------------------------------------------------


def test_a_group_is_one_step_and_may_be_nested(store: Any, history: History) -> None:
    with history.group("Import"):
        store.put("a", b"1")
        with history.group("Part"):
            store.put("b", pattern(70000))
        store.put("a", b"2")
    store.put("c", b"3")
    assert labels(history) == ["Import", "Set c"]
    assert history.steps[0].keys == ("a", "b")
    history.undo(2)
    assert list(store) == []


def test_what_was_committed_in_a_group_that_fails_stays_as_one_step(
    store: Any, history: History
) -> None:
    def work() -> None:
        with history.group("Import"):
            store.put("a", b"1")
            store.put("b", b"2")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert [(step.label, step.keys) for step in history.steps] == [("Import", ("a", "b"))]


def test_two_groups_are_two_steps_and_an_empty_one_is_none(store: Any, history: History) -> None:
    with history.group("One"):
        drag(store, b"1")
    with history.group("None"):
        pass
    with history.group("Two"):
        drag(store, b"2")
    assert labels(history) == ["One", "Two"]


# -- what is not recorded -------------------------------------------------------------------------


def test_what_is_suspended_or_not_undoable_is_no_step(store: Any, history: History) -> None:
    store.put("a", b"1")
    with history.suspended():
        store.put("b", b"2")
        with store.transaction("Unseen"):
            store.put("c", b"3")
    with store.transaction(undoable=False):
        store.put("d", b"4")
    assert labels(history) == ["Set a"]
    history.undo()
    assert list(store) == ["b", "c", "d"]


def test_what_is_not_recorded_leaves_redo_alone(store: Any, history: History) -> None:
    store.put("a", b"1")
    history.undo()
    with store.transaction(undoable=False):
        store.put("b", b"2")
    history.redo()
    assert list(store) == ["a", "b"]


def test_only_keys_in_the_scope_are_recorded(store: Any, remember: Remember) -> None:
    history = remember(scope=("doc/", "images/"))
    with store.transaction("Both"):
        store.put("doc/a", pattern(70000))
        store.put("cache/a", b"1")
    store.put("cache/b", b"2")
    store.clear("cache/b")
    assert [step.keys for step in history.steps] == [("doc/a",)]
    history.undo()
    assert list(store) == ["cache/a"]


# -- limits ---------------------------------------------------------------------------------------


def test_the_oldest_steps_go_when_there_are_too_many(store: Any, remember: Remember) -> None:
    history = remember(max_steps=8)
    for n in range(30):
        store.put("a", b"%d" % n)
        assert history.index == len(history.steps) <= 8
    assert history.undo(100)[-1].label == "Set a"
    assert store.read("a") == b"21"
    store.put("b", b"new")  # the steps that were undone go, and no older one comes back
    assert labels(history) == ["Set b"]
    history.undo()
    assert store.read("a") == b"21"


@pytest.mark.parametrize("odd", [None, "a transaction", "a large value"])
@pytest.mark.parametrize("at", [3, 17])
def test_the_oldest_steps_go_while_nobody_looks(
    store: Any, remember: Remember, odd: str | None, at: int
) -> None:
    history = remember(max_steps=8)
    written: list[dict[str, bytes]] = [{}]

    def put(**items: bytes) -> None:
        if len(items) > 1:
            store.multiset(items)
        else:
            ((key, data),) = items.items()
            store.put(key, data)
        written.append({**written[-1], **items})

    for n in range(40):
        if n == at and odd is not None:
            put(**{"a": b"1", "b": b"2"} if odd == "a transaction" else {"a": pattern(300_000)})
        put(**{f"k{n % 5}": b"%d" % n})
    assert history.verify() == []
    assert (history.index, len(history.steps)) == (8, 8)
    assert history.steps[-1].id == len(written) - 1  # no id is given twice
    assert [step.keys for step in history.steps] == [(f"k{n % 5}",) for n in range(32, 40)]
    past = history.at(4)
    assert {key: past.read(key) for key in past} == written[-5]
    for n in range(1, 9):
        history.undo()
        assert {key: store.read(key) for key in store} == written[-1 - n]
    assert not history.can_undo
    history.redo(100)
    assert {key: store.read(key) for key in store} == written[-1]


def test_content_that_was_saved_is_out_of_reach_when_its_step_has_gone(
    store: Any, remember: Remember
) -> None:
    history = remember(max_steps=8)
    store.put("a", b"saved")
    history.mark_saved()
    for n in range(8):
        store.put("a", b"%d" % n)
    assert history.saved_reachable
    for n in range(8):
        store.put("a", b"%d" % n * 2)
    assert not history.saved_reachable
    history.undo(100)
    assert not history.is_saved


def test_a_write_that_changes_nothing_costs_no_step(store: Any, remember: Remember) -> None:
    history = remember(max_steps=2)
    for data in (b"1", b"2", b"3", b"3", b"3"):
        store.put("a", data)
    assert history.index == 2
    history.undo(2)
    assert store.read("a") == b"1"


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_history_may_be_short(store: Any, remember: Remember, limit: int) -> None:
    history = remember(max_steps=limit)
    for n in range(6):
        store.put("a", b"%d" % n)
    assert history.index == limit
    history.undo(100)
    assert store.read("a") == b"%d" % (5 - limit)


def test_the_oldest_steps_go_when_they_take_too_much_room(store: Any, remember: Remember) -> None:
    history = remember(max_bytes=200_000)
    for n in range(10):
        store.put("a", pattern(70000, n))
        assert history.size <= 200_000
    assert history.index == 2
    history.undo(5)
    assert store.read("a") == pattern(70000, 7)


def test_steps_go_when_they_are_old(store: Any, remember: Remember, clock: Clock) -> None:
    history = remember(max_age=100.0)
    for n in range(4):
        store.put("a", b"%d" % n)
        clock.now += 40
    assert history.index == 3
    clock.now += 1000
    store.put("a", b"last")
    assert history.index == 1


def test_clear_drops_all_steps_even_those_that_nobody_sees(store: Any, remember: Remember) -> None:
    history = remember(max_steps=8)
    for n in range(9):
        store.put("a", pattern(2000, n))
    history.clear()
    assert (history.steps, history.size, history.index) == ((), 0, 0)
    assert not history.can_undo
    assert store.read("a") == pattern(2000, 8)


def test_the_size_is_what_earlier_versions_take(store: Any, history: History) -> None:
    store.put("a", bytes(1000))
    assert history.size == 0
    store.put("a", bytes(500) + b"1")
    held = history.size
    assert 0 < held <= 1100
    store.delete("a")
    assert history.size > held
    history.clear()
    assert history.size == 0
