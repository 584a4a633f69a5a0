"""The index of a static site: which keys there are, and what is known of each.

A JSON object, in one of two forms::

    {"a.csv": {"kind": "table"}, "b.png": {}}

    {"encore": 1,
     "values": {"a.csv": {"metadata": {"kind": "table"}, "size": 120,
                          "created": 1700000000.0, "modified": 1700000000.5, "token": "8f3a"},
                "b.png": {}}}

The short form gives the metadata of each key. The long form may give more: everything in it is
optional, times are seconds since the epoch. Without a token one is made of what the entry says,
so that an entry that changes is a version of its own.

Pure. ``static`` imports this module.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from encore.keys.rules import prefix_end
from encore.storage.backends.http.documents import (
    BadDocument,
    as_key,
    as_metadata,
    as_number,
    as_size,
    as_text,
    parse_json,
)
from encore.storage.backends.http.urls import key_path
from encore.storage.transactions.changes import ChangeSet

__all__ = ["IndexEntry", "SiteIndex"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What the index says of one key.

    Attributes
    ----------
    text : str
        The metadata, as JSON.
    size : int or None
        Bytes.
    created, modified : float or None
        Seconds since the epoch, UTC.
    token : str
    """

    text: str
    size: int | None
    created: float | None
    modified: float | None
    token: str


@dataclass(frozen=True, slots=True)
class SiteIndex:
    """An index as it was read; it never changes.

    Attributes
    ----------
    entries : dict of str to IndexEntry
    keys : list of str
        In code-point order.
    unreachable : int
        Keys that were left out because no address could mean them.
    """

    entries: dict[str, IndexEntry] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    unreachable: int = 0

    @classmethod
    def parse(cls, text: bytes) -> SiteIndex:
        """Read an index.

        Raises
        ------
        BadDocument
            It is none.
        """
        document = parse_json(text)
        if not isinstance(document, dict):
            raise BadDocument("an index is a JSON object")
        long_form = "encore" in document and not isinstance(document["encore"], dict)
        if long_form and document["encore"] != _FORMAT:
            raise BadDocument(f"this encore reads indexes of format {_FORMAT}")
        values = document.get("values") if long_form else document
        if not isinstance(values, dict):
            raise BadDocument("the values of an index are a JSON object")
        entries = {as_key(key): _entry(value, long_form) for key, value in values.items()}
        named = {key: entry for key, entry in entries.items() if key_path(key) is not None}
        return cls(named, sorted(named), len(entries) - len(named))

    def scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, after another one, in order."""
        start = bisect_left(self.keys, prefix)
        if start_after is not None:
            start = max(start, bisect_right(self.keys, start_after))
        stop = prefix_end(prefix)
        end = len(self.keys) if stop is None else bisect_left(self.keys, stop)
        return (self.keys[place] for place in range(start, end))

    def changes_since(self, before: SiteIndex) -> ChangeSet:
        """What is different from an earlier index."""
        changes = ChangeSet()
        for key in sorted(self.entries.keys() | before.entries.keys()):
            old, new = before.entries.get(key), self.entries.get(key)
            if old != new:
                changes.note(key, *(None if e is None else e.text for e in (old, new)))
        return changes


def _entry(value: Any, long_form: bool) -> IndexEntry:
    if not isinstance(value, dict):
        raise BadDocument("what an index says of a key is a JSON object")
    if not long_form:
        text = as_metadata(value)
        return IndexEntry(text, None, None, None, _token(text))
    text = as_metadata(value.get("metadata", {}))
    known = json.dumps(value, sort_keys=True)
    return IndexEntry(
        text,
        _optional(value, "size", as_size),
        _optional(value, "created", as_number),
        _optional(value, "modified", as_number),
        _optional(value, "token", as_text) or _token(known),
    )


def _optional(value: dict[str, Any], name: str, check: Callable[[Any], Any]) -> Any:
    found = value.get(name)
    return None if found is None else check(found)


def _token(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
