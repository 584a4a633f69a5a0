"""The names people import from the events room.

Re-exports only. Anybody may import this module.
"""

from __future__ import annotations

from encore.events.abstract_event_manager import BaseEvent, BaseEventManager
from encore.events.event_manager import EventManager
from encore.events.heartbeat import Heartbeat, HeartbeatEvent
from encore.events.package_globals import get_event_manager, set_event_manager
from encore.events.progress_events import (
    CancelToken,
    ProgressEndEvent,
    ProgressEvent,
    ProgressManager,
    ProgressStartEvent,
    ProgressStepEvent,
)
from encore.events.progress_model import ProgressModel

__all__ = [
    "BaseEvent",
    "BaseEventManager",
    "CancelToken",
    "EventManager",
    "Heartbeat",
    "HeartbeatEvent",
    "ProgressEndEvent",
    "ProgressEvent",
    "ProgressManager",
    "ProgressModel",
    "ProgressStartEvent",
    "ProgressStepEvent",
    "get_event_manager",
    "set_event_manager",
]
