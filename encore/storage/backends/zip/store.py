"""The store: hooks of the template in terms of an archive and the changes beside it.

A thin layer: what is read comes from the view of the moment, what is written goes to the side-car.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from encore.errors import ConflictError, EncoreError, StoreError
from encore.keys.rules import check_key
from encore.storage.abstract_store import AbstractStore
from encore.storage.backends.zip.committing import INLINE_BYTES
from encore.storage.backends.zip.contents import ZipContent
from encore.storage.backends.zip.cursors import Place
from encore.storage.backends.zip.failures import translate, translated
from encore.storage.backends.zip.spools import Source
from encore.storage.backends.zip.views import View
from encore.storage.backends.zip.writing import ZipWriter
from encore.storage.template import Entry, Record
from encore.storage.transactions.owners import new_token
from encore.storage.values import Value

if TYPE_CHECKING:
    from encore.storage.backends.zip.recovery import Recovery

# What a transaction keeps in memory, in bytes, before it spools small values too.
_MOST_IN_MEMORY = 1 << 22
# How often a reader tries again whose data others have just moved into the archive.
_TRIES = 100


class ZipStore(ZipWriter):
    """A store in one zip archive, which all programs can read.

    Archives of other programs are stores as they stand, and reading one writes nothing. Changes
    wait in a directory beside the archive, ``<path>-encore``, and are folded into it by writing a
    new archive that then takes the place of the old one: at the end of a transaction, at ``close``,
    at `compact`, and when they have become many. What did not change is copied, not compressed
    again.

    Parameters
    ----------
    path : path-like
        The archive; it and its directory are made if they are missing.
    compression : str, optional
        How new data is kept: ``"deflated"``, unless that does not make it smaller, or
        ``"stored"``, which is faster and lets ranges be read without reading what is before them.
    readonly : bool, optional
        Open an existing archive without ever writing to it or beside it.
    durability : str, optional
        What a commit survives: ``"process"``, a crash of the program, or ``"power"``, a power cut
        too, at the cost of waiting for the disk.
    event_manager, timeout
        See `Store`.

    Raises
    ------
    StoreError
        The path is a directory, or cannot be opened.
    CorruptValueError
        The file is no archive, or its directory is damaged; see `recover`.

    Notes
    -----
    A commit is one write into the side-car. A program that dies at any moment leaves all of it or
    nothing, and whoever opens the archive next sees what was committed.

    *Threads*: reads never wait, and a value stays what it was when it was opened. One thread, of
    all processes, writes at a time.
    """

    # -- reading ----------------------------------------------------------------------------------

    def _lookup(self, key: str) -> Record | None:
        views = self._views
        try:
            if views is None or self._owner.overlay is None:
                return self._seen(self._current(), key)
            return self._seen(views.latest(), key)  # whoever writes has shut out all others
        except OSError as error:
            raise translate(error, self, "get", key, writing=False) from error

    def _seen(self, view: View, key: str) -> Record | None:
        for _ in range(_TRIES):
            try:
                return view.record(key)
            except FileNotFoundError:
                view = self._current()  # the data has just been moved into the archive
        raise self._unsteady(key)

    def _unsteady(self, key: str) -> ConflictError:
        return ConflictError(
            f"get: {key!r} in {self!r} is being rewritten all the time; try again",
            key=key,
            store=self,
        )

    def _find(self, key: str) -> Value | None:
        check_key(key)
        if self._owner.overlay is None:
            record = self._lookup(key)
            return None if record is None else Value.of(*record)  # type: ignore[arg-type]
        record = self._record(key)
        if record is None:
            return None
        content: Any = record[0]
        if isinstance(content, ZipContent):
            context = self._context()
            if context is not None and context.quiet:
                # A lone write only wants to know what it replaces, and holds no file for that.
                place = partial(self._place_again, key, record[5])
                content = ZipContent(key, content.size, content.method, content.crc, place)
            else:
                content = content.share()  # the value may outlive the transaction
        return Value.of(content, *record[1:])

    def _place_again(self, key: str, token: str) -> Place:
        """Where the data of a version is, if it is there still."""
        record = self._record(key)
        if record is None or record[5] != token:
            raise ConflictError(f"get: {key!r} has changed; get it again", key=key, store=self)
        content: Any = record[0]
        place: Place = content.place()
        return place

    def _read(self, key: str) -> bytes | None:
        check_key(key)
        if self._owner.overlay is not None:
            return super()._read(key)
        try:
            for _ in range(_TRIES):
                try:
                    return self._current().read(key)
                except FileNotFoundError:
                    continue
        except OSError as error:
            raise translate(error, self, "read", key, writing=False) from error
        raise self._unsteady(key)

    def _has(self, key: str) -> bool:
        check_key(key)
        if self._owner.overlay is not None:
            return super()._has(key)
        with translated(self, "exists", key, writing=False):
            return self._current().has(key)

    def _keys(self, prefix: str, start_after: str | None) -> Iterator[str]:
        with translated(self, "list", writing=False):
            return self._current().keys(prefix, start_after)

    def _count(self) -> int:
        if self._overlay():
            return super()._count()
        with translated(self, "count", writing=False):
            return self._current().count()

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        if self._overlay():
            yield from super()._find_all(prefix)
            return
        for key in self._scan(prefix, None):
            views = self._views
            with translated(self, "list", key, writing=False):
                # Another process may have changed it since; this one has not.
                record = self._seen(self._current() if views is None else views.latest(), key)
            if record is not None:
                yield key, Value.of(*record)  # type: ignore[arg-type]

    # -- writing ----------------------------------------------------------------------------------

    def _replace(self, key: str, old: Value | None, record: Record) -> None:
        content = record[0]
        if isinstance(content, bytes):
            context = self._context()
            self._in_memory += len(content)
            large = len(content) > INLINE_BYTES or self._in_memory > _MOST_IN_MEMORY
            if large and context is not None and not context.quiet:
                record = (self._spooled(Source(iter((content,))), alone=False), *record[1:])
        super()._replace(key, old, record)

    def _write_many(self, entries: Iterable[Entry], buffer_size: int) -> None:
        if not self._heard():
            entries = map(self._dated, entries)
        super()._write_many(entries, buffer_size)

    def _dated(self, entry: Entry) -> Entry:
        """Look up all that has to be known of what an entry replaces: when it was made."""
        if entry.text is None or entry.created is not None:
            return entry
        check_key(entry.key)
        now = time.time()
        record = self._record(entry.key)
        created = now if record is None else record[3]
        modified = now if entry.modified is None else entry.modified
        return entry._replace(created=created, modified=modified)

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        owner = self._owner
        owner.is_lone = owner.context is None
        try:
            super()._transfer(source, target, move=move)
        finally:
            owner.is_lone = False

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        sidecar = self._sidecar
        if sidecar is None or self._readonly or self._owner.overlay is not None or self._heard():
            return False
        if not self._writer.lock.acquire(False):
            return False  # somebody writes: wait for them in the general way
        try:
            if not sidecar.try_enter():
                return False
            try:
                self._put_at_once(key, data, text)
            finally:
                sidecar.give_back()
        except EncoreError:
            raise
        except OSError as error:
            raise translate(error, self, "put", key) from error
        finally:
            self._writer.lock.release()
        return True

    def _put_at_once(self, key: str, data: bytes, text: str) -> None:
        old = self._current().created(key)
        now = time.time()
        created = now if old is None else old
        record = (data, text, len(data), created, now, new_token())
        self._new_commit().apply({key: record}, None)
        self._fold_after_commit(is_lone=True)

    # -- what is broken ---------------------------------------------------------------------------

    @staticmethod
    def recover(
        path: str | os.PathLike[str], target: AbstractStore | str | os.PathLike[str]
    ) -> Recovery:
        """Save every value that can still be read of a damaged archive.

        The archive is searched from its beginning for entries, so that it needs neither a central
        directory nor an end. It is not changed. What waits beside it in a side-car is saved, too.

        Parameters
        ----------
        path : path-like
            The archive.
        target : AbstractStore or path-like
            A store to save the values to, in one transaction, or the path of a new archive.

        Returns
        -------
        Recovery
            The keys that were saved, and those that were lost.

        Raises
        ------
        StoreError
            There is no archive, or the new one exists already.
        """
        from encore.storage.backends.zip.recovery import recover

        if isinstance(target, AbstractStore):
            return recover(os.fspath(path), target)
        where = os.fspath(target)
        if os.path.lexists(where):
            raise StoreError(f"recover: {where!r} exists already; give the path of a new archive")
        store = ZipStore(where)  # opened, and made, by what there is to save
        try:
            return recover(os.fspath(path), store)
        finally:
            store.close()
