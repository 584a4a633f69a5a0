"""What a progress bar would show: one operation of several, from any thread, until it is over."""

from __future__ import annotations

import gc
import threading

import pytest

from encore.errors import OperationCancelled
from encore.events.api import EventManager, ProgressEvent, ProgressManager, ProgressModel


@pytest.fixture
def manager():
    return EventManager()


def working(manager, source=None, **options):
    return ProgressManager(manager, source, interval_seconds=0, **options)


def seen_by(model):
    """What a widget sees each time it is called."""
    seen = []
    model.on_change(lambda: seen.append((model.message, model.fraction, model.is_running)))
    return seen


def test_nothing_is_running_at_first(manager):
    model = ProgressModel(manager)
    assert (model.message, model.fraction, model.is_running, model.exit_state) == (
        "", None, False, "",
    )  # fmt: skip
    model.cancel()


def test_an_operation_is_followed_from_start_to_end(manager):
    model = ProgressModel(manager)
    seen = seen_by(model)
    with working(manager, message="Sorting", steps=4) as progress:
        progress(1)
        progress(4, "Sorted")
        assert model.exit_state == ""
    assert seen == [
        ("Sorting", 0.0, True),
        ("Sorting", 0.25, True),
        ("Sorted", 1.0, True),
        ("Sorted", 1.0, False),
    ]
    assert model.exit_state == "normal"


@pytest.mark.parametrize("steps", [-1, 0])
def test_fraction_is_none_where_the_end_is_unknown(manager, steps):
    model = ProgressModel(manager)
    with working(manager, steps=steps) as progress:
        progress(17)
        assert model.fraction is None


def test_more_steps_than_foreseen_are_no_more_than_all(manager):
    model = ProgressModel(manager)
    with working(manager, steps=2) as progress:
        progress(3)
        assert model.fraction == 1.0


def test_the_whole_is_shown_and_not_its_parts(manager):
    model = ProgressModel(manager)
    seen = seen_by(model)
    with working(manager, message="All", steps=2) as whole:
        for _ in range(2):
            with working(manager, message="Part", steps=5) as part:
                part(3)
            whole()
    assert {message for message, _, _ in seen} == {"All"}
    assert model.fraction == 1.0


def test_when_the_first_of_two_ends_the_second_is_shown(manager):
    model = ProgressModel(manager)
    first = working(manager, message="First", steps=2)
    second = working(manager, message="Second", steps=2)
    first.start()
    second.start()
    second(1)
    assert model.message == "First"
    first.end()
    assert (model.message, model.fraction, model.is_running) == ("Second", 0.5, True)
    second.end()
    assert (model.message, model.is_running) == ("Second", False)


def test_filter_picks_an_operation_or_a_source(manager):
    one, other = working(manager, "here", message="One"), working(manager, "there", message="Other")
    by_id = ProgressModel(manager, filter={"operation_id": other.operation_id})
    by_source = ProgressModel(manager, filter={"source": other.source})
    with one, other:
        assert by_id.message == by_source.message == "Other"


def test_operations_that_began_before_the_model_are_not_shown(manager):
    with working(manager) as progress:
        model = ProgressModel(manager)
        progress()
        assert not model.is_running
    assert not model.is_running


def test_cancel_stops_the_operation_from_another_thread(manager):
    model = ProgressModel(manager)
    reached = threading.Event()
    outcome = []

    def work():
        try:
            with working(manager, steps=3) as progress:
                progress()
                reached.set()
                progress.cancel_token.wait(30)
                progress()
        except OperationCancelled as error:
            outcome.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    assert reached.wait(30)
    model.cancel("enough")
    thread.join()
    assert outcome == ["the operation was cancelled: enough"]
    assert (model.exit_state, model.is_running) == ("cancelled", False)


def test_dispatch_brings_everything_to_the_loop(manager):
    calls = []
    model = ProgressModel(manager, dispatch=calls.append)
    seen = seen_by(model)
    thread = threading.Thread(target=lambda: working(manager, message="Far away").start())
    thread.start()
    thread.join()
    assert not model.is_running
    assert seen == []
    for call in calls:
        call()
    assert seen == [("Far away", None, True)]


def test_a_callback_that_raises_disturbs_nobody(manager, caplog):
    model = ProgressModel(manager)
    model.on_change(lambda: 1 / 0)
    seen = seen_by(model)
    with working(manager):
        pass
    assert len(seen) == 2
    assert len(caplog.records) == 2


def test_disconnect_ends_the_calls(manager):
    model = ProgressModel(manager)
    seen = []
    disconnect = model.on_change(lambda: seen.append(1))
    progress = working(manager)
    progress.start()
    disconnect()
    disconnect()
    progress.end()
    assert seen == [1]


def test_a_model_that_is_closed_or_forgotten_costs_nothing(manager):
    closed = ProgressModel(manager)
    closed.close()
    closed.close()
    forgotten = ProgressModel(manager)
    assert manager.wants(ProgressEvent)
    del forgotten
    gc.collect()
    assert not manager.wants(ProgressEvent)


def test_many_threads_leave_nothing_running(manager):
    model = ProgressModel(manager)
    model.on_change(lambda: model.fraction)

    def work():
        for _ in range(20):
            with working(manager, steps=5) as progress:
                for _ in range(5):
                    progress()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not model.is_running
    assert model.exit_state == "normal"
