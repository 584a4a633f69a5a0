"""Wrappers that write failures into a log.

Unlike the other wrappers, this one stands round the verbs, not the acts: what a caller gets is
decided there, for example that a key which is not found is an error. Verbs that call verbs are one
operation. ``storage.api`` shows what is public here.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from encore.errors import OperationCancelled
from encore.storage.template import Store
from encore.storage.wrappers.base import WrapperStore

_T = TypeVar("_T")
_log = logging.getLogger("encore.storage")


class _Working(threading.local):
    """Whether a verb of this store is under way in this thread."""

    is_inside = False


class ExceptionLoggingStore(WrapperStore):
    """The keys and values of ``base``, with a line in the log for each operation that fails.

    The lines look like ``store read 'key' failed``, with the traceback: also for keys that are not
    there, and for listings that fail on their way. Data and metadata are not logged. The exception
    goes on to the caller. That an operation was cancelled or interrupted is not logged.

    Parameters
    ----------
    base : Store
    store_name : str, optional
        What the lines begin with.
    logger : logging.Logger, optional
        Gets them, with the level ``ERROR``; default: ``encore.storage``.
    swallow : bool, optional
        **Loses data.** Raise nothing but cancellations and interruptions: what failed gives None,
        ``exists`` and ``delete`` False, counts 0, listings what they have come to. A program cannot
        tell then whether anything was written. For programs that were written to expect it.
        ``transaction`` and the end of its ``with`` statement raise all the same.

    Notes
    -----
    Not seen here: the beginning and the end of transactions, and reading a value that has been
    returned. What listeners and handlers do meanwhile is part of the operation.

    *Threads*: as the base.
    """

    def __init__(
        self,
        base: Store,
        store_name: str = "store",
        logger: logging.Logger | None = None,
        *,
        swallow: bool = False,
    ) -> None:
        super().__init__(base)
        self.store_name = store_name
        self._logger = _log if logger is None else logger
        self._swallows = swallow
        self._working = _Working()

    def _attempt(self, what: str, work: Callable[[], Any], fallback: Callable[[], Any]) -> Any:
        """Do the work of a verb; log what it raises, unless another verb will."""
        if self._working.is_inside:
            return work()
        try:
            return self._inside(work)
        except OperationCancelled:
            raise
        except Exception:
            self._logger.exception("%s %s failed", self.store_name, what)
            if not self._swallows:
                raise
        return fallback()

    def _inside(self, work: Callable[[], _T]) -> _T:
        self._working.is_inside = True
        try:
            return work()
        finally:
            self._working.is_inside = False

    def _watched(self, what: str, found: Iterator[_T]) -> Iterator[_T]:
        """A listing on its way to the caller."""
        end = object()
        while True:
            item = self._attempt(what, lambda: next(found, end), lambda: end)
            if item is end:
                return
            yield item


def _nothing() -> None:
    return None


def _nowhere() -> Iterator[Any]:
    return iter(())


#: Every verb, with what it gives instead if it fails, and how many arguments are keys.
_VERBS: dict[str, tuple[Callable[[], Any], int]] = {
    **dict.fromkeys(("get", "get_data", "get_data_range", "get_metadata"), (_nothing, 1)),
    **dict.fromkeys(("read", "to_bytes", "to_file"), (_nothing, 1)),
    **dict.fromkeys(("put", "set", "set_data", "set_metadata", "update_metadata"), (_nothing, 1)),
    **dict.fromkeys(("from_bytes", "from_file", "clear"), (_nothing, 1)),
    **dict.fromkeys(("copy", "move"), (_nothing, 2)),
    **dict.fromkeys(("multiset", "multiset_data", "multiset_metadata"), (_nothing, 0)),
    **dict.fromkeys(("multiupdate_metadata", "import_values"), (_nothing, 0)),
    **dict.fromkeys(("exists", "__contains__", "delete"), (lambda: False, 1)),
    "__len__": (lambda: 0, 0),
    "verify": (list, 0),
    "totals": (lambda: (0, 0), 1),
    **dict.fromkeys(("keys", "list", "items", "entries", "glob"), (_nowhere, 1)),
    **dict.fromkeys(("__iter__", "query", "query_keys"), (_nowhere, 0)),
    **dict.fromkeys(("multiget", "multiget_data", "multiget_metadata"), (_nowhere, 0)),
}
_KEY_NAMES = ("key", "source", "target", "prefix", "pattern")


def _logged(name: str, fallback: Callable[[], Any], key_count: int) -> Callable[..., Any]:
    """The verb of this name, by way of the log."""
    verb = getattr(Store, name)

    @functools.wraps(verb)
    def attempt(self: ExceptionLoggingStore, *args: Any, **options: Any) -> Any:
        named = [options[option] for option in _KEY_NAMES if option in options]
        shown = " to ".join(map(repr, [*args[:key_count], *named][:key_count]))
        what = f"{name.strip('_')} {shown}".strip()
        found = self._attempt(what, lambda: verb(self, *args, **options), fallback)
        if fallback is _nowhere and not self._working.is_inside:
            return self._watched(what, found)
        return found

    return attempt


for _name, (_fallback, _key_count) in _VERBS.items():
    setattr(ExceptionLoggingStore, _name, _logged(_name, _fallback, _key_count))
