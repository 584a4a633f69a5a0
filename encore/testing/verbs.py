"""Every verb that takes a key, as a function of store and key: for laws that hold for all of them.

The groups of laws import this module.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

from encore.storage.abstract_store import AbstractStore
from encore.storage.values import Value

Verb = Callable[[AbstractStore, Any], object]

_NOWHERE = os.path.join(tempfile.gettempdir(), "encore-conformance-never-written")

#: Verbs that read one key, and refuse one that is missing.
READING: dict[str, Verb] = {
    "get": lambda s, k: s.get(k).close(),
    "get_data": lambda s, k: s.get_data(k).close(),
    "get_data_range": lambda s, k: s.get_data_range(k, 0, 1).close(),
    "get_metadata": lambda s, k: s.get_metadata(k),
    "read": lambda s, k: s.read(k),
    "to_bytes": lambda s, k: s.to_bytes(k),
    "mapping": lambda s, k: s.mapping()[k],
    "multiget": lambda s, k: [value.read() for value in s.multiget([k])],
    "multiget_data": lambda s, k: [data.read() for data in s.multiget_data([k])],
    "multiget_metadata": lambda s, k: [*s.multiget_metadata([k])],
}

#: A verb that reads, but writes to a file besides.
TO_FILE: dict[str, Verb] = {"to_file": lambda s, k: s.to_file(k, _NOWHERE)}

#: Verbs that ask whether a key is there.
ASKING: dict[str, Verb] = {
    "exists": lambda s, k: s.exists(k),
    "in": lambda s, k: k in s,
    "in mapping": lambda s, k: k in s.mapping(),
}

#: Verbs that take a key away or somewhere else, and refuse one that is missing.
REMOVING: dict[str, Verb] = {
    "delete": lambda s, k: s.delete(k),
    "del mapping": lambda s, k: s.mapping().__delitem__(k),
    "copy from": lambda s, k: s.copy(k, "target"),
    "move from": lambda s, k: s.move(k, "target"),
}

#: Verbs that write under a key, there or not.
WRITING: dict[str, Verb] = {
    "put": lambda s, k: s.put(k, b"written"),
    "put long": lambda s, k: s.put(k, b"written" * 20000, {"long": True}),
    "put if_absent": lambda s, k: s.put(k, b"written", if_absent=True),
    "set": lambda s, k: s.set(k, (b"written", {"written": True})),
    "set a value": lambda s, k: s.set(k, Value(b"written")),
    "set_data": lambda s, k: s.set_data(k, b"written"),
    "set_metadata": lambda s, k: s.set_metadata(k, {"written": True}),
    "update_metadata": lambda s, k: s.update_metadata(k, {"written": True}),
    "from_bytes": lambda s, k: s.from_bytes(k, b"written"),
    "from_file": lambda s, k: s.from_file(k, os.devnull),
    "mapping": lambda s, k: s.mapping().__setitem__(k, b"written"),
    "multiset": lambda s, k: s.multiset([k], [b"written"]),
    "multiset_data": lambda s, k: s.multiset_data([k], [b"written"]),
    "multiset_metadata": lambda s, k: s.multiset_metadata([k], [{"written": True}]),
    "multiupdate_metadata": lambda s, k: s.multiupdate_metadata([k], [{"written": True}]),
    "import_values": lambda s, k: s.import_values([(k, Value(b"written"))]),
}

#: Verbs that write to a second key; the first must be there.
TARGETING: dict[str, Verb] = {
    "copy to": lambda s, k: s.copy("source", k),
    "move to": lambda s, k: s.move("source", k),
}

#: Verbs that list; they take a prefix or no key at all.
LISTING: dict[str, Callable[[AbstractStore], object]] = {
    "keys": lambda s: [*s.keys()],
    "keys of a prefix": lambda s: [*s.keys("a", limit=3)],
    "list": lambda s: [*s.list()],
    "glob": lambda s: [*s.glob("*")],
    "iter": lambda s: [*s],
    "len": lambda s: len(s),
    "items": lambda s: [*s.items()],
    "entries": lambda s: [*s.entries()],
    "totals": lambda s: s.totals(),
    "query": lambda s: [*s.query()],
    "query_keys": lambda s: [*s.query_keys(kind="x")],
}
