"""Who is connected to what, what is disabled, and the plans made from both.

The plans are read without a lock, in one dictionary that is replaced and never emptied; a plan
built from a state that has changed meanwhile is stored into the dictionary that was thrown away.
Private to the events room.
"""

from __future__ import annotations

from functools import partial
from threading import RLock

from encore.events.abstract_event_manager import Dispatch, Filter, Listener, Trace
from encore.events.connections import Connection, identity
from encore.events.dispatch import Plan
from encore.events.signals import ClassSignal


class Registry:
    """The books of an `EventManager`.

    Attributes
    ----------
    plans : dict of type to Plan
        What is known now; `plan` makes what is missing.

    Notes
    -----
    *Threads*: changes and plan making take one re-entrant lock; reading `plans` takes none. The
    end of a weakly held object, which may come at any moment in any thread, takes none either: it
    leaves a mark, and whoever holds the lock next cleans up.
    """

    __slots__ = ("_disabled", "_lock", "_sequence", "_signals", "_stale", "_trace", "plans")

    def __init__(self) -> None:
        self.plans: dict[type, Plan] = {}
        self._lock = RLock()
        self._signals: dict[type, ClassSignal] = {}
        self._disabled: set[type] = set()
        self._trace: Trace | None = None
        self._sequence = 0
        self._stale = False

    def connect(
        self,
        cls: type,
        func: Listener,
        conditions: Filter | None,
        priority: int,
        dispatch: Dispatch | None,
    ) -> None:
        if not isinstance(cls, type):
            raise TypeError(f"cannot listen to {cls!r}: not a class of events")
        if not callable(func):
            raise TypeError(f"cannot connect {func!r} to {cls.__name__}: not callable")
        with self._lock:
            self._purge()
            self._sequence += 1
            connection = Connection(
                func, conditions, priority, self._sequence, dispatch, self._forget
            )
            self.signal(cls).connect(connection, weak=False)

    def disconnect(self, cls: type, func: Listener) -> None:
        with self._lock:
            self._purge()
            signal = self._signals.get(cls)
            connection = signal and signal.connections.get(identity(func))
            if signal and connection:
                signal.disconnect(connection)

    def signal(self, cls: type) -> ClassSignal:
        with self._lock:
            signal = self._signals.get(cls)
            if signal is None:
                signal = ClassSignal(cls, self._lock, partial(self._invalidate, cls))
                self._signals[cls] = signal
            return signal

    def disable(self, cls: type) -> None:
        with self._lock:
            self._disabled.add(cls)
            self._invalidate(cls)

    def enable(self, cls: type) -> None:
        with self._lock:
            self._disabled.discard(cls)
            self._invalidate(cls)

    def is_enabled(self, cls: type) -> bool:
        with self._lock:
            return self._disabled.isdisjoint(cls.__mro__)

    def set_trace(self, trace: Trace | None) -> None:
        with self._lock:
            self._trace = trace
            self._invalidate(object)

    def plan(self, cls: type) -> Plan:
        """Make, keep and return the plan of a class."""
        with self._lock:
            plans = self.plans  # before looking: a change from now on replaces this dictionary
            self._purge()
            plan = self._make(cls, self._trace) if self.is_enabled(cls) else Plan()
            plans[cls] = plan
            return plan

    def listeners(self, cls: type) -> list[Listener]:
        with self._lock:
            self._purge()
            return self._make(cls, None).listeners()

    def _make(self, cls: type, trace: Trace | None) -> Plan:
        signals = [self._signals[base] for base in cls.__mro__ if base in self._signals]
        return Plan(
            [connection for signal in signals for connection in signal.connections.values()],
            [signal for signal in signals if signal.strangers.receivers],
            trace,
        )

    def _invalidate(self, cls: type) -> None:
        plans = self.plans
        self.plans = {known: plans[known] for known in list(plans) if not issubclass(known, cls)}
        if self._stale:
            # Something ended while the dictionary was copied: its own clearing may be lost.
            self.plans = {}

    def _forget(self) -> None:
        self._stale = True
        self.plans = {}

    def _purge(self) -> None:
        if self._stale:
            self._stale = False
            for signal in self._signals.values():
                signal.purge()
