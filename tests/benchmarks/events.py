"""Telling listeners.

blinker and psygnal send the same event object to the same number of plain functions.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from encore.events.api import BaseEvent, EventManager
from tests.benchmarks.harness import (
    Contender,
    Lab,
    Trial,
    Work,
    at_least,
    benchmark,
    peer,
)


class Changed(BaseEvent):
    """What is emitted."""

    def __init__(self, source: Any, key: str) -> None:
        super().__init__(source)
        self.key = key


class Source:
    """Where events come from."""


def _listeners(count: int) -> list[Callable[..., None]]:
    def make() -> Callable[..., None]:
        def listener(*_arguments: Any, **_named: Any) -> None:
            pass

        return listener

    return [make() for _ in range(count)]


def _repeated(act: Callable[[], object], count: int) -> Contender:
    def contender() -> Generator[Work, None, None]:
        def work() -> None:
            for _ in range(count):
                act()

        yield work

    return contender


def _managed(listeners: int) -> EventManager:
    manager = EventManager()
    for listener in _listeners(listeners):
        manager.connect(Changed, listener)
    return manager


def _emitting(manager: EventManager, event: Any, count: int) -> Contender:
    def contender() -> Generator[Work, None, None]:
        def work() -> None:
            emit = manager.emit
            for _ in range(count):
                emit(event)

        yield work

    return contender


def _blinker(event: Any, listeners: int, count: int, *, decoys: int = 0) -> Contender | None:
    blinker = peer("blinker")
    if blinker is None:
        return None

    def contender() -> Generator[Work, None, None]:
        signal = blinker.Signal()
        kept = _listeners(listeners)
        others = [(listener, Source()) for listener in _listeners(decoys)]
        for listener in kept:
            if decoys:
                signal.connect(listener, sender=event.source)
            else:
                signal.connect(listener)
        for listener, source in others:
            signal.connect(listener, sender=source)

        def work() -> None:
            send, source = signal.send, event.source
            for _ in range(count):
                send(source, event=event)

        yield work

    return contender


def _psygnal(event: Any, listeners: int, count: int) -> Contender | None:
    psygnal = peer("psygnal")
    if psygnal is None:
        return None

    class Sender:
        changed = psygnal.Signal(object)

    def contender() -> Generator[Work, None, None]:
        sender, kept = Sender(), _listeners(listeners)
        for listener in kept:
            sender.changed.connect(listener)

        def work() -> None:
            emit = sender.changed.emit
            for _ in range(count):
                emit(event)

        yield work

    return contender


@benchmark("emit, nobody listens", goals=[at_least(10_000_000)])
def nobody(lab: Lab) -> Trial:
    """``if manager.wants(Changed, source): ...``, which builds no event.

    blinker: ``send`` to no receivers. Beside: the event built and emitted all the same.
    """
    count = lab.pick(100_000, 30_000)
    source, manager = Source(), _managed(0)
    event = Changed(source, "a")

    def encore() -> Generator[Work, None, None]:
        def work() -> None:
            wants, emit = manager.wants, manager.emit
            for _ in range(count):
                if wants(Changed, source):
                    emit(Changed(source, "a"))

        yield work

    return Trial(
        {
            "encore": encore,
            "blinker": _blinker(event, 0, count),
            "psygnal": _psygnal(event, 0, count),
            "built all the same": _repeated(lambda: manager.emit(Changed(source, "a")), count),
        },
        count,
    )


def _emit_trial(lab: Lab, listeners: int) -> Trial:
    count = lab.pick(100_000, 20_000) // (1 if listeners == 1 else 4)
    source, manager = Source(), _managed(listeners)
    event = Changed(source, "a")
    return Trial(
        {
            "encore": _emitting(manager, event, count),
            "blinker": _blinker(event, listeners, count),
            "psygnal": _psygnal(event, listeners, count),
            "event built, too": _repeated(lambda: manager.emit(Changed(source, "a")), count),
        },
        count,
    )


@benchmark("emit, 1 listener", goals=[at_least(4, "blinker")])
def one_listener(lab: Lab) -> Trial:
    """An event that has been built. Beside: one that is built each time."""
    return _emit_trial(lab, 1)


@benchmark("emit, 10 listeners", goals=[at_least(8, "blinker")])
def ten_listeners(lab: Lab) -> Trial:
    """As "emit, 1 listener"."""
    return _emit_trial(lab, 10)


def _one_of_thousand(lab: Lab, filters: Callable[[int], dict[str, Any]], event: Changed) -> Trial:
    count = lab.pick(50_000, 10_000)
    crowd, single = EventManager(), EventManager()
    called: list[Any] = []

    def remember(event: Any) -> None:
        called.append(event)

    for number, listener in enumerate([remember, *_listeners(999)]):
        crowd.connect(Changed, listener, filter=filters(number))
    crowd.emit(event)
    assert called == [event]
    crowd.connect(Changed, _listeners(1)[0], filter=filters(0))
    crowd.disconnect(Changed, remember)
    single.connect(Changed, _listeners(1)[0], filter=filters(0))
    return Trial(
        {
            "encore": _emitting(crowd, event, count),
            "1 of 1": _emitting(single, event, count),
            "blinker": _blinker(event, 1, count, decoys=999),
        },
        count,
    )


@benchmark("emit, 1 of 1,000 by source", goals=[at_least(0.5, "1 of 1")])
def by_source(lab: Lab) -> Trial:
    """1,000 listeners, each to a source of its own. blinker: the same by ``sender``."""
    sources = [Source() for _ in range(1000)]
    lab.defer(sources.clear)
    return _one_of_thousand(
        lab, lambda number: {"source": sources[number]}, Changed(sources[0], "a")
    )


@benchmark("emit, 1 of 1,000 by key", goals=[at_least(0.5, "1 of 1")])
def by_key(lab: Lab) -> Trial:
    """1,000 listeners, each to a key of its own. blinker knows no keys: the same by ``sender``."""
    return _one_of_thousand(
        lab, lambda number: {"key": f"key {number}"}, Changed(Source(), "key 0")
    )
