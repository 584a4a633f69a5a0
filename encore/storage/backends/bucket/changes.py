"""What a commit does, key by key, and which of it can be done at once.

Only this subpackage imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from encore.errors import EncoreError
from encore.storage.backends.bucket.names import name_of
from encore.storage.backends.bucket.placing import Placed
from encore.storage.backends.bucket.reading import Seen
from encore.storage.template import Record

__all__ = ["Change", "Done", "side_by_side"]


class Change(NamedTuple):
    """What a commit does to one key.

    Attributes
    ----------
    key : str
    record : Record or None
        None removes it.
    old : Seen, None or bool
        What was there when the writer looked; False where nobody has looked, True where it is
        known only that something was.
    mode : str or dict
        The condition of a write: ``"overwrite"``, ``"create"``, or a `Found.condition`.
    guess : str, dict or None
        A condition that probably holds; if it does, the record is right as it is. If not, it gets
        the time of creation of what is there, and is written by ``mode``.
    stale : str or None
        The id of the record of what is there, if the guess is right.
    """

    key: str
    record: Record | None
    old: Seen | bool | None = False
    mode: Any = "overwrite"
    guess: Any = None
    stale: str | None = None


class Done(NamedTuple):
    """A change that has been tried: where it is now, or why not."""

    change: Change
    placed: Placed | None = None
    failure: EncoreError | None = None


def side_by_side(changes: list[Change]) -> Iterator[list[Change]]:
    """Part writes into groups that can be made at once.

    Servers that keep objects as files lose the object ``a`` if it and the folder of ``a/b`` are
    made at the same moment, so what is also a folder comes first, one by one.
    """
    if len(changes) < 2:
        yield changes
        return
    folders = set()
    for change in changes:
        folder = name_of(change.key).rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    yield from ([change] for change in changes if name_of(change.key) in folders)
    yield [change for change in changes if name_of(change.key) not in folders]
