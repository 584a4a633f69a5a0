"""What the documentation says that each store can do, found out by doing it.

``ENCORE_WRITE_DOCS=1`` writes the page instead of comparing it.
"""

from __future__ import annotations

import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docs_pages import DOCS
from stores import COMPOSED, STORES, WRAPPERS, StoreUnderTest, of_two, over

from encore.errors import ConflictError
from encore.events.event_manager import EventManager
from encore.storage.template import Store
from encore.testing.sources import MIB, Generated, pattern

_PAGE = DOCS / "explanation" / "_capabilities.md"
_MEMORY = "/dev/shm"
_SIZE = 64 * MIB
_FLAT = 16 * MIB
_SMALL_RANGE = 10  # bytes

# Which characters come first is where orders differ: upper case, what is beyond 16 bits, slashes.
_KEYS = ["a", "B", "a/b", "a-b", "é", "\uffee", "\U0001f600", "e\u0301", "10", "9"]

_BY_NAME = {entry.name: entry for entry in STORES}
_FILES = _BY_NAME["filesystem"]
_OVER_FILES = [over(_FILES, name) for name in WRAPPERS]
_OVER_FILES += [of_two(name, _FILES, _FILES) for name in COMPOSED]


class _Undo(Exception):  # noqa: N818  not an error
    pass


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where a store may be put, in memory if the system offers that."""
    usable = os.path.isdir(_MEMORY) and os.access(_MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(prefix="encore-", dir=_MEMORY if usable else None) as name:
        yield Path(name)


def _yes(answer: object) -> str:
    return "yes" if answer else "no"


def _undoes_inner_blocks(store: Store) -> bool:
    """Whether a block that fails undoes itself, and what is around it stays."""
    if store.info()["transactions"] == "none":
        return False
    with store.transaction():
        store.put("outer", b"1")
        try:
            with store.transaction():
                store.put("inner", b"2")
                store.put("outer", b"2")
                raise _Undo
        except _Undo:
            pass
    found = store.read("outer") == b"1" and "inner" not in store
    store.delete("outer")
    return found


def _orders(store: Store) -> bool:
    """Whether listings are in code-point order."""
    store.multiset(dict.fromkeys(_KEYS, b""))
    found = [*store.keys()] == sorted(_KEYS)
    store.clear()
    return found


def _keeps_conditions(store: Store) -> bool:
    """Whether a write that expects something else is refused."""
    store.put("once", b"1", if_absent=True)
    token = store.get("once").token
    store.put("once", b"2", if_token=token)
    refused = 0
    for condition in ({"if_absent": True}, {"if_token": token}):
        try:
            store.put("once", b"3", **condition)  # type: ignore[arg-type]
        except ConflictError:
            refused += 1
    found = refused == 2 and store.read("once") == b"2"
    store.delete("once")
    return found


def _peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _read_on(store: Store) -> None:
    with store.get_data("large") as stream:
        while stream.read(MIB):
            pass


def _read_little(store: Store) -> None:
    with store.get_data_range("large", _SIZE - _SMALL_RANGE, _SIZE) as stream:
        assert stream.read() == pattern(MIB)[-_SMALL_RANGE:]


def _streams_and_ranges(store: Store) -> tuple[bool, bool]:
    """Whether streams go in and out in constant memory; whether ranges spare reading the rest."""
    pattern(MIB)  # made once, and not counted
    flat = _peak(lambda: store.put("large", Generated(_SIZE))) < _FLAT
    flat = _peak(lambda: _read_on(store)) < _FLAT and flat
    whole = _seconds(lambda: _read_on(store))
    little = _seconds(lambda: _read_little(store))
    if whole / 3 < little < whole:  # it may have been the machine
        little = min(_seconds(lambda: _read_little(store)) for _ in range(2))
    return flat, little < whole / 3


def _another_door_shows(entry: StoreUnderTest, store: Store, directory: Path) -> bool:
    """Whether the same data can be opened twice, and each shows what the other has written."""
    other = entry.reopen(store, directory, event_manager=EventManager())
    if other is None:
        return False
    with other:
        len(other)
        store.put("told", b"1")
        found = other.exists("told") and other.read("told") == b"1"
        store.delete("told")
        return found


def _row(entry: StoreUnderTest, directory: Path) -> dict[str, str]:
    with entry.open(directory, event_manager=EventManager()) as store:
        info: dict[str, Any] = store.info()
        row = {
            "store": f"`{info['type']}`",
            "transactions": info["transactions"],
            "inner blocks undone": _yes(_undoes_inner_blocks(store)),
            "ordered": _yes(_orders(store)),
            "conditions": _yes(_keeps_conditions(store)),
            "key bytes": str(info["key_bytes"]),
            "sizes known": _yes(info["sizes"]),
            "durability": str(info.get("durability", "-")),
            "opened twice": _yes(_another_door_shows(entry, store, directory)),
        }
        flat, sparing = _streams_and_ranges(store)
        return row | {"constant memory": _yes(flat), "ranges spare the rest": _yes(sparing)}


def _table(rows: list[dict[str, str]], columns: list[str]) -> str:
    lines = [columns, ["---"] * len(columns), *([row[name] for name in columns] for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


_rows: dict[str, dict[str, str]] = {}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("entry", STORES + _OVER_FILES, ids=str)
def test_capabilities_are_as_documented(
    entry: StoreUnderTest, directory: Path, request: pytest.FixtureRequest
) -> None:
    if entry.needs:
        request.getfixturevalue(entry.needs)
    row = _rows[entry.name] = _row(entry, directory)
    row["store"] = _name(entry, row)
    assert row["constant memory"] == _yes(entry.shared or entry.name in _IN_MEMORY_FLAT)
    if "ENCORE_WRITE_DOCS" not in os.environ:
        table = _table([row], _columns(entry))
        assert table.splitlines()[-1] in _PAGE.read_text(encoding="utf-8").splitlines()


# What keeps no values by itself, or on a disk that nobody sees.
_IN_MEMORY_FLAT = {"sqlite-memory", *(entry.name for entry in _OVER_FILES)}


def _name(entry: StoreUnderTest, row: dict[str, str]) -> str:
    return row["store"] if entry in STORES and entry.name != "sqlite-memory" else f"`{entry.name}`"


def _columns(entry: StoreUnderTest) -> list[str]:
    backend = ["store", "transactions", "inner blocks undone", "ordered", "conditions", "key bytes"]
    backend += ["sizes known", "constant memory", "ranges spare the rest", "opened twice"]
    return [*backend, "durability"] if entry in STORES else [n for n in backend if n[:2] != "op"]


def test_the_page_has_these_rows_and_no_others() -> None:
    entries = [STORES, _OVER_FILES]
    if "ENCORE_WRITE_DOCS" in os.environ:
        tables = [_table([_rows[entry.name] for entry in p], _columns(p[0])) for p in entries]
        _PAGE.write_text("\nWrappers, each over a directory:\n\n".join(tables), encoding="utf-8")
    lines = _PAGE.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("| `") for line in lines) == sum(map(len, entries))
