"""The public verbs, written once over a few acts.

Backends (``backend``) and wrappers (``wrappers.base``) supply the acts, the narrow waist of the
house:

====================================  ==============================================================
``_find(key)``                        the `Value` under a key as its caller may see it, or None
``_scan(prefix, start_after)``        the keys in code-point order, lazily
``_take_stream(key, chunks)``          stream data to where it will stay, not yet visible
``_write_content(entry, content)``    put content that has arrived under its key
``_rewrite_metadata(key, change)``    change the metadata of a key
``_erase(key, missing_ok)``           take a key away
``_transfer(source, target, move)``   copy or move within the store
``transaction() _context() _unit()``  see ``transactions.contexts``
====================================  ==============================================================

The acts with a default below them are accelerations: a store that knows a cheaper way overrides
one, and the conformance suite holds it to the derived behaviour.

Composite verbs call ``self``'s verbs, and every verb calls ``self``'s acts, so that a wrapper which
guards an act guards them all. The verbs are documented in ``abstract_store``, once. Backends and
wrappers import this module.
"""

from __future__ import annotations

import io
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import IO, Any, NamedTuple, Protocol, TypeAlias

from encore.errors import (
    ConflictError,
    CorruptValueError,
    KeyNotFoundError,
    ReadOnlyError,
    TransactionError,
)
from encore.keys.rules import MAX_KEY_BYTES, check_key, check_prefix
from encore.storage.announcements import Announcer
from encore.storage.checking import DAMAGE, Problem, read_everything
from encore.storage.composites import CompositeVerbs, pairs
from encore.storage.files import size_left
from encore.storage.metadata import (
    EMPTY,
    as_json,
    decode_metadata,
    encode_metadata,
    matches,
    merge_metadata,
    select_metadata,
)
from encore.storage.progress import watched
from encore.storage.transactions.contexts import SimpleTransactionContext
from encore.storage.transactions.recording import StepOptions
from encore.storage.values import BUFFER_SIZE, Content, KeyEntry, Value, gather, split_value
from encore.streams import chunks_of


class Entry(NamedTuple):
    """What is to be written under a key; None means: keep what is there, or make it new."""

    key: str
    data: Any
    text: str | None
    created: float | None = None
    modified: float | None = None
    token: str | None = None


# Content, metadata text, size, created, modified, token: what is kept under a key. A plain tuple,
# because the in-memory store makes a million of them a second. A content of None appears only on
# its way in, and means that the data stays as it is.
Record = tuple[bytes | Content | None, str, int, float, float, str]


class Staged(Content, Protocol):
    """Data on its way into a store: written, not yet under any key."""

    def discard(self) -> None:
        """Take the data away again. Discarding what was published or discarded does nothing."""


# From the metadata there is, as JSON text, to what it becomes.
MetadataChange: TypeAlias = Callable[[str], str]


