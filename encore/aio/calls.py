"""One call of a synchronous verb: to a thread, and back to the task that waits for it.

A call is made in the loop, run by a worker, and told to the loop again when it is over. While it
runs it may have the loop do something and wait for the result: the next chunk of an asynchronous
source, a hook. The task that waits for the call does that, so that it happens in the right task::

    task                                  worker
    call.settle()          --------->     run()
      ...                                   a verb reads from an asynchronous source
      serves the request   <---------       ask(source.__anext__)
                           --------->       the chunk; meanwhile it runs what that task calls
      is_done              <---------     the result, or what was raised

Only this room imports this module.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from encore.aio.mailbox import Mailbox
from encore.aio.requests import Jobs, Request
from encore.errors import OperationCancelled, StoreError
from encore.events.progress_events import CancelToken, ProgressManager

T = TypeVar("T")


class _Here(threading.local):
    call: Call[Any] | None = None


_here = _Here()


def ask(function: Callable[[], Any], *, always: bool = False) -> Any:
    """Have the task that waits for the call of this thread do something, and return the result.

    Parameters
    ----------
    function : callable
        Called in the loop; what it returns is awaited if that is possible.
    always : bool, optional
        Do it even if the task has been cancelled meanwhile.

    Raises
    ------
    OperationCancelled
        The task has been cancelled.
    StoreError
        This thread is not one of those that run calls.
    """
    call = _here.call
    if call is None:
        raise StoreError(
            "an asynchronous source can only be read by the thread that writes it; this store "
            "reads in another. Collect the data first, or write it from a file"
        )
    return call.ask(function, always)


class _Silent(ProgressManager):
    """An operation that tells nobody, so that those inside it stop when their task is cancelled."""

    def __init__(self, token: CancelToken) -> None:
        super().__init__(cancel=token)
        self.operation_id = None  # type: ignore[assignment]  # what is inside is nobody's part

    def _emit(self, cls: type[Any], **attributes: Any) -> None:
        pass


class Call(Generic[T]):
    """A function with its arguments, on its way through a worker.

    Parameters
    ----------
    function, args, kwargs
        What to call.
    mailbox : Mailbox
        Of the loop that waits.
    token : CancelToken, optional
        Cancelled when the waiting task is, to stop what is under way.

    Attributes
    ----------
    is_done : bool
        Whether the loop knows the outcome.
    error : BaseException or None
        What was raised.

    Notes
    -----
    *Threads*: `run` and `ask` in the worker, everything else in the loop.
    """

    __slots__ = (
        "_args",
        "_arrival",
        "_function",
        "_is_forsaken",
        "_jobs",
        "_kwargs",
        "_mailbox",
        "_requests",
        "_result",
        "_token",
        "error",
        "is_done",
        "then",
    )

    def __init__(
        self,
        function: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        mailbox: Mailbox,
        token: CancelToken | None = None,
    ) -> None:
        self._function: Callable[..., T] | None = function
        self._args = args
        self._kwargs = kwargs
        self._mailbox = mailbox
        self._token = token
        self._jobs: Jobs | None = None
        self._result: Any = None
        self._requests: deque[Request] = deque()
        self._arrival: asyncio.Future[None] | None = None
        self._is_forsaken = False
        self.error: BaseException | None = None
        self.is_done = False
        self.then: Callable[[], object] | None = None

    # -- in the worker ----------------------------------------------------------------------------

    def sent_to(self, jobs: Jobs) -> None:
        """Go to a worker that runs this task's calls only: it may take others while it asks."""
        self._jobs = jobs
        jobs.put(self)

    def run(self) -> None:
        """Make the call. It is the worker's part never to raise."""
        outer, _here.call = _here.call, self
        function, self._function = self._function, None
        assert function is not None
        try:
            if self._token is None:
                self._result = function(*self._args, **self._kwargs)
            else:
                with _Silent(self._token):
                    self._result = function(*self._args, **self._kwargs)
        except BaseException as error:  # raised again in the task
            self.error = error
        finally:
            _here.call = outer
            self._args, self._kwargs = (), {}
            del function
        if not self._mailbox.put(self._arrived):
            self._lost()

    def ask(self, function: Callable[[], Any], always: bool) -> Any:
        """See the function of this name."""
        jobs = SimpleQueue() if self._jobs is None else self._jobs
        request = Request(function, always, jobs)
        if not self._mailbox.put(lambda: self._asked(request)):
            request.refuse()
        while not request.is_answered:
            job = jobs.get()
            if job is None:  # the worker is to end; it will find this again
                jobs.put(None)
                raise OperationCancelled("the store was closed")
            job.run()
        return request.outcome()

    # -- in the loop ------------------------------------------------------------------------------

    async def result(self) -> T:
        """Wait for the outcome. Whoever is cancelled meanwhile can come again."""
        while not self.is_done:
            await self._news()
        return self.outcome()

    async def result_or_nothing(self) -> T:
        """Wait for the outcome; if that is cut short, nobody wants it any more."""
        try:
            return await self.result()
        except BaseException:
            if self.error is None:
                self.forsake()
            raise

    async def settle(self) -> asyncio.CancelledError | None:
        """Wait until the call is over, whatever happens; return what cancelled the task meanwhile.

        A cancelled task asks the call to stop, and waits on: only then it is known what has
        happened.
        """
        interruption: asyncio.CancelledError | None = None
        try:
            while not self.is_done:
                try:
                    await self._news()
                except asyncio.CancelledError as error:
                    interruption = error
                    self._interrupt()
        finally:
            if not self.is_done:  # the loop is being torn down
                self.forsake()
        return interruption

    def outcome(self) -> T:
        """What the call returned; raises what it raised."""
        error = self.error
        if error is not None:
            try:
                raise error
            finally:
                del error  # the traceback holds this frame
        result: T = self._result
        return result

    def forsake(self) -> None:
        """Nobody waits any more: what is asked for is refused, and a result closed."""
        self._is_forsaken = True
        self._interrupt()
        if self.is_done:
            self._discard()

    def _interrupt(self) -> None:
        if self._token is not None:
            self._token.cancel("the task was cancelled")
        waiting = [*self._requests]
        self._requests.clear()
        for request in waiting:
            self._asked(request)

    def _is_unwanted(self, request: Request) -> bool:
        stopped = self._token is not None and self._token.cancelled
        return self._is_forsaken or (stopped and not request.always)

    async def _news(self) -> None:
        self._arrival = self._mailbox.loop.create_future()
        try:
            if not self._requests:
                await self._arrival
        finally:
            self._arrival = None
        while self._requests:
            await self._requests.popleft().serve()

    def _asked(self, request: Request) -> None:
        if self._is_unwanted(request):
            request.refuse()
            return
        self._requests.append(request)
        self._wake()

    def _arrived(self) -> None:
        self.is_done = True
        self._wake()
        if self._is_forsaken:
            self._discard()
        if self.then is not None:
            self.then()

    def _wake(self) -> None:
        arrival = self._arrival
        if arrival is not None and not arrival.done():
            arrival.set_result(None)

    def _lost(self) -> None:
        """The loop has been closed while the worker was busy."""
        self._discard()
        if self.then is not None:
            self.then()

    def _discard(self) -> None:
        result, self._result = self._result, None
        close = getattr(result, "close", None)
        if close is not None:
            with suppress(Exception):
                close()
