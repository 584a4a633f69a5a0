"""The process-wide event manager, made when first asked for.

Stores and progress managers use it where they are given no other. Anybody may import this module.
"""

from __future__ import annotations

import threading

from encore.events.abstract_event_manager import BaseEventManager
from encore.events.event_manager import EventManager

_lock = threading.Lock()
_event_manager: BaseEventManager | None = None


def get_event_manager() -> BaseEventManager:
    """The process-wide event manager.

    Notes
    -----
    *Threads*: all threads get the same one.
    """
    global _event_manager
    manager = _event_manager
    if manager is None:
        with _lock:
            if _event_manager is None:
                _event_manager = EventManager()
            manager = _event_manager
    return manager


def set_event_manager(event_manager: BaseEventManager | None) -> None:
    """Replace the process-wide event manager.

    Parameters
    ----------
    event_manager : BaseEventManager or None
        None has a new one made when it is next asked for. Whoever holds the old one keeps it.
    """
    global _event_manager
    with _lock:
        _event_manager = event_manager
