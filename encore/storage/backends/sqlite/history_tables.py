"""The tables in which a file keeps its history, and what the store does for them.

::

    history_step    one row per step: when, what it is called, how much it remembers; and if it is
                    a lone write of a small value, the version, so that writing it is one row more
    history_image   one row per step and key: the version that the key does not have now; its id
                    begins with the step
    history_state   one row: which steps are undone, and what has been saved

A step that is done has the versions it replaced, one that is undone those that it would bring back:
undoing exchanges the rows of ``history_image`` and ``kv``, and large data stays where it is, since
both have its number only. They are made when a history is first attached, and ``history`` has the
rest; ``document`` knows the tables as encore's own. Only this folder and ``history`` import this
module.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

OBJECTS = {
    "history_step": """CREATE TABLE history_step(
        id INTEGER PRIMARY KEY,
        time REAL NOT NULL,
        label TEXT NOT NULL,
        verb TEXT NOT NULL,
        origin TEXT,
        meta TEXT NOT NULL,
        merge_key TEXT,
        count INTEGER NOT NULL,
        size INTEGER NOT NULL,
        key TEXT,
        expect TEXT,
        token TEXT,
        created REAL,
        modified REAL,
        bytes INTEGER,
        metadata TEXT,
        data BLOB)""",
    "history_image": """CREATE TABLE history_image(
        id INTEGER PRIMARY KEY,
        step INTEGER NOT NULL,
        key TEXT NOT NULL,
        expect TEXT,
        held INTEGER NOT NULL DEFAULT 0,
        skipped INTEGER NOT NULL DEFAULT 0,
        token TEXT,
        created REAL,
        modified REAL,
        size INTEGER,
        metadata TEXT,
        blob INTEGER,
        data BLOB)""",
    "history_image_key": ("CREATE UNIQUE INDEX history_image_key ON history_image(key, step)"),
    "history_image_blob": (
        "CREATE INDEX history_image_blob ON history_image(blob) WHERE blob IS NOT NULL"
    ),
    "history_state": """CREATE TABLE history_state(
        id INTEGER PRIMARY KEY,
        undone INTEGER NOT NULL,
        base INTEGER NOT NULL,
        saved INTEGER,
        fence INTEGER NOT NULL,
        last INTEGER NOT NULL,
        revision INTEGER NOT NULL)""",
}
HAS_HISTORY = "SELECT 1 FROM sqlite_schema WHERE name='history_image'"
HAS_BLOB = "SELECT 1 FROM history_image WHERE blob=?"


class Remembering(Protocol):
    """Who keeps the versions that the open transaction replaces."""

    def touch(self, key: str) -> None:
        """The record of a key is about to be replaced, made or removed."""

    def touch_many(self, keys: Iterable[str]) -> None:
        """Those of several keys are."""

    def touch_range(self, start: str, stop: str | None) -> None:
        """All records from ``start`` up to ``stop`` are about to be removed."""

    def put_alone(self, key: str, data: bytes, text: str) -> bool:
        """Store small data outside a transaction. False: nothing done, take the general way."""
