"""Wrappers that stand at the door: what they are asked, they allow, refuse, count or report.

Every act of an `InterceptingStore` runs inside `_operation`, a context manager that a family
overrides: raising before it yields refuses the act, and what happens in it is the act's own success
or failure. Keys and data pass unchanged. The modules of this folder import this one; so may authors
of other wrappers.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from encore.storage.checking import Problem
from encore.storage.template import Entry, MetadataChange, Staged, Store
from encore.storage.values import BUFFER_SIZE, KeyEntry, Value
from encore.storage.wrappers.base import WrapperStore

_T = TypeVar("_T")


class Intent(enum.StrEnum):
    """What an operation is about to do."""

    READ = "read"
    WRITE = "write"


class InterceptingStore(WrapperStore):
    """The keys and values of ``base``, each operation through one gate.

    Parameters
    ----------
    base : Store
    """

    def _operation(self, verb: str, key: str, intent: Intent) -> AbstractContextManager[Any]:
        """Surround one operation.

        Parameters
        ----------
        verb : str
            ``"get"``, ``"exists"``, ``"keys"``, ``"query"``, ``"verify"``, ``"put"``,
            ``"set_metadata"``, ``"delete"``, ``"copy"`` or ``"move"``.
        key : str
            The key; for ``keys`` the prefix, and ``""`` for ``query`` and ``verify``. Copying and
            moving are two operations, on the source and on the target.
        intent : Intent
        """
        raise NotImplementedError

    def _passing(self, verb: str, key: str, found: Iterator[_T]) -> Iterator[_T]:
        """What a listing yields, on its way to the caller, after the operation has returned."""
        return found

    # -- reading ----------------------------------------------------------------------------------

    def _find(self, key: str) -> Value | None:
        with self._operation("get", key, Intent.READ):
            return self._inner._find(key)  # type: ignore[no-any-return]

    def _read(self, key: str) -> bytes | None:
        with self._operation("get", key, Intent.READ):
            return self._inner._read(key)  # type: ignore[no-any-return]

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        with self._operation("get", key, Intent.READ):
            return self._inner._read_range(key, start, end)  # type: ignore[no-any-return]

    def _has(self, key: str) -> bool:
        with self._operation("exists", key, Intent.READ):
            return self._inner._has(key)  # type: ignore[no-any-return]

    def _examine(self, repair: bool) -> Iterator[Problem]:
        with self._operation("verify", "", Intent.READ):
            found = self._inner._examine(repair)
        return self._passing("verify", "", found)

    _find_many = Store._find_many

    # -- listing ----------------------------------------------------------------------------------

    def _scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        with self._operation("keys", prefix, Intent.READ):
            found = self._inner._scan(prefix, start_after)
        return self._passing("keys", prefix, found)

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        with self._operation("keys", prefix, Intent.READ):
            found = self._inner._find_all(prefix)
        return self._passing("keys", prefix, found)

    def _survey(self, prefix: str) -> Iterator[KeyEntry]:
        with self._operation("keys", prefix, Intent.READ):
            found = self._inner._survey(prefix)
        return self._passing("keys", prefix, found)

    def _sum(self, prefix: str) -> tuple[int, int | None]:
        with self._operation("keys", prefix, Intent.READ):
            return self._inner._sum(prefix)  # type: ignore[no-any-return]

    def _count(self) -> int:
        with self._operation("keys", "", Intent.READ):
            return self._inner._count()  # type: ignore[no-any-return]

    def _search(self, where: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        with self._operation("query", "", Intent.READ):
            found = self._inner._search(where)
        return self._passing("query", "", found)

    def _search_keys(self, where: Mapping[str, Any]) -> Iterator[str]:
        with self._operation("query", "", Intent.READ):
            found = self._inner._search_keys(where)
        return self._passing("query", "", found)

    # -- writing ----------------------------------------------------------------------------------

    def _write(
        self,
        entry: Entry,
        buffer_size: int = BUFFER_SIZE,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        with self._operation("put", entry.key, Intent.WRITE):  # also round the stream coming in
            content = self._receive(entry, buffer_size, if_absent, if_token)
            self._inner._write_content(entry, content, if_absent, if_token)

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        try:
            with self._operation("put", entry.key, Intent.WRITE):
                self._inner._write_content(entry, content, if_absent, if_token)
        except BaseException:
            if not isinstance(content, bytes):
                content.discard()  # once more does no harm
            raise

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        with self._operation("put", key, Intent.WRITE):
            if not self._inner._put_plain(key, data, text):
                self._inner._write_content(Entry(key, data, text), data)
        return True

    def _remove_plain(self, key: str) -> bool:
        return False  # so that `_erase` is the one operation

    _write_many = Store._write_many

    def _rewrite_metadata(self, key: str, change: MetadataChange, empty: bytes = b"") -> None:
        with self._operation("set_metadata", key, Intent.WRITE):
            self._inner._rewrite_metadata(key, change, empty)

    def _erase(self, key: str, missing_ok: bool) -> None:
        with self._operation("delete", key, Intent.WRITE):
            self._inner._erase(key, missing_ok)

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        verb, intent = ("move", Intent.WRITE) if move else ("copy", Intent.READ)
        with (
            self._operation(verb, source, intent),
            self._operation(verb, target, Intent.WRITE),
        ):
            self._inner._transfer(source, target, move=move)

    def _remove_all(self, prefix: str) -> bool:
        return False  # so that every key is an operation
