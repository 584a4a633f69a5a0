"""What filters let through, and what `wants` makes of them."""

from __future__ import annotations

import pytest

from encore.events.api import BaseEvent, EventManager


class Changed(BaseEvent):
    pass


class Equal:
    """Equal to everything of its kind, and unhashable."""

    def __eq__(self, other):
        return isinstance(other, Equal)

    __hash__ = None


class Ambiguous:
    """Compares as an array does: without a truth value."""

    def __eq__(self, other):
        return self

    def __bool__(self):
        raise ValueError("ambiguous")

    __hash__ = None


def heard_by(conditions, event):
    manager, heard = EventManager(), []
    manager.connect(Changed, heard.append, filter=conditions)
    manager.emit(event)
    return bool(heard)


NAMED = BaseEvent(name="plate", parent=BaseEvent(name="rack"))


@pytest.mark.parametrize(
    ("conditions", "attributes", "expected"),
    [
        ({}, {}, True),
        ({"key": "a"}, {"key": "a"}, True),
        ({"key": "a"}, {"key": "b"}, False),
        ({"key": "a"}, {}, False),
        ({"key": None}, {}, False),
        ({"key": None}, {"key": None}, True),
        ({"key": 1}, {"key": True}, True),
        ({"key": "a", "size": 1}, {"key": "a", "size": 1}, True),
        ({"key": "a", "size": 1}, {"key": "a", "size": 2}, False),
        ({"key": "a", "size": 1}, {"key": "a"}, False),
        ({"what.name": "plate"}, {"what": NAMED}, True),
        ({"what.parent.name": "rack"}, {"what": NAMED}, True),
        ({"what.parent.name": "shelf"}, {"what": NAMED}, False),
        ({"what.nothing.name": "rack"}, {"what": NAMED}, False),
        ({"tags": ["a"]}, {"tags": ["a"]}, True),
        ({"tags": frozenset("a")}, {"tags": {"a"}}, True),
        ({"data": b"x"}, {"data": bytearray(b"x")}, True),
        ({"key": "a", "tags": ["a"]}, {"key": "a", "tags": ["b"]}, False),
        ({"key": float("nan")}, {"key": float("nan")}, False),
        ({"what": Equal()}, {"what": Equal()}, True),
    ],
)
def test_filter(conditions, attributes, expected):
    assert heard_by(conditions, Changed(**attributes)) is expected


def test_not_a_number_equals_nothing_not_even_itself():
    nan = float("nan")
    assert not heard_by({"key": nan}, Changed(key=nan))


def test_source_is_compared_by_identity():
    mine, equal = Equal(), Equal()
    assert heard_by({"source": mine}, Changed(mine))
    assert not heard_by({"source": mine}, Changed(equal))
    assert heard_by({"source": None}, Changed())
    assert not heard_by({"source": mine, "key": "a"}, Changed(mine, key="b"))


def test_source_attribute_path_is_compared_by_value():
    assert heard_by({"source.name": "plate"}, Changed(BaseEvent(name="".join("plate"))))


def test_comparison_that_raises_is_logged_and_no_match(caplog):
    assert not heard_by({"data": Ambiguous()}, Changed(data=1))
    assert not heard_by({"data": "x"}, Changed(data=Ambiguous()))
    assert len(caplog.records) == 2


def test_property_that_raises_is_logged_and_no_match(caplog):
    class Broken(Changed):
        @property
        def key(self):
            raise OSError("no disk")

    assert not heard_by({"key": "a"}, Broken())
    assert "no disk" in caplog.text


def test_filter_given_is_copied():
    manager, heard = EventManager(), []
    conditions = {"key": "a"}
    manager.connect(Changed, heard.append, filter=conditions)
    conditions["key"] = "b"
    manager.emit(Changed(key="a"))
    assert len(heard) == 1


def test_order_holds_across_every_kind_of_filter():
    manager, heard = EventManager(), []
    kinds = [None, {"source": "s"}, {"key": "a"}, {"source": "s", "key": "a"}, {"tags": ["t"]}]
    for place in range(30):
        manager.connect(
            Changed,
            lambda _, place=place: heard.append(place),
            filter=kinds[place % len(kinds)],
            priority=-(place // 15),
        )
    manager.emit(Changed("s", key="a", tags=["t"]))
    assert heard == list(range(30))


def test_one_listener_in_a_thousand_is_found_without_asking_the_others():
    manager, heard = EventManager(), []
    for number in range(1000):
        manager.connect(Changed, lambda e, n=number: heard.append(n), filter={"key": str(number)})
    lookups = 0

    class Counting(Changed):
        @property
        def key(self):
            nonlocal lookups
            lookups += 1
            return "77"

    manager.emit(Counting())
    assert (heard, lookups) == ([77], 1)


MINE, THEIRS = object(), object()


@pytest.mark.parametrize(
    ("conditions", "source", "expected"),
    [
        (None, MINE, True),
        (None, None, True),
        ({"source": MINE}, MINE, True),
        ({"source": MINE}, THEIRS, False),
        ({"source": MINE}, None, False),
        ({"source": None}, None, True),
        ({"source": MINE, "key": "a"}, MINE, True),
        ({"source": MINE, "key": "a"}, THEIRS, False),
        ({"key": "a"}, THEIRS, True),
        ({"source.name": "x"}, THEIRS, True),
    ],
)
def test_wants(conditions, source, expected):
    manager = EventManager()
    assert not manager.wants(Changed, source)
    manager.connect(BaseEvent, print, filter=conditions)
    assert manager.wants(Changed, source) is expected
    manager.disable(BaseEvent)
    assert not manager.wants(Changed, source)
    manager.enable(BaseEvent)
    assert manager.wants(Changed, source) is expected
    manager.disconnect(BaseEvent, print)
    assert not manager.wants(Changed, source)


def test_listener_of_a_subclass_does_not_make_the_base_wanted():
    manager = EventManager()
    manager.connect(Changed, print)
    assert not manager.wants(BaseEvent)
