"""Wrappers that give keys other names in the base: prefixes, hashes, escapes, and gatekeepers.

A `KeyMap` knows how a key is called beneath and knows no store; `KeyMapStore` carries it. Listings
ask the base for the mapped prefix wherever the map has one, and stay lazy where it keeps the order.
``storage.api`` shows what is public here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from encore.errors import ConflictError, InvalidKeyError, KeyNotFoundError
from encore.keys.maps import HashPrefix, KeyMap, Prefix, UrlEncoded
from encore.keys.rules import MAX_KEY_BYTES, check_key
from encore.storage.checking import Problem
from encore.storage.template import Entry, MetadataChange, Staged, Store
from encore.storage.transactions.changes import Change
from encore.storage.values import KeyEntry, Value
from encore.storage.wrappers.base import WrapperStore

# A name of so few characters cannot have too many bytes.
_SHORT = MAX_KEY_BYTES // 4


class KeyMapStore(WrapperStore):
    """The values of ``base`` under other keys.

    Parameters
    ----------
    base : Store
    keymap : KeyMap
        Says what a key is called beneath. Keys of the base that it does not know are invisible.
    """

    def __init__(self, base: Store, keymap: KeyMap) -> None:
        super().__init__(base)
        self.keymap = keymap

    def info(self) -> dict[str, Any]:
        found = super().info()
        return {**found, "key_bytes": self.keymap.longest_key(found["key_bytes"])}

    def _beneath(self, key: str) -> str:
        check_key(key)
        return self._name(key)

    def _name(self, key: str) -> str:
        """What a legal key is called in the base."""
        name = self.keymap.to_base(key)
        if len(name) > _SHORT and len(name.encode()) > MAX_KEY_BYTES:
            raise InvalidKeyError(
                f"{key[:80]!r}... is too long a key for {self!r}: beneath, it would be a name of "
                f"{len(name.encode())} bytes, and the limit is {MAX_KEY_BYTES}",
                key=key,
                store=self,
            )
        return name

    def _translate(self, changes: list[Change]) -> list[Change]:
        above = self.keymap.from_base
        return [
            Change(key, change.before, change.after)
            for change in changes
            if (key := above(change.key)) is not None
        ]

    def _examine(self, repair: bool) -> Iterator[Problem]:
        for problem in self._inner._examine(repair):
            known = problem.key is None
            yield problem if known else problem.under(self.keymap.from_base(problem.key))

    # -- reading ----------------------------------------------------------------------------------

    def _find(self, key: str) -> Value | None:
        return self._inner._find(self._beneath(key))  # type: ignore[no-any-return]

    def _read(self, key: str) -> bytes | None:
        check_key(key)
        return self._inner._read(self._name(key))  # type: ignore[no-any-return]

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        return self._inner._read_range(self._beneath(key), start, end)  # type: ignore[no-any-return]

    def _has(self, key: str) -> bool:
        return self._inner._has(self._beneath(key))  # type: ignore[no-any-return]

    def _find_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Value | None]]:
        above = self.keymap.from_base
        found = self._inner._find_many(map(self._beneath, keys))
        return ((above(name) or name, value) for name, value in found)

    # -- listing ----------------------------------------------------------------------------------

    def _range(self, prefix: str) -> str:
        """What the keys that begin with ``prefix`` have in common beneath."""
        return self.keymap.prefix_to_base(prefix) or ""

    def _scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        above = self.keymap.from_base
        if self.keymap.keeps_order:
            found = self._inner._scan(self._range(prefix), self._position(start_after))
            return (
                key
                for name in found
                if (key := above(name))
                and key.startswith(prefix)
                and (start_after is None or key > start_after)
            )
        return iter(
            sorted(
                key
                for name in self._inner._scan(self._range(prefix), None)
                if (key := above(name))
                and key.startswith(prefix)
                and (start_after is None or key > start_after)
            )
        )

    def _position(self, start_after: str | None) -> str | None:
        """Where a listing may begin beneath: a hint, since ``start_after`` need not be a key."""
        if start_after is None:
            return None
        try:
            return self.keymap.to_base(start_after)
        except (KeyError, ValueError):
            return None

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        if not self.keymap.keeps_order:
            return Store._find_all(self, prefix)
        return self._above(self._inner._find_all(self._range(prefix)), prefix)

    def _above(
        self, found: Iterator[tuple[str, Value]], prefix: str
    ) -> Iterator[tuple[str, Value]]:
        for name, value in found:
            key = self.keymap.from_base(name)
            if key and key.startswith(prefix):
                yield key, value
            else:
                value.close()

    def _survey(self, prefix: str) -> Iterator[KeyEntry]:
        above = self.keymap.from_base
        found = (
            KeyEntry(key, *rest)
            for name, *rest in self._inner._survey(self._range(prefix))
            if (key := above(name)) and key.startswith(prefix)
        )
        return found if self.keymap.keeps_order else iter(sorted(found))

    _sum = Store._sum
    _count = Store._count

    def _search(self, where: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        above = self.keymap.from_base
        found = ((key, text) for name, text in self._inner._search(where) if (key := above(name)))
        return found if self.keymap.keeps_order else iter(sorted(found))

    def _search_keys(self, where: Mapping[str, Any]) -> Iterator[str]:
        above = self.keymap.from_base
        found = (key for name in self._inner._search_keys(where) if (key := above(name)))
        return found if self.keymap.keeps_order else iter(sorted(found))

    # -- writing ----------------------------------------------------------------------------------

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        return self._inner._put_plain(self._name(key), data, text)  # type: ignore[no-any-return]

    def _remove_plain(self, key: str) -> bool:
        return self._inner._remove_plain(self._beneath(key))  # type: ignore[no-any-return]

    def _take_stream(self, key: str, chunks: Iterator[bytes]) -> Staged:
        return self._inner._take_stream(self._name(key), chunks)  # type: ignore[no-any-return]

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        try:
            self._inner._write_content(self._passed_on(entry), content, if_absent, if_token)
        except ConflictError as error:
            error.key, error.store = entry.key, self
            raise

    def _passed_on(self, entry: Entry) -> Entry:
        return Entry(self._beneath(entry.key), *entry[1:])

    def _rewrite_metadata(self, key: str, change: MetadataChange, empty: bytes = b"") -> None:
        self._inner._rewrite_metadata(self._name(key), change, empty)

    def _erase(self, key: str, missing_ok: bool) -> None:
        try:
            self._inner._erase(self._name(key), missing_ok)
        except KeyNotFoundError:
            raise self._missing(key, "delete") from None

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        try:
            self._inner._transfer(self._name(source), self._name(target), move=move)
        except KeyNotFoundError:
            raise self._missing(source, "move" if move else "copy") from None

    def _remove_all(self, prefix: str) -> bool:
        return False  # keys of others may lie between ours


class PrefixStore(KeyMapStore):
    """The keys of ``base`` that begin with ``prefix``, without it.

    Parameters
    ----------
    base : Store
    prefix : str
    """

    def __init__(self, base: Store, prefix: str) -> None:
        super().__init__(base, Prefix(prefix))


class HashPrefixStore(KeyMapStore):
    """Keys spread evenly by the beginning of their SHA-256, for stores that divide by prefix.

    Parameters
    ----------
    base : Store
    hash_length : int, optional
        Hexadecimal digits.
    separator : str, optional
        What stands between the digits and the key.

    Notes
    -----
    The base orders by hash, so listings collect their keys, and sort them.
    """

    def __init__(self, base: Store, hash_length: int = 8, separator: str = "/") -> None:
        super().__init__(base, HashPrefix(hash_length, separator))


class UrlEncodingStore(KeyMapStore):
    """Keys percent-encoded in the base, for stores that take little more than letters.

    Parameters
    ----------
    base : Store
    """

    def __init__(self, base: Store) -> None:
        super().__init__(base, UrlEncoded())
