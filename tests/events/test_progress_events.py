# ruff: noqa: PT012  the blocks that an error leaves are what is under test
"""Start, steps and end of operations; throttling, nesting and cancelling."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encore.errors import OperationCancelled
from encore.events.api import (
    BaseEvent,
    CancelToken,
    EventManager,
    ProgressEndEvent,
    ProgressEvent,
    ProgressManager,
    ProgressStartEvent,
    ProgressStepEvent,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def manager():
    return EventManager()


@pytest.fixture
def heard(manager):
    events = []
    manager.connect(ProgressEvent, events.append)
    return events


def kinds(events):
    return [type(event) for event in events]


def steps_of(events):
    return [event.step for event in events if isinstance(event, ProgressStepEvent)]


def test_operation_is_start_steps_and_end(manager, heard):
    with ProgressManager(
        manager, "here", message="Reading", steps=2, unit="B", interval_seconds=0, key="a"
    ) as progress:
        progress(1)
        progress(2, "Still reading", size=7)
    start, first, second, end = heard
    assert kinds(heard) == [
        ProgressStartEvent,
        ProgressStepEvent,
        ProgressStepEvent,
        ProgressEndEvent,
    ]
    assert {event.operation_id for event in heard} == {progress.operation_id}
    assert {event.source for event in heard} == {"here"}
    assert {event.key for event in heard} == {"a"}
    assert {event.parent_id for event in heard} == {None}
    assert (start.steps, start.unit, start.message) == (2, "B", "Reading")
    assert (first.step, first.message) == (1, "Reading")
    assert (second.step, second.message, second.size) == (2, "Still reading", 7)
    assert (end.step, end.exit_state, end.message) == (2, "normal", "Still reading")


def test_operation_ids_are_unique_strings():
    ids = {ProgressManager(EventManager()).operation_id for _ in range(100)}
    assert len(ids) == 100
    assert all(isinstance(name, str) for name in ids)
    assert ProgressManager(EventManager(), operation_id="mine").operation_id == "mine"


def test_step_without_a_number_adds_one(manager, heard):
    with ProgressManager(manager, interval_seconds=0) as progress:
        progress()
        progress.step()
        progress(10)
        progress()
    assert steps_of(heard) == [1, 2, 10, 11]


def test_steps_are_throttled_but_first_and_last_are_sent(manager, heard):
    clock = Clock()
    with ProgressManager(manager, clock=clock, interval_seconds=0.1) as progress:
        for number in range(1, 1000):
            clock.now += 0.001
            progress(number)
    sent = steps_of(heard)
    assert sent[0] == 1
    assert sent[-1] == 999
    assert 9 <= len(sent) <= 12


def test_reaching_the_total_is_told_at_once_and_once(manager, heard):
    clock = Clock()
    with ProgressManager(manager, steps=3, clock=clock) as progress:
        for _ in range(3):
            progress()
        progress(3)
        assert steps_of(heard) == [1, 3]
    assert steps_of(heard) == [1, 3]


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 0.3)), max_size=50))
def test_steps_sent_are_some_of_the_steps_made(moves):
    manager, heard, clock = EventManager(), [], Clock()
    manager.connect(ProgressEvent, heard.append)
    made = []
    with ProgressManager(manager, clock=clock) as progress:
        for by, seconds in moves:
            clock.now += seconds
            made.append((made[-1] if made else 0) + by)
            progress(made[-1])
    sent = steps_of(heard)
    remaining = iter(made)
    assert all(step in remaining for step in sent)
    assert not made or (sent[0], sent[-1]) == (made[0], made[-1])
    assert len(sent) <= clock.now / 0.1 + 2
    assert heard[-1].step == (made[-1] if made else 0)


@pytest.mark.parametrize(
    ("error", "exit_state"),
    [
        (ValueError, "exception"),
        (KeyboardInterrupt, "cancelled"),
        (OperationCancelled, "cancelled"),
        (GeneratorExit, "cancelled"),
        (SystemExit, "exception"),
    ],
)
def test_exit_state_says_what_left_the_block(manager, heard, error, exit_state):
    with pytest.raises(error), ProgressManager(manager):
        raise error
    assert heard[-1].exit_state == exit_state


def test_explicit_end_wins(manager, heard):
    with pytest.raises(ValueError), ProgressManager(manager) as progress:
        progress.end("warning", "two were skipped")
        raise ValueError
    assert kinds(heard) == [ProgressStartEvent, ProgressEndEvent]
    assert (heard[-1].exit_state, heard[-1].message) == ("warning", "two were skipped")


def test_unknown_exit_state_is_refused(manager):
    with pytest.raises(ValueError, match="splendid"):
        ProgressManager(manager).end("splendid")


def test_start_and_end_may_be_called_by_hand(manager, heard):
    progress = ProgressManager(manager)
    progress.end()
    assert heard == []
    progress.start()
    progress.start()
    progress.end("error")
    progress.end()
    assert kinds(heard) == [ProgressStartEvent, ProgressEndEvent]


def test_nested_operation_knows_its_parent(manager, heard):
    with ProgressManager(manager) as outer:
        with ProgressManager(manager) as inner, ProgressManager(manager) as innermost:
            pass
        with ProgressManager(manager) as second:
            pass
        with ProgressManager(manager, parent_id="else") as told:
            pass
    with ProgressManager(manager) as after:
        pass
    parents = {event.operation_id: event.parent_id for event in heard}
    assert parents == {
        outer.operation_id: None,
        inner.operation_id: outer.operation_id,
        innermost.operation_id: inner.operation_id,
        second.operation_id: outer.operation_id,
        told.operation_id: "else",
        after.operation_id: None,
    }


def test_other_threads_are_not_nested(manager, heard):
    def work():
        with ProgressManager(manager):
            pass

    with ProgressManager(manager):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert {event.parent_id for event in heard} == {None}


def test_suspended_generators_end_in_any_order(manager, heard):
    def reading():
        with ProgressManager(manager) as progress:
            yield progress
            yield progress

    first, second = reading(), reading()
    outer, inner = next(first), next(second)
    assert inner.parent_id == outer.operation_id
    first.close()
    with ProgressManager(manager) as third:
        assert third.parent_id == inner.operation_id
    thread = threading.Thread(target=second.close)
    thread.start()
    thread.join()
    with ProgressManager(manager) as last:
        assert last.parent_id is None
    assert heard[-1].exit_state == "normal"
    ends = [event.exit_state for event in heard if isinstance(event, ProgressEndEvent)]
    assert ends == ["cancelled", "normal", "cancelled", "normal"]


def test_operation_that_is_forgotten_is_nobodys_parent(manager):
    ProgressManager(manager).start()
    with ProgressManager(manager) as progress:
        assert progress.parent_id is None


def test_listener_cancels_through_the_event(manager, heard):
    manager.connect(ProgressStepEvent, lambda event: event.cancel("seen enough"))
    steps = 0
    with pytest.raises(OperationCancelled, match="seen enough"), ProgressManager(manager) as p:
        for _ in range(100):
            steps += 1
            p()
    assert steps == 1
    assert heard[-1].exit_state == "cancelled"


def test_cancel_is_seen_at_throttled_steps_and_from_other_threads(manager, heard):
    token, clock = CancelToken(), Clock()
    with (
        pytest.raises(OperationCancelled),
        ProgressManager(manager, cancel=token, clock=clock) as progress,
    ):
        progress()
        progress()
        thread = threading.Thread(target=token.cancel)
        thread.start()
        thread.join()
        progress()
    assert heard[-1].exit_state == "cancelled"
    assert heard[-1].step == 2


def test_event_cancels_the_token_that_was_given(manager):
    token = CancelToken()
    manager.connect(ProgressStartEvent, lambda event: event.cancel())
    with pytest.raises(OperationCancelled), ProgressManager(manager, cancel=token) as progress:
        progress.raise_if_cancelled()
    assert token.cancelled


def test_cancelled_operation_does_not_begin(manager, heard):
    token = CancelToken()
    token.cancel()
    with pytest.raises(OperationCancelled), ProgressManager(manager, cancel=token):
        raise AssertionError
    assert heard == []
    with ProgressManager(manager) as progress:
        assert progress.parent_id is None


@pytest.mark.parametrize("given_tokens", [True, False])
def test_cancelling_the_whole_stops_the_part_and_not_the_other_way_round(manager, given_tokens):
    make = CancelToken if given_tokens else lambda: None
    with ProgressManager(manager, cancel=make()) as outer:
        with (
            pytest.raises(OperationCancelled),
            ProgressManager(manager, cancel=make()) as inner,
        ):
            inner.cancel_token.cancel()
            inner()
        outer()
        with (
            pytest.raises(OperationCancelled),
            ProgressManager(manager, cancel=make()) as inner,
            ProgressManager(manager, cancel=make()) as innermost,
        ):
            outer.cancel_token.cancel()
            innermost()
        assert inner.cancel_token.cancelled is not given_tokens


def test_no_event_is_built_when_nobody_listens():
    class Unbuildable(ProgressStartEvent):
        def __init__(self, *args, **kwargs):
            raise AssertionError

    class Silent(ProgressManager):
        StartEventType = StepEventType = EndEventType = Unbuildable

    with Silent(EventManager()) as progress:
        progress()


def test_subclass_chooses_its_events_and_their_attributes(manager):
    class Marked(BaseEvent):
        def __init__(self, source, mark):
            raise AssertionError

    class MarkedStep(ProgressStepEvent, Marked):
        pass

    class MarkedManager(ProgressManager):
        StepEventType = MarkedStep

    heard = []
    manager.connect(Marked, heard.append)
    with MarkedManager(manager, key="k") as progress:
        progress(3)
    assert [(event.step, event.key) for event in heard] == [(3, "k")]
