"""Living together with people who know blinker."""

from __future__ import annotations

import gc
import logging

from encore.events.api import BaseEvent, EventManager


class Root(BaseEvent):
    pass


class Leaf(Root):
    pass


def test_signal_is_the_same_for_a_class_and_private_to_the_manager():
    manager = EventManager()
    assert manager.signal(Root) is manager.signal(Root)
    assert manager.signal(Root) is not manager.signal(Leaf)
    assert manager.signal(Root) is not EventManager().signal(Root)


def test_blinker_receiver_hears_the_class_and_its_subclasses():
    manager, heard = EventManager(), []

    def receiver(sender, event):
        heard.append((sender, event))

    manager.signal(Root).connect(receiver)
    assert manager.wants(Leaf)
    event = Leaf("source")
    manager.emit(event)
    assert heard == [("source", event)]
    assert manager.get_listeners(Leaf) == [receiver]
    manager.signal(Root).disconnect(receiver)
    manager.emit(event)
    assert len(heard) == 1
    assert not manager.wants(Leaf)


def test_blinker_receiver_comes_after_priority_0_and_before_lower_ones():
    manager, heard = EventManager(), []

    def receiver(sender, event):
        heard.append("blinker")

    manager.signal(Root).connect(receiver)
    for priority in (-1, 0, 1):
        manager.connect(Root, lambda _, p=priority: heard.append(p), priority=priority)
    manager.emit(Root())
    assert heard == [1, 0, "blinker", -1]


def test_sender_restricts_a_blinker_receiver_to_a_source():
    manager, heard = EventManager(), []
    mine, other = Root(), Root()

    def receiver(sender, event):
        heard.append(sender)

    manager.signal(Root).connect(receiver, sender=mine)
    assert manager.wants(Root, mine)
    assert not manager.wants(Root, other)
    manager.emit(Root(mine))
    manager.emit(Root(other))
    assert heard == [mine]


def test_blinker_holds_its_receivers_weakly():
    manager = EventManager()

    def receiver(sender, event):
        raise AssertionError

    manager.signal(Root).connect(receiver)
    assert manager.wants(Leaf)
    del receiver
    gc.collect()
    assert not manager.wants(Leaf)
    manager.emit(Leaf())


def test_muted_signal_keeps_its_receivers_silent():
    manager, heard = EventManager(), []
    signal = manager.signal(Root)
    with signal.connected_to(lambda sender, event: heard.append(event)):
        with signal.muted():
            manager.emit(Root())
        assert heard == []
        manager.emit(Root())
    manager.emit(Root())
    assert len(heard) == 1


def test_raising_receiver_is_logged_and_disturbs_nobody(caplog):
    manager, heard = EventManager(), []
    receivers = [lambda sender, event: 1 / 0, lambda sender, event: heard.append(event)]
    for receiver in receivers:
        manager.signal(Root).connect(receiver)
    manager.emit(Root())
    assert len(heard) == 1
    assert [(r.name, r.levelno) for r in caplog.records] == [("encore.events", logging.ERROR)]


def test_handled_event_does_not_reach_blinker():
    manager, heard = EventManager(), []
    manager.connect(Root, BaseEvent.mark_as_handled)
    with manager.signal(Root).connected_to(lambda sender, event: heard.append(event)):
        manager.emit(Root())
    assert heard == []


def test_sending_through_the_signal_reaches_listeners_and_heeds_their_filters():
    manager, heard = EventManager(), []
    manager.connect(Root, heard.append, filter={"source": "s", "key": "a"})
    events = [Root("s", key="a"), Root("s", key="b"), Root("t", key="a")]
    for event in events:
        manager.signal(Root).send(event.source, event=event)
    assert heard == events[:1]


def test_listener_can_be_disconnected_through_the_signal():
    manager = EventManager()
    manager.connect(Root, print)
    assert manager.signal(Root).receivers
    manager.signal(Root).disconnect(print)
    assert manager.get_listeners(Root) == []
    assert not manager.signal(Root).receivers


def test_trace_shows_blinker_receivers():
    manager, shown = EventManager(), []

    def receiver(sender, event):
        pass

    manager.signal(Root).connect(receiver)
    manager.set_trace(lambda event, listener: shown.append(listener))
    manager.emit(Root())
    assert shown == [None, receiver]
