"""The same values in several stores, so that one may be lost.

`MirroringStore` writes to all of its stores in one transaction and reads from the first that
answers. ``storage.api`` shows what is public here.
"""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from encore.errors import InvalidKeyError, StoreError
from encore.keys.rules import check_key
from encore.storage.metadata import EMPTY
from encore.storage.template import Entry, MetadataChange, Staged, Store, check_guard
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.owners import new_token
from encore.storage.transfers import digest_of
from encore.storage.values import BUFFER_SIZE
from encore.storage.wrappers.layers import LayeredStore, inheriting, undone_on_failure

_log = logging.getLogger("encore.storage")
_T = TypeVar("_T")


class MirroringStore(LayeredStore):
    """Several stores with the same content.

    A write goes to all of them or fails and goes to none. Reads are answered by the first store
    that has the key, and a store that fails is passed over, with a warning in the log, as long as
    another answers.

    Parameters
    ----------
    stores : sequence of Store
        The first one counts where they differ.
    timeout : float, optional
        Seconds to wait for another writer, for each store.

    Attributes
    ----------
    diverged : dict of Store to str
        Stores that are known to have missed something, and why; `repair` empties it.

    Notes
    -----
    Two stores that can only commit at once (two `SqliteStore`, say) cannot be committed as one: if
    the second fails after the first has committed, it has diverged. That is logged, kept in
    ``diverged``, shown by ``info()``, and mended by `repair`.
    """

    def __init__(self, stores: Sequence[Store], *, timeout: float = 5.0) -> None:
        super().__init__(stores, timeout=timeout)
        self.stores = self._parts
        self.diverged: dict[Store, str] = {}

    def info(self) -> dict[str, Any]:
        return {**super().info(), "diverged": [repr(part) for part in self.diverged]}

    def _layers(self, key: str) -> Sequence[Store]:
        return self._parts

    def _home(self, key: str) -> Store:
        return self._parts[0]

    # -- reading ----------------------------------------------------------------------------------

    def _first(self, key: str, ask: Callable[[Store], _T | None]) -> _T | None:
        check_key(key)
        failure = None
        for part in self._parts:
            try:
                found = ask(self._enter(part))
            except InvalidKeyError:
                raise
            except StoreError as error:
                if not self.is_connected():
                    raise
                self._passed_over(part, error)
                failure = error
            else:
                if found is not None:
                    return found
        if failure is not None:
            raise failure  # the key may be in the store that failed
        return None

    def _merge(self, listings: list[Iterator[_T]], *, partial: bool = False) -> Iterator[_T]:
        failures: list[StoreError] = []

        def tolerant(part: Store, listing: Iterator[_T]) -> Iterator[_T]:
            try:
                yield from listing
            except StoreError as error:
                failures.append(error)
                if len(failures) == len(listings):
                    raise
                self._passed_over(part, error)

        return super()._merge(list(map(tolerant, self._parts, listings)), partial=partial)

    def _passed_over(self, part: Store, error: StoreError) -> None:
        _log.warning("%r could not be read and was passed over: %s", part, error)

    # -- writing ----------------------------------------------------------------------------------

    def _check_atomic(self, written: list[Store]) -> None:
        pass  # a mirror that misses a commit can be repaired

    def _take_stream(self, key: str, chunks: Iterator[bytes]) -> Staged:
        return _Mirrored([self._enter_to_write(part, key) for part in self._parts], key, chunks)

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        contents = content.contents if isinstance(content, _Mirrored) else itertools.repeat(content)
        with undone_on_failure(content), self._unit():
            old = self._find(entry.key)
            check_guard(self, entry.key, old, if_absent, if_token)
            entry = inheriting(entry, old)
            entry = entry._replace(text=entry.text or EMPTY, token=entry.token or new_token())
            for part, its_content in zip(self._parts, contents, strict=False):
                self._enter_to_write(part, entry.key)._write_content(entry, its_content)

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        return False

    def _rewrite_metadata(self, key: str, change: MetadataChange, empty: bytes = b"") -> None:
        with self._unit():
            old = self._find(key)
            text = change(EMPTY if old is None else old.metadata_text)
            for part in self._parts:
                self._enter_to_write(part, key)
                if old is None or part._has(key):
                    part._rewrite_metadata(key, lambda _old: text, empty)
                else:
                    part._write(Entry(key, self.get(key), text, old.created))

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        verb = "move" if move else "copy"
        with self.transaction(f"{verb.capitalize()} {source} to {target}"):
            if not self._has(source):
                raise self._missing(source, verb)
            for part in reversed(self._parts):  # those that lack it copy it from those before
                self._enter_to_write(part, target)
                if part._has(source):
                    part._transfer(source, target, move=move)
                else:
                    value = self.get(source)
                    part._write(Entry(target, value, value.metadata_text, value.created))

    def _commit_rest(self, contexts: list[SimpleTransactionContext]) -> None:
        joined = self._own_session().joined
        by_context = {id(context): part for part, (context, _) in joined.items()}
        for context in contexts[1:]:
            try:
                context.commit()
            except Exception as error:  # the commit has happened: say so, and go on
                part = by_context[id(context)]
                self.diverged[part] = f"a commit failed: {error}"
                _log.exception("%r missed a commit; repair() brings it up to date", part)

    # -- differences ------------------------------------------------------------------------------

    def differences(self) -> Iterator[tuple[Store, str]]:
        """Yield every store but the first, with each key that differs from the first store's.

        Data is compared only where sizes and metadata agree but tokens do not.
        """
        first, *others = self._parts
        for part in others:
            ours = ((entry.key, 0, entry) for entry in self._enter(first)._survey(""))
            theirs = ((entry.key, 1, entry) for entry in self._enter(part)._survey(""))
            merged = heapq.merge(ours, theirs, key=itemgetter(0, 1))
            for key, found in itertools.groupby(merged, itemgetter(0)):
                entries = [entry for _, _, entry in found]
                tokens = {entry.token for entry in entries}
                if len(entries) == 1 or (len(tokens) == 2 and not _same(first, part, key)):
                    yield part, key

    def repair(self) -> int:
        """Make every store what the first one is; return how many keys were mended.

        Each store is mended in one transaction of its own. Whoever writes meanwhile waits.
        """
        count = 0
        first = self._parts[0]
        found = list(self.differences())
        for part, keys in itertools.groupby(found, itemgetter(0)):
            with part.transaction("Repair"):
                for _, key in keys:
                    value = first._find(key)
                    if value is None:
                        part.delete(key, missing_ok=True)
                    else:
                        part.import_values([(key, value)])
                    count += 1
        self.diverged.clear()
        return count


class _Mirrored:
    """A stream on its way into several stores: staged in the first, and from there in the rest."""

    def __init__(self, parts: list[Store], key: str, chunks: Iterator[bytes]) -> None:
        self.contents: list[Staged] = []
        try:
            for part in parts:
                self.contents.append(part._take_stream(key, chunks))
                chunks = self.chunks(0, self.size, BUFFER_SIZE)
        except BaseException:
            self.discard()
            raise

    @property
    def size(self) -> int:
        """Bytes."""
        return self.contents[0].size

    def read(self, start: int, end: int) -> bytes:
        return self.contents[0].read(start, end)

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        return self.contents[0].chunks(start, end, buffer_size)

    def close(self) -> None:
        for content in self.contents:
            content.close()

    def discard(self) -> None:
        for content in self.contents:
            content.discard()


def _same(one: Store, other: Store, key: str) -> bool:
    """Whether two stores have the same data and metadata under a key."""
    ours, theirs = one._find(key), other._find(key)
    if ours is None or theirs is None:
        return ours is theirs
    with ours, theirs:
        if ours.size != theirs.size or ours.metadata != theirs.metadata:
            return False
    return digest_of(one, key) == digest_of(other, key)
