"""Wrappers that look on: they tell somebody what is asked of a store, and change nothing.

What they see are calls, as they are made: also those that fail, and those in a transaction that is
rolled back later. Events (``storage.events``) tell the committed truth instead. ``metering``
imports this module; ``storage.api`` shows what is public here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

from encore.storage.template import Entry, Staged, Store, check_guard
from encore.storage.wrappers.intercepting import Intent, InterceptingStore

__all__ = ["DELETE", "PUT", "LoggingStore", "NotifyingStore", "WatchingStore"]

PUT = "put"
DELETE = "delete"

ChangeHandler: TypeAlias = Callable[[Any, str, str, BaseException | None], object]
"""Called with the store, `PUT` or `DELETE`, the key, and the error or None."""

KeyHandler: TypeAlias = Callable[[Any, str, BaseException | None], object]
"""Called with the store, the key, and the error or None."""

_log = logging.getLogger("encore.storage")
_UNSEEN: AbstractContextManager[None] = nullcontext()


class WatchingStore(InterceptingStore):
    """A gate that lets everything through, and shows one operation for each.

    Parameters
    ----------
    base : Store
    """

    def _receive(
        self, entry: Entry, buffer_size: int, if_absent: bool, if_token: str | None
    ) -> bytes | Staged:
        # As inherited, but a condition that is checked is no reading of its own.
        if if_absent or if_token is not None:
            check_guard(self, entry.key, self._inner._find(entry.key), if_absent, if_token)
        return self._take_in(entry.key, entry.data, buffer_size)

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        with self._operation("move" if move else "copy", target, Intent.WRITE):
            self._inner._transfer(source, target, move=move)


@dataclass(frozen=True, slots=True, eq=False)
class _Subscription:
    """A handler, and which actions it wants to hear of; None: all."""

    handler: Callable[..., object]
    action: str | None


class NotifyingStore(WatchingStore):
    """The keys and values of ``base``; whoever asks for it is called after each write.

    Handlers are called in the order in which they were given, in the thread that writes, when the
    call has been made: with None as the error, or with the error, which is raised afterwards. One
    that raises is logged and disturbs neither the write nor the others. What is refused for its
    arguments (an illegal key, metadata that is not JSON) is no call yet.

    Setting data, metadata or both is a ``"put"``; a copy is a put of the target, a move a put of
    the target and a ``"delete"`` of the source; a transaction, and verbs for several keys, are what
    happens in them.

    Parameters
    ----------
    base : Store

    Notes
    -----
    Events differ: they tell, once it is committed, what has changed, whoever changed it; one for
    each key of a transaction; and nothing of what failed or was undone. Handlers hear at once of
    every call through this store, and of no other.

    *Threads*: as the base; handlers may be given and removed from any thread.
    """

    def __init__(self, base: Store) -> None:
        super().__init__(base)
        self._subscriptions: tuple[_Subscription, ...] = ()

    def on_change(self, handler: ChangeHandler) -> Callable[[], None]:
        """Have ``handler(store, action, key, error)`` called after each put and delete.

        Parameters
        ----------
        handler : callable
            ``action`` is ``"put"`` or ``"delete"``, ``error`` None or an exception.

        Returns
        -------
        callable
            Removes the handler; calling it again does nothing.
        """
        return self._subscribe(handler, None)

    def on_put(self, handler: KeyHandler) -> Callable[[], None]:
        """Have ``handler(store, key, error)`` called after each put; see `on_change`."""
        return self._subscribe(handler, PUT)

    def on_delete(self, handler: KeyHandler) -> Callable[[], None]:
        """Have ``handler(store, key, error)`` called after each delete; see `on_change`."""
        return self._subscribe(handler, DELETE)

    def _subscribe(self, handler: Callable[..., object], action: str | None) -> Callable[[], None]:
        subscription = _Subscription(handler, action)
        # A new tuple each time: a call under way goes on with the one that it has.
        self._subscriptions += (subscription,)

        def remove() -> None:
            self._subscriptions = tuple(
                other for other in self._subscriptions if other is not subscription
            )

        return remove

    def _operation(self, verb: str, key: str, intent: Intent) -> AbstractContextManager[None]:
        if intent is Intent.READ or not self._subscriptions:
            return _UNSEEN
        return self._telling(DELETE if verb == "delete" else PUT, key)

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        with self._telling(DELETE, source) if move else _UNSEEN, self._telling(PUT, target):
            self._inner._transfer(source, target, move=move)

    @contextmanager
    def _telling(self, action: str, key: str) -> Iterator[None]:
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            for subscription in self._subscriptions:
                if subscription.action in (None, action):
                    self._call(subscription, action, key, failure)

    def _call(
        self, subscription: _Subscription, action: str, key: str, failure: BaseException | None
    ) -> None:
        try:
            if subscription.action is None:
                subscription.handler(self, action, key, failure)
            else:
                subscription.handler(self, key, failure)
        except Exception:
            _log.exception("a handler failed that hears of %s %r", action, key)


class LoggingStore(WatchingStore):
    """The keys and values of ``base``, with a line in the log before each operation.

    The lines look like ``store put 'key'``: the name, what is done, and the key, in which control
    characters are escaped. Data and metadata are not logged. What verbs for several keys do is
    logged key by key.

    Parameters
    ----------
    base : Store
    store_name : str, optional
        What the lines begin with.
    logger : logging.Logger, optional
        Gets them, with the level ``INFO``; default: ``encore.storage``.
    """

    def __init__(
        self, base: Store, store_name: str = "store", logger: logging.Logger | None = None
    ) -> None:
        super().__init__(base)
        self.store_name = store_name
        self._logger = _log if logger is None else logger

    def _operation(self, verb: str, key: str, intent: Intent) -> AbstractContextManager[None]:
        if verb == "query":  # which concerns no key
            self._logger.info("%s %s", self.store_name, verb)
        else:
            self._logger.info("%s %s %r", self.store_name, verb, key)
        return _UNSEEN

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        verb = "move" if move else "copy"
        self._logger.info("%s %s %r to %r", self.store_name, verb, source, target)
        self._inner._transfer(source, target, move=move)
