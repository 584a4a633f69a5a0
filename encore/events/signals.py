"""The blinker signal of one class of events.

blinker keeps the books: who is connected, to which sender, held weakly or not. `Signal.send` is
not used for delivery, since it knows no order, no veto and no filters, and looks everything up
again for each event. Private to the events room.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import RLock
from typing import Any, TypeVar

from blinker import ANY, NamedSignal, Signal

from encore.events.connections import Connection, identity

F = TypeVar("F", bound=Callable[..., Any])


class ClassSignal(NamedSignal):
    """A signal that tells its manager about every change.

    Receivers connected straight to it are called with ``(source, event=event)``, after the
    manager's own listeners of priority 0; ``sender`` restricts them to a source, and a muted
    signal silences them (not the manager's own).

    Parameters
    ----------
    cls : type
        The class of events.
    lock : RLock
        The lock of the registry.
    changed : callable
        Called without arguments after each change, under the lock.

    Attributes
    ----------
    connections : dict
        The manager's own connections, by the identity of their listener.
    strangers : blinker.Signal
        The receivers that are not the manager's, once more: found without passing a thousand
        connections.

    Notes
    -----
    *Threads*: changes are made under the lock of the registry.
    """

    def __init__(self, cls: type, lock: RLock, changed: Callable[[], None]) -> None:
        super().__init__(f"{cls.__module__}.{cls.__qualname__}", f"Events of {cls.__qualname__}.")
        self.connections: dict[Hashable, Connection] = {}
        self.strangers = Signal()
        self._lock: Any = lock
        self._changed = changed

    def connect(self, receiver: F, sender: Any = ANY, weak: bool = True) -> F:
        with self._lock:
            if isinstance(receiver, Connection):
                replaced = self.connections.get(receiver.key)
                if replaced is not None:
                    super().disconnect(replaced)
                self.connections[receiver.key] = receiver
            else:
                self.strangers.connect(receiver, sender, weak)
            super().connect(receiver, sender, weak)
            self._changed()
        return receiver

    def disconnect(self, receiver: Callable[..., Any], sender: Any = ANY) -> None:
        with self._lock:
            ours: Connection | None
            if isinstance(receiver, Connection):
                ours = receiver
            else:
                ours = self.connections.get(identity(receiver))
            if ours is None:
                self.strangers.disconnect(receiver, sender)
                super().disconnect(receiver, sender)
            else:
                self.connections.pop(ours.key, None)
                ours.active = False
                super().disconnect(ours)
            self._changed()

    def purge(self) -> None:
        """Drop the connections whose objects are gone."""
        for connection in [c for c in self.connections.values() if c.listener is None]:
            del self.connections[connection.key]
            super().disconnect(connection)
