"""Asking an operation to stop.

A token is a flag that only ever goes up. Cancelling a token cancels the tokens made from it, so
that an operation looks at one flag however deep it is nested. Private to the events room; import
`CancelToken` from `encore.events.api` or `encore.events.progress_events`.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable

from encore.errors import OperationCancelled

# One lock for all tokens: it is taken to cancel and to make children, never to look. Re-entrant,
# because a signal handler may cancel while its own thread is cancelling.
_lock = threading.RLock()


class CancelToken:
    """Tells an operation to stop, from any thread.

    Parameters
    ----------
    parent : CancelToken or iterable of CancelToken, optional
        Cancelling one of them cancels this token, not the other way round.
    timeout : float, optional
        Seconds from now after which the token counts as cancelled. The earliest time of the
        parents holds too.
    clock : callable, optional
        Monotonic seconds.

    Notes
    -----
    *Threads*: all methods may be called from any thread, `cancel` from a signal handler too.
    """

    __slots__ = (
        "__weakref__",
        "_cancelled",
        "_children",
        "_clock",
        "_deadline",
        "_event",
        "_parents",
        "reason",
    )

    def __init__(
        self,
        parent: CancelToken | Iterable[CancelToken] | None = None,
        timeout: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reason: str | None = None
        self._cancelled = False
        self._clock = clock
        self._deadline = None if timeout is None else clock() + timeout
        self._event: threading.Event | None = None
        self._children: weakref.WeakSet[CancelToken] | None = None
        # Held by the child, weakly holding it: a chain lives as long as its last link.
        self._parents: tuple[CancelToken, ...] = ()
        if parent is not None:
            self._parents = (parent,) if isinstance(parent, CancelToken) else tuple(parent)
            for one in self._parents:
                one._adopt(self)

    def cancel(self, reason: str | None = None) -> None:
        """Ask to stop. The first reason is kept; cancelling again changes nothing.

        Parameters
        ----------
        reason : str, optional
            Shown in the message of the error.
        """
        with _lock:
            if self._cancelled:
                return
            self.reason = reason
            self._cancelled = True
            if self._event is not None:
                self._event.set()
            for child in tuple(self._children or ()):
                child.cancel(reason)

    @property
    def cancelled(self) -> bool:
        """Whether somebody has asked to stop, or the time is up."""
        if self._cancelled:
            return True
        if self._deadline is None or self._clock() < self._deadline:
            return False
        self.cancel("the time is up")
        return True

    def raise_if_cancelled(self) -> None:
        """Stop here if asked to.

        Raises
        ------
        OperationCancelled
            The token is cancelled.
        """
        if self.cancelled:
            raise OperationCancelled(
                "the operation was cancelled" + (f": {self.reason}" if self.reason else "")
            )

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the token is cancelled; for pauses that a cancel should end.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most; None waits for as long as it takes.

        Returns
        -------
        cancelled : bool
        """
        if self.cancelled:
            return True
        with _lock:
            if self._event is None:
                self._event = threading.Event()
                if self._cancelled:
                    self._event.set()
        if self._deadline is not None:
            left = max(0.0, self._deadline - self._clock())
            timeout = left if timeout is None else min(timeout, left)
        self._event.wait(timeout)
        return self.cancelled

    def _adopt(self, child: CancelToken) -> None:
        with _lock:
            if self._deadline is not None and (
                child._deadline is None or self._deadline < child._deadline
            ):
                child._deadline, child._clock = self._deadline, self._clock
            if self._cancelled:
                child.cancel(self.reason)
                return
            if self._children is None:
                self._children = weakref.WeakSet()
            self._children.add(child)
