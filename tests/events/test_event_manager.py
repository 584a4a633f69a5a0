"""Connecting, order, veto, disabling, tracing and threads of the event manager."""

from __future__ import annotations

import gc
import logging
import queue
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encore.events import package_globals
from encore.events.api import BaseEvent, EventManager, get_event_manager, set_event_manager


class Root(BaseEvent):
    pass


class Branch(Root):
    pass


class Leaf(Branch):
    pass


class Other(BaseEvent):
    pass


class Owner:
    def __init__(self, heard: list[object]) -> None:
        self.heard = heard

    def hear(self, event: object) -> None:
        self.heard.append(event)


def test_keyword_arguments_become_attributes():
    event = BaseEvent("here", key="a", size=3)
    assert (event.source, event.key, event.size, event.handled) == ("here", "a", 3, False)


def test_listener_hears_the_class_and_its_subclasses_only():
    manager, heard = EventManager(), []
    manager.connect(Branch, heard.append)
    events = [Root(), Branch(), Leaf(), Other()]
    for event in events:
        manager.emit(event)
    assert heard == events[1:3]


def test_higher_priority_first_then_order_of_connection_across_classes():
    manager, heard = EventManager(), []
    for name, cls, priority in [
        ("a", Root, 0),
        ("b", Leaf, 0),
        ("c", Branch, 5),
        ("d", Root, -1),
        ("e", Leaf, 5),
    ]:
        manager.connect(cls, lambda _, name=name: heard.append(name), priority=priority)
    manager.emit(Leaf())
    assert heard == ["c", "e", "a", "b", "d"]


def test_connecting_again_replaces_filter_priority_and_place():
    manager, heard = EventManager(), []

    def first(_):
        heard.append("first")

    def second(_):
        heard.append("second")

    manager.connect(Root, first, filter={"key": "never"}, priority=3)
    manager.connect(Root, second)
    manager.connect(Root, first)
    manager.emit(Root())
    assert heard == ["second", "first"]
    assert manager.get_listeners(Root) == [second, first]
    assert len(manager.signal(Root).receivers) == 2


@pytest.mark.parametrize("make", [lambda owner: owner.hear, lambda owner: owner.heard.append])
def test_another_spelling_of_a_method_is_the_same_listener(make):
    manager, owner = EventManager(), Owner([])
    manager.connect(Root, make(owner))
    manager.connect(Root, make(owner))
    manager.emit(Root())
    assert len(owner.heard) == 1
    manager.disconnect(Root, make(owner))
    manager.emit(Root())
    assert len(owner.heard) == 1


def test_bound_method_is_held_weakly_and_vanishes_without_a_word(caplog):
    manager, heard = EventManager(), []
    owner = Owner(heard)
    manager.connect(Root, owner.hear)
    manager.emit(Root())
    assert manager.wants(Root)
    del owner
    gc.collect()
    assert not manager.wants(Root)
    assert manager.get_listeners(Root) == []
    manager.emit(Root())
    assert len(heard) == 1
    assert not manager.signal(Root).receivers
    assert not caplog.records


def test_method_whose_object_dies_during_delivery_is_not_called():
    manager, heard = EventManager(), []
    owners = [Owner(heard)]
    manager.connect(Root, lambda _: owners.clear(), priority=1)
    manager.connect(Root, owners[0].hear)
    manager.emit(Root())
    gc.collect()
    assert heard == []


def test_bound_method_of_an_object_without_weak_references_is_held_strongly():
    heard = []

    class Slotted:
        __slots__ = ()

        def hear(self, event):
            heard.append(event)

    manager = EventManager()
    manager.connect(Root, Slotted().hear)
    gc.collect()
    manager.emit(Root())
    assert len(heard) == 1


def test_lambda_and_callable_object_are_held_strongly():
    manager, heard = EventManager(), []

    class Callable:
        def __call__(self, event):
            heard.append("object")

    manager.connect(Root, lambda _: heard.append("lambda"))
    manager.connect(Root, Callable())
    gc.collect()
    manager.emit(Root())
    assert heard == ["lambda", "object"]


def test_disconnecting_what_is_not_connected_does_nothing():
    manager = EventManager()
    manager.disconnect(Root, print)
    manager.connect(Root, print)
    manager.disconnect(Branch, print)
    assert manager.get_listeners(Leaf) == [print]


def test_listening_ends_with_the_block():
    manager, heard = EventManager(), []
    with manager.listening(Root, heard.append, filter={"key": "a"}):
        manager.emit(Root(key="a"))
        manager.emit(Root(key="b"))
    manager.emit(Root(key="a"))
    assert [event.key for event in heard] == ["a"]


@pytest.mark.parametrize(("cls", "func"), [("Root", print), (Root, None)])
def test_connecting_nonsense_is_refused(cls, func):
    with pytest.raises(TypeError):
        EventManager().connect(cls, func)


