"""Undo and redo as a menu has them."""

from __future__ import annotations

import threading

import pytest

from encore.errors import HistoryBusy, UndoConflict
from encore.events.api import EventManager
from encore.history import History, HistoryChangedEvent
from encore.history.actions import RedoAction, UndoAction
from encore.storage.api import DictStore, PrefixStore, SqliteStore


@pytest.fixture
def store():
    with DictStore(event_manager=EventManager()) as store:
        yield store


@pytest.fixture
def history(store):
    with History(store) as history:
        yield history


def entries(*actions):
    return [(action.label, action.is_enabled) for action in actions]


def test_labels_and_states_follow_the_history(store, history):
    undo, redo = UndoAction(history), RedoAction(history)
    assert entries(undo, redo) == [("Undo", False), ("Redo", False)]
    with store.transaction("Crop image"):
        store.put("image", b"small")
    assert entries(undo, redo) == [("Undo Crop image", True), ("Redo", False)]
    (step,) = undo.trigger()
    assert step.label == "Crop image"
    assert "image" not in store
    assert entries(undo, redo) == [("Undo", False), ("Redo Crop image", True)]
    (step,) = redo.trigger()
    assert step.label == "Crop image"
    assert store.read("image") == b"small"


def test_triggering_what_is_disabled_does_nothing(history):
    assert UndoAction(history).trigger() == ()
    assert RedoAction(history).trigger() == ()


def test_the_meta_of_a_step_comes_back(store, history):
    with store.transaction("Crop image", meta={"selection": [1, 2]}):
        store.put("image", b"small")
    (step,) = UndoAction(history).trigger()
    assert step.meta == {"selection": [1, 2]}


def test_whoever_asked_is_called_after_each_change(store, history):
    seen = []
    undo = UndoAction(history)
    undo.on_change(lambda: seen.append((undo.label, undo.is_enabled)))
    with store.transaction("Crop"):
        store.put("image", b"1")
    with store.transaction("Scale"):
        store.put("image", b"2")
    undo.trigger()
    history.mark_saved()
    assert seen[:3] == [("Undo Crop", True), ("Undo Scale", True), ("Undo Crop", True)]


def test_disconnect_ends_the_calls_and_the_listening(store, history):
    seen = []
    disconnect = UndoAction(history).on_change(lambda: seen.append(1))
    store.put("a", b"")
    disconnect()
    disconnect()
    store.put("b", b"")
    assert seen == [1]
    assert not store.event_manager.wants(HistoryChangedEvent, history)


def test_other_histories_are_not_heard(history):
    seen = []
    UndoAction(history).on_change(lambda: seen.append(1))
    other = DictStore(event_manager=history.stores[0].event_manager)
    with History(other):
        other.put("a", b"")
    assert seen == []


def test_dispatch_brings_the_calls_to_the_loop(store, history):
    calls, seen = [], []
    undo = UndoAction(history, dispatch=calls.append)
    undo.on_change(lambda: seen.append(threading.current_thread()))
    worker = threading.Thread(target=store.put, args=("a", b""))
    worker.start()
    worker.join()
    assert seen == []
    for call in calls:
        call()
    assert seen == [threading.current_thread()]


def test_a_refusal_goes_to_whoever_triggers(store, history):
    undo = UndoAction(history)
    store.put("a", b"1")
    with store.transaction(), pytest.raises(HistoryBusy):
        undo.trigger()
    assert undo.is_enabled


def test_a_conflict_goes_to_whoever_triggers(store, history):
    store.put("a", b"1")
    with history.suspended():
        store.put("a", b"2")
    with pytest.raises(UndoConflict):
        UndoAction(history).trigger()
    assert store.read("a") == b"2"


def test_actions_over_a_wrapper_and_after_a_restart(tmp_path):
    for is_first in (True, False):
        with SqliteStore(tmp_path / "s.db", event_manager=EventManager()) as store:
            images = PrefixStore(store, "images/")
            with History(images) as history:
                undo = UndoAction(history)
                if is_first:
                    with images.transaction("Crop"):
                        images.put("a", b"1")
                assert undo.label == "Undo Crop"
                if not is_first:
                    undo.trigger()
                    assert list(store) == []
