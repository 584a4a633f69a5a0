"""The store: hooks of the template in terms of a directory.

A thin layer: reads go to a `Reader`, writes to a `Writer` once the store has its own folder, and
the errors of the system are translated on the way out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from encore.errors import StoreError
from encore.keys.rules import check_key
from encore.storage.backends.filesystem.committing import Committer
from encore.storage.backends.filesystem.contents import (
    SMALL,
    FileContent,
    FileVersion,
    StagedFile,
)
from encore.storage.backends.filesystem.engine import DirectoryEngine
from encore.storage.backends.filesystem.writing import Source, Writer, write_chunks
from encore.storage.content import KeyEntry
from encore.storage.metadata import decode_metadata, select_metadata
from encore.storage.template import Record, Staged
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.staging import Batch
from encore.storage.values import Value

# What a transaction keeps in memory, in bytes, before it stages small values too.
_MOST_IN_MEMORY = 1 << 23


class FilesystemStore(DirectoryEngine):
    """A directory as people know it: the key ``a/b.txt`` is the file ``a/b.txt``.

    An existing tree is a store as it stands, and reading it writes nothing into it. Metadata, and
    what transactions need, are kept in a folder ``.encore`` that the first write makes. Files that
    other programs add, change or remove are seen at once; a changed file keeps its metadata.
    A symbolic link to a file in the directory can be read, and is never written; other links are
    not followed and hold no keys.

    Parameters
    ----------
    path : path-like
        The directory; made if it is missing.
    durability : str, optional
        What a commit survives: ``"process"``, a crash of the program, or ``"power"``, a power cut
        too, at the cost of waiting for the disk.
    readonly : bool, optional
        Refuse every write and make nothing, not even the directory.
    event_manager, timeout
        See `Store`.

    Raises
    ------
    StoreError
        The path is no directory, or cannot be opened.
    UnsupportedError
        A newer encore wrote the store.

    Notes
    -----
    Each key is replaced in one step, data and metadata together. While a transaction of several
    keys is being committed, others may see some of them new and some old; a crash in between is
    made good by whoever opens the store next.

    A value of more than 64 KiB holds its file open until it is closed. It stays one version while
    the store and most programs replace files; a program that writes *into* the file shows through.

    Writers of all processes take turns by a kernel lock, which not every network file system has.

    *Threads*: reads never wait. One thread, of all processes, writes at a time.
    """

    # -- reading ----------------------------------------------------------------------------------

    def _lookup(self, key: str) -> Record | None:
        check_key(key)
        try:
            record = (self._directory or self._ready()).reader.load(key)
        except OSError as error:
            raise self._trouble(error, "get", key, writing=False) from error
        if record is None:
            self._missed("get")
        return record

    def _peek(self, key: str) -> Record | None:
        try:
            record = (self._directory or self._ready()).reader.peek(key)
        except OSError as error:
            raise self._trouble(error, "get", key, writing=False) from error
        if record is None:
            self._missed("get")
        return record

    def _missed(self, operation: str) -> None:
        """Nothing was found: because the whole directory is gone?"""
        if self._directory is not None and self._directory.has_vanished():
            raise self._vanished(operation)

    def _pending_record(self, key: str) -> tuple[bool, Record | None]:
        """Whether the caller's transaction has changed a key, and what to."""
        for level in reversed(self._overlay() or ()):
            if key in level:
                return True, level[key]
        return False, None

    def _find(self, key: str) -> Value | None:
        if self._owner.overlay is None:
            record = self._lookup(key)
            return None if record is None else Value.of(*record)  # type: ignore[arg-type]
        check_key(key)
        changed, record = self._pending_record(key)
        if not changed:
            context = self._context()
            # A lone write only wants to know what it replaces.
            lone = context is not None and context.quiet
            record = self._peek(key) if lone else self._lookup(key)
        if record is None:
            return None
        content: Any = record[0]
        if changed and isinstance(content, (StagedFile, FileVersion)):
            with self._translated("get", key, writing=False):
                content = content.load()  # the value may outlive the transaction
        return Value.of(content, *record[1:])

    def get_metadata(self, key: str, select: Iterable[str] | None = None) -> dict[str, Any]:
        check_key(key)
        changed, record = self._pending_record(key)
        if not changed:
            record = self._peek(key)
        if record is None:
            raise self._missing(key, "get_metadata")
        return select_metadata(decode_metadata(record[1]), select)

    def _read(self, key: str) -> bytes | None:
        check_key(key)
        if self._owner.overlay is not None:
            return super()._read(key)
        try:
            data = (self._directory or self._ready()).reader.read(key)
        except OSError as error:
            raise self._trouble(error, "read", key, writing=False) from error
        if data is None:
            self._missed("read")
        return data

    def _has(self, key: str) -> bool:
        check_key(key)
        changed, record = self._pending_record(key)
        if changed:
            return record is not None
        with self._translated("exists", key, writing=False):
            if (self._directory or self._ready()).reader.has(key):
                return True
        self._missed("exists")
        return False

    def _keys(self, prefix: str, start_after: str | None) -> Iterator[str]:
        directory = self._directory or self._ready()  # a closed store says so here
        keys = directory.tree.keys(prefix, start_after)
        return (key for key, _ in self._each(keys))

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        if self._overlay():
            return super()._find_all(prefix)
        found = (self._directory or self._ready()).reader.all(prefix, load=True)
        return ((key, Value.of(*record)) for key, record in self._each(found))

    def _survey(self, prefix: str) -> Iterator[KeyEntry]:
        if self._overlay():
            return super()._survey(prefix)
        found = (self._directory or self._ready()).reader.all(prefix, load=False)
        return (KeyEntry(key, record[2], record[4], record[5]) for key, record in self._each(found))

    def _each(self, found: Iterator[Any]) -> Iterator[Any]:
        one = None
        with self._translated("list", writing=False):
            for one in found:
                yield one
        if one is None:
            self._missed("list")

    # -- writing ----------------------------------------------------------------------------------

    def _take_stream(self, key: str, chunks: Iterator[bytes]) -> Staged:
        return self._stage(chunks, self._mode_of(key))

    def _stage(self, chunks: Iterator[bytes], mode: int = 0o666) -> Staged:
        writer = self._writer_of_files()
        source = Source(chunks)
        try:
            return writer.stage(lambda descriptor: write_chunks(source, descriptor), mode)
        except OSError as error:
            if error is source.error:
                raise
            raise self._trouble(error, "write") from error

    def _duplicate(self, value: Value) -> bytes | Staged:
        content: Any = value.content
        if isinstance(content, FileContent):
            with self._translated("copy"):
                return self._writer_of_files().duplicate(content)
        if isinstance(content, bytes) and self._owner.mode is not None:
            return self._stage(iter((content,)), self._owner.mode)
        return super()._duplicate(value)

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        owner, mode = self._owner, self._mode_of(source)
        owner.mode = mode if mode & 0o111 or not mode & 0o044 else None
        try:
            super()._transfer(source, target, move=move)
        finally:
            owner.mode = None

    def _writer_of_files(self) -> Writer:
        with self._translated("write"):
            directory = self._directory or self._ready()
            return directory.writer or directory.prepare()

    def _replace(self, key: str, old: Value | None, record: Record) -> None:
        self._refuse_link(key)
        content = record[0]
        if content is None:
            record = (self._unchanged(key), *record[1:])
        elif isinstance(content, bytes):
            context = self._context()
            self._in_memory += len(content)
            large = len(content) > SMALL or self._in_memory > _MOST_IN_MEMORY
            if large and context is not None and not context.quiet:
                record = (self._stage(iter((content,)), self._mode_of(key)), *record[1:])
        super()._replace(key, old, record)

    def _remove(self, key: str, old: Value) -> None:
        self._refuse_link(key)
        super()._remove(key, old)

    def _refuse_link(self, key: str) -> None:
        directory = self._directory
        if directory is not None and directory.tree.is_link(key):
            raise StoreError(
                f"{key!r} in {self!r} is a symbolic link: it can be read, but is never written; "
                "remove the link, or write the key it leads to",
                key=key,
                store=self,
            )

    def _unchanged(self, key: str) -> Any:
        """The content that a key has, for a record with other metadata."""
        changed, record = self._pending_record(key)
        if not changed:
            record = self._peek(key)
        assert record is not None, "only a key that is there can keep its data"
        return record[0]

    def _prepare_transaction(self, context: SimpleTransactionContext) -> None:
        batch = self._levels()[0]
        if batch:
            with self._translated("prepare"):
                self._prepared = self._committer().prepare(batch)

    def _apply(self, batch: Batch) -> None:
        context: SimpleTransactionContext = self._owner.context
        committer = self._committer()
        prepared, self._prepared = self._prepared, None
        with self._translated("commit"):
            if prepared is None:
                # What a history has written down of a version has to come true.
                is_lone = context.quiet and not context.is_undoable
                committer.apply(batch, context.mark_committed, is_lone=is_lone)
            else:
                committer.publish(prepared, context.mark_committed)

    def _changed(self) -> Batch:
        batch = super()._changed()
        if not self._is_dated and self._owner.context.quiet and len(batch) == 1:
            ((key, record),) = batch.items()
            if record is not None:
                batch[key] = self._committer().dated(record)
        self._is_dated = True
        return batch

    def _rollback_transaction(self, context: SimpleTransactionContext) -> None:
        prepared = self._prepared
        if prepared is not None and context.depth == 1:
            self._prepared = None
            self._committer().undo(prepared)
        super()._rollback_transaction(context)

    def _committer(self) -> Committer:
        directory = self._directory
        if directory is None or directory.committer is None:
            raise StoreError(
                f"{self!r} was closed while a transaction was open", store=self, operation="commit"
            )
        return directory.committer