def test_handled_event_stops():
    manager, heard = EventManager(), []
    manager.connect(Root, heard.append)
    manager.connect(Branch, BaseEvent.mark_as_handled, priority=1)
    event = Leaf()
    manager.emit(event)
    assert heard == []
    assert event.handled


def test_emission_inside_a_listener_is_depth_first():
    manager, heard = EventManager(), []

    def answer(event):
        heard.append("root")
        manager.emit(Other())
        heard.append("root again")

    manager.connect(Root, answer)
    manager.connect(Other, lambda _: heard.append("other"))
    manager.connect(Root, lambda _: heard.append("last"))
    manager.emit(Root())
    assert heard == ["root", "other", "root again", "last"]


def test_changes_during_delivery_count_from_the_next_event():
    manager, heard = EventManager(), []

    def late(_):
        heard.append("late")

    def first(_):
        heard.append("first")
        manager.connect(Root, late)
        manager.disconnect(Root, second)

    def second(_):
        heard.append("second")

    manager.connect(Root, first)
    manager.connect(Root, second)
    manager.emit(Root())
    assert heard == ["first", "second"]
    manager.emit(Root())
    assert heard == ["first", "second", "first", "late"]


def test_raising_listener_is_logged_and_disturbs_nobody(caplog):
    manager, heard = EventManager(), []

    def faulty(_):
        raise ValueError("my mistake")

    manager.connect(Root, faulty)
    manager.connect(Root, heard.append)
    manager.emit(Root())
    assert len(heard) == 1
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("encore.events", logging.ERROR)
    assert "faulty" in record.getMessage()
    assert "my mistake" in str(record.exc_info[1])


def test_interrupt_in_a_listener_reaches_the_emitter_after_the_other_listeners():
    manager, heard = EventManager(), []

    def interrupted(_):
        raise KeyboardInterrupt

    # Connected twice under two classes: the second time must not be taken for the first.
    manager.connect(Root, interrupted)
    manager.connect(Branch, heard.append)
    manager.connect(Leaf, interrupted)
    manager.connect(Root, heard.append)
    with pytest.raises(KeyboardInterrupt):
        manager.emit(Leaf())
    assert len(heard) == 2
    manager.disconnect(Root, interrupted)
    manager.disconnect(Leaf, interrupted)
    manager.emit(Leaf())
    assert len(heard) == 4


def test_without_block_delivery_is_on_another_thread():
    manager, threads = EventManager(), []
    manager.connect(Root, lambda _: threads.append(threading.current_thread()))
    thread = manager.emit(Root(), block=False)
    thread.join()
    assert threads == [thread]
    assert thread.daemon
    assert manager.emit(Root()) is None


def test_dispatch_is_handed_the_call():
    manager, heard, waiting = EventManager(), [], queue.SimpleQueue()
    manager.connect(Root, heard.append, dispatch=waiting.put)
    event = Root()
    manager.emit(event)
    assert heard == []
    waiting.get()()
    assert heard == [event]


def test_dispatched_call_that_raises_is_logged(caplog):
    manager, waiting = EventManager(), queue.SimpleQueue()
    manager.connect(Root, lambda _: 1 / 0, dispatch=waiting.put)
    manager.emit(Root())
    assert not caplog.records
    waiting.get()()
    (record,) = caplog.records
    assert record.exc_info[0] is ZeroDivisionError


def test_dispatch_that_raises_is_logged(caplog):
    manager, heard = EventManager(), []

    def closed(call):
        raise RuntimeError("the window is gone")

    manager.connect(Root, heard.append, dispatch=closed)
    manager.connect(Root, lambda event: heard.append("next"))
    manager.emit(Root())
    assert heard == ["next"]
    assert "the window is gone" in caplog.text


def test_dispatched_call_does_nothing_once_disconnected_or_dead():
    manager, heard, waiting = EventManager(), [], queue.SimpleQueue()
    owner = Owner(heard)
    manager.connect(Root, heard.append, dispatch=waiting.put)
    manager.connect(Root, owner.hear, dispatch=waiting.put)
    manager.emit(Root())
    manager.disconnect(Root, heard.append)
    del owner
    gc.collect()
    waiting.get()()
    waiting.get()()
    assert heard == []


def test_disabling_a_class_disables_its_subclasses():
    manager, heard = EventManager(), []
    manager.connect(Root, heard.append)
    manager.disable(Branch)
    assert [manager.is_enabled(cls) for cls in (Root, Branch, Leaf)] == [True, False, False]
    assert [manager.wants(cls) for cls in (Root, Branch, Leaf)] == [True, False, False]
    for cls in (Root, Branch, Leaf):
        manager.emit(cls())
    assert [type(event) for event in heard] == [Root]


def test_enabling_a_class_leaves_its_disabled_base_disabled():
    manager = EventManager()
    manager.disable(Branch)
    manager.disable(Leaf)
    manager.enable(Leaf)
    assert not manager.is_enabled(Leaf)
    manager.enable(Branch)
    assert manager.is_enabled(Leaf)
    manager.enable(Branch)


