"""What an event is, and what a manager of events promises.

`BaseEventManager` is the contract, stated here in full and nowhere else; `EventManager` is the
implementation that encore uses. Anybody may import this module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any, TypeAlias

Listener: TypeAlias = Callable[[Any], object]
"""What is connected: called with the event, its result ignored."""

Dispatch: TypeAlias = Callable[[Callable[[], None]], object]
"""Runs a call without arguments, now or later, here or in another thread."""

Filter: TypeAlias = Mapping[str, Any]
"""Attribute path to the value it must have."""

Trace: TypeAlias = Callable[[Any, Listener | None], object]
"""Shown an event and the listener about to be called with it."""


class BaseEvent:
    """Something that happened, told to whoever listens.

    Subclass it to say what happened; listeners of a class hear its subclasses too. A subclass may
    have its own ``__init__`` and need not call this one.

    Parameters
    ----------
    source : object, optional
        What it happened to.
    **kwargs
        Become attributes of the event.

    Attributes
    ----------
    source : object
    handled : bool
        Whether a listener has called `mark_as_handled`.

    Notes
    -----
    *Threads*: an event belongs to the thread that delivers it.
    """

    # On the class, so that events which nobody handles never store them.
    source: Any = None
    handled: bool = False

    def __init__(self, source: Any = None, **kwargs: Any) -> None:
        self.source = source
        # Not __dict__.update: a subclass may have slots or properties of these names.
        for name, value in kwargs.items():
            setattr(self, name, value)

    def mark_as_handled(self) -> None:
        """Let no further listener hear this event."""
        self.handled = True


class BaseEventManager(ABC):
    """Knows who listens to which events, and tells them.

    A listener hears the class that it was connected to and every subclass. Listeners are called
    by descending ``priority``, and in order of connection among equals, base class or not. A
    listener that raises is logged (logger ``encore.events``, with traceback) and disturbs neither
    the others nor the emitter.

    Notes
    -----
    *Threads*: every method may be called from any thread. A listener is called in the thread that
    emits, unless its ``dispatch`` decides otherwise, and never while the manager holds a lock.
    """

    @abstractmethod
    def connect(
        self,
        cls: type,
        func: Listener,
        filter: Filter | None = None,  # noqa: A002  a documented name
        priority: int = 0,
        dispatch: Dispatch | None = None,
    ) -> None:
        """Call ``func(event)`` for events of ``cls`` and its subclasses.

        Connecting the same function to the same class again replaces the earlier connection, its
        place in the order included. Connections made during a delivery count from the next event.

        Parameters
        ----------
        cls : type
            The class of events to listen to.
        func : callable
            Bound methods are held weakly: they vanish with their object, without an error.
            Everything else (functions, lambdas, callable objects) is held strongly.
        filter : mapping of str to object, optional
            Attribute paths (``"key"``, ``"source.name"``) and the values that they must have; all
            must match. ``source`` is compared by identity, everything else by ``==``. An event
            without the attribute does not match.
        priority : int, optional
            Higher is called first.
        dispatch : callable, optional
            Handed a call without arguments in place of the direct call, for the loop of a GUI:
            ``lambda call: root.after(0, call)``. It runs later, so it is too late there to
            `BaseEvent.mark_as_handled`. Calls still waiting when `disconnect` is called do nothing.

        Raises
        ------
        TypeError
            ``cls`` is no class, or ``func`` is not callable.
        """

    @abstractmethod
    def disconnect(self, cls: type, func: Listener) -> None:
        """Undo `connect`; nothing happens where there is no such connection."""

    @abstractmethod
    def emit(self, event: Any, block: bool = True) -> Thread | None:
        """Tell the listeners now, depth first: inside a listener, before that listener goes on.

        Parameters
        ----------
        event : BaseEvent
            Delivered until a listener marks it as handled.
        block : bool, optional
            False delivers on a new daemon thread.

        Returns
        -------
        thread : threading.Thread or None
            The new thread, already started, if ``block`` is false.
        """

    @abstractmethod
    def disable(self, cls: type) -> None:
        """Deliver no events of ``cls`` and its subclasses until `enable`."""

    @abstractmethod
    def enable(self, cls: type) -> None:
        """Undo `disable` of exactly this class; a disabled base class still counts."""

    @abstractmethod
    def is_enabled(self, cls: type) -> bool:
        """Whether neither ``cls`` nor a base class of it is disabled."""

    @abstractmethod
    def get_listeners(self, cls: type) -> list[Listener]:
        """Everything connected to ``cls`` or a base class, in calling order, disabled or not."""

    @abstractmethod
    def set_trace(self, func: Trace | None) -> None:
        """Have every event and every call shown; None ends that.

        Parameters
        ----------
        func : callable or None
            Called as ``func(event, None)`` when an event is emitted, and as
            ``func(event, listener)`` before each listener. While it is set, `wants` is true for
            every class that is not disabled, so that events nobody hears are seen as well.
        """

    def wants(self, cls: type, source: Any = None) -> bool:
        """Whether anybody could hear an event of exactly ``cls`` from ``source``.

        Asked before an event is built, so that nobody listening costs nothing. Filters on other
        attributes than ``source`` are not considered.
        """
        return True

    @property
    def epoch(self) -> object:
        """An object that is replaced by another whenever an answer of `wants` may have changed.

        Whoever asks often keeps the answer together with the epoch in which it was given.
        """
        return object()  # a manager that does not keep count: the answer is never the old one

    def emit_all(self, events: Iterable[Any]) -> None:
        """Deliver what belongs together, such as the changes of one transaction.

        If this thread is already delivering such a batch, the new one waits behind it (first in,
        first out), so that every listener hears the events in the order of the changes::

            emit_all([a, b])                a -> listener X, which calls emit_all([c])
                                            a -> listener Y
                                            b -> X, Y
                                            c -> X, Y

        Nothing is ever dropped. If a listener raises something that is no `Exception`, such as
        `KeyboardInterrupt`, everything is delivered first and then it is raised again.
        """
        for event in events:
            self.emit(event)

    def check_cascade(self) -> None:  # noqa: B027  a manager that queues nothing recurses
        """Refuse a write that answers an answer to an answer..., asked before each write.

        Raises
        ------
        EventCascadeError
            The batch being delivered in this thread has been caused by too long a chain of
            batches; the message shows the chain.
        """

    @contextmanager
    def listening(
        self,
        cls: type,
        func: Listener,
        filter: Filter | None = None,  # noqa: A002  as in connect
        priority: int = 0,
        dispatch: Dispatch | None = None,
    ) -> Iterator[None]:
        """`connect` for the length of a ``with`` block."""
        self.connect(cls, func, filter, priority, dispatch)
        try:
            yield
        finally:
            self.disconnect(cls, func)
