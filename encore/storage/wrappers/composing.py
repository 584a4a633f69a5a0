"""Several stores as one: who takes part in a transaction, and what the whole announces.

A composed store is a medium made of stores, its *parts*. Its transaction is one over all parts that
are written to, begun in an order that all programs share, taken to the same depth, and ended
together (``transactions.several`` has the theory). What a part commits, by whomever, is
announced by the whole as it looks through it: the parts that may hold a key are its *layers*, the
first that has it is the one that is seen.

``layers`` builds the verbs on it; the other modules of this folder import both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

from encore.errors import CannotBeAtomicError, StoreError
from encore.storage.announcements import Announcer, Batches
from encore.storage.backend import BackendStore
from encore.storage.template import Store
from encore.storage.transactions.changes import Change, ChangeSet
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.owners import OwnerState
from encore.storage.transactions.several import commit_rest, decide


class Joined(NamedTuple):
    """A part in a transaction of the whole: its context, and how deep that was before."""

    context: SimpleTransactionContext
    floor: int


class Session:
    """A transaction of the whole: what it is of the parts."""

    def __init__(self, context: SimpleTransactionContext) -> None:
        self.context = context
        self.joined: dict[Store, Joined] = {}
        self.written: list[Store] = []
        self.heard: list[tuple[Store, list[Change]]] = []

    def contexts(self) -> list[SimpleTransactionContext]:
        return [context for context, _ in self.joined.values()]


class ComposedOwner(OwnerState):
    """What a composed store knows of the calling thread: also its transaction over the parts."""

    session: Session | None = None
    is_beginning = False


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
                part.connect()

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
        """Whether every part can prepare."""
        return all(part.can_prepare for part in self._writable())

    def info(self) -> dict[str, Any]:
        found = [part.info() for part in self._parts]
        return {
            **super().info(),
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
        session = self._session()
        if session is not None and part not in session.written:
            self._check_atomic([*session.written, part])
            if part not in session.joined:
                self._join(part, session)
            session.written.append(part)
        if session is not None:
            session.context.note(key, None, None)  # for the order; parts tell what has changed
        return part

    def _session(self) -> Session | None:
        """The caller's transaction, if one is open."""
        session = self._owner.session
        return session if session is not None and session.context.is_mine() else None

    def _check_atomic(self, written: list[Store]) -> None:
        unable = {part._engine(): part for part in written if not part.can_prepare}
        if len(unable) > 1:
            one, other = list(unable.values())[:2]
            raise CannotBeAtomicError(
                f"{other!r} cannot be written in the same transaction as {one!r}: both can only "
                "commit at once, and the one might fail after the other",
                store=self,
            )

    def _join(self, part: Store, session: Session) -> None:
        outer = session.context
        inner = part._context() or part._new_context(
            outer.notes, timeout=outer.timeout or self.timeout, quiet=outer.quiet
        )
        floor = inner.depth
        with ExitStack() as begun:
            for _ in range(outer.depth):
                inner.begin()
                begun.callback(inner.rollback)
            begun.pop_all()
        session.joined[part] = Joined(inner, floor)

    def _begin_transaction(self, context: SimpleTransactionContext) -> None:
        if context.depth == 1:
            self._opened()
            self._owner.is_beginning = True
            try:
                self._owner.session = self._begun_session(context)
            finally:
                self._owner.is_beginning = False
            return
        with ExitStack() as begun:
            for inner in self._own_session().contexts():
                inner.begin()
                begun.callback(inner.rollback)
            begun.pop_all()

    def _begun_session(self, context: SimpleTransactionContext) -> Session:
        session = Session(context)
        with ExitStack() as begun:
            for part in sorted(set(self._writable()), key=lambda part: part.sort_key):
                if part.transactions != "none":
                    self._join(part, session)
                    begun.callback(session.joined[part].context.rollback)
            begun.pop_all()
        return session

    def _own_session(self) -> Session:
        session = self._owner.session
        assert session is not None, "a transaction has begun"
        return session

    def _prepare_transaction(self, context: SimpleTransactionContext) -> None:
        for inner, floor in self._own_session().joined.values():
            if not floor:
                inner.prepare()

    def _commit_transaction(self, context: SimpleTransactionContext) -> None:
        contexts = self._own_session().contexts()
        if context.depth > 1:
            for inner in contexts:
                inner.commit()
            return
        interruption = decide(contexts) if contexts else None
        context.mark_committed()
        self._commit_rest(contexts)
        if interruption is not None:
            raise interruption

    def _commit_rest(self, contexts: list[SimpleTransactionContext]) -> None:
        """Commit what the first of the contexts has decided."""
        commit_rest(contexts)

    def _rollback_transaction(self, context: SimpleTransactionContext) -> None:
        with ExitStack() as all_of_them:
            for inner, floor in self._own_session().joined.values():
                if inner.depth >= floor + context.depth:  # else it has undone itself
                    all_of_them.callback(inner.rollback)

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
        session = self._session()
        if session is not None:
            session.heard.append((base, changes))  # until all parts have ended
        elif not self._owner.is_beginning:
            self._collect(context, self._visible([(base, changes)]), batches)

    def _announce_end(self, context: SimpleTransactionContext, changes: ChangeSet | None) -> None:
        session = self._owner.session
        if session is None or session.context is not context:
            session = Session(context)  # it did not come to begin
        else:
            self._owner.session = None
        if not self._heard() and not self._transactions_heard:
            return
        batches: Batches = {}
        touched = [] if changes is None else changes.keys()
        self._collect(context, self._visible(session.heard, touched), batches)
        for manager, events in batches.items():
            manager.emit_all(events)

    def _visible(
        self, heard: list[tuple[Store, list[Change]]], touched: Iterable[str] = ()
    ) -> list[Change]:
        """The changes of parts as they look through the whole, in the order of ``touched``."""
        by_key: dict[str, dict[Store, Change]] = {key: {} for key in touched}
        for part, changes in heard:
            for change in changes:
                by_key.setdefault(change.key, {})[part] = change
        found = (self._seen(key, by_part) for key, by_part in by_key.items() if by_part)
        return [change for change in found if change is not None]

    def _seen(self, key: str, by_part: dict[Store, Change]) -> Change | None:
        """The change of a key as it looks through its layers; None if it does not show."""
        before = after = shown_before = shown_after = None
        for part in self._layers(key):
            change = by_part.get(part)
            now = _text(part, key) if change is None else change.after
            was = now if change is None else change.before
            if before is None and was is not None:
                before, shown_before = was, part
            if after is None and now is not None:
                after, shown_after = now, part
            if before is not None and after is not None:
                break
        if shown_before is shown_after and shown_after not in by_part:
            return None
        return Change(key, before, after)


def _text(part: Store, key: str) -> str | None:
    """The metadata of a key, if it is there and the part can be read."""
    with suppress(StoreError):
        value = part._find(key)
        if value is not None:
            value.close()
            return value.metadata_text
    return None
