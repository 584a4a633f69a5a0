"""The verbs of a store made of layers: read from the first that has a key, written to one.

A kind of layered store says which layers a key has, and which is its *home*, where it is written;
``joining`` and ``mirroring`` do.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, TypeVar

from encore.keys.rules import check_key
from encore.storage.checking import Problem
from encore.storage.template import Entry, MetadataChange, Staged, Store, check_guard
from encore.storage.values import KeyEntry, Value
from encore.storage.wrappers.composing import ComposedStore

_T = TypeVar("_T")


class LayeredStore(ComposedStore):
    """A store whose keys lie in layers.

    The parameters are those of `ComposedStore`.
    """

    def _home(self, key: str) -> Store:
        """The part to which ``key`` is written; raises `InvalidKeyError` if there is none."""
        raise NotImplementedError

    def _readable(self) -> Sequence[Store]:
        """The parts that are listed."""
        return self._parts

    # -- reading ----------------------------------------------------------------------------------

    def _find(self, key: str) -> Value | None:
        return self._first(key, lambda part: part._find(key))

    def _read(self, key: str) -> bytes | None:
        return self._first(key, lambda part: part._read(key))

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        return self._first(key, lambda part: part._read_range(key, start, end))

    def _has(self, key: str) -> bool:
        return self._first(key, lambda part: part._has(key) or None) is not None

    def _first(self, key: str, ask: Callable[[Store], _T | None]) -> _T | None:
        """What the first layer that knows a key has to say of it."""
        check_key(key)
        for part in self._layers(key):
            found = ask(self._enter(part))
            if found is not None:
                return found
        return None

    def _examine(self, repair: bool) -> Iterator[Problem]:
        for part in dict.fromkeys(self._parts):
            mends = repair and not part.info()["readonly"]
            yield from self._enter(part)._examine(mends)

    # -- listing ----------------------------------------------------------------------------------

    def _scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        return self._merge(lambda part: part._scan(prefix, start_after))

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        return self._merge(lambda part: part._find_all(prefix))

    def _survey(self, prefix: str) -> Iterator[KeyEntry]:
        return self._merge(lambda part: part._survey(prefix))

    def _search(self, where: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        return self._merge(lambda part: part._search(where), partial=True)

    def _merge(
        self, listing: Callable[[Store], Iterator[_T]], *, partial: bool = False
    ) -> Iterator[_T]:
        """Merge ordered listings, one of each part; of each key, what its first layer lists.

        A partial listing leaves keys out: a first layer that does not list a key may have it.
        """
        parts = self._readable()
        numbered = [_numbered(n, self._listed(part, listing)) for n, part in enumerate(parts)]
        return self._first_of_each(heapq.merge(*numbered, key=itemgetter(0, 1)), parts, partial)

    def _listed(self, part: Store, listing: Callable[[Store], Iterator[_T]]) -> Iterator[_T]:
        return listing(self._enter(part))

    def _first_of_each(
        self, merged: Iterator[tuple[str, int, _T]], parts: Sequence[Store], partial: bool
    ) -> Iterator[_T]:
        previous = None
        for key, number, item in merged:
            if key != previous and self._shows(key, parts[number], partial):
                previous = key
                yield item
            elif isinstance(item, tuple) and isinstance(item[-1], Value):
                item[-1].close()

    def _shows(self, key: str, part: Store, look: bool) -> bool:
        """Whether what ``part`` has under a key is what is seen from here."""
        for layer in self._layers(key):
            if layer is part:
                return True
            if look and self._holds(layer, key):
                return False
        return False

    def _holds(self, layer: Store, key: str) -> bool:
        return self._enter(layer)._has(key)

    # -- writing ----------------------------------------------------------------------------------

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        if len(self._layers(key)) > 1:
            return False  # what is written may depend on what another layer has
        return self._enter_to_write(self._home(key), key)._put_plain(key, data, text)

    def _remove_plain(self, key: str) -> bool:
        check_key(key)
        layers = self._layers(key)
        return len(layers) == 1 and self._enter_to_write(layers[0], key)._remove_plain(key)

    def _take_stream(self, key: str, chunks: Iterator[bytes]) -> Staged:
        return self._enter_to_write(self._home(key), key)._take_stream(key, chunks)

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        key = entry.key
        with undone_on_failure(content):
            home = self._home(key)
            if len(self._layers(key)) == 1:
                self._enter_to_write(home, key)._write_content(entry, content, if_absent, if_token)
                return
            with self._unit(), closing_value(self._find(key)) as old:
                check_guard(self, key, old, if_absent, if_token)
                self._enter_to_write(home, key)._write_content(inheriting(entry, old), content)

    def _rewrite_metadata(self, key: str, change: MetadataChange, empty: bytes = b"") -> None:
        home = self._home(key)
        with self._unit():
            above = self._enter(home)._has(key)
            with closing_value(None if above else self._find(key)) as old:
                if old is not None:  # comes up from a layer further down, data and all
                    entry = Entry(key, old, change(old.metadata_text), old.created)
                    self._enter_to_write(home, key)._write(entry)
                    return
            self._enter_to_write(home, key)._rewrite_metadata(key, change, empty)

    def _erase(self, key: str, missing_ok: bool) -> None:
        layers = self._layers(key)
        if len(layers) == 1:
            self._enter_to_write(layers[0], key)._erase(key, missing_ok)
            return
        with self._block():
            holding = [part for part in layers if self._enter(part)._has(key)]
            if not holding and not missing_ok:
                raise self._missing(key, "delete")
            for part in holding or [self._home(key)]:  # which may refuse, being read-only
                self._enter_to_write(part, key)._erase(key, missing_ok=True)

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        verb = "move" if move else "copy"
        home = self._home(target)
        layers = self._layers(source)
        with self.transaction(f"{verb.capitalize()} {source} to {target}"):
            if len(layers) == 1 and layers[0] is home and len(self._layers(target)) == 1:
                self._enter_to_write(home, target)._transfer(source, target, move=move)
                return
            value = self._find(source)
            if value is None:
                raise self._missing(source, verb)
            with value:
                times = (value.created, value.modified) if move else (time.time(), None)
                entry = Entry(target, value, value.metadata_text, *times)
                self._enter_to_write(home, target)._write(entry)
            if move:
                self._erase(source, missing_ok=True)


@contextmanager
def undone_on_failure(content: bytes | Staged) -> Iterator[None]:
    """Take staged data away again if what follows fails."""
    try:
        yield
    except BaseException:
        if not isinstance(content, bytes):
            content.discard()
        raise


@contextmanager
def closing_value(value: Value | None) -> Iterator[Value | None]:
    """Close a value in the end, if there is one."""
    try:
        yield value
    finally:
        if value is not None:
            value.close()


def inheriting(entry: Entry, old: Value | None) -> Entry:
    """The entry with what it keeps of a value that another layer may hold."""
    key, data, text, created, modified, token = entry
    if old is not None:
        text = old.metadata_text if text is None else text
        created = old.created if created is None else created
    return Entry(key, data, text, created, modified, token)


def _numbered(number: int, listing: Iterator[_T]) -> Iterator[tuple[str, int, _T]]:
    for item in listing:
        key: Any = item if isinstance(item, str) else item[0]  # type: ignore[index]
        yield key, number, item
