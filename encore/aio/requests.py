"""What a thread wants of the loop in the middle of a call, and what it waits in meanwhile.

``calls`` tells the story. Only this room imports this module.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol

from encore.errors import OperationCancelled


class Job(Protocol):
    """What a worker runs; it must not raise."""

    def run(self) -> None: ...


Jobs = SimpleQueue["Job | None"]


class Request:
    """Something that a call wants done in the loop, and what came of it."""

    __slots__ = ("_answers", "_error", "_function", "_result", "always", "is_answered")

    def __init__(self, function: Callable[[], Any], always: bool, answers: Jobs) -> None:
        self._function = function
        self._answers = answers
        self._result: Any = None
        self._error: BaseException | None = None
        self.always = always
        self.is_answered = False

    async def serve(self) -> None:
        """Do it, in the task of the call."""
        try:
            result = self._function()
            self._result = await result if inspect.isawaitable(result) else result
        except BaseException as error:  # raised again where it was asked for
            self._error = error
        self._answers.put(self)

    def refuse(self) -> None:
        """Say that nobody will do it."""
        self._error = OperationCancelled("the task that wanted this has been cancelled")
        self._answers.put(self)

    def run(self) -> None:
        """Arrive at the worker."""
        self.is_answered = True

    def outcome(self) -> Any:
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._result
