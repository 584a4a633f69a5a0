"""Whom to call for the events of one class: an immutable plan, built once and kept until changed.

Without filters a plan is a tuple of callables in calling order. With filters it is a root node and
one node for each ``source`` asked for; a node holds its unfiltered listeners and hash tables of
the others. Every listener carries its place, so that what several tables yield is merged into the
one order. Private to the events room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter, itemgetter
from typing import Any

import blinker

from encore.events.abstract_event_manager import Listener, Trace
from encore.events.connections import Connection, log_failure
from encore.events.signals import ClassSignal

Placed = tuple[int, Listener]
_place = itemgetter(0)


class Group:
    """Listeners that are always called together: their calls, and the same with their places."""

    __slots__ = ("calls", "placed")

    def __init__(self, placed: Sequence[Placed]) -> None:
        self.placed = tuple(placed)
        self.calls = tuple(call for _, call in placed)


class Table:
    """Listeners whose filters name the same paths, found by the values of these."""

    __slots__ = ("_members", "getter", "groups")

    def __init__(self, paths: tuple[str, ...], members: list[tuple[int, Listener, Connection]]):
        self.getter: Callable[[Any], Any] = attrgetter(*paths)
        self._members = members
        found: dict[Any, list[Placed]] = {}
        for place, call, connection in members:
            assert connection.filter is not None
            found.setdefault(connection.filter.value, []).append((place, call))
        self.groups = {value: Group(placed) for value, placed in found.items()}

    def find(self, event: Any) -> Group | None:
        """The listeners that match an event; None where nobody does."""
        try:
            return self.groups.get(self.getter(event))
        except AttributeError:
            return None  # an event without the attribute is no match
        except Exception:  # unhashable, or a property that raises: let each listener see
            return self._compare()

    def _compare(self) -> Group:
        # Everybody, each behind a comparison.
        return Group([(place, _compared(call, member)) for place, call, member in self._members])


class Node:
    """What listeners with the same condition on ``source`` (or none) ask for besides."""

    __slots__ = ("plain", "tables")

    def __init__(self, members: list[tuple[int, Listener, Connection | None]]) -> None:
        plain: list[Placed] = []
        by_paths: dict[tuple[str, ...], list[tuple[int, Listener, Connection]]] = {}
        for place, call, connection in members:
            if connection is None or connection.filter is None or not connection.filter.paths:
                plain.append((place, call))
            else:
                by_paths.setdefault(connection.filter.paths, []).append((place, call, connection))
        self.plain = Group(plain) if plain else None
        self.tables = tuple(Table(paths, found) for paths, found in by_paths.items())

    def collect(self, event: Any, groups: list[Group]) -> None:
        """Append the groups that match an event from a source that does."""
        if self.plain is not None:
            groups.append(self.plain)
        for table in self.tables:
            group = table.find(event)
            if group is not None:
                groups.append(group)

    def calls(self, event: Any) -> Sequence[Listener]:
        """The calls of all groups that match, in order."""
        if not self.tables:
            return () if self.plain is None else self.plain.calls
        if self.plain is None and len(self.tables) == 1:
            group = self.tables[0].find(event)
            return () if group is None else group.calls
        groups: list[Group] = []
        self.collect(event, groups)
        return _merge(groups)


class Plan:
    """The listeners of one class of events.

    Parameters
    ----------
    connections : sequence of Connection
        In any order.
    signals : sequence of ClassSignal
        Their strangers are called with ``(source, event=event)`` as if of priority 0 and connected
        last.
    trace : callable or None
        See `EventManager.set_trace`.

    Attributes
    ----------
    calls : tuple of callable, or None
        Everybody, in order; None where `select` must choose.
    wanted : bool or None
        Whether some listener hears every source (True), or there is none at all (False); None
        where `hears` must look at the source.
    sources : dict
        Keyed by the ids of the sources that some listener asks for.

    Notes
    -----
    *Threads*: immutable.
    """

    __slots__ = ("_members", "_root", "_signals", "calls", "sources", "wanted")

    def __init__(
        self,
        connections: Iterable[Connection] = (),
        signals: Sequence[ClassSignal] = (),
        trace: Trace | None = None,
    ) -> None:
        ordered = sorted(connections, key=lambda connection: connection.order)
        calls: list[tuple[Listener, Connection | None]] = [
            (connection.call if trace is None else connection.build(trace), connection)
            for connection in ordered
        ]
        strangers = [(_through(signal, trace), None) for signal in signals]
        first_below = sum(connection.order[0] <= 0 for connection in ordered)
        calls[first_below:first_below] = strangers
        if trace is not None:
            calls.insert(0, (_announce(trace), None))
        self._members = [(place, call, member) for place, (call, member) in enumerate(calls)]
        self._signals = tuple(signals)
        self._sort_by_source()
        # Receivers of blinker may ask for a sender: `hears` asks blinker.
        everyone = trace is not None or any(
            connection.filter is None or not connection.filter.has_source for connection in ordered
        )
        self.wanted = True if everyone else None if self.sources or signals else False

    def _sort_by_source(self) -> None:
        root: list[tuple[int, Listener, Connection | None]] = []
        by_source: dict[int, list[tuple[int, Listener, Connection | None]]] = {}
        for member in self._members:
            wanted = None if member[2] is None else member[2].filter
            if wanted is not None and wanted.has_source:
                by_source.setdefault(id(wanted.source), []).append(member)
            else:
                root.append(member)
        self._root = Node(root) if root else None
        self.sources = {source: Node(members) for source, members in by_source.items()}
        needs_choice = self.sources or (self._root is not None and self._root.tables)
        self.calls = None if needs_choice else tuple(call for _, call, _ in self._members)

    def select(self, event: Any) -> Sequence[Listener]:
        """The calls for one event, in order, where `calls` is None."""
        root = self._root
        node = self.sources.get(id(event.source)) if self.sources else None
        if node is None:
            return () if root is None else root.calls(event)
        if root is None:
            return node.calls(event)
        groups: list[Group] = []
        root.collect(event, groups)
        node.collect(event, groups)
        return _merge(groups)

    def hears(self, source: Any) -> bool:
        """Whether somebody hears this source, where `wanted` is None."""
        if id(source) in self.sources:
            return True
        return bool(self._signals) and any(
            signal.strangers.has_receivers_for(source) for signal in self._signals
        )

    def listeners(self) -> list[Listener]:
        """Everybody, in order; blinker's receivers where they are called."""
        found: list[Listener] = []
        signals = iter(self._signals)
        for _, _, member in self._members:
            if member is None:
                found.extend(next(signals).strangers.receivers_for(blinker.ANY))
            elif (listener := member.listener) is not None:
                found.append(listener)
        return found

    def name(self, call: Listener) -> object:
        """The listener behind a call, for the log."""
        for _, known, member in self._members:
            if known is call and member is not None:
                return member.listener
        return call


def _merge(groups: list[Group]) -> list[Listener]:
    if len(groups) == 1:
        return list(groups[0].calls)
    merged = [placed for group in groups for placed in group.placed]
    merged.sort(key=_place)
    return [call for _, call in merged]


def _compared(call: Listener, connection: Connection) -> Listener:
    def call_equal(event: Any) -> None:
        assert connection.filter is not None
        if connection.filter.matches_paths(event):
            call(event)

    return call_equal


def _through(signal: ClassSignal, trace: Trace | None) -> Listener:
    def call_receivers(event: Any) -> None:
        source = getattr(event, "source", None)
        for receiver in () if signal.is_muted else tuple(signal.strangers.receivers_for(source)):
            if event.handled:
                return
            try:
                if trace is not None:
                    trace(event, receiver)
                receiver(source, event=event)
            except Exception:
                log_failure(receiver, event)

    return call_receivers


def _announce(trace: Trace) -> Listener:
    def call_trace(event: Any) -> None:
        trace(event, None)

    return call_trace
