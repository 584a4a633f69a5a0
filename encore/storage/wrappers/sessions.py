"""A transaction over the parts of a composed store.

It is made of one transaction for each *engine*, the store whose transactions a part's are: two
parts that are views of one store take part once. All of them are taken to the same depth, and ended
together (``transactions.several`` has the theory). Only ``composing`` imports this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, NamedTuple

from encore.errors import CannotBeAtomicError, TransactionError
from encore.storage.template import Store
from encore.storage.transactions.changes import Change
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.owners import OwnerState
from encore.storage.transactions.several import decide


class Member(NamedTuple):
    """An engine in the transaction: its context, and how deep that was before."""

    context: SimpleTransactionContext
    floor: int


class Session:
    """What a transaction of the whole is of the engines beneath."""

    def __init__(self, context: SimpleTransactionContext) -> None:
        self._context = context
        self._members: dict[Store, Member] = {}
        self._written: list[Store] = []
        self._written_before: list[int] = []  # how many there were, for each block that is open
        self._is_torn = False
        self.heard: list[tuple[Store, list[Change]]] = []

    # -- who takes part ---------------------------------------------------------------------------

    def begin(self, engines: Iterable[Store], timeout: float) -> None:
        with ExitStack() as begun:
            for engine in engines:
                self._join(engine, timeout)
                begun.callback(self._members[engine].context.rollback)
            begun.pop_all()

    def _join(self, engine: Store, timeout: float) -> None:
        outer = self._context
        if outer.timeout is not None:
            timeout = outer.timeout
        inner = engine._context() or engine._new_context(
            outer.notes, timeout=timeout, quiet=outer.quiet, options=outer.options
        )
        floor = inner.depth
        with ExitStack() as begun:
            for _ in range(outer.depth):
                inner.begin()
                begun.callback(inner.rollback)
            begun.pop_all()
        self._members[engine] = Member(inner, floor)

    def write_to(
        self, part: Store, timeout: float, check: Callable[[list[Store]], None] | None
    ) -> None:
        """Have a part take part, and know that it is written to.

        Parameters
        ----------
        part : Store
        timeout : float
            Seconds.
        check : callable, optional
            Raises if the engines it is given cannot all be written.
        """
        engine = part._engine()
        if engine in self._written:
            return
        together = [*self._written, engine]
        if check is not None:
            check(together)
        if engine not in self._members:
            self._join(engine, timeout)
        if len({self._members[other].floor > 0 for other in together}) > 1:
            raise CannotBeAtomicError(
                f"{part!r} cannot be written in one transaction with {self._written[0]!r}: one of "
                "them has a transaction open around this one, which would end by itself; begin "
                "with encore.transaction() over both"
            )
        self._written.append(engine)

    def _contexts(self) -> list[SimpleTransactionContext]:
        """Those that were written to first: of several that can only commit at once, it decides."""
        order = dict.fromkeys([*self._written, *self._members])
        return [self._members[engine].context for engine in order]

    def engine_of(self, context: SimpleTransactionContext) -> Store:
        return next(engine for engine, member in self._members.items() if member.context is context)

    # -- blocks -----------------------------------------------------------------------------------

    def begin_block(self) -> None:
        with ExitStack() as begun:
            for inner in self._contexts():
                inner.begin()
                begun.callback(inner.rollback)
            begun.pop_all()
        self._written_before.append(len(self._written))

    def commit_block(self) -> None:
        self._is_torn = True  # until the block has been ended everywhere
        for inner in self._contexts():
            inner.commit()
        self._is_torn = False
        self._written_before.pop()

    # -- the end ----------------------------------------------------------------------------------

    def run_before_commit(self) -> bool:
        """Run the hooks of the parts; return whether there were any."""
        ran = False
        for inner, floor in list(self._members.values()):
            if not floor and inner.depth == 1:
                ran = inner.run_before_commit() or ran
        return ran

    def prepare(self) -> None:
        self._check_whole()
        for inner, floor in self._members.values():
            if not floor:
                inner.prepare()

    def commit(self, commit_rest: Callable[[list[SimpleTransactionContext]], None]) -> None:
        """Commit all of it; ``commit_rest`` commits what the first of the contexts has decided."""
        self._check_whole()
        while self._context.run_before_commit():
            pass  # a hook may have written to a part whose hooks had run, or to a new one
        contexts = self._contexts()
        interruption = decide(contexts) if contexts else None
        self._context.mark_committed()
        commit_rest(contexts)
        if interruption is not None:
            raise interruption

    def _check_whole(self) -> None:
        if self._is_torn:
            raise TransactionError(
                f"a block inside {self._context.notes!r} could not be ended in every store; "
                "everything has been undone"
            )

    def rollback(self, depth: int) -> None:
        if depth > 1:
            del self._written[self._written_before.pop() :]
        with ExitStack() as all_of_them:
            for inner, floor in self._members.values():
                if inner.depth >= floor + depth:  # else it has undone itself
                    all_of_them.callback(inner.rollback)


class ComposedContext(SimpleTransactionContext):
    """A transaction of a composed store: that of the whole, and its session over the parts.

    The parameters are those of `SimpleTransactionContext`.
    """

    __slots__ = ("session",)

    def __init__(self, store: Any, notes: str = "", **options: Any) -> None:
        super().__init__(store, notes, **options)
        self.session = Session(self)

    def run_before_commit(self) -> bool:
        """Run the hooks of the whole and of the parts; return whether there were any."""
        ran = super().run_before_commit()
        return self.session.run_before_commit() or ran


class ComposedOwner(OwnerState):
    """What a composed store knows of the calling thread: also whether it begins a transaction."""

    is_beginning = False


def session_of(context: SimpleTransactionContext) -> Session:
    """The session of a composed store's transaction."""
    assert isinstance(context, ComposedContext), "a composed store makes no other"
    return context.session
