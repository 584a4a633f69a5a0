"""Listings in the order of the keys, whatever the order of the server.

S3 lists names in the order of their bytes, page by page, from any name on: that is the order of
keys. Servers that keep objects as files list folder by folder, ``b/x`` before ``b-x``, and some in
no order at all. There a listing that is not long is read whole and sorted, and a long one is taken
apart at the folders, each of which is listed in the same way when its turn comes.

Keys that are no names (see `names`) come from a folder of their own, and are merged in.

Only this subpackage imports this module.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from operator import attrgetter, itemgetter

from encore.storage.backends.bucket.client import Client, Found
from encore.storage.backends.bucket.names import (
    ESCAPED,
    HIDDEN,
    before,
    is_cut,
    is_plain,
    key_of,
    lower_bound,
    not_after,
)

__all__ = ["Listing"]

#: How many names are read whole and sorted, where the server has another order.
MOST_SORTED = 5000

_BEHIND_HIDDEN = f"{HIDDEN}~"

Listed = tuple[str, Found]


class Listing:
    """Listings of one bucket.

    Parameters
    ----------
    client : Client
    is_ordered : bool
        Whether the server lists in the order of bytes.
    key_of_cut : callable
        Asks an object whose name does not say it for its key; None if there is none.
    """

    def __init__(
        self, client: Client, is_ordered: bool, key_of_cut: Callable[[Found], str | None]
    ) -> None:
        self._client = client
        self.is_ordered = is_ordered
        self._key_of_cut = key_of_cut

    def keys(self, prefix: str, start_after: str | None) -> Iterator[Listed]:
        """Yield keys with what the listing says of their objects, lazily."""
        after = start_after or ""
        plain = self._plain(prefix, after)
        escaped = self._escaped(prefix, after)
        first = next(escaped, None)
        if first is None:  # nearly always, and merging costs more than listing
            return plain
        return heapq.merge(plain, itertools.chain((first,), escaped), key=itemgetter(0))

    def folder(self, folder: str) -> Iterator[Found]:
        """The objects of a hidden folder, in any order."""
        return self._client.objects(folder, "")

    def _plain(self, prefix: str, after: str) -> Iterator[Listed]:
        folder = prefix[: prefix.rfind("/") + 1]
        if folder and not is_plain(f"{folder}-"):
            return  # keys in it have escaped names, and clients do not even ask for such a folder
        for found in self._existing(self._names("", prefix, after)):
            if is_plain(found.name):
                yield found.name, found

    def _existing(self, names: Iterator[Found]) -> Iterator[Found]:
        """Leave out the marks of empty folders: obstore lists ``a/`` as an empty object ``a``."""
        last = ""
        held: Found | None = None  # empty: what follows tells whether it is worth a question
        for found in names:
            if held is not None:
                is_folder = found.name.startswith(f"{held.name}/") or found.name == held.name
                if not is_folder or self._client.head(held.name) is not None:
                    yield held
                held = None
            if found.name <= last:
                continue
            last = found.name
            if found.size:
                yield found
            else:
                held = found
        if held is not None:
            yield held

    def _escaped(self, prefix: str, after: str) -> Iterator[Listed]:
        start = lower_bound(prefix)
        least = lower_bound(after) if after else ""
        found = self._names(ESCAPED, start, before(least))
        for is_long, group in itertools.groupby(found, key=lambda one: _group(one.name)):
            for key, one in self._cut(group) if is_long else self._whole(group):
                if key > after and key.startswith(prefix):
                    yield key, one

    def _whole(self, group: Iterator[Found]) -> Iterator[Listed]:
        for found in group:
            key = key_of(found.name)
            if key is not None:
                yield key, found

    def _cut(self, group: Iterator[Found]) -> list[Listed]:
        """Long keys with one beginning, which only the objects can tell apart."""
        keys = ((self._key_of_cut(found), found) for found in group)
        return sorted(((key, one) for key, one in keys if key is not None), key=itemgetter(0))

    # -- names ------------------------------------------------------------------------------------

    def _names(self, folder: str, prefix: str, after: str) -> Iterator[Found]:
        """The objects below a folder whose names begin with a prefix, after a name, in order."""
        inner = prefix[: prefix.rfind("/") + 1]
        folder = inner if inner.startswith(folder) else folder
        if self.is_ordered:
            return self._stream(folder, prefix, after)
        return self._sort(folder, prefix, after)

    def _stream(self, folder: str, prefix: str, after: str, offset: str = "") -> Iterator[Found]:
        least = "" if prefix == folder else before(prefix)
        for found in self._client.objects(folder, max(least, not_after(after), offset)):
            name = found.name
            if not name.startswith(prefix):
                if name > prefix:
                    return
                continue
            if folder == "" and name.startswith(HIDDEN):
                yield from self._stream(folder, prefix, after, _BEHIND_HIDDEN)
                return
            if name > after:
                yield found

    def _sort(self, folder: str, prefix: str, after: str) -> Iterator[Found]:
        listing = self._client.objects(folder, "")
        few = [*itertools.islice(listing, MOST_SORTED + 1)]
        if len(few) <= MOST_SORTED:
            few.sort(key=attrgetter("name"))
            for found in few:
                if found.name.startswith(prefix) and found.name > after:
                    yield found
            return
        del listing, few
        objects, folders = self._client.folder(folder)
        entries: list[tuple[str, Found | None]] = [(one.name, one) for one in objects]
        entries += [(name, None) for name in folders]
        entries.sort(key=itemgetter(0))
        for name, one in entries:
            if one is not None:
                if name.startswith(prefix) and name > after:
                    yield one
            elif _may_hold(name, prefix, after) and (folder or name != HIDDEN):
                yield from self._sort(name, prefix, after)


def _group(name: str) -> str:
    """The beginning that keys with cut names share; ``""`` for names that say their keys."""
    return name[: name.rfind("/")] if is_cut(name) else ""


def _may_hold(folder: str, prefix: str, after: str) -> bool:
    if not (folder.startswith(prefix) or prefix.startswith(folder)):
        return False
    return folder > after or after.startswith(folder)
