"""Delivery of batches: order, cascades, interruptions."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encore.errors import EventCascadeError
from encore.events.api import BaseEvent, EventManager


class Changed(BaseEvent):
    pass


def keys(events):
    return [event.key for event in events]


def test_batch_caused_by_a_listener_waits_behind_the_current_one():
    manager, heard = EventManager(), []

    def answer(event):
        heard.append(("first", event.key))
        if len(event.key) < 3:
            manager.emit_all([Changed(key=event.key + "x"), Changed(key=event.key + "y")])

    manager.connect(Changed, answer)
    manager.connect(Changed, lambda event: heard.append(("second", event.key)))
    manager.emit_all([Changed(key="aa"), Changed(key="b")])
    order = ["aa", "b", "aax", "aay", "bx", "by", "bxx", "bxy", "byx", "byy"]
    assert heard == [(who, key) for key in order for who in ("first", "second")]


def test_batch_is_read_at_once():
    manager, heard = EventManager(), []
    batch = [Changed(key="a"), Changed(key="b")]
    manager.connect(Changed, lambda event: (heard.append(event.key), batch.clear()))
    manager.emit_all(batch)
    assert heard == ["a", "b"]


def test_handled_event_stops_itself_and_not_its_batch():
    manager, heard = EventManager(), []
    manager.connect(Changed, BaseEvent.mark_as_handled, filter={"key": "a"}, priority=1)
    manager.connect(Changed, heard.append)
    manager.emit_all([Changed(key="a"), Changed(key="b")])
    assert keys(heard) == ["b"]


def test_batch_of_another_thread_does_not_wait():
    manager, heard = EventManager(), []
    manager.connect(Changed, heard.append)

    def elsewhere(event):
        thread = threading.Thread(target=manager.emit_all, args=([Changed(key="other")],))
        thread.start()
        thread.join()
        assert keys(heard)[-1] == "other"

    manager.connect(Changed, elsewhere, filter={"key": "mine"})
    manager.emit_all([Changed(key="mine"), Changed(key="last")])
    assert keys(heard) == ["mine", "other", "last"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interrupt_is_raised_after_everything_has_been_delivered(error, caplog):
    manager, heard = EventManager(), []

    def interrupted(event):
        if event.key == "a":
            manager.emit_all([Changed(key="answer")])
        if event.key in "ab":
            raise error(event.key)

    manager.connect(Changed, interrupted)
    manager.connect(Changed, heard.append)
    with pytest.raises(error) as caught:
        manager.emit_all([Changed(key="a"), Changed(key="b"), Changed(key="c")])
    assert caught.value.args == ("a",)
    assert keys(heard) == ["a", "b", "c", "answer"]
    heard.clear()
    manager.check_cascade()
    manager.emit_all([Changed(key="next")])
    assert keys(heard) == ["next"]


def test_cascade_guard_shows_the_chain_shortened_in_the_middle(caplog):
    manager = EventManager(max_cascade=20)
    written = []

    def answer(event):
        manager.check_cascade()
        number = len(written)
        written.append(number)
        manager.emit_all([Changed(key=f"k{number}")])

    manager.connect(Changed, answer)
    manager.emit_all([Changed(key="start")])
    assert len(written) == 20
    (record,) = caplog.records
    error = record.exc_info[1]
    assert isinstance(error, EventCascadeError)
    assert "Changed('start') -> Changed('k0') -> Changed('k1')" in str(error)
    assert "... 11 more ..." in str(error)
    assert "Changed('k18') -> Changed('k19')." in str(error)
    assert "Changed('k9')" not in str(error)


def test_short_chain_is_shown_in_full(caplog):
    manager = EventManager(max_cascade=1)

    def answer(event):
        manager.check_cascade()
        manager.emit_all([BaseEvent()])

    manager.connect(BaseEvent, answer)
    manager.emit_all([Changed(key="a")])
    assert "1 generations deep: Changed('a') -> BaseEvent()." in caplog.text


def test_cascade_guard_lets_everything_else_pass():
    manager = EventManager(max_cascade=1)
    manager.check_cascade()
    passed = []

    def siblings(event):
        for _ in range(5):
            manager.check_cascade()
            manager.emit_all([])
        passed.append(event)

    manager.connect(Changed, siblings)
    for _ in range(5):
        manager.emit_all([Changed(), Changed()])
    assert len(passed) == 10
    manager.check_cascade()


def test_immediate_event_within_a_batch_keeps_the_generation(caplog):
    manager = EventManager(max_cascade=3)
    writes = []

    def write(event):
        manager.check_cascade()
        writes.append(event)
        manager.emit_all([Changed()])

    class Immediate(BaseEvent):
        pass

    manager.connect(Immediate, write)
    manager.connect(Changed, lambda _: manager.emit(Immediate()))
    manager.emit_all([Changed()])
    assert len(writes) == 3
    assert "EventCascadeError" in caplog.text


# A program: for each key, the batches that a listener answers it with. Answers have greater keys
# than what they answer, so that every program ends.
programs = st.dictionaries(
    st.integers(0, 7),
    st.lists(st.lists(st.integers(1, 3), max_size=3), max_size=3),
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(programs, st.sets(st.integers(0, 10)), st.integers(1, 4))
def test_any_cascade_is_delivered_breadth_first_and_whole(program, interrupting, guard):
    manager, heard = EventManager(max_cascade=guard), []
    refused = []

    def answer(event):
        heard.append(event.key)
        for batch in program.get(event.key, []):
            try:
                manager.check_cascade()
            except EventCascadeError:
                refused.append(event.key)
                continue
            manager.emit_all([Changed(key=event.key + by) for by in batch])
        if event.key in interrupting:
            raise KeyboardInterrupt

    expected, expected_refused = [], []
    waiting = [(0, [0])]
    while waiting:
        generation, batch = waiting.pop(0)
        for key in batch:
            expected.append(key)
            for answers in program.get(key, []):
                if generation >= guard:
                    expected_refused.append(key)
                else:
                    waiting.append((generation + 1, [key + by for by in answers]))

    manager.connect(Changed, answer)
    try:
        manager.emit_all([Changed(key=0)])
    except KeyboardInterrupt:
        assert interrupting & set(expected)
    else:
        assert not interrupting & set(expected)
    assert (heard, refused) == (expected, expected_refused)
