"""Taking the versions that a transaction replaces, while it writes.

They are copied by SQL, rows and not data, so that savepoints and rollbacks take them along.
``sql_ledger`` imports this module.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from encore.history import statements as sql
from encore.history.sql_images import SqlImages
from encore.storage.backends.sqlite.failures import translate
from encore.storage.backends.sqlite.history_tables import OBJECTS
from encore.storage.backends.sqlite.statements import BEGIN, PUT_PLAIN, to_json
from encore.storage.transactions.owners import new_token


class _Open(threading.local):
    """What a ledger knows of the open transaction of the calling thread.

    Attributes
    ----------
    step : int
        Whose images are being taken; 0: none have been.
    last : int
        The id that an image was given last.
    has_written : bool
        Whether steps and state say what is not committed yet.
    """

    step = 0
    last = 0
    has_written = False


class SqlTouching(SqlImages):
    """A ledger in a database as the store knows it: a `Remembering`.

    The parameters are those of `Ledger`.
    """

    def __init__(self, store: Any, follows: Callable[[str], str | None] | None) -> None:
        super().__init__(store, follows)
        self._open = _Open()

    def refresh(self) -> None:
        if not self._open.step:  # else nobody else has written since the transaction began
            super().refresh()

    # -- what the store tells while it writes -----------------------------------------------------

    def _begin(self) -> int:
        """The step whose images are being taken."""
        if not self._tables_are_there and not self._has_tables():
            self._make_tables()
        if not self._open.step:
            self.refresh()
            self._open.step = step = self.next_id(None)
            self._open.last = sql.images_of(step)[0]
        return self._open.step

    def _make_tables(self) -> None:
        """Make them in the open transaction."""
        found = {name for (name,) in self._execute(sql.FOUND)}
        for name, statement in OBJECTS.items():
            if name not in found:
                self._execute(statement)
        self._execute(sql.FIRST_STATE)

    def touch(self, key: str) -> None:
        if self.follows is None or self.follows(key):
            step = self._open.step if self._tables_are_there else 0
            step = step or self._begin()
            self._open.last += 1
            self._execute(sql.TOUCH, (self._open.last, step, key, key))

    def touch_many(self, keys: Iterable[str]) -> None:
        wanted = [*keys] if self.follows is None else [*filter(self.follows, keys)]
        step, first = self._begin(), self._open.last + 1
        self._execute(sql.TOUCH_MANY, (first, step, to_json(wanted)))
        self._open.last += len(wanted)

    def touch_range(self, start: str, stop: str | None) -> None:
        if self.follows is not None:
            self.touch_many(self.store._scan(start, None))
            return
        bounds = (start,) if stop is None else (start, stop)
        statement = sql.TOUCH_RANGE if stop is None else sql.TOUCH_BOUNDED
        step = self._begin()
        self._execute(statement, (self._open.last, step, *bounds))
        (last,) = self._execute(sql.LAST_IMAGE, sql.images_of(step)).fetchone()
        self._open.last = max(last, self._open.last)

    def _drop_alone(self, connection: sqlite3.Connection, count: int) -> int:
        """Drop the oldest steps if all of their versions are in rows; return the last one, or 0."""
        (step,) = connection.execute(sql.OLDEST, (count - 1,)).fetchone() or (0,)
        images = 0, sql.images_of(step)[1]
        if not step or connection.execute(sql.HAS_BLOBS, images).fetchone() is not None:
            return 0
        connection.execute(sql.DROP_IMAGES, images)
        connection.execute(sql.DROP_STEPS, (0, step))
        connection.execute(sql.SET_STATE, self.state.without(step))
        return int(step)

    def _dropped(self, step: int, count: int) -> None:
        """Know that so many steps are gone, this one and those before it."""
        known = {number: summary for number, summary in self.steps.items() if number > step}
        self.unread -= count - (len(self.steps) - len(known))
        self.steps, self.state = known, self.state.without(step)
        self._revision += 1

    def put_alone(self, key: str, data: bytes, text: str) -> bool:
        name = key if self.follows is None else self.follows(key)
        if name is None or not (self._tables_are_there or self._has_tables()):
            return False
        if not self.may_append():
            return False
        store, step, token, now = self.store, self._last + 1, new_token(), time.time()
        connection = store._owner.connection or store._connect()
        revision, old, gone = self._revision, self.superfluous(len(self.steps) + self.unread), 0
        row = (step, self.clock(), "Set " + name, key, token, key, revision, data, text)
        execute = connection.execute
        try:
            execute(BEGIN)
            try:
                # Nothing is taken where there is more to do: large data, or nothing to change, or
                # another process has been here.
                if execute(sql.TAKE_ALONE, row).rowcount != 1:
                    return False
                execute(PUT_PLAIN, (key, token, now, now, len(data), text, data))
                if old:
                    gone = self._drop_alone(connection, old)
                    if not gone:
                        return False
                execute("COMMIT")
            finally:
                if connection.in_transaction:
                    execute("ROLLBACK")
        except sqlite3.IntegrityError:
            return False  # another thread or process has made a step meanwhile
        except sqlite3.Error as error:
            raise translate(error, store, "put", key) from error
        self._last = step  # if another thread was faster to say so, the next write finds out
        self.unread += 1
        if gone and revision == self._revision:  # or another thread has read it all again
            self._dropped(gone, old)
        self.appended()
        return True
