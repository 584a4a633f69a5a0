"""Several stores as one: who takes part in a transaction, and what the whole announces.

A composed store is a medium made of stores, its *parts*. Its transaction is one over all parts that
are written to, begun in an order that all programs share, taken to the same depth, and ended
together (``transactions.several`` has the theory). What a part commits, by whomever, is
announced by the whole as it looks through it: the parts that may hold a key are its *layers*, the
first that has it is the one that is seen.

``layers`` builds the verbs on it; the other modules of this folder import both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

from encore.errors import CannotBeAtomicError, LockTimeoutError
from encore.storage.announcements import Announcer, Batches
from encore.storage.backend import BackendStore
from encore.storage.template import Store
from encore.storage.transactions.changes import Change, ChangeSet
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.owners import OwnerState
from encore.storage.transactions.recording import StepOptions
from encore.storage.transactions.several import commit_rest
from encore.storage.transactions.workers import Workers
from encore.storage.wrappers.sessions import ComposedContext, ComposedOwner, session_of
from encore.storage.wrappers.shown import shown

# What stores can do, unless they say that they cannot.
_ABILITIES = ("forks", "listing")


class ComposedStore(BackendStore):
    """A store made of stores.

    Parameters
    ----------
    parts : sequence of Store
        Those that are not open yet are opened and closed with this one.
    timeout : float, optional
        Seconds to wait for another writer, for each part.

    Notes
    -----
    *Threads*: as the parts.
    """

    _owner: ComposedOwner

    def __init__(self, parts: Sequence[Store], *, timeout: float = 5.0) -> None:
        parts = tuple(parts)
        if not parts:
            raise ValueError(f"{type(self).__name__} is made of one store or more")
        for part in parts:
            if not isinstance(part, Store):
                raise TypeError(f"{type(part).__name__} does not derive from encore's Store")
        super().__init__(event_manager=parts[0].event_manager, timeout=timeout)
        self._parts = parts
        self._begun_first: tuple[Store, ...] = ()
        self._workers = Workers()
        self._opened_parts = [part for part in parts if not part.is_connected()]
        for part in dict.fromkeys(parts):
            part._add_face(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {', '.join(map(repr, self._parts))}>"

    def _new_owner(self) -> OwnerState:
        return ComposedOwner()

    def _forget_listeners(self) -> None:
        super()._forget_listeners()
        for part in self._parts:
            part._forget_listeners()

    def _open(self) -> None:
        for part in self._parts:
            if not part.is_connected():
                if part not in self._opened_parts:
                    self._opened_parts.append(part)
                part.connect()
        # A part that refuses every write must not keep the others from theirs.
        begun_first = (
            part._engine()
            for part in sorted(self._writable(), key=lambda part: part.sort_key)
            if part.transactions != "none" and not part.info()["readonly"]
        )
        self._begun_first = tuple(dict.fromkeys(begun_first))

    def _close(self) -> None:
        self._workers.refuse_to_close(self)

    def _after_fork(self) -> None:
        super()._after_fork()
        self._workers.clear()

    def close(self) -> None:
        super().close()
        with ExitStack() as all_of_them:  # also those that only told what they are
            for part in self._opened_parts:
                all_of_them.callback(part.close)

    @property
    def transactions(self) -> str:  # type: ignore[override]
        """The weakest kind among the parts that are written to."""
        kinds = {part.transactions for part in self._writable()}
        return next(kind for kind in ("none", "staged", "native") if kind in kinds)

    @property
    def can_prepare(self) -> bool:  # type: ignore[override]
        """Whether every part that a transaction may come to write can prepare."""
        return all(part.can_prepare for part in self._parts if not part.info()["readonly"])

    def _members(self) -> Iterator[Store]:
        """The engines that take part when a transaction begins."""
        for engine in {part._engine(): None for part in self._writable()}:
            yield engine
            if isinstance(engine, ComposedStore):
                yield from engine._members()

    def info(self) -> dict[str, Any]:
        found = [part.info() for part in self._parts]
        # What one of them cannot do, the whole cannot.
        unable = {name: False for part in found for name in _ABILITIES if not part.get(name, True)}
        return {
            **super().info(),
            **unable,
            "readonly": all(part.info()["readonly"] for part in self._writable()),
            "key_bytes": min(part["key_bytes"] for part in found),
            "sizes": all(part["sizes"] for part in found),
            "parts": [part["type"] for part in found],
        }

    @property
    def sort_key(self) -> tuple[str, str]:
        return min(part.sort_key for part in self._parts)

    # -- what a kind of composed store says -------------------------------------------------------

    def _writable(self) -> Iterable[Store]:
        """The parts that writing may change."""
        return self._parts

    def _layers(self, key: str) -> Sequence[Store]:
        """The parts that may hold ``key``, in the order in which they are asked."""
        raise NotImplementedError

    # -- transactions -----------------------------------------------------------------------------

    def _enter(self, part: Store) -> Store:
        """Return a part for reading."""
        if self._state != "open":
            self._opened()
        return part

    def _enter_to_write(self, part: Store, key: str) -> Store:
        """Return a part for writing a key, inside the open transaction if there is one.

        Raises
        ------
        CannotBeAtomicError
            What is written to it could not be undone with what has been written to another.
        """
        self._enter(part)
        context = self._context()
        if context is not None:
            context.session.write_to(part, self.timeout, self._check_atomic)
            context.note(key, None, None)  # for the order; parts tell what has changed
        return part

    def _check_atomic(self, written: list[Store]) -> None:
        unable = [engine for engine in written if not engine.can_prepare]
        if len(unable) > 1:
            raise CannotBeAtomicError(
                f"{unable[1]!r} cannot be written in the same transaction as {unable[0]!r}: both "
                "can only commit at once, and the one might fail after the other",
                store=self,
            )

    def _context(self) -> ComposedContext | None:
        context: Any = super()._context()
        return context  # type: ignore[no-any-return]

    def _new_context(
        self,
        notes: str = "",
        *,
        timeout: float | None = None,
        quiet: bool = False,
        options: StepOptions | None = None,
    ) -> ComposedContext:
        return ComposedContext(self, notes, timeout=timeout, quiet=quiet, options=options)

    def _unit(self) -> AbstractContextManager[SimpleTransactionContext]:
        context = self._context()
        return self._new_context(quiet=True) if context is None else nullcontext(context)

    def _block(self) -> AbstractContextManager[SimpleTransactionContext]:
        """What makes writes to several parts one act: a block of the open transaction, or a unit.

        In a unit alone, whoever caught the failure of one part could commit the others' writes.
        """
        context = self._context()
        return self._unit() if context is None else context.deepen(context.notes)

    def _begin_transaction(self, context: SimpleTransactionContext) -> None:
        session = session_of(context)
        if context.depth > 1:
            session.begin_block()
            return
        self._workers.come(context)
        self._opened()  # afterwards: who closes it either sees that, or is seen
        other = self._owner.context
        if other is not None:
            raise LockTimeoutError(
                f"another task of this thread has the transaction {other.notes!r} of {self!r} "
                "open, and waiting for it here would stop it, too",
                store=self,
            )
        self._owner.is_beginning = True
        try:
            session.begin(self._begun_first, self.timeout)
        finally:
            self._owner.is_beginning = False

    def _prepare_transaction(self, context: SimpleTransactionContext) -> None:
        session_of(context).prepare()

    def _commit_transaction(self, context: SimpleTransactionContext) -> None:
        if context.depth > 1:
            session_of(context).commit_block()
        else:
            session_of(context).commit(self._commit_rest)

    def _commit_rest(self, contexts: list[SimpleTransactionContext]) -> None:
        """Commit what the first of the contexts has decided."""
        commit_rest(contexts)

    def _rollback_transaction(self, context: SimpleTransactionContext) -> None:
        session_of(context).rollback(context.depth)

    # -- events -----------------------------------------------------------------------------------

    def _hear_start(self, context: SimpleTransactionContext) -> None:
        if self._context() is None and not self._owner.is_beginning:  # else it has been announced
            super()._hear_start(context)

    def _hear(
        self,
        base: Announcer,
        context: SimpleTransactionContext,
        changes: list[Change],
        batches: Batches,
    ) -> None:
        assert isinstance(base, Store)
        whole = self._context()
        if whole is not None:
            whole.session.heard.append((base, changes))  # until all parts have ended
        elif not self._owner.is_beginning:
            self._collect(context, self._visible([(base, changes)]), batches)

    def _announce_end(self, context: SimpleTransactionContext, changes: ChangeSet | None) -> None:
        self._workers.leave(context)
        if not self._heard() and not self._transactions_heard:
            return
        batches: Batches = {}
        touched = [] if changes is None else changes.keys()
        self._collect(context, self._visible(session_of(context).heard, touched), batches)
        for manager, events in batches.items():
            manager.emit_all(events)

    def _visible(
        self, heard: list[tuple[Store, list[Change]]], touched: Iterable[str] = ()
    ) -> list[Change]:
        """The changes of parts as they look through the whole, in the order of ``touched``."""
        by_key: dict[str, dict[Store, Change]] = {key: {} for key in touched}
        for part, changes in heard:
            for change in changes:
                by_part = by_key.setdefault(change.key, {})
                first = by_part.get(part, change)  # one that is not in the transaction, twice
                by_part[part] = Change(change.key, first.before, change.after)
        found = (
            shown(self._layers(key), key, by_part) for key, by_part in by_key.items() if by_part
        )
        return [change for change in found if change is not None]
