"""From a batch to the bucket, object by object.

A server replaces one object in one step, and has no step for several. So a batch of one key is
atomic, and a batch of many is as good as can be done without: all that is large has arrived
already, conditions come first, removals last, and between them requests go out side by side. If
one fails, keys that were new are removed again, and the error says what has been changed.

=====================  =============================================================================
what a key is to get    what happens
=====================  =============================================================================
up to ``small`` bytes   one write, with metadata
an `Upload`             its record is written, then it is finished
a `StagedObject`        its record is written, then it is copied to its place by the server
metadata only           its record is written; without a record, the object, again
nothing                 it is removed
=====================  =============================================================================

A reply that is lost leaves open whether a write has happened; then the object is asked. Only this
subpackage imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from encore.errors import (
    CommitUnknownError,
    ConflictError,
    EncoreError,
    RequestError,
    StoreError,
)
from encore.storage.backends.bucket.changes import Change, Done, side_by_side
from encore.storage.backends.bucket.client import Client
from encore.storage.backends.bucket.contents import Joined, StagedObject
from encore.storage.backends.bucket.failures import ConditionFailed, Unreachable
from encore.storage.backends.bucket.names import name_of
from encore.storage.backends.bucket.placing import Placed, Placer
from encore.storage.backends.bucket.reading import Reader, Seen
from encore.storage.backends.bucket.records import RECORDS, record_folder

__all__ = ["Writer"]

_FEW = 4  # folders of records are listed one by one
_NAMED = 5  # keys in a message


class _Beaten(Exception):  # noqa: N818  never leaves this module
    """Another version is there than the write was meant for."""

    def __init__(self, seen: Seen | None) -> None:
        super().__init__("another version is there")
        self.seen = seen


class Writer:
    """Applies batches.

    Parameters
    ----------
    client : Client
    reader : Reader
    placer : Placer
    """

    def __init__(self, client: Client, reader: Reader, placer: Placer) -> None:
        self._client = client
        self._reader = reader
        self._placer = placer

    def apply(self, changes: list[Change]) -> list[Done]:
        """Make all of the changes, and return them with where they are now.

        Raises
        ------
        ConflictError
            A condition does not hold.
        CommitUnknownError
            Nobody can say whether a write has happened.
        StoreError
            What has been changed, and is not put back, is in the attribute ``changed``: a list of
            keys.
        """
        changes = self._with_old_records(changes)
        writes = [change for change in changes if change.record is not None]
        removals = [change for change in changes if change.record is None]
        guarded = [change for change in writes if change.mode != "overwrite"]
        others = [change for change in writes if change.mode == "overwrite"]
        done: list[Done] = []
        try:
            for group in (*side_by_side(guarded), *side_by_side(others)):
                self._write_all(group, done)
            if removals:
                removed = [Done(change) for change in removals]
                done += removed if len(changes) > 1 else ()
                self._client.delete([name_of(change.key) for change in removals])
                done += removed if len(changes) == 1 else ()
        except EncoreError as error:
            if done:
                raise self._undone(done, len(changes), error) from error
            raise
        self._tidy(done)
        return done

    def _write_all(self, changes: list[Change], done: list[Done]) -> None:
        """Make writes side by side; whatever happens, ``done`` says which have been made."""
        failures: list[EncoreError] = []

        def until_one_fails() -> Iterator[Change]:
            for change in changes:
                if failures:
                    return
                yield change

        for one in self._reader.each(self._attempt, until_one_fails()):
            if one.failure is None:
                done.append(one)
            else:
                failures.append(one.failure)
        if failures:
            raise failures[0]

    def _attempt(self, change: Change) -> Done:
        try:
            return self.write(change)
        except EncoreError as error:
            return Done(change, failure=error)

    def apply_one(self, change: Change) -> Done:
        """Make one write that is all there is to do; see `apply`."""
        done = self.write(change)
        if done.change.stale is not None or done.change.old not in (None, True):
            self._tidy([done])
        return done

    def write(self, change: Change) -> Done:
        """Make one write."""
        assert change.record is not None
        guess, content = change.guess, change.record[0]
        if guess is not None:
            # Only what is sent in one request can have a condition.
            if isinstance(content, (bytes, Joined)):
                try:
                    placed = self._place(change, guess)
                    return Done(change._replace(old=None if guess == "create" else True), placed)
                except _Beaten as beaten:
                    seen = beaten.seen
            else:
                seen = self._reader.look(change.key)
            change = self._looked_up(change, seen)
        try:
            return Done(change, self._place(change, change.mode))
        except _Beaten as beaten:
            raise ConflictError(
                f"{change.key!r} was not written: somebody else has changed it meanwhile; "
                "read it again, and decide anew",
                key=change.key,
            ) from beaten

    def _looked_up(self, change: Change, seen: Seen | None) -> Change:
        """The change with what is there, where nobody had looked."""
        assert change.record is not None
        record = change.record
        if seen is not None:
            record = (*record[:3], seen.record[3], *record[4:])
        return Change(change.key, record, seen, change.mode)

    def _place(self, change: Change, mode: Any) -> Placed:
        assert change.record is not None
        try:
            return self._placer.place(change.key, change.record, mode)
        except ConditionFailed as error:
            # A request whose reply was lost is sent again, and then finds what it did itself.
            now = self._look_again(change, error)
            if now is not None and now.record[5] == change.record[5]:
                return self._placed(now)
            raise _Beaten(now) from error
        except Unreachable:
            raise
        except RequestError as error:
            if error.status is not None and error.status < 500:
                raise
            now = self._look_again(change, error)
            if now is None or now.record[5] != change.record[5]:
                raise
            return self._placed(now)

    def _placed(self, now: Seen) -> Placed:
        return Placed(self._reader.record_of(now.found), now.found.condition)

    def _look_again(self, change: Change, error: EncoreError) -> Seen | None:
        """What is there after a write that failed, or may have."""
        assert change.record is not None
        try:
            now = self._reader.look(change.key)
        except StoreError:
            raise CommitUnknownError(
                f"the reply to writing {change.key!r} to {self._client.where} was lost, and it "
                "cannot be found out whether it was written; look before you write it again",
                key=change.key,
            ) from error
        leftover = getattr(error, "leftover", None)
        if leftover is not None and (now is None or now.record[5] != change.record[5]):
            with suppress(StoreError):
                self._client.delete([leftover])
        return now

    def _undone(self, done: list[Done], count: int, error: EncoreError) -> EncoreError:
        """Take away again what is new, and say what stays changed."""
        created = [one for one in done if one.placed is not None and one.change.old is None]
        new = [one.change.key for one in created]
        left = [one.change.key for one in done if one not in created]
        names = [name_of(key) for key in new]
        for name, one in zip([*names], created, strict=True):
            if one.placed is not None and one.placed.record is not None:
                names.append(record_folder(name) + one.placed.record)
        try:
            self._client.delete(names)
        except StoreError:
            left += new
        if not left:
            return error
        some = ", ".join(repr(key) for key in left[:_NAMED]) + ", ..." * (len(left) > _NAMED)
        trouble = StoreError(
            f"of {count} changes to {self._client.where}, {len(left)} may have been made and are "
            f"not put back ({some}); the others have not: {error}"
        )
        trouble.changed = left  # type: ignore[attr-defined]
        return trouble

    # -- leaving nothing behind -------------------------------------------------------------------

    def _with_old_records(self, changes: list[Change]) -> list[Change]:
        """Look at those keys that nobody has looked at, as far as they have records."""
        asked = (one.key for one in changes if one.old is False and one.guess is None)
        unknown = {record_folder(name_of(key)) for key in asked}
        if not unknown:
            return changes
        folders = unknown if len(unknown) <= _FEW else (RECORDS,)
        listed = (found.name for folder in folders for found in self._client.objects(folder, ""))
        having = {f"{name.rpartition('/')[0]}/" for name in listed} & unknown
        if not having:
            return changes

        def look(change: Change) -> Change:
            if change.old is not False or record_folder(name_of(change.key)) not in having:
                return change
            return change._replace(old=self._reader.look(change.key))

        return [*self._reader.each(look, changes)]

    def _tidy(self, done: list[Done]) -> None:
        """Remove what the commit has made superfluous. It has happened, whatever comes of this."""
        stale = []
        for change, placed, _ in done:
            record = change.stale
            if isinstance(change.old, Seen):
                record = self._reader.record_of(change.old.found)
            if record is not None and (placed is None or record != placed.record):
                stale.append(record_folder(name_of(change.key)) + record)
            if change.record is not None and isinstance(change.record[0], StagedObject):
                stale.append(change.record[0].name)
        with suppress(StoreError):
            self._client.delete(stale)
