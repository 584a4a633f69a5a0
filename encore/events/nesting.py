"""Which operation each thread is in, so that an operation inside another knows its parent.

Operations are held weakly and leave by name, not by position: one that belongs to a suspended or
forgotten generator neither lingers nor takes a neighbour's place. Private to the events room.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

from encore.events.cancel import CancelToken

if TYPE_CHECKING:
    from encore.events.progress_events import ProgressManager


class _Stack(threading.local):
    def __init__(self) -> None:
        self.operations: list[weakref.ref[ProgressManager]] = []


_stack = _Stack()


def enter(operation: ProgressManager) -> None:
    """Make an operation the innermost one of this thread."""
    operations = _stack.operations
    operation.nested_in = operations
    operations.append(weakref.ref(operation))


def leave(operation: ProgressManager) -> None:
    """Take an operation out, wherever it is, from whichever thread."""
    operations = operation.nested_in
    operations[:] = [
        ref for ref in operations if (alive := ref()) is not None and alive is not operation
    ]


def innermost() -> ProgressManager | None:
    """The operation that this thread entered last and has not left."""
    operations = _stack.operations
    while operations:
        operation = operations[-1]()
        if operation is not None:
            return operation
        operations.pop()
    return None


def tokens_for(
    given: CancelToken | None, outer: ProgressManager | None
) -> tuple[CancelToken, CancelToken]:
    """The token that an operation hands out, and the one that it looks at.

    They differ where a token was given inside another operation: that token is somebody else's,
    and must not be cancelled because the enclosing operation is.
    """
    if outer is None:
        own = CancelToken() if given is None else given
        return own, own
    if given is None:
        own = CancelToken(parent=outer.checked_token)
        return own, own
    return given, CancelToken(parent=(given, outer.checked_token))
