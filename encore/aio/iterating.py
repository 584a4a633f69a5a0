"""Asynchronous iteration over what a store yields: many items for each way to a thread.

Anybody may import what is public here from the face of the room.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from encore.aio.calls import Call

if TYPE_CHECKING:
    from encore.aio.core import AsyncCore

__all__ = ["AsyncItems"]

T = TypeVar("T")

Fetched = tuple[list[Any], BaseException | None, bool]


class AsyncItems(AsyncIterator[T], Generic[T]):
    """An asynchronous iterator over items of a store, in the order of the synchronous verb.

    Items are fetched ahead, first a few, then more at a time. What was cut short by a timeout goes
    on where it was. Leave an iteration early with `aclose`, or use it with ``async with``, where
    what it holds open matters.

    *Threads*: belongs to one task at a time.
    """

    def __init__(
        self,
        owner: AsyncCore,
        make: Callable[[], Iterator[Any]],
        *,
        most: int,
        shape: Callable[[Any], T] | None = None,
        first: int = 16,
    ) -> None:
        self._owner = owner
        self._make: Callable[[], Iterator[Any]] | None = make
        self._iterator: Iterator[Any] | None = None
        self._ready: deque[Any] = deque()
        self._call: Call[Fetched] | None = None
        self._error: BaseException | None = None
        self._is_over = False
        self._shape = shape
        self._count = min(first, most)
        self._most = most

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._ready:
            if self._error is not None:
                error, self._error = self._error, None
                self._is_over = True
                raise error
            if self._is_over:
                raise StopAsyncIteration
            await self._fetch()
        item = self._ready.popleft()
        return item if self._shape is None else self._shape(item)

    async def _fetch(self) -> None:
        if self._call is None:  # else a timeout has cut the waiting short, but not the call
            self._call = self._owner._reading(self._take, self._count)
            self._count = min(2 * self._count, self._most)
        items, self._error, self._is_over = await self._call.result()
        self._call = None
        self._ready.extend(items)

    def _take(self, count: int) -> Fetched:
        """Take items in the thread; those before an error are not lost."""
        items: list[Any] = []
        try:
            if self._iterator is None:
                assert self._make is not None
                self._iterator, self._make = iter(self._make()), None
            items.extend(itertools.islice(self._iterator, count))
        except BaseException as error:
            return items, error, True
        return items, None, len(items) < count

    async def aclose(self) -> None:
        """Give back what the iteration holds."""
        if self._call is not None:
            with suppress(Exception):
                await self._fetch()
        self._is_over, self._error = True, None
        items, self._ready = [*self._ready], deque()
        iterator, self._iterator = self._iterator, None

        def close() -> None:
            for item in (*items, iterator):
                part = item[1] if isinstance(item, tuple) and len(item) == 2 else item
                if hasattr(part, "close"):
                    part.close()

        if self._owner.is_closed:
            close()
        elif items or hasattr(iterator, "close"):
            await self._owner._read(close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
