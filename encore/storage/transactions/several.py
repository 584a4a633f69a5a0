"""One transaction over several stores.

The theory is two-phase commit with at most one participant that cannot prepare::

    begin       every store, in an order that all programs share, so that two never wait for each
                other crosswise
    hooks       before-commit hooks of all of them, until none is left
    prepare     every store that can: afterwards its commit cannot fail any more
    decide      the one store that cannot prepare commits; if it refuses, all roll back
    commit      the prepared ones

Events come as each store commits. The module knows stores by these hooks only; ``encore`` shows it
as ``encore.transaction``.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, Unpack

from encore.errors import CannotBeAtomicError, TransactionClosedError
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.recording import StepOptions, record_together


def transaction(
    *stores: Any, notes: str = "", timeout: float | None = None, **options: Unpack[StepOptions]
) -> SeveralTransactions:
    """Return a context in which the writes to several stores happen together or not at all.

    Parameters
    ----------
    *stores : AbstractStore
        Each takes part once, however often it is named.
    notes : str, optional
        What is being done, for people.
    timeout : float, optional
        Seconds to wait for other writers, for each store.
    **options : StepOptions
        See `AbstractStore.transaction`.

    Raises
    ------
    CannotBeAtomicError
        More than one of the stores cannot prepare (`SqliteStore` cannot), one has no transactions,
        or the caller has a transaction open on some of them but not on all.

    Examples
    --------
    >>> import encore
    >>> from encore.storage.api import DictStore
    >>> images, notes = DictStore(), DictStore()
    >>> with encore.transaction(images, notes):
    ...     images.put("scan", b"...")
    ...     notes.put("scan", b"first try")
    """
    return SeveralTransactions(stores, notes, timeout, options)


class SeveralTransactions:
    """The transactions of several stores, ended together; see `transaction`.

    *Threads*: belongs to the thread and task that entered it.
    """

    def __init__(
        self, stores: tuple[Any, ...], notes: str, timeout: float | None, options: StepOptions
    ) -> None:
        # A store and a wrapper over it have one transaction between them, and a store of stores
        # begins those it is made of.
        unique = {store._engine(): None for store in stores}
        within = _within(unique)
        self._stores = sorted(unique.keys() - within, key=lambda store: store.sort_key)
        self._notes = notes
        self._timeout = timeout
        self._options = options
        self._contexts: list[SimpleTransactionContext] = []
        _check(self._stores)

    def __enter__(self) -> Self:
        if self._contexts:
            raise TransactionClosedError("a transaction over several stores is entered once")
        with ExitStack() as begun:
            for store in self._stores:
                context = store.transaction(self._notes, timeout=self._timeout, **self._options)
                context.begin()
                begun.callback(context.rollback)
                self._contexts.append(context)
            begun.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._commit()
        else:
            self._roll_back()

    def _commit(self) -> None:
        try:
            interruption = decide(self._contexts)
        except BaseException:
            self._roll_back()
            raise
        commit_rest(self._contexts)
        if interruption is not None:
            raise interruption

    def _roll_back(self) -> None:
        with ExitStack() as all_of_them:
            for context in self._contexts:
                if context.depth:
                    all_of_them.callback(context.rollback)


def decide(contexts: list[SimpleTransactionContext]) -> BaseException | None:
    """Bring several transactions to the point of no return: everything that can fail.

    The first of ``contexts`` (they are put in order) has been committed when this returns; if it
    raises, none has. What interrupted somebody who was told of that commit is returned, to be
    raised when the others have been committed, too.
    """
    outermost = [context for context in contexts if context.depth == 1]
    while any(context.run_before_commit() for context in outermost):
        pass  # a hook may have written to a store whose hooks had run
    record_together(outermost)
    for context in outermost:
        context.prepare()
    # The one that cannot prepare goes first: it decides. Blocks inside others are savepoints.
    contexts.sort(key=lambda context: context.is_prepared or context.depth > 1)
    try:
        contexts[0].commit()
    except BaseException as interruption:
        if contexts[0].state != "done":
            raise
        return interruption
    return None


def commit_rest(contexts: list[SimpleTransactionContext]) -> None:
    """Commit what `decide` has left, each of them, whatever happens to the one before."""
    with ExitStack() as rest:
        for context in reversed(contexts[1:]):
            rest.callback(context.commit)


def _within(stores: Iterable[Any]) -> set[Any]:
    """The stores that others, which are made of stores, take into their transactions."""
    within: set[Any] = set()
    for store in stores:
        members = set(store._members()) if hasattr(store, "_members") else set()
        shared = within & members
        if shared:
            raise CannotBeAtomicError(
                f"{shared.pop()!r} belongs to {store!r} and to another of the stores, and cannot "
                "take part for both; name it by itself, and write to it"
            )
        within |= members
    return within


def _check(stores: list[Any]) -> None:
    unable = [store for store in stores if not store.can_prepare]
    if len(unable) > 1:
        raise CannotBeAtomicError(
            f"{', '.join(map(repr, unable))} can only commit at once, and at most one such store "
            "can take part in a transaction over several"
        )
    none = [store for store in stores if store.transactions == "none"]
    if none:
        raise CannotBeAtomicError(f"{none[0]!r} has no transactions")
    inside = {store._context() is not None for store in stores}
    if len(inside) > 1:
        raise CannotBeAtomicError(
            "a transaction is open on some of the stores already, but not on all of them; begin "
            "the one over several stores first"
        )