class Store(Announcer, CompositeVerbs):
    """The verbs of a store over its acts.

    *Threads*: as the store that inherits it.
    """

    transactions: str
    can_prepare: bool  # whether everything that can fail can be done before the commit

    # -- acts -------------------------------------------------------------------------------------

    def _find(self, key: str) -> Value | None:
        raise NotImplementedError

    def _scan(self, prefix: str, start_after: str | None) -> Iterator[str]:
        raise NotImplementedError

    def _take_stream(self, key: str, chunks: Iterator[bytes]) -> Staged:
        raise NotImplementedError

    def _write_content(
        self,
        entry: Entry,
        content: bytes | Staged,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        """Put content that has arrived under its key; take it away again if that fails."""
        raise NotImplementedError

    def _rewrite_metadata(self, key: str, change: MetadataChange, empty: bytes = b"") -> None:
        """Change metadata; a key that is not there is made, with the data ``empty``."""
        raise NotImplementedError

    def _erase(self, key: str, missing_ok: bool) -> None:
        raise NotImplementedError

    def _transfer(self, source: str, target: str, *, move: bool) -> None:
        """Copy or move a value to another key; both keys have been checked, and differ."""
        raise NotImplementedError

    def _context(self) -> SimpleTransactionContext | None:
        """The transaction of the calling owner, if one is open."""
        raise NotImplementedError

    def _unit(self) -> AbstractContextManager[Any]:
        """What makes a single verb one act: the open transaction, or one of its own."""
        raise NotImplementedError

    def _new_context(
        self,
        notes: str = "",
        *,
        timeout: float | None = None,
        quiet: bool = False,
        options: StepOptions | None = None,
    ) -> SimpleTransactionContext:
        """A transaction that has not begun."""
        raise NotImplementedError

    def _engine(self) -> Any:
        """The store whose transactions are those of this one."""
        raise NotImplementedError

    @property
    def sort_key(self) -> tuple[str, str]:
        """A place in an order that is the same in all programs, for whoever locks several."""
        raise NotImplementedError

    # -- acts with a default: accelerations -------------------------------------------------------

    def _put_plain(self, key: str, data: bytes, text: str) -> bool:
        """Store bytes where nobody listens. False: nothing done, take the general way."""
        return False

    def _remove_plain(self, key: str) -> bool:
        """Remove a key where nobody listens. False: nothing done, take the general way."""
        return False

    def _read(self, key: str) -> bytes | None:
        value = self._find(key)
        if value is None:
            return None
        try:
            return value.read()
        finally:
            value.close()

    def _read_range(self, key: str, start: int, end: int) -> bytes | None:
        """The bytes of a short range, cut off at the end of the data."""
        value = self._find(key)
        if value is None:
            return None
        with value, value.range(start, end) as stream:
            return stream.read()

    def _has(self, key: str) -> bool:
        return self._find(key) is not None

    def _count(self) -> int:
        return sum(1 for _ in self._scan("", None))

    def _find_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Value | None]]:
        for key in keys:
            yield key, self._find(key)

    def _find_all(self, prefix: str) -> Iterator[tuple[str, Value]]:
        """Every key with its value, ordered; data is not read."""
        for key in self._scan(prefix, None):
            value = self._find(key)
            if value is not None:
                yield key, value

    def _write_many(self, entries: Iterable[Entry], buffer_size: int) -> None:
        """Store many entries in the open transaction."""
        for entry in entries:
            check_key(entry.key)
            self._write(entry, buffer_size)

    def _survey(self, prefix: str) -> Iterator[KeyEntry]:
        for key, value in self._find_all(prefix):
            yield KeyEntry(key, value.size, value.modified or 0.0, value.token)
            value.close()

    def _sum(self, prefix: str) -> tuple[int, int | None]:
        count = 0
        size: int | None = 0
        for entry in self._survey(prefix):
            count += 1
            size = None if size is None or entry.size is None else size + entry.size
        return count, size

    def _search(self, where: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The keys, ordered, whose metadata has the fields ``where``, with that metadata."""
        for key, value in self._find_all(""):
            if not where or matches(value.metadata, where):
                yield key, value.metadata_text

    def _search_keys(self, where: Mapping[str, Any]) -> Iterator[str]:
        return (key for key, _ in self._search(where))

    def _remove_all(self, prefix: str) -> bool:
        """Remove every key with the prefix where nobody listens. False: one by one."""
        return False

    def info(self) -> dict[str, Any]:
        return {
            "type": type(self).__name__,
            "transactions": self.transactions,
            "readonly": False,
            "key_bytes": MAX_KEY_BYTES,
            "sizes": True,
        }

    def _examine(self, repair: bool) -> Iterator[Problem]:
        """What is wrong with what is stored, mended where that is asked for and safe."""
        return read_everything(self)

    # -- reading ----------------------------------------------------------------------------------

    def verify(self, *, repair: bool = False) -> Sequence[Problem]:
        if self._context() is not None:
            raise TransactionError(
                f"verify: {self!r} has a transaction open, whose writes are nobody's yet; end it "
                "first",
                store=self,
                operation="verify",
            )
        found: deque[Problem] = deque()  # a `list` is a verb here
        try:
            if repair and self.info()["readonly"]:
                raise ReadOnlyError(
                    f"verify: {self!r} is open for reading only, and cannot be repaired so",
                    store=self,
                    operation="verify",
                )
            found.extend(self._examine(repair))
        except CorruptValueError as error:
            found.append(Problem(DAMAGE, error.key, str(error)))
        return [*found]

    def get(self, key: str) -> Value:
        value = self._find(key)
        if value is None:
            raise self._missing(key, "get")
        return value

    def get_data(self, key: str) -> IO[bytes]:
        return self.get(key).data

    def get_data_range(
        self, key: str, start: int | None = None, end: int | None = None
    ) -> IO[bytes]:
        begin = 0 if start is None else start
        if end is None or end - begin > BUFFER_SIZE or begin < 0 or end < 0:
            value = self.get(key)
            try:
                return value.range(start, end)
            except BaseException:
                value.close()
                raise
        data = self._read_range(key, begin, end)
        if data is None:
            raise self._missing(key, "get_data_range")
        return io.BytesIO(data)

    def get_metadata(self, key: str, select: Iterable[str] | None = None) -> dict[str, Any]:
        value = self._find(key)
        if value is None:
            raise self._missing(key, "get_metadata")
        return _metadata_of(value, select)

    def read(self, key: str) -> bytes:
        data = self._read(key)
        if data is None:
            raise self._missing(key, "read")
        return data

    def exists(self, key: str) -> bool:
        if self._has(key):
            return True
        check_key(key)
        return False

    def __len__(self) -> int:
        return self._count()

    def multiget(self, keys: Iterable[str]) -> Iterator[Value]:
        for key, value in self._find_many(keys):
            if value is None:
                raise self._missing(key, "multiget")
            yield value

    def multiget_metadata(
        self, keys: Iterable[str], select: Iterable[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        names = None if select is None else [*select]
        return (_metadata_of(value, names) for value in self.multiget(keys))

    # -- listing and searching --------------------------------------------------------------------

    def keys(
        self, prefix: str = "", start_after: str | None = None, limit: int | None = None
    ) -> Iterator[str]:
        check_prefix(prefix)
        if start_after is not None:
            check_prefix(start_after)
        found = self._scan(prefix, start_after)
        return found if limit is None else itertools.islice(found, limit)

    def items(self, prefix: str = "") -> Iterator[tuple[str, Value]]:
        check_prefix(prefix)
        return self._find_all(prefix)

    def entries(self, prefix: str = "") -> Iterator[KeyEntry]:
        check_prefix(prefix)
        return self._survey(prefix)

    def totals(self, prefix: str = "") -> tuple[int, int | None]:
        check_prefix(prefix)
        return self._sum(prefix)

    def query(
        self,
        select: Iterable[str] | None = None,
        where: Mapping[str, Any] | None = None,
        **equals: Any,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        names = None if select is None else [*select]
        found = self._search(_conditions(where, equals))
        return ((key, select_metadata(decode_metadata(text), names)) for key, text in found)

    def query_keys(self, where: Mapping[str, Any] | None = None, **equals: Any) -> Iterator[str]:
        return self._search_keys(_conditions(where, equals))

    # -- writing ----------------------------------------------------------------------------------

    def put(
        self,
        key: str,
        data: Any,
        metadata: Mapping[str, Any] | None = None,
        *,
        buffer_size: int = BUFFER_SIZE,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        check_key(key)
        text = EMPTY if metadata is None else encode_metadata(metadata)
        plain = type(data) is bytes and not if_absent and if_token is None
        if plain and len(data) <= buffer_size and self._put_plain(key, data, text):
            return
        self._write(Entry(key, data, text), buffer_size, if_absent, if_token)

    def set(self, key: str, value: Any, buffer_size: int = BUFFER_SIZE) -> None:
        check_key(key)
        data, text = split_value(value)
        plain = type(data) is bytes and len(data) <= buffer_size
        if plain and self._put_plain(key, data, text):
            return
        self._write(Entry(key, data, text), buffer_size)

    def set_data(self, key: str, data: Any, buffer_size: int = BUFFER_SIZE) -> None:
        check_key(key)
        self._write(Entry(key, data, None), buffer_size)

    def multiset(
        self,
        keys: Iterable[str] | Mapping[str, Any],
        values: Iterable[Any] | None = None,
        buffer_size: int = BUFFER_SIZE,
    ) -> None:
        entries = (Entry(key, *split_value(value)) for key, value in pairs(keys, values))
        with self.transaction():
            self._write_many(entries, buffer_size)

    def import_values(
        self, items: Iterable[tuple[str, Value]], buffer_size: int = BUFFER_SIZE
    ) -> None:
        entries = (
            Entry(key, value, value.metadata_text, value.created, value.modified, value.token)
            for key, value in items
        )
        with self.transaction("Import"):
            self._write_many(entries, buffer_size)

    def _write(
        self,
        entry: Entry,
        buffer_size: int = BUFFER_SIZE,
        if_absent: bool = False,
        if_token: str | None = None,
    ) -> None:
        """Put an entry under its key: the one way in for everything that has no shorter one."""
        content = self._receive(entry, buffer_size, if_absent, if_token)
        self._write_content(entry, content, if_absent, if_token)

    def _receive(
        self, entry: Entry, buffer_size: int, if_absent: bool, if_token: str | None
    ) -> bytes | Staged:
        """Take in the data of an entry, unless what is there speaks against it already."""
        if if_absent or if_token is not None:  # before a long stream, and again when it counts
            check_guard(self, entry.key, self._find(entry.key), if_absent, if_token)
        return self._take_in(entry.key, entry.data, buffer_size)

    def _take_in(self, key: str, data: Any, buffer_size: int) -> bytes | Staged:
        """Return small data as bytes; stream the rest to its staging place, with progress."""
        chunks: Iterator[bytes] | None = None
        size: int | None
        if isinstance(data, Value):
            size, content = data.size, data.content_or_stream(buffer_size)
            if isinstance(content, bytes):
                data = content
            else:
                chunks = content
        else:
            size = size_left(data)
        if isinstance(data, (bytes, bytearray, memoryview)):
            size = memoryview(data).nbytes
            if size <= buffer_size:
                return bytes(data)
        if chunks is None:
            chunks = chunks_of(data, buffer_size)
        head = gather(chunks, min(buffer_size, BUFFER_SIZE))
        if isinstance(head, bytes):
            return head
        return self._take_stream(key, watched(self, key, head, size, "Writing"))

    def set_metadata(self, key: str, metadata: Mapping[str, Any]) -> None:
        check_key(key)
        text = encode_metadata(metadata)
        self._rewrite_metadata(key, lambda _old: text)

    def update_metadata(self, key: str, metadata: Mapping[str, Any]) -> None:
        check_key(key)
        encode_metadata(metadata)
        self._rewrite_metadata(key, lambda old: merge_metadata(old, metadata))

    def delete(self, key: str, missing_ok: bool = False) -> None:
        if self._remove_plain(key):
            return
        check_key(key)
        self._erase(key, missing_ok)

    def copy(self, source: str, target: str) -> None:
        self._copy_or_move(source, target, move=False)

    def move(self, source: str, target: str) -> None:
        self._copy_or_move(source, target, move=True)

    def _copy_or_move(self, source: str, target: str, *, move: bool) -> None:
        check_key(source)
        check_key(target)
        if source != target:
            self._transfer(source, target, move=move)
        elif not self.exists(source):
            raise self._missing(source, "move" if move else "copy")

    def clear(self, prefix: str = "") -> None:
        check_prefix(prefix)
        with self.transaction(f"Clear {prefix}".strip()):
            if not self._remove_all(prefix):
                for page in self.list(prefix):
                    for key in page:
                        self.delete(key, missing_ok=True)

    def _missing(self, key: Any, operation: str) -> KeyNotFoundError:
        check_key(key)
        return KeyNotFoundError(
            f"{operation}: there is no key {key!r} in {self!r}",
            key=key,
            store=self,
            operation=operation,
        )


def _metadata_of(value: Value, names: Iterable[str] | None) -> dict[str, Any]:
    """The metadata of a value that nobody needs any more."""
    try:
        return select_metadata(value.metadata, names)
    finally:
        value.close()


def _conditions(where: Mapping[str, Any] | None, equals: dict[str, Any]) -> dict[str, Any]:
    """Check what a query compares with, and bring it into the form metadata has."""
    conditions = equals if where is None else {**where, **equals}
    return {name: as_json(value) for name, value in conditions.items()}


def check_guard(
    store: Store, key: str, old: Value | None, if_absent: bool, if_token: str | None
) -> None:
    """Raise `ConflictError` if what is there is not what the writer took it for."""
    if if_absent and old is not None:
        problem = "it is there already"
    elif if_token is not None and (old is None or old.token != if_token):
        problem = "it is not there" if old is None else "it has changed since the token was read"
    else:
        return
    if old is not None:
        old.close()
    raise ConflictError(
        f"put: {key!r} was not written to {store!r}: {problem}",
        key=key,
        store=store,
        operation="put",
    )
