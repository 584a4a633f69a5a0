"""One listener and how it is called.

A connection is folded once, when it is made, into a single callable of the event: the filter's
residue around the dispatch around the listener, each layer only where it is asked for. Plain
functions without any of it are called directly. Private to the events room.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Hashable
from types import BuiltinMethodType, MethodType, ModuleType
from typing import Any

from encore.events.abstract_event_manager import Dispatch, Filter, Listener, Trace
from encore.events.filters import EventFilter

logger = logging.getLogger("encore.events")


class Connection:
    """A listener of one class of events.

    Parameters
    ----------
    func : callable
        The listener.
    conditions : mapping or None
        See `BaseEventManager.connect`.
    priority : int
    sequence : int
        Number of the connection; orders equal priorities.
    dispatch : callable or None
    forgotten : callable
        Called without arguments when the object of a bound method is gone.

    Attributes
    ----------
    order : tuple
        Sorts connections into calling order.
    active : bool
        False once disconnected: calls that still wait in a GUI loop then do nothing.

    Notes
    -----
    *Threads*: immutable but for `active`, which only ever turns false.
    """

    __slots__ = ("_dispatch", "_func", "_owner", "active", "call", "filter", "key", "order")

    def __init__(
        self,
        func: Listener,
        conditions: Filter | None,
        priority: int,
        sequence: int,
        dispatch: Dispatch | None,
        forgotten: Callable[[], None],
    ) -> None:
        self.key = identity(func)
        self.order = (-priority, sequence)
        self.filter = EventFilter(conditions) if conditions else None
        self.active = True
        self._dispatch = dispatch
        self._owner: weakref.ref[Any] | None = None
        self._func: Callable[..., object] = func
        if isinstance(func, MethodType):
            try:
                self._owner = weakref.ref(func.__self__, lambda _: forgotten())
                self._func = func.__func__
            except TypeError:
                pass  # slots without __weakref__: the only way to hear anything is to hold on
        self.call = self.build(None)

    @property
    def listener(self) -> Listener | None:
        """The listener, or None if its object is gone."""
        if self._owner is None:
            return self._func
        owner = self._owner()
        return None if owner is None else MethodType(self._func, owner)

    def build(self, trace: Trace | None) -> Listener:
        """The callable of the event that does everything but the lookups of the filter."""
        call = self._direct() if trace is None else self._traced(trace)
        if self._dispatch is not None:
            call = self._dispatched(self._dispatch, call)
        matches = None if self.filter is None else self.filter.residue()
        return call if matches is None else _filtered(matches, call)

    def __call__(self, sender: Any, /, *, event: Any) -> None:
        """Be a blinker receiver too, for those who send through the signal themselves."""
        if self.filter is None or self.filter.matches(event):
            self.call(event)

    def _direct(self) -> Listener:
        if self._owner is None:
            return self._func
        owner, func = self._owner, self._func

        # Not WeakMethod, which builds a bound method for every call.
        def call_alive(event: Any) -> None:
            alive = owner()
            if alive is not None:
                func(alive, event)

        return call_alive

    def _traced(self, trace: Trace) -> Listener:
        def call_traced(event: Any) -> None:
            listener = self.listener
            if listener is not None:
                try:
                    trace(event, listener)
                except Exception:
                    logger.exception("Trace function %r raised", trace)
                listener(event)

        return call_traced

    def _dispatched(self, dispatch: Dispatch, call: Listener) -> Listener:
        def call_later(event: Any) -> None:
            def deferred() -> None:
                if not self.active:
                    return
                try:
                    call(event)
                except Exception:
                    log_failure(self.listener, event)

            dispatch(deferred)

        return call_later


def identity(func: Listener) -> Hashable:
    """What makes two spellings of a listener the same, given that the listener is alive.

    A bound method is a new object each time it is looked up, as are methods of built-in types
    such as ``heard.append``.
    """
    if isinstance(func, MethodType):
        return id(func.__self__), id(func.__func__)
    if isinstance(func, BuiltinMethodType) and not isinstance(func.__self__, ModuleType):
        return id(func.__self__), func.__name__
    return id(func)


def log_failure(listener: object, event: Any) -> None:
    """Log the exception being handled as the fault of a listener."""
    logger.exception("Listener %r raised on %s", listener, type(event).__name__)


def _filtered(matches: Callable[[Any], bool], call: Listener) -> Listener:
    def call_matching(event: Any) -> None:
        if matches(event):
            call(event)

    return call_matching
