"""Stores that hold bytes: what every one of them is made of.

A backend supplies the hooks below; here they become the *acts* that the verbs of `Store` are
written over. Every act that writes is one unit: it runs in the open transaction, or in one of its
own, and notes what it changed, so that nothing is announced that was not committed.

================================  ==================================================================
``_find(key)``                    the `Value` under a key as its caller may see it, or None
``_scan(prefix, start_after)``    the keys in code-point order, lazily
``_stage(chunks)``                stream data to where it will stay, not yet visible
``_replace(key, old, record)``    put a record under a key
``_remove(key, old)``             take a key away
``_begin_transaction(context)``   and commit, rollback: see ``transactions.contexts``
``_open()``, ``_close()``         take and give back files and connections
================================  ==================================================================

`StagedStore` (in ``transactions.staging``) reduces these to four for media that have no
transactions of their own. Backends import this module.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Unpack

from encore.errors import StoreError, TransactionError
from encore.events.abstract_event_manager import BaseEventManager
from encore.storage.announcements import Announcer
from encore.storage.metadata import EMPTY
from encore.storage.template import (
    Entry,
    MetadataChange,
    Record,
    Staged,
    Store,
    check_guard,
)
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.owners import OwnerState, new_token, watch_forks
from encore.storage.transactions.recording import KeptVersions, Recorder, StepOptions, checked
from encore.storage.values import Value


class BackendStore(Store):
    """The acts of a store over the hooks of a medium.

    Parameters
    ----------
    event_manager : BaseEventManager, optional
        Who hears of changes; default: the process-wide manager.
    timeout : float, optional
        Seconds to wait for another writer.

    Notes
    -----
    *Threads*: a store may be used from any thread. Each thread (and asyncio task) has its own
    transaction; writes of several threads wait for each other, reads do not.
    """

    transactions = "native"
    _recorder: Recorder | None = None  # a history, where one is attached
    can_prepare = False  # whether everything that can fail can be done before the commit

    def __init__(
        self, *, event_manager: BaseEventManager | None = None, timeout: float = 5.0
    ) -> None:
        Announcer.__init__(self, event_manager)
        self._owner = self._new_owner()
        self._state = "new"
        self.timeout = timeout
        watch_forks(self)

    # -- hooks ------------------------------------------------------------------------------------

    def _new_owner(self) -> OwnerState:
        return OwnerState()

    def _open(self) -> None:
        """Take what the store needs; called once before first use."""

    def _close(self) -> None:
        """Give back what `_open` took, or raise: then the store stays open."""

    def _describe(self) -> dict[str, Any]:
        """What `info` says beyond what every store says."""
        return {}

    def _stage(self, chunks: Iterator[bytes]) -> Staged:
        """Take a stream to where it will stay, under no key yet."""
        raise NotImplementedError

    def _replace(self, key: str, old: Value | None, record: Record) -> None:
        """Put a record under ``key``. Where its content is None the data of ``old`` stays."""
        raise NotImplementedError

    def _remove(self, key: str, old: Value) -> None:
        raise NotImplementedError

    def _begin_transaction(self, context: SimpleTransactionContext) -> None:
        raise NotImplementedError

    def _prepare_transaction(self, context: SimpleTransactionContext) -> None:
        raise NotImplementedError

    def _commit_transaction(self, context: SimpleTransactionContext) -> None:
        raise NotImplementedError

    def _rollback_transaction(self, context: SimpleTransactionContext) -> None:
        raise NotImplementedError

    def _kept_versions(self) -> KeptVersions | None:
        """What keeps replaced versions without copying them; None where nothing does."""
        return None

    def _duplicate(self, value: Value) -> bytes | Staged:
        """Content for another key of this store, equal to the content of ``value``."""
        if isinstance(value.content, bytes):
            return value.content
        return self._stage(value.iterdata())

    # -- opening and closing ----------------------------------------------------------------------

    def connect(self, credentials: Any = None) -> None:
        if self._state == "open":
            return
        self._open()
        self._state = "open"

    def disconnect(self) -> None:
        self.close()

    def close(self) -> None:
        context = self._owner.context
        if context is not None:
            raise TransactionError(
                f"{self!r} cannot be closed inside the transaction {context.notes!r}; "
                "commit it or roll it back first",
                store=self,
                operation="close",
            )
        before, self._state = self._state, "closed"  # first: who begins now sees it
        if before == "open":
            try:
                self._close()
            except BaseException:
                self._state = before
                raise
        self._owner = self._new_owner()  # last, with all that threads have in it

    def is_connected(self) -> bool:
        return self._state == "open"

    def _opened(self) -> None:
        """Open the store on its first use; refuse when it has been closed."""
        if self._state == "closed":
            raise StoreError(
                f"{self!r} is closed; connect() opens it again", store=self, operation="open"
            )
        self.connect()

    def _after_fork(self) -> None:
        self._owner = self._new_owner()

    def info(self) -> dict[str, Any]:
        return {**super().info(), **self._describe()}

    def _engine(self) -> BackendStore:
        return self

    @property
    def sort_key(self) -> tuple[str, str]:
        return type(self).__name__, str(self._describe().get("path", id(self)))

    # -- acts -------------------------------------------------------------------------------------

    def _take_stream(self, key: str, chunks: Iterator[bytes]) -> Staged:
        return self._stage(chunks)

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        """Put content that has arrived under its key."""
        key, text, created = entry.key, entry.text, entry.created
        try:
            with self._unit() as context:
                old = self._find(key)
                check_guard(self, key, old, if_absent, if_token)
                now = time.time()
                size = len(content) if isinstance(content, bytes) else content.size
                if text is None:
                    text = EMPTY if old is None else old.metadata_text
                if created is None:
                    created = now if old is None or old.created is None else old.created
                modified = now if entry.modified is None else entry.modified
                token = entry.token or new_token()
                self._replace(key, old, (content, text, size, created, modified, token))
                context.note(key, None if old is None else old.metadata_text, text)
        except BaseException:
            if not isinstance(content, bytes):
                content.discard()
            raise

    def _rewrite_metadata(self, key: str, change: MetadataChange, empty: bytes = b"") -> None:
        with self._unit() as context:
            old = self._find(key)
            now = time.time()
            if old is None:
                text = change(EMPTY)
                self._replace(key, None, (empty, text, len(empty), now, now, new_token()))
            else:
                text = change(old.metadata_text)
                size, created = old.size or 0, old.created or now
                self._replace(key, old, (None, text, size, created, now, new_token()))
            context.note(key, None if old is None else old.metadata_text, text)

    def _erase(self, key: str, missing_ok: bool) -> None:
        with self._unit() as context:
            old = self._find(key)
            if old is not None:
                self._remove(key, old)
                context.note(key, old.metadata_text, None)
            elif not missing_ok:
                raise self._missing(key, "delete")

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        with self.transaction(f"{'Move' if move else 'Copy'} {source} to {target}") as context:
            value = self._find(source)
            if value is None:
                raise self._missing(source, "move" if move else "copy")
            old = self._find(target)
            text, now = value.metadata_text, time.time()
            content = self._duplicate(value)
            size = len(content) if isinstance(content, bytes) else content.size
            created = value.created if move and value.created is not None else now
            modified = value.modified if move and value.modified is not None else now
            self._replace(target, old, (content, text, size, created, modified, new_token()))
            context.note(target, None if old is None else old.metadata_text, text)
            if move:
                self._remove(source, value)
                context.note(source, text, None)

    # -- transactions and events ------------------------------------------------------------------

    def transaction(
        self, notes: str = "", *, timeout: float | None = None, **options: Unpack[StepOptions]
    ) -> SimpleTransactionContext:
        if options:
            options = checked(options)
        context = self._context()
        if context is not None:
            return context.deepen(notes)
        return self._new_context(notes, timeout=timeout, options=options)

    def _new_context(
        self,
        notes: str = "",
        *,
        timeout: float | None = None,
        quiet: bool = False,
        options: StepOptions | None = None,
    ) -> SimpleTransactionContext:
        return SimpleTransactionContext(self, notes, timeout=timeout, quiet=quiet, options=options)

    def _context(self) -> SimpleTransactionContext | None:
        context: SimpleTransactionContext | None = self._owner.context
        if context is None or not context.is_mine():
            return None
        return context

    def _unit(self) -> AbstractContextManager[SimpleTransactionContext]:
        context = self._context()
        if context is not None:
            return nullcontext(context)
        return SimpleTransactionContext(self, quiet=True)
