"""What a listener wants to hear, split into what can be looked up and what must be compared.

A filter on plain attributes with plain values is a key in a hash table, so that one listener in a
thousand is found without asking the other 999. What is left over is compared when it comes to it.
Private to the events room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

# Types whose equality and hash agree with everything that may equal them. Others may be equal to
# an unhashable attribute, or change: they are compared, not looked up.
_PLAIN = frozenset({str, int, bool, bytes, float, type(None)})


class EventFilter:
    """The conditions of one connection.

    Parameters
    ----------
    conditions : mapping of str to object
        Attribute paths and the values they must have. Copied.

    Attributes
    ----------
    has_source : bool
        Whether ``source`` is among the conditions.
    source : object
        The source asked for, held strongly: an id that is indexed must not be used again.
    paths : tuple of str
        The paths that can be looked up, sorted.
    value : object
        What ``attrgetter(*paths)`` gives for an event that matches them.

    Notes
    -----
    *Threads*: immutable.
    """

    __slots__ = ("_others", "_plain", "has_source", "paths", "source", "value")

    def __init__(self, conditions: Mapping[str, Any]) -> None:
        rest = dict(conditions)
        self.has_source = "source" in rest
        self.source = rest.pop("source", None)
        self._plain = {
            path: rest.pop(path) for path in sorted(rest) if _can_be_looked_up(rest[path])
        }
        self._others = tuple((attrgetter(path), value) for path, value in rest.items())
        self.paths = tuple(self._plain)
        values = tuple(self._plain.values())
        self.value = values[0] if len(values) == 1 else values

    def residue(self) -> Callable[[Any], bool] | None:
        """The test that is left once source and paths have been looked up; None if nothing is."""
        if not self._others:
            return None
        others = self._others

        def matches(event: Any) -> bool:
            return all(_has(event, getter, value) for getter, value in others)

        return matches

    def matches_paths(self, event: Any) -> bool:
        """Compare what is otherwise looked up, for events whose attributes cannot be hashed."""
        return all(_has(event, attrgetter(path), value) for path, value in self._plain.items())

    def matches(self, event: Any) -> bool:
        """Whether an event fulfils every condition, by comparing them one by one."""
        if self.has_source and getattr(event, "source", None) is not self.source:
            return False
        residue = self.residue()
        return self.matches_paths(event) and (residue is None or residue(event))


def _can_be_looked_up(value: object) -> bool:
    # Not a number is found by identity in a table, yet equals nothing.
    return type(value) in _PLAIN and value == value


def _has(event: Any, getter: Callable[[Any], Any], value: object) -> bool:
    try:
        actual = getter(event)
    except AttributeError:
        return False
    return bool(actual == value)
