"""The same values in several stores, so that one may be lost.

`MirroringStore` writes to all of its stores in one transaction and reads from the first that
answers. ``storage.api`` shows what is public here.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from operator import itemgetter
from typing import Any, TypeVar

from encore.errors import InvalidKeyError, StoreError
from encore.keys.rules import check_key
from encore.storage.metadata import EMPTY
from encore.storage.template import Entry, MetadataChange, Staged, Store, check_guard
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.owners import new_token
from encore.storage.transfers import digest_of
from encore.storage.wrappers.layers import (
    LayeredStore,
    closing_value,
    inheriting,
    undone_on_failure,
)
from encore.storage.wrappers.mirrored import MirroredStream

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
    ``diverged``, shown by ``info()``, and mended by `repair`. Until then it is written to, but not
    read: what it has missed must not come back.
    """

    def __init__(self, stores: Sequence[Store], *, timeout: float = 5.0) -> None:
        super().__init__(stores, timeout=timeout)
        self.stores = self._parts
        self.diverged: dict[Store, str] = {}

    def info(self) -> dict[str, Any]:
        return {
            **super().info(),
            "readonly": any(part.info()["readonly"] for part in self._parts),
            "diverged": [repr(part) for part in self.diverged],
        }

    def _layers(self, key: str) -> Sequence[Store]:
        return self._readable()

    def _readable(self) -> Sequence[Store]:
        return [part for part in self._parts if part not in self.diverged] or self._parts

    def _home(self, key: str) -> Store:
        return self._parts[0]

    # -- reading ----------------------------------------------------------------------------------

    def _first(self, key: str, ask: Callable[[Store], _T | None]) -> _T | None:
        check_key(key)
        failure = None
        for part in self._readable():
            try:
                found = ask(self._enter(part))
            except InvalidKeyError:
                raise
            except StoreError as error:
                self._passed_over(part, error)
                failure = error
            else:
                if found is not None:
                    return found
        if failure is not None:
            raise failure  # the key may be in the store that failed
        return None

    def _merge(
        self, listing: Callable[[Store], Iterator[_T]], *, partial: bool = False
    ) -> Iterator[_T]:
        failed: list[Store] = []
        count = len(self._readable())

        def listed(part: Store) -> Iterator[_T]:
            try:
                return remaining(part, listing(part))
            except StoreError as error:
                pass_over(part, error)
                return iter(())

        def remaining(part: Store, found: Iterator[_T]) -> Iterator[_T]:
            try:
                yield from found
            except StoreError as error:
                pass_over(part, error)

        def pass_over(part: Store, error: StoreError) -> None:
            failed.append(part)
            if len(failed) == count:
                raise error
            self._passed_over(part, error)

        return super()._merge(listed, partial=partial)

    def _holds(self, layer: Store, key: str) -> bool:
        try:
            return super()._holds(layer, key)
        except StoreError as error:
            self._passed_over(layer, error)
            return False

    def _passed_over(self, part: Store, error: StoreError) -> None:
        if not self.is_connected():
            raise error  # it is this store that is closed
        _log.warning("%r could not be read and was passed over: %s", part, error)

    # -- writing ----------------------------------------------------------------------------------

    def _check_atomic(self, written: list[Store]) -> None:
        pass  # a mirror that misses a commit can be repaired

    def _take_stream(self, key: str, chunks: Iterator[bytes]) -> Staged:
        return MirroredStream(
            [self._enter_to_write(part, key) for part in self._parts], key, chunks
        )

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        contents = (
            content.contents if isinstance(content, MirroredStream) else itertools.repeat(content)
        )
        with undone_on_failure(content), self._block():
            with closing_value(self._find(entry.key)) as old:
                check_guard(self, entry.key, old, if_absent, if_token)
                entry = _complete(inheriting(entry, old))
            for part, its_content in zip(self._parts, contents, strict=False):
                self._enter_to_write(part, entry.key)._write_content(entry, its_content)

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        return False

    def _remove_plain(self, key: str) -> bool:
        return False

    def _erase(self, key: str, missing_ok: bool) -> None:
        with self._block():
            if not missing_ok and not self._has(key):
                raise self._missing(key, "delete")
            for part in self._parts:
                self._enter_to_write(part, key)._erase(key, missing_ok=True)

    def _rewrite_metadata(self, key: str, change: MetadataChange, empty: bytes = b"") -> None:
        with self._block(), closing_value(self._find(key)) as old:
            text = change(EMPTY if old is None else old.metadata_text)
            for part in self._parts:
                self._enter_to_write(part, key)
                if old is None or part._has(key):
                    part._rewrite_metadata(key, lambda _old: text, empty)
                else:
                    part._write(Entry(key, old, text, old.created))

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        verb = "move" if move else "copy"
        with (
            self.transaction(f"{verb.capitalize()} {source} to {target}"),
            closing_value(self._find(source)) as value,
        ):
            if value is None:
                raise self._missing(source, verb)
            having = []
            for part in self._parts:
                if self._enter_to_write(part, target)._has(source):
                    having.append(part)
                else:  # before the others move it
                    times = (value.created, value.modified) if move else (time.time(), None)
                    part._write(Entry(target, value, value.metadata_text, *times))
            for part in having:
                part._transfer(source, target, move=move)

    def _commit_rest(self, contexts: list[SimpleTransactionContext]) -> None:
        whole = self._context()
        assert whole is not None, "it is being committed"
        interruption: BaseException | None = None
        for context in contexts[1:]:
            try:
                context.commit()
            except BaseException as error:  # the commit has happened: say so, and go on
                if context.state != "done":
                    self._has_diverged(whole.session.engine_of(context), error)
                if not isinstance(error, Exception):
                    interruption = interruption or error
        if interruption is not None:
            raise interruption

    def _has_diverged(self, engine: Store, error: BaseException) -> None:
        for part in self._parts:
            if part._engine() is engine:
                self.diverged[part] = f"a commit failed: {error}"
                _log.error(
                    "%r missed a commit; repair() brings it up to date", part, exc_info=error
                )
        # What was committed must not be hidden, nor be repaired away, by the one that missed it.
        self._parts = tuple(sorted(self._parts, key=self.diverged.__contains__))

    # -- differences ------------------------------------------------------------------------------

    def differences(self) -> Iterator[tuple[Store, str]]:
        """Yield every store but the first, with each key that differs from the first store's.

        Data is compared only where sizes and metadata agree but tokens do not.
        """
        first, *others = self._parts
        self._enter(first)
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

        The first is the first that has not diverged. Each store is mended in one transaction of its
        own, and a key counts once for each. Whoever writes meanwhile waits.
        """
        count = 0
        first, *others = self._parts
        found = list(self.differences())
        for part in others:
            keys = [key for differing, key in found if differing is part]
            with part.transaction("Repair") if keys else nullcontext():
                for key in keys:
                    with closing_value(first._find(key)) as value:
                        if value is None:
                            part.delete(key, missing_ok=True)
                        else:
                            part.import_values([(key, value)])
            self.diverged.pop(part, None)
            count += len(keys)
        self._parts = tuple(sorted(self.stores, key=self.diverged.__contains__))
        return count


def _complete(entry: Entry) -> Entry:
    """The entry with everything that each store would make up by itself, and differently."""
    now = time.time()
    return entry._replace(
        text=entry.text or EMPTY,
        created=now if entry.created is None else entry.created,
        modified=now if entry.modified is None else entry.modified,
        token=entry.token or new_token(),
    )


def _same(one: Store, other: Store, key: str) -> bool:
    """Whether two stores have the same data and metadata under a key."""
    ours, theirs = one._find(key), other._find(key)
    if ours is None or theirs is None:
        return ours is theirs
    with ours, theirs:
        if ours.size != theirs.size or ours.metadata != theirs.metadata:
            return False
    return digest_of(one, key) == digest_of(other, key)
