"""Transactions for media that have none: writes are collected, then applied as one batch.

The writes of an open transaction live in an overlay, a stack of dictionaries key -> record or
None (removed), one dictionary for each nesting level. Reads and listings look through the overlay
first; rolling back a block drops a dictionary; the outermost commit hands the backend one batch to
apply, all of it or none.

A staged backend writes only four hooks:

====================  ==============================================================================
``_lookup(key)``      the committed record, or None
``_keys(prefix, a)``  the committed keys after ``a``, ordered, lazily
``_stage(chunks)``    take a stream to where its bytes will stay, not yet visible
``_apply(batch)``     all of it, or none; a dictionary key -> record or None
====================  ==============================================================================

and, where other processes may write too, ``_enter_writer`` and ``_leave_writer``. Staged backends
import this module.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Iterator

from encore.errors import LockTimeoutError, TransactionError
from encore.events.abstract_event_manager import BaseEventManager
from encore.keys.rules import check_key
from encore.storage.backend import BackendStore
from encore.storage.template import Entry, Record
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.locks import WriterLock
from encore.storage.transactions.owners import OwnerState, new_token
from encore.storage.transactions.recording import LastingVersions
from encore.storage.values import Value

Batch = dict[str, Record | None]

# How long closing a store waits for a write under way.
_CLOSING_SECONDS = 0.25


class StagedOwner(OwnerState):
    """What a staged store knows of the calling thread: also its uncommitted writes."""

    overlay: list[Batch] | None = None


class StagedStore(BackendStore):
    """A store whose transactions are collected in memory and applied at once.

    *Threads*: reads never wait. One thread writes at a time; the others wait for it.
    """

    transactions = "staged"
    can_prepare = True
    _owner: StagedOwner

    def __init__(
        self, *, event_manager: BaseEventManager | None = None, timeout: float = 5.0
    ) -> None:
        super().__init__(event_manager=event_manager, timeout=timeout)
        self._writer = self._new_writer()
        self._pending: list[Batch] | None = None  # the overlay of whoever writes

    def close(self) -> None:
        if self._owner.context is not None:
            super().close()  # which refuses
        try:
            self._writer.acquire(_CLOSING_SECONDS)  # clears up after a thread that has died
        except LockTimeoutError as error:
            text = f"{self!r} cannot be closed: another thread has a transaction open"
            raise TransactionError(text, store=self, operation="close") from error
        try:
            super().close()
        finally:
            self._writer.release()

    def _new_owner(self) -> OwnerState:
        return StagedOwner()

    def _new_writer(self) -> WriterLock:
        return WriterLock(repr(self), self._abandon)

    def _after_fork(self) -> None:
        super()._after_fork()
        self._writer = self._new_writer()
        self._pending = None

    # -- what a backend supplies ------------------------------------------------------------------

    def _lookup(self, key: str) -> Record | None:
        raise NotImplementedError

    def _keys(self, prefix: str, start_after: str | None) -> Iterator[str]:
        raise NotImplementedError

    def _apply(self, batch: Batch) -> None:
        raise NotImplementedError

    def _enter_writer(self, timeout: float) -> None:
        """Keep other processes from writing."""

    def _leave_writer(self) -> None:
        """Let other processes write again."""

    def _heard(self) -> bool:
        # A history hears of every change, too: no write may take a shorter way around it.
        return self._recorder is not None or super()._heard()

    def _changed(self) -> Batch:
        """What the caller's transaction has changed, as its outermost commit would find it."""
        return self._levels()[0]

    def _peek(self, key: str) -> Record | None:
        """The committed record, its data not touched before somebody reads it."""
        return self._lookup(key)

    def _lasting_versions(self) -> LastingVersions | None:
        """What keeps replaced versions where they are after a restart; None where nothing does."""
        return None

    # -- reading through the overlay --------------------------------------------------------------

    def _overlay(self) -> list[Batch] | None:
        """The writes that the caller has not committed yet."""
        owner = self._owner
        if owner.overlay is None or (owner.context is not None and not owner.context.is_mine()):
            return None
        return owner.overlay

    def _record(self, key: str) -> Record | None:
        """The record under a key as the caller sees it."""
        overlay = self._overlay()
        if overlay is not None:
            for level in reversed(overlay):
                if key in level:
                    return level[key]
        return self._lookup(key)

    def _find(self, key: str) -> Value | None:
        check_key(key)
        record = self._record(key)
        return None if record is None else Value.of(*record)  # type: ignore[arg-type]

    def _has(self, key: str) -> bool:
        check_key(key)
        return self._record(key) is not None

    def _scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        overlay = self._overlay()
        if not overlay or not any(overlay):
            return self._keys(prefix, start_after)
        return self._merged(overlay, prefix, start_after)

    def _merged(self, overlay: list[Batch], prefix: str, start_after: str | None) -> Iterator[str]:
        touched: Batch = {}
        for level in overlay:
            touched.update(level)
        added = sorted(
            key
            for key, record in touched.items()
            if record is not None
            and key.startswith(prefix)
            and (start_after is None or key > start_after)
        )
        committed = (key for key in self._keys(prefix, start_after) if key not in touched)
        return heapq.merge(committed, added)

    # -- writing into the overlay -----------------------------------------------------------------

    def _levels(self) -> list[Batch]:
        overlay = self._owner.overlay
        assert overlay is not None, "writes happen inside a transaction, be it a quiet one"
        return overlay

    def _replace(self, key: str, old: Value | None, record: Record) -> None:
        if record[0] is None:
            current = self._record(key)
            assert current is not None, "only a key that is there can keep its data"
            record = (current[0], *record[1:])
        *outer, top = self._levels()
        replaced = top.get(key)
        top[key] = record
        if replaced is not None and replaced[0] is not record[0]:
            _discard_unless_kept(outer, key, replaced)

    def _remove(self, key: str, old: Value) -> None:
        *outer, top = self._levels()
        replaced = top.get(key)
        top[key] = None
        if replaced is not None:
            _discard_unless_kept(outer, key, replaced)

    def _write_many(self, entries: Iterable[Entry], buffer_size: int) -> None:
        if self._heard():
            super()._write_many(entries, buffer_size)
            return
        for entry in entries:
            check_key(entry.key)
            if entry.text is None or entry.created is None:
                self._write(entry, buffer_size)  # has to look at what is there
                continue
            content = self._take_in(entry.key, entry.data, buffer_size)
            size = len(content) if isinstance(content, bytes) else content.size
            modified = time.time() if entry.modified is None else entry.modified
            token = entry.token or new_token()
            try:
                record = (content, entry.text, size, entry.created, modified, token)
                self._replace(entry.key, None, record)
            except BaseException:
                if not isinstance(content, bytes):
                    content.discard()
                raise

    # -- transactions -----------------------------------------------------------------------------

    def _begin_transaction(self, context: SimpleTransactionContext) -> None:
        if context.depth > 1:
            self._levels().append({})
            return
        if self._state != "open":
            self._opened()
        timeout = self.timeout if context.timeout is None else context.timeout
        self._writer.acquire(timeout)
        try:
            if self._state != "open":  # it has been closed while this was waiting
                self._opened()
            self._enter_writer(timeout)
        except BaseException:
            self._writer.release()
            raise
        self._owner.overlay = self._pending = [{}]

    def _prepare_transaction(self, context: SimpleTransactionContext) -> None:
        """Do what of applying the batch can fail. Nothing can, where memory is the medium."""

    def _commit_transaction(self, context: SimpleTransactionContext) -> None:
        overlay = self._levels()
        if context.depth > 1:
            inner = overlay.pop()
            outer = overlay[-1]
            for key in inner.keys() & outer.keys():
                old, new = outer[key], inner[key]
                if old is not None and (new is None or new[0] is not old[0]):
                    _discard_unless_kept(overlay[:-1], key, old)
            outer.update(inner)
            return
        batch = overlay[0]
        try:
            if batch:
                self._apply(batch)
            context.mark_committed()
        finally:
            if context.state == "done":  # also where an interruption came after the commit point
                self._finish_writing()

    def _rollback_transaction(self, context: SimpleTransactionContext) -> None:
        overlay = self._levels()
        try:
            for key, record in overlay.pop().items():
                if record is not None:
                    _discard_unless_kept(overlay, key, record)
        finally:
            if context.depth == 1:
                self._finish_writing()

    def _finish_writing(self) -> None:
        self._owner.overlay = self._pending = None
        try:
            self._leave_writer()
        finally:
            self._writer.release()

    def _abandon(self) -> None:
        """Drop what a thread that has died left uncommitted."""
        for level in self._pending or ():
            for record in level.values():
                if record is not None:
                    _discard(record)
        self._pending = None
        self._leave_writer()


def _discard(record: Record) -> None:
    """Take away the data of a record that was never committed, if it was staged."""
    discard = getattr(record[0], "discard", None)
    if discard is not None:
        discard()


def _discard_unless_kept(outer: list[Batch], key: str, record: Record) -> None:
    """Discard data, unless a block further out has the same under other metadata."""
    for level in outer:
        kept = level.get(key)
        if kept is not None and kept[0] is record[0]:
            return
    _discard(record)
