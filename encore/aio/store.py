"""`AsyncStore`: any store, for the tasks of a loop.

Anybody may import what is public here from the face of the room.
"""

from __future__ import annotations

from typing import Any, Unpack

from encore.aio.events import AsyncEvents
from encore.aio.objects import ObjectVerbs
from encore.aio.transactions import AsyncTransaction, transaction_of
from encore.events.abstract_event_manager import Filter
from encore.storage.events import StoreEvent
from encore.storage.transactions.recording import StepOptions

__all__ = ["AsyncStore"]


class AsyncStore(ObjectVerbs):
    """Any store or stack of stores, with its verbs awaited.

    The store does everything, in threads that this face starts when they are needed and ends when
    it is closed. Reads of different tasks run side by side. Writes wait for their turn, in the
    order in which they came, for as long as the ``timeout`` of the store says, and block neither
    the loop nor reads. Cancelling a task stops what it is doing: what was being written has then
    been written, or nothing of it.

    Parameters
    ----------
    store : Store or AsyncStore
        Another face may be given in place of its store.
    readers : int, optional
        How many threads read at most.
    key_builder : KeyBuilder, optional
        What `key_builder` returns; the verbs take keys as they are.

    Attributes
    ----------
    store : Store

    Notes
    -----
    *Threads*: belongs to the tasks of loops; several loops may use one face. In each task at most
    one verb runs at a time.

    Examples
    --------
    >>> import asyncio
    >>> from encore.aio import AsyncStore
    >>> from encore.storage.api import DictStore
    >>> async def main():
    ...     async with AsyncStore(DictStore()) as store:
    ...         async with store.transaction("Add two"):
    ...             await store.put("a", b"1")
    ...             await store.put("b", b"2")
    ...         return [key async for key in store]
    >>> asyncio.run(main())
    ['a', 'b']
    """

    def transaction(
        self, notes: str = "", *, timeout: float | None = None, **options: Unpack[StepOptions]
    ) -> AsyncTransaction:
        """Return a context in which all writes of this task happen together or not at all.

        See `AbstractStore.transaction`; it is entered with ``async with``.
        """
        return transaction_of(self, notes, timeout, options)

    def events(
        self,
        cls: type = StoreEvent,
        *,
        filter: Filter | None = None,  # noqa: A002  as in connect
        maxsize: int = 1000,
    ) -> AsyncEvents:
        """Return the events of this store that happen from now on, for ``async for``.

        Parameters
        ----------
        cls : type, optional
            The class of events, subclasses included.
        filter : mapping of str to object, optional
            What else has to hold; see `BaseEventManager.connect`.
        maxsize : int, optional
            How many may wait to be taken; beyond it the oldest are dropped, and counted.
        """
        wanted: dict[str, Any] = {"source": self._store, **(filter or {})}
        found = AsyncEvents(self.event_manager, cls, wanted, maxsize)
        self._iterators.add(found)
        return found
