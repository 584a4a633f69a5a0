"""What can be saved of a broken archive.

Every entry begins with a header of its own, so the archive is searched for headers, from its
beginning, and what follows each is unpacked to its end to see whether it is good. Behind a good
entry the search goes on where that ends, so that an archive inside an archive is a value and not a
source of values; behind a bad one it goes on at once. Of several good entries with one name the
last counts.

Only this subpackage imports this module.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from encore.errors import EncoreError, StoreError
from encore.storage.abstract_store import AbstractStore
from encore.storage.backends.zip.changes import Log
from encore.storage.backends.zip.contents import ZipContent
from encore.storage.backends.zip.handles import READ, Handle
from encore.storage.backends.zip.marks import NO_KEY, read_elsewhere, without_mark
from encore.storage.backends.zip.searching import Found, content_at, prove, search
from encore.storage.backends.zip.sidecars import LOG, path_of_sidecar
from encore.storage.values import Value


@dataclass(frozen=True, slots=True)
class Recovery:
    """What came of saving an archive.

    Attributes
    ----------
    saved : tuple of str
        The keys that are in the target now, in order.
    bare : tuple of str
        Those of them whose metadata was lost.
    lost : tuple of str
        Names that were found, and whose data is damaged or cannot be read, in order. What has lost
        its header has lost its name, too.
    """

    saved: tuple[str, ...]
    bare: tuple[str, ...]
    lost: tuple[str, ...]


def recover(path: str, target: AbstractStore) -> Recovery:
    """Save what is good; see `ZipStore.recover`."""
    real = os.path.realpath(path)
    try:
        handle = Handle(os.open(real, READ))
    except OSError as error:
        raise StoreError(f"recover: {path!r} cannot be opened: {error}") from error
    good, bare, bad = _sift(search(handle))
    for key, value in _waiting(real, good):
        bad.discard(key)
        bare.discard(key)
        if value is None:
            good.pop(key, None)
        else:
            good[key] = value
    target.import_values((key, good[key]) for key in sorted(good))
    return Recovery(tuple(sorted(good)), tuple(sorted(bare)), tuple(sorted(bad - good.keys())))


def _sift(found: Iterator[Found | str]) -> tuple[dict[str, Value], set[str], set[str]]:
    """Return the good entries, the last of each name; those without metadata; the bad names."""
    good: dict[str, Found] = {}
    apart: dict[bytes, tuple[str, str]] = {}
    bad = set()
    for one in found:
        if isinstance(one, str):
            bad.add(one)
        elif one.mark is not None and one.mark.kind & NO_KEY:
            data = one.content.read(0, one.content.size)
            apart[one.entry.name] = read_elsewhere(data)
        elif one.key is not None:
            good[one.key] = one
    values, bare = {}, set()
    for key, one in good.items():
        mark = one.mark
        if mark is not None and mark.elsewhere is not None:
            token, text = apart.get(mark.elsewhere, ("", ""))
            mark = mark._replace(token=token, text=text) if text else None
        if mark is None:
            bare.add(key)
            mark = without_mark(one.entry)
        values[key] = _value(one.content, mark)
    return values, bare, bad


def _value(content: ZipContent, mark: Any) -> Value:
    return Value.of(content, mark.text, content.size, mark.created, mark.modified, mark.token)


def _waiting(path: str, good: dict[str, Value]) -> Iterator[tuple[str, Value | None]]:
    """The changes in the side-car, as far as they can be read."""
    sidecar = path_of_sidecar(path)
    try:
        log = Log(os.path.join(sidecar, LOG), readonly=True, is_forgiving=True)
    except FileNotFoundError:
        return
    for key, change in log.changes.items():
        if change is None:
            yield key, None
            continue
        if change.file is None:
            if key in good:
                kept: Any = good[key].content
                yield key, _value(kept, change)
            continue
        handle = log.handle
        try:
            if change.file:
                handle = Handle(os.open(os.path.join(sidecar, change.file), READ))
            place = (handle, change.offset, change.packed_size)
            content = content_at(place, key, change.size, change.method, change.crc)
            prove(content)
        except (EncoreError, OSError):
            continue  # the older version is better than none
        yield key, _value(content, change)
