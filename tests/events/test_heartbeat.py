"""Events at regular intervals."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encore.events.api import EventManager, Heartbeat, HeartbeatEvent
from encore.events.heartbeat import next_frame


def beats(manager, count):
    """Listen until ``count`` beats have been heard."""
    heard, enough = [], threading.Event()

    def listener(event):
        heard.append(event)
        if len(heard) >= count:
            enough.set()

    manager.connect(HeartbeatEvent, listener)
    return heard, enough


def test_heart_beats_until_the_block_is_left():
    manager = EventManager()
    heard, enough = beats(manager, 3)
    with Heartbeat(0.001, manager) as heart:
        assert enough.wait(30)
        assert heart.is_running
    count = len(heard)
    assert not heart.is_running
    assert not any(t.name == "encore-heartbeat" for t in threading.enumerate())
    assert len(heard) == count
    frames = [event.frame for event in heard]
    assert frames == sorted(set(frames))
    assert frames[0] >= 1
    assert {(event.source, event.interval) for event in heard} == {(heart, 0.001)}


def test_listener_may_stop_the_heart_and_it_may_start_again():
    manager = EventManager()
    heart = Heartbeat(0.001, manager)
    stopped = threading.Event()

    def stop(event):
        heart.stop()
        stopped.set()

    manager.connect(HeartbeatEvent, stop)
    for _ in range(2):
        heart.start()
        assert stopped.wait(30)
        stopped.clear()
    heart.stop()


def test_starting_twice_makes_one_heart():
    with Heartbeat(60, EventManager()) as heart:
        heart.start()
        assert sum(t.name == "encore-heartbeat" for t in threading.enumerate()) == 1


@pytest.mark.parametrize("interval", [0, -1, float("nan")])
def test_interval_must_be_positive(interval):
    with pytest.raises(ValueError, match="interval"):
        Heartbeat(interval)


@given(
    st.floats(0.001, 10),
    st.lists(st.floats(0, 5), min_size=1, max_size=50),
)
def test_late_beats_do_not_delay_the_schedule(interval, delays):
    # Each beat is due at a multiple of the interval, whatever the listeners took.
    now, frame = 0.0, 0
    for delay in delays:
        following = next_frame(frame, interval, now)
        assert following > frame
        due = following * interval
        # Never more than one interval behind: missed beats are skipped, not made up for.
        assert now - due < interval * 1.000001
        frame = following
        now = max(now, due) + delay
