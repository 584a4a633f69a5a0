"""A ledger in the tables of the database that has the records: SqliteStore, HashdirStore.

The versions that a transaction replaces are copied by SQL as it goes, rows and not data, so that
savepoints and rollbacks take them along, and undoing is a handful of statements however many keys a
step has. ``ledgers`` imports this module.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from typing import Any

from encore.history import statements as sql
from encore.history.ledger import COMPARED_BYTES, Edit
from encore.history.sql_touching import SqlTouching
from encore.history.steps import NOTHING, Captured
from encore.storage.backends.sqlite.failures import translate


class SqlLedger(SqlTouching):
    """The part of a history that is in a store's own database.

    The parameters are those of `Ledger`.
    """

    # -- life -------------------------------------------------------------------------------------

    def attach(self) -> None:
        self.store.connect()
        self.refresh()
        if not self.store.info()["readonly"]:
            self.store._remembering = self

    def detach(self) -> None:
        self.store._remembering = None

    # -- in a transaction -------------------------------------------------------------------------

    def capture(self, context: Any, step: int) -> Captured:
        touched, self._open.step = self._open.step, 0
        if not touched or not self._has_tables():  # made in a block that was rolled back
            return NOTHING
        if touched != step:
            self._move(touched, step, sql.images_of(step)[0] - sql.images_of(touched)[0])
        return self._compare(step)

    def _move(self, step: int, to: int, distance: int) -> None:
        """Give the images of a step to another."""
        self._execute(sql.RENUMBER, (distance, to, *sql.images_of(step)))

    def _compare(self, step: int, *, is_merged: bool = False) -> Captured:
        """Keep of a step's images those that differ from the records, and know the records.

        Where two steps have been merged, a key that somebody else has changed stays in conflict.
        """
        rows = self._execute(sql.COMPARE, sql.images_of(step)).fetchall()
        count = size = removed = 0
        key = ""
        for row in rows:
            number, key_here, before, after, blob, new_blob, bytes_here, like, same, *was = row
            if is_merged and was[0] != after:
                count, size, removed = count + 1, size + was[1], removed + (was[0] is None)
                key = key_here
                continue
            if before == after or (
                like
                and bytes_here is not None
                and self._same_data(key_here, bytes_here, blob, new_blob, same)
            ):
                self._drop_image(number, key_here, before, after, blob, new_blob)
                continue
            count += 1
            key = key_here
            removed += after is None
            if bytes_here and (blob is None or blob != new_blob):
                size += bytes_here
        if is_merged:
            self._execute(sql.EXPECT_MERGED, sql.images_of(step))
        elif len(rows) == 1 and count:
            self._execute(sql.EXPECT_ONE, (rows[0][3], size, rows[0][0]))
        elif count:
            self._execute(sql.EXPECT, sql.images_of(step))
        return Captured(count, size, removed, key)

    def _same_data(self, key: str, size: int, blob: Any, new_blob: Any, same: bool) -> bool:
        """Whether a version and a record of equal size have the same data."""
        if blob == new_blob:
            return blob is not None or same
        if size > COMPARED_BYTES:
            return False
        return self._data(key, size, blob) == self._data(key, size, new_blob)

    def _data(self, key: str, size: int, blob: int | None) -> bytes | None:
        """The data of a version that is not large, and not in its row."""
        raise NotImplementedError

    def _drop_image(
        self, number: int, key: str, before: Any, after: Any, blob: Any, new_blob: Any
    ) -> None:
        """A key is what it was, but for its token: earlier steps are to expect the new one."""
        self._execute(sql.DROP_IMAGE, (number,))
        if before != after:
            undone = self.state.undone or sql.END
            near = self._execute(sql.NEAR, (key, undone, key, undone)).fetchone()
            self._execute(sql.RETARGET, (after, key, before, *near))
            self._execute(sql.RETARGET_ALONE, (after, key, before, *near))
        if blob is not None and blob != new_blob:
            self.store._drop(key, blob)

    def merge(self, context: Any, into: int, step: int) -> Captured:
        self._unpack(into)
        old, new = sql.images_of(into), sql.images_of(step)
        self._execute(sql.ADOPT_EXPECTATION, (*old, *new))
        blobs = self._execute(sql.DOUBLE_BLOBS, (*new, *old)).fetchall()
        self._execute(sql.DROP_DOUBLE, (*new, *old))
        (last,) = self._execute(sql.LAST_IMAGE, old).fetchone()
        self._move(step, into, max(last, old[0]) + 1 - new[0])
        for key, blob in blobs:
            self.store._drop(key, blob)
        return self._compare(into, is_merged=True)

    def exchange(self, context: Any, step: int, skip: Collection[str]) -> int:
        self._unpack(step)
        for key in skip:
            self._execute(sql.SKIP, (step, key))
        images = sql.images_of(step)
        if self.store._heard():
            for change in self._execute(sql.CHANGES, images).fetchall():
                context.note(*change)
        self._execute(sql.MAKE_WAITING)
        self._execute(sql.TAKE_RECORDS, images)
        self._execute(sql.REMOVE_RECORDS, images)
        self._execute(sql.PUT_RECORDS, images)
        self._execute(sql.GIVE_RECORDS)
        self._execute(sql.CLEAR_WAITING)
        self._execute(sql.UNSKIP, images)
        return self._held(step).size

    def _unpack(self, step: int) -> None:
        """Make an image of the version in the row of a step, if there is one."""
        self._execute(sql.UNPACK, (step,))
        self._execute(sql.EMPTY, (step,))

    def settle(self, step: int, keys: Iterable[str]) -> None:
        for key in keys:
            self._execute(sql.EXPECT_TOKEN, (step, key))

    def write(self, edit: Edit) -> None:
        if not self._has_tables():
            if edit == Edit(self.state):
                return
            self._make_tables()
        for first, last in self._runs(edit.drop):
            images = sql.images_of(first)[0], sql.images_of(last)[1]
            self._drop_blobs(sql.BLOBS, images)
            self._execute(sql.DROP_IMAGES, images)
            self._execute(sql.DROP_STEPS, (first, last))
        for summary in edit.put.values():
            row = (*summary[:5], json.dumps(summary.meta), *summary[6:])
            self._execute(sql.PUT_STEP, row)
        # A step more is seen by its id; of everything else the revision tells other processes.
        if edit.drop or edit.state != self.state or edit.put.keys() & self.steps.keys():
            self._execute(sql.SET_STATE, edit.state)
            self._revision += 1
        # Now, since when the commit returns another thread may be writing already.
        self._open.has_written = True
        self._last = max(self._last, *edit.put, edit.state.base, edit.state.last)
        self.apply(edit)

    def _runs(self, steps: Collection[int]) -> Iterator[tuple[int, int]]:
        """The first and the last of each run of steps with none in between that stays."""
        if not steps:
            return
        known = sorted({*self.steps, *steps})
        for is_dropped, run in groupby(known, key=set(steps).__contains__):
            if is_dropped:
                ids = [*run]
                yield ids[0], ids[-1]

    def _drop_blobs(self, statement: str, parameters: tuple[Any, ...]) -> None:
        for key, blob in self._execute(statement, parameters).fetchall():
            self.store._drop(key, blob)

    def passed(self) -> None:
        if self._open.has_written:
            self._tables_are_there = True
        self._open.step = 0
        self._open.has_written = False

    def rolled_back(self) -> None:
        if self._open.has_written:
            self._revision, self.steps = -1, {}  # read it again, in the next transaction
            self._open.has_written = False
        self.passed()

    def forget(self, context: Any, key: str) -> dict[int, Captured]:
        self._execute(sql.UNPACK_KEY, (key,))
        self._execute(sql.EMPTY_KEY, (key,))
        steps = [step for (step,) in self._execute(sql.STEPS_OF_KEY, (key,)).fetchall()]
        self._drop_blobs(sql.BLOBS_OF_KEY, (key,))
        self._execute(sql.DROP_KEY, (key,))
        return {step: self._held(step) for step in steps}

    def _held(self, step: int) -> Captured:
        count, size = self._execute(sql.HELD, sql.images_of(step)).fetchone()
        return Captured(count, size, 0, "")

    def pack(self) -> None:
        try:
            self.store._connection().execute("VACUUM")
        except sqlite3.Error as error:
            raise translate(error, self.store, "pack") from error
