"""Reading a ledger in the tables of a database.

``sql_ledger`` imports this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from encore.history import statements as sql
from encore.history.ledger import Conflict, Ledger
from encore.history.steps import State, Summary
from encore.storage.backends.sqlite.failures import Rows
from encore.storage.backends.sqlite.history_tables import OBJECTS
from encore.storage.metadata import decode_metadata
from encore.storage.values import Value


class SqlImages(Ledger):
    """The part of a ledger in a database that only reads.

    The parameters are those of `Ledger`.
    """

    is_persistent = True

    def __init__(self, store: Any, follows: Callable[[str], str | None] | None) -> None:
        super().__init__(store, follows)
        self._revision = -1
        self._tables_are_there = False
        self._last = 0  # the greatest id that a step has had

    def _has_tables(self) -> bool:
        """Whether the tables are there, for the caller: they are made with the first step."""
        if not self._tables_are_there:
            found = {name for (name,) in self._execute(sql.FOUND)} >= OBJECTS.keys()
            if not found or self.store._context() is not None:
                return found  # what the open transaction has made may go again
            self._tables_are_there = True
        return True

    def refresh(self) -> None:
        if not self._has_tables():
            return
        last, revision = self._execute(sql.LAST_STEP).fetchone() or (0, -1)
        steps, known = self.steps, next(reversed(self.steps), 0)
        if revision != self._revision or last < known:
            steps, known = {}, 0
            *state, self._revision = self._execute(sql.STATE).fetchone() or (*State(), -1)
            self.state = State(*state)
        if last > known or not known:
            rows = self._execute(sql.STEPS, (known,)).fetchall()
            # In a new dictionary, since others may be looking through this one.
            self.steps = {**steps, **{row[0]: _summary(row) for row in rows}}
        self._last, self.unread = max(last, self.state.base, self.state.last), 0

    def _execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> Rows:
        return Rows(self.store._execute(statement, parameters), self.store)

    def conflicts(self, step: int) -> list[Conflict]:
        return [Conflict(*row) for row in self._execute(sql.CONFLICTS, sql.images_of(step))]

    def keys(self, step: int) -> list[str]:
        return [key for (key,) in self._execute(sql.KEYS, sql.images_of(step))]

    def image(self, key: str, step: int) -> tuple[bool, Value | None]:
        return self._version(self._execute(sql.IMAGE, (key, step)).fetchone())

    def around(self, key: str, position: int) -> tuple[bool, Value | None]:
        if not self._has_tables():
            return False, None
        undone = self.state.undone or sql.END
        if position < undone:
            row = self._execute(sql.NEXT_IMAGE, (key, position, undone)).fetchone()
            if row is not None:
                return self._version(row)
        return self._version(self._execute(sql.PREVIOUS_IMAGE, (key, position, undone)).fetchone())

    def _version(self, row: tuple[Any, ...] | None) -> tuple[bool, Value | None]:
        if row is None:
            return False, None
        return True, None if row[5] is None else self._value(row)

    def _value(self, row: tuple[Any, ...]) -> Value:
        """The value of an image: key, metadata, size, created, modified, token, blob, data."""
        raise NotImplementedError

    def overrides(self, position: int, prefix: str) -> Iterator[tuple[str, bool]]:
        if not self._has_tables():
            return iter(())
        undone = self.state.undone or sql.END
        here, first = sql.images_of(position)[1], sql.images_of(undone)[0]
        if position < undone:
            first = min(first, sql.END)
            rows = self._execute(sql.LATER, (here, first)).fetchall()
        else:
            rows = self._execute(sql.EARLIER, (first - 1, here + 1)).fetchall()
        return ((key, bool(there)) for key, there, _ in rows if key.startswith(prefix))

    def problems(self) -> list[str]:
        found: list[str] = []
        if not self._has_tables():
            return found
        sizes = {step: there for step, *there in self._execute(sql.SIZES).fetchall()}
        for step, summary in self.steps.items():
            count, size = sizes.pop(step, (0, 0))
            if (summary.key_count, summary.size) != (count, size):
                found.append(
                    f"step {step} has {count} keys of {size} bytes, not {summary.key_count} "
                    f"of {summary.size}"
                )
        found += [f"{count} versions belong to no step" for count, _ in sizes.values()]
        for key, step, *rest in self._execute(sql.HELD_IMAGES).fetchall():
            if not self._is_whole((key, *rest)):
                found.append(f"step {step} has lost data of {key!r}")
        return found

    def _is_whole(self, row: tuple[Any, ...]) -> bool:
        """Whether the data of a version is all there."""
        raise NotImplementedError


def _summary(row: tuple[Any, ...]) -> Summary:
    meta = decode_metadata(row[5])
    return Summary._make((*row[:5], meta, *row[6:]))
