"""The part of the store that writes: taking turns, data on its way in, commits, folding.

A commit is a frame in the log. The archive is rewritten after it, where it is time to, and what
goes wrong there does not touch the commit.

Only ``store`` imports this module.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NoReturn

from encore.errors import (
    EncoreError,
    LockTimeoutError,
    ReadOnlyError,
    StoreError,
    TransactionError,
)
from encore.keys.filenames import ON_WINDOWS
from encore.storage.backends.zip.archives import Archive
from encore.storage.backends.zip.changes import Log
from encore.storage.backends.zip.committing import INLINE_BYTES, Commit
from encore.storage.backends.zip.contents import ZipContent
from encore.storage.backends.zip.engine import ZipEngine
from encore.storage.backends.zip.failures import translate, translated
from encore.storage.backends.zip.folding import put_in_place, write_archive
from encore.storage.backends.zip.sidecars import LOG, NEW, Sidecar
from encore.storage.backends.zip.spools import Source, Spool
from encore.storage.template import Staged
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.staging import Batch
from encore.storage.values import Value

_log = logging.getLogger("encore.storage")

# Lone writes are folded when they take so many bytes, or are so many, and at least half of what
# the archive has: then a byte is copied three times at most, on average.
_MOST_BYTES = 64 << 20
_MOST_CHANGES = 100_000


class ZipWriter(ZipEngine):
    """The engine, and what changes the archive."""

    _spool: Spool | None = None  # of the transaction that is open
    _prepared: Commit | None = None
    _in_memory = 0  # bytes of the transaction that is open
    _patience = 1  # grows when the archive cannot be rewritten

    def _after_fork(self) -> None:
        super()._after_fork()
        self._spool = self._prepared = None

    # -- taking turns -----------------------------------------------------------------------------

    def _beside(self) -> Sidecar:
        """The side-car, for writing."""
        if self._sidecar is None:
            self._opened()
        if self._readonly:
            self._refuse("write")
        assert self._sidecar is not None
        return self._sidecar

    def _refuse(self, operation: str) -> NoReturn:
        raise ReadOnlyError(
            f"{operation}: {self!r} was opened for reading only, or the file cannot be written",
            store=self,
            operation=operation,
        )

    def _enter_writer(self, timeout: float) -> None:
        with translated(self, "begin"):
            sidecar = self._beside()
            sidecar.enter(timeout, repr(self))
            try:
                log = self._current().log
                sidecar.announce(() if log is None else log.files)
            except BaseException:
                sidecar.leave()
                raise
        self._in_memory, self._spool, self._prepared = 0, None, None

    def _leave_writer(self) -> None:
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.remove()
        if self._sidecar is not None:
            self._sidecar.leave()

    # -- data on its way in -----------------------------------------------------------------------

    def _stage(self, chunks: Iterator[bytes]) -> Staged:
        return self._spooled(Source(chunks), alone=self._context() is None)

    def _spooled(self, source: Source, *, alone: bool) -> Staged:
        spool: Spool | None = None
        try:
            spool = self._beside().new_spool() if alone else self._transaction_spool()
            return spool.add(source, self._method, alone=alone)
        except BaseException as error:
            if alone and spool is not None:
                spool.remove()
            foreign = isinstance(error, EncoreError) or error is source.error
            if isinstance(error, OSError) and not foreign:
                raise translate(error, self, "write") from error
            raise

    def _transaction_spool(self) -> Spool:
        if self._spool is None:
            self._spool = self._beside().new_spool()
        return self._spool

    def _duplicate(self, value: Value) -> bytes | Staged:
        content: Any = value.content
        with translated(self, "copy"):
            if not isinstance(content, ZipContent) or content.size <= INLINE_BYTES:
                return value.read()
            return self._transaction_spool().copy(content)

    # -- commits ----------------------------------------------------------------------------------

    def _new_commit(self) -> Commit:
        views, sidecar = self._views, self._sidecar
        if views is None or sidecar is None:
            raise StoreError(
                f"{self!r} was closed while a transaction was open", store=self, operation="commit"
            )
        return Commit(views, sidecar, self._method, self._durable)

    def _prepare_transaction(self, context: SimpleTransactionContext) -> None:
        batch = self._levels()[0]
        if batch:
            with translated(self, "prepare"):
                commit = self._new_commit()
                commit.prepare(batch)
                self._prepared = commit

    def _apply(self, batch: Batch) -> None:
        context: SimpleTransactionContext = self._owner.context
        prepared, self._prepared = self._prepared, None
        with translated(self, "commit"):
            if prepared is None:
                self._new_commit().apply(batch, context)
            else:
                prepared.publish(context)
        self._fold_after_commit(is_lone=context.quiet or self._owner.is_lone)

    def _rollback_transaction(self, context: SimpleTransactionContext) -> None:
        prepared = self._prepared
        if prepared is not None and context.depth == 1:
            self._prepared = None
            with suppress(OSError):  # it does not count in any case
                prepared.undo()
        super()._rollback_transaction(context)

    def _abandon(self) -> None:
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            with suppress(OSError):
                prepared.undo()
        super()._abandon()

    # -- folding ----------------------------------------------------------------------------------

    def compact(self) -> None:
        """Rewrite the archive now: with all changes, and without bytes that nothing refers to.

        Raises
        ------
        TransactionError
            The caller has a transaction open.
        ReadOnlyError, StoreFullError, LockTimeoutError
        """
        if self._context() is not None:
            raise TransactionError(
                f"{self!r} cannot be compacted inside a transaction; commit it or roll it back "
                "first",
                store=self,
                operation="compact",
            )
        self._beside()
        self._writer.acquire(self.timeout)
        try:
            self._enter_writer(self.timeout)
        except BaseException:
            self._writer.release()
            raise
        try:
            self._fold("compact", anyway=True)
        finally:
            self._finish_writing()

    def _fold_after_commit(self, *, is_lone: bool) -> None:
        """Fold if it is time to. The commit has happened: what goes wrong here is put off."""
        try:
            views = self._views
            view = self._current() if views is None else views.latest()
            if view.log is not None and (not is_lone or self._is_too_much(view.log, view.archive)):
                self._fold("commit")
                self._patience = 1
        except Exception as error:
            self._patience *= 2  # not again at every write
            _log.warning("the archive could not be rewritten after a commit: %s", str(error))

    def _is_too_much(self, log: Log, archive: Archive) -> bool:
        most_bytes = max(_MOST_BYTES, archive.size // 2) * self._patience
        most_changes = max(_MOST_CHANGES, len(archive.places) // 2) * self._patience
        return log.size > most_bytes or len(log.changes) > most_changes

    def _fold(self, operation: str, *, anyway: bool = False) -> None:
        """Rewrite the archive if there are changes, or ``anyway``; all locks are held."""
        sidecar = self._beside()
        with translated(self, operation, folding=True):
            view = self._current()
            log = view.log
            changed = bool(view.changes) or anyway
            if changed:
                write_archive(view, sidecar.path_of(NEW), durable=self._durable)
            if ON_WINDOWS and self._views is not None:
                del view  # what is open can be neither replaced nor removed there
                self._views.forget()
            if changed:
                put_in_place(sidecar.path_of(NEW), self._target, durable=self._durable)
            if log is not None:
                sidecar.finish(log)

    def _fold_at_end(self) -> None:
        if not os.path.exists(self._beside().path_of(LOG)):
            return
        try:
            self._writer.acquire(self.timeout)
        except LockTimeoutError:
            return  # whoever writes has the store open, and will close it
        try:
            self._enter_writer(self.timeout)
        except LockTimeoutError:
            self._writer.release()
            return
        except BaseException:
            self._writer.release()
            raise
        try:
            self._fold("close")
        finally:
            self._finish_writing()