def test_trace_shows_the_event_once_and_each_call_before_it_happens(caplog):
    manager, shown = EventManager(), []

    def listener(event):
        shown.append("called")

    def filtered(event):
        raise AssertionError

    manager.connect(Root, listener)
    manager.connect(Root, filtered, filter={"key": "other"})
    manager.set_trace(lambda event, listener: shown.append((event, listener)))
    heard, unheard = Root(), Other()
    manager.emit(heard)
    manager.emit(unheard)
    assert shown == [(heard, None), (heard, listener), "called", (unheard, None)]
    assert manager.wants(Other)
    assert manager.get_listeners(Root) == [listener, filtered]
    manager.set_trace(None)
    manager.emit(heard)
    assert shown[4:] == ["called"]
    assert not manager.wants(Other)


def test_trace_that_raises_disturbs_nobody(caplog):
    manager, heard = EventManager(), []
    manager.connect(Root, heard.append)
    manager.set_trace(lambda event, listener: 1 / 0)
    manager.emit(Root())
    assert len(heard) == 1
    assert len(caplog.records) == 2


def test_process_wide_manager_is_made_lazily_and_can_be_replaced():
    before = package_globals._event_manager
    try:
        set_event_manager(None)
        made = get_event_manager()
        assert get_event_manager() is made
        mine = EventManager()
        set_event_manager(mine)
        assert get_event_manager() is mine
    finally:
        set_event_manager(before)


def test_connecting_while_others_emit_loses_and_invents_nothing():
    manager, heard, failures = EventManager(), [], []
    manager.connect(Root, heard.append)
    stop = threading.Event()

    def connect_and_disconnect():
        try:
            while not stop.is_set():
                owner = Owner([])
                manager.connect(Root, owner.hear, filter={"key": "other"})
                manager.connect(Branch, print, filter={"key": "another"})
                manager.disconnect(Branch, print)
                del owner
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=connect_and_disconnect) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(3000):
        manager.emit(Leaf(key="mine", number=number))
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert [event.number for event in heard] == list(range(3000))
    gc.collect()
    assert len(manager.get_listeners(Leaf)) == 1


CLASSES = (Root, Branch, Leaf)
SOURCES = (None, "s", "t")
filters = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "source": st.sampled_from(SOURCES),
            "key": st.sampled_from(["a", 1, ["x"]]),
            "deep.er": st.sampled_from([1, 2]),
        },
    ),
)
steps = st.one_of(
    st.tuples(
        st.just("connect"),
        st.sampled_from(CLASSES),
        st.integers(0, 7),
        filters,
        st.integers(-1, 1),
    ),
    st.tuples(st.just("disconnect"), st.sampled_from(CLASSES), st.integers(0, 7)),
    st.tuples(st.sampled_from(["disable", "enable"]), st.sampled_from(CLASSES)),
    st.tuples(
        st.just("emit"),
        st.sampled_from(CLASSES),
        st.sampled_from(SOURCES),
        st.fixed_dictionaries(
            {},
            optional={
                "key": st.sampled_from(["a", 1, True, ["x"]]),
                "deep": st.builds(lambda n: BaseEvent(er=n), st.sampled_from([1, 2])),
            },
        ),
    ),
)


def model_matches(event, conditions):
    for path, expected in (conditions or {}).items():
        value = event
        for name in path.split("."):
            if not hasattr(value, name):
                return False
            value = getattr(value, name)
        if value is not expected if path == "source" else value != expected:
            return False
    return True


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=40))
def test_manager_behaves_like_a_plain_list_of_connections(program):
    manager, heard = EventManager(), []
    listeners = [lambda event, number=number: heard.append(number) for number in range(8)]
    connected: list[tuple[type, int, dict | None, int]] = []
    disabled: set[type] = set()
    for step in program:
        if step[0] == "connect":
            _, cls, number, conditions, priority = step
            manager.connect(cls, listeners[number], conditions, priority)
            connected = [known for known in connected if known[:2] != (cls, number)]
            connected.append((cls, number, conditions, priority))
        elif step[0] == "disconnect":
            manager.disconnect(step[1], listeners[step[2]])
            connected = [known for known in connected if known[:2] != step[1:]]
        elif step[0] == "disable":
            manager.disable(step[1])
            disabled.add(step[1])
        elif step[0] == "enable":
            manager.enable(step[1])
            disabled.discard(step[1])
        else:
            _, cls, source, attributes = step
            event = cls(source, **attributes)
            in_order = sorted(
                (known for known in connected if issubclass(cls, known[0])),
                key=lambda known: -known[3],
            )
            off = any(issubclass(cls, base) for base in disabled)
            expected = [
                number
                for _, number, conditions, _ in in_order
                if not off and model_matches(event, conditions)
            ]
            heard.clear()
            manager.emit(event)
            assert heard == expected
            assert manager.get_listeners(cls) == [listeners[known[1]] for known in in_order]
            assert manager.wants(cls, source) == any(
                not off and (not conditions or conditions.get("source", source) is source)
                for _, _, conditions, _ in in_order
            )
