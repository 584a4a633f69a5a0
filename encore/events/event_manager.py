"""The event manager that encore uses: blinker's bookkeeping, our order, filters and veto.

Emitting reads an immutable plan for the class of the event and calls down a tuple; nothing is
looked up, locked or allocated on the way. Anybody may import this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from threading import Thread
from typing import Any

import blinker

from encore.errors import EventCascadeError
from encore.events.abstract_event_manager import (
    BaseEventManager,
    Dispatch,
    Filter,
    Listener,
    Trace,
)
from encore.events.batches import Batch, Deliveries, Delivery, describe_chain
from encore.events.connections import log_failure
from encore.events.dispatch import Plan
from encore.events.registry import Registry


class EventManager(BaseEventManager):
    """Knows who listens to which events, and tells them.

    Parameters
    ----------
    max_cascade : int, optional
        How many generations of batches may answer one another before `check_cascade` refuses.

    Notes
    -----
    *Threads*: see `BaseEventManager`. Batches queue per thread: two threads that commit at once
    deliver at once, each in its own order.
    """

    def __init__(self, max_cascade: int = 100) -> None:
        self.max_cascade = max_cascade
        self._registry = Registry()
        self._deliveries = Deliveries()

    def connect(
        self,
        cls: type,
        func: Listener,
        filter: Filter | None = None,  # noqa: A002  a documented name
        priority: int = 0,
        dispatch: Dispatch | None = None,
    ) -> None:
        self._registry.connect(cls, func, filter, priority, dispatch)

    def disconnect(self, cls: type, func: Listener) -> None:
        self._registry.disconnect(cls, func)

    def disable(self, cls: type) -> None:
        self._registry.disable(cls)

    def enable(self, cls: type) -> None:
        self._registry.enable(cls)

    def is_enabled(self, cls: type) -> bool:
        return self._registry.is_enabled(cls)

    def get_listeners(self, cls: type) -> list[Listener]:
        return self._registry.listeners(cls)

    def set_trace(self, func: Trace | None) -> None:
        self._registry.set_trace(func)

    def signal(self, cls: type) -> blinker.Signal:
        """The blinker signal of a class, for people who know blinker.

        Receivers connected to it are called as ``receiver(event.source, event=event)`` for the
        class and its subclasses, after the listeners of priority 0, among themselves in no
        particular order.
        """
        return self._registry.signal(cls)

    def wants(self, cls: type, source: Any = None) -> bool:
        try:
            plan = self._registry.plans[cls]
        except KeyError:
            plan = self._registry.plan(cls)
        wanted = plan.wanted
        return plan.hears(source) if wanted is None else wanted

    @property
    def epoch(self) -> object:
        return self._registry.plans

    def emit(self, event: Any, block: bool = True) -> Thread | None:
        if not block:
            thread = Thread(target=self.emit, args=(event,), name="encore-emit", daemon=True)
            thread.start()
            return thread
        try:
            plan = self._registry.plans[event.__class__]
        except KeyError:
            plan = self._registry.plan(event.__class__)
        calls: Sequence[Listener] | None = plan.calls
        if calls is None:
            calls = plan.select(event)
        remaining = iter(calls)
        for call in remaining:
            if event.handled:
                break
            try:
                call(event)
            except Exception:
                log_failure(plan.name(call), event)
            except BaseException:
                self._finish(event, plan, remaining)
                raise
        return None

    def _finish(self, event: Any, plan: Plan, remaining: Iterator[Listener]) -> None:
        # An interrupted listener does not cost the others what has been committed.
        for call in remaining:
            if event.handled:
                break
            try:
                call(event)
            except BaseException:  # the first interruption is the one that is raised
                log_failure(plan.name(call), event)

    def emit_all(self, events: Iterable[Any]) -> None:
        delivery = self._deliveries.current
        cause = delivery.batch
        delivery.queue.append(Batch(events, delivery.event, cause))
        if cause is None:
            self._drain(delivery)

    def _drain(self, delivery: Delivery) -> None:
        interruption: BaseException | None = None
        queue = delivery.queue
        try:
            while delivery.batch or queue:
                try:
                    if delivery.batch is None:
                        delivery.batch = queue.popleft()
                    for event in delivery.batch.pending:
                        delivery.event = event
                        self.emit(event)
                    delivery.batch = None
                except BaseException as error:
                    interruption = interruption or error
            if interruption is not None:
                raise interruption
        finally:
            # The traceback of the interruption holds this frame: without this, a cycle.
            interruption = None
            delivery.batch = delivery.event = None

    def check_cascade(self) -> None:
        delivery = self._deliveries.current
        batch = delivery.batch
        if batch is None or batch.generation < self.max_cascade:
            return
        chain = describe_chain(delivery.event, batch)
        raise EventCascadeError(
            f"a listener answers events with writes, {batch.generation} generations deep: {chain}. "
            "The write was refused. Let a listener leave alone what it wrote itself, or raise "
            "max_cascade of the event manager"
        )
