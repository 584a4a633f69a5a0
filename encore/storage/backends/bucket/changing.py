"""The writing half of the store: what a change is, and in which step it is made.

Only ``store`` imports this module.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from encore.errors import UnsupportedError
from encore.keys.rules import check_key
from encore.storage.backends.bucket.changes import Change, Done
from encore.storage.backends.bucket.contents import Joined, ObjectContent
from encore.storage.backends.bucket.engine import Version
from encore.storage.backends.bucket.finding import FindingStore
from encore.storage.template import Entry, MetadataChange, Record, Staged
from encore.storage.transactions.owners import new_token
from encore.storage.transactions.staging import Batch
from encore.storage.values import Value, gather

# What a transaction keeps in memory, in bytes, before it stages small values too.
_MOST_IN_MEMORY = 1 << 24
# The most that a write with a condition can be, because it is one request.
_MOST_GUARDED = 1 << 29
_MOST_REMEMBERED = 10_000


class ChangingStore(FindingStore):
    """A store that can be written, too; see `BucketStore`."""

    def _take_in(self, key: str, data: Any, buffer_size: int) -> bytes | Staged:
        # What is written by itself goes straight to its place, and need not be readable before.
        self._owner.target = key if self._context() is None else None
        try:
            return super()._take_in(key, data, buffer_size)
        finally:
            self._owner.target = None

    def _receive(
        self, entry: Entry, buffer_size: int, if_absent: bool, if_token: str | None
    ) -> bytes | Staged:
        with self._guarding(if_absent or if_token is not None):
            return super()._receive(entry, buffer_size, if_absent, if_token)

    def _stage(self, chunks: Iterator[bytes]) -> Staged:
        if self._readonly:
            self._enter_writer(0)  # refuses
        placer = (self._bucket or self._ready()).placer
        if not self._owner.guards:
            return placer.stage(chunks, self._owner.target)
        data = gather(chunks, _MOST_GUARDED)
        if isinstance(data, bytes):
            return Joined(data)
        raise UnsupportedError(
            f"put: {self!r} writes at most {_MOST_GUARDED >> 20} MiB with a condition, because it "
            "has to be one request",
            store=self,
            operation="put",
        )

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        with self._guarding(if_absent or if_token is not None), self._looking_in_transaction():
            super()._write_content(entry, content, if_absent, if_token)

    def _rewrite_metadata(self, key: str, change: MetadataChange, empty: bytes = b"") -> None:
        with self._looking_in_transaction():
            super()._rewrite_metadata(key, change, empty)

    def _erase(self, key: str, missing_ok: bool) -> None:
        with self._looking_in_transaction():
            super()._erase(key, missing_ok)

    def _duplicate(self, value: Value) -> bytes | Staged:
        content: Any = value.content
        if isinstance(content, ObjectContent):
            return (self._bucket or self._ready()).placer.duplicate(content)
        return super()._duplicate(value)

    def _replace(self, key: str, old: Value | None, record: Record) -> None:
        # Used up: listeners, who hear of the commit before this verb returns, may write, too.
        guards, self._owner.guards = self._owner.guards, False
        changed, pending = self._pending_record(key)
        content: Any = record[0]
        token = record[5]
        if content is None:
            content = pending[0] if changed and pending else self._unchanged(key)
        elif isinstance(content, (bytes, Joined)):
            content = self._park(content)
        if pending is not None and pending[5] in self._modes:
            self._modes[token] = self._modes[pending[5]]
        elif guards and not changed:
            seen = self._seen.get(key)
            self._modes[token] = "create" if seen is None else seen.found.condition
        super()._replace(key, old, (content, *record[1:]))

    def _unchanged(self, key: str) -> Any:
        """The content that a key has, for a record with other metadata."""
        bucket = self._bucket or self._ready()
        seen = self._seen.get(key) or bucket.reader.look(key)
        assert seen is not None, "only a key that is there can keep its data"
        return ObjectContent(bucket.client, seen.found)  # that of a value goes when that is closed

    def _park(self, content: bytes | Joined) -> bytes | Staged:
        """Small data of a transaction: kept, or out of the way if it has become much."""
        context = self._context()
        data = content if isinstance(content, bytes) else content.data
        self._in_memory += len(data)
        if self._in_memory <= _MOST_IN_MEMORY or context is None or context.quiet:
            return content
        self._in_memory -= len(data)
        return (self._bucket or self._ready()).placer.park(iter((data,)))

    def _remove_all(self, prefix: str) -> bool:
        if self._heard():
            return False
        for key in self._scan(prefix, None):
            self._remove(key, None)  # type: ignore[arg-type]
        return True

    def _write_many(self, entries: Iterable[Entry], buffer_size: int) -> None:
        context = self._context()
        conditions = (self._bucket or self._ready()).abilities.conditions
        if context is not None and context.depth == 1 and conditions and not self._heard():
            # Nobody can read before the commit, which asks what is there only where it has to.
            entries = map(self._as_new, entries)
        super()._write_many(entries, buffer_size)

    def _as_new(self, entry: Entry) -> Entry:
        """An entry that takes its key for new, or for what this store wrote last."""
        check_key(entry.key)
        if entry.text is None or entry.created is not None:
            return entry
        last, token = self._versions.get(entry.key), entry.token or new_token()
        self._guesses[token] = last
        return entry._replace(created=time.time() if last is None else last.created, token=token)

    def _apply(self, batch: Batch) -> None:
        changes = [self._change(key, record) for key, record in batch.items()]
        with self._named():
            self._note((self._bucket or self._ready()).writer.apply(changes))

    def _change(self, key: str, record: Record | None) -> Change:
        seen = self._seen.get(key, False)
        if record is None:
            return Change(key, None, seen)
        token = record[5]
        change = Change(key, record, seen, self._modes.get(token, "overwrite"))
        return _guessing(change, self._guesses[token]) if token in self._guesses else change

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        # In one request: new keys are created, and what this store wrote last is replaced, both
        # only if nobody else has come between. Otherwise what is there has to be looked at first.
        bucket = self._bucket
        if bucket is None or self._owner.overlay is not None or self._heard():
            return False
        if not bucket.abilities.conditions or not self._writer.lock.acquire(False):
            return False
        try:
            last, now = self._versions.get(key), time.time()
            created = now if last is None else last.created
            record: Record = (data, text, len(data), created, now, new_token())
            with self._named():
                self._note([bucket.writer.apply_one(_guessing(Change(key, record), last))])
        finally:
            self._writer.lock.release()
        return True

    def _note(self, done: list[Done]) -> None:
        """Remember what lets the next write of a key do without a question."""
        if len(self._versions) > _MOST_REMEMBERED:
            self._versions.clear()
        for change, placed, _ in done:
            self._versions.pop(change.key, None)
            if change.record is not None and placed is not None and placed.condition:
                self._versions[change.key] = Version(
                    placed.condition, change.record[3], placed.record
                )


def _guessing(change: Change, last: Version | None) -> Change:
    if last is None:
        return change._replace(guess="create")
    return change._replace(guess=last.condition, stale=last.record)
