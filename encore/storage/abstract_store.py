"""The contract: what every store does, documented here and only here.

A store maps *keys* to *values*.

**Keys** are any ``str`` of 1 to 1024 UTF-8 bytes without NUL or lone surrogates, the same set on
every store. They are just strings: ``a`` and ``a/b`` may both exist, ``..`` means nothing special,
``é`` composed and decomposed are two keys. Every listing is in code-point order.

**Values** are byte streams with a JSON-object of metadata, a ``size`` in bytes, the times
``created`` and ``modified`` (seconds since the epoch, UTC) and a ``token`` that changes with every
write. A write is a single act: a reader sees the value before it or after it, whole, and a write
that fails or is interrupted leaves data and metadata as they were.

Errors that any verb may raise, besides those it names: `InvalidKeyError` for a key outside the
legal set, `StoreError` on a store that has been closed, `CorruptValueError` for damage; and any
verb that writes: `ReadOnlyError`, `StoreFullError`, `LockTimeoutError` when another writer does not
finish within ``timeout`` seconds, `OperationCancelled` when a listener asked for it. After any of
them the store is unchanged and usable.

Verbs that change a key emit, once the change is committed, a `StoreSetEvent` for a new key, a
`StoreUpdateEvent` for one that was there, or a `StoreDeleteEvent`. Data of more than one buffer
emits progress events on its way in or out through `AbstractStore.to_file`.

Anybody may import this module; ``template`` implements it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self, Unpack

from encore.storage.values import BUFFER_SIZE, KeyEntry, Value

if TYPE_CHECKING:
    from encore.events.abstract_event_manager import BaseEventManager
    from encore.storage.checking import Problem
    from encore.storage.mapping import StoreMapping
    from encore.storage.transactions.contexts import SimpleTransactionContext
    from encore.storage.transactions.recording import StepOptions


class AbstractStore(ABC):
    """A transactional, event-driven key-value store."""

    # -- opening and closing ----------------------------------------------------------------------

    @abstractmethod
    def connect(self, credentials: Any = None) -> None:
        """Open the store; the first use does it too. Opens a store again that has been closed.

        Parameters
        ----------
        credentials : object, optional
            For stores that ask for some.
        """

    @abstractmethod
    def disconnect(self) -> None:
        """Close the store: the same as `close`."""

    @abstractmethod
    def close(self) -> None:
        """Give back files, connections and locks. Closing twice is fine.

        Raises
        ------
        TransactionError
            The caller has a transaction open.
        """

    @abstractmethod
    def is_connected(self) -> bool:
        """Whether the store is open."""

    @abstractmethod
    def info(self) -> dict[str, Any]:
        """Say what this store is and promises.

        Returns
        -------
        dict
            ``type``; ``transactions``: ``"native"`` (the engine's), ``"staged"`` (collected, then
            applied at once) or ``"none"``; ``readonly``; ``key_bytes``, how many UTF-8 bytes every
            key may have; ``sizes``, whether sizes are known without reading the data; and what
            the store adds, for example ``path`` and ``durability``.
        """

    @abstractmethod
    def verify(self, *, repair: bool = False) -> Sequence[Problem]:
        """Read everything, and say what is wrong with what is stored.

        Takes as long as reading all data does; others may go on reading and writing.

        Parameters
        ----------
        repair : bool, optional
            Mend what can be mended without losing anything: carry out what was decided, put away
            what the dead have left, rebuild indexes. What cannot be explained is never removed.

        Returns
        -------
        list of Problem
            Empty if all is well. Damage is told here, and never raised.

        Raises
        ------
        ReadOnlyError
            To be repaired, and opened for reading only.
        TransactionError
            The caller has a transaction open.
        """

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    @abstractmethod
    def event_manager(self) -> BaseEventManager:
        """Who tells listeners of this store's events."""

    # -- reading ----------------------------------------------------------------------------------

    @abstractmethod
    def get(self, key: str) -> Value:
        """Return the value of a key: one version, whole, whatever is written later.

        Raises
        ------
        KeyNotFoundError
            There is no such key. The same holds for all verbs of this section.
        """

    @abstractmethod
    def get_data(self, key: str) -> IO[bytes]:
        """Return the data as a readable, seekable binary stream, to be closed by the caller."""

    @abstractmethod
    def get_data_range(
        self, key: str, start: int | None = None, end: int | None = None
    ) -> IO[bytes]:
        """Return a part of the data as a readable binary stream.

        Parameters
        ----------
        key : str
        start, end : int, optional
            Offsets in bytes, the end exclusive; beyond the data they are cut off.

        Raises
        ------
        ValueError
            An offset is negative.
        """

    @abstractmethod
    def get_metadata(self, key: str, select: Iterable[str] | None = None) -> dict[str, Any]:
        """Return a copy of the metadata.

        Parameters
        ----------
        key : str
        select : iterable of str, optional
            Return these fields only, as far as they are there.
        """

    @abstractmethod
    def read(self, key: str) -> bytes:
        """Return the data as bytes."""

    @abstractmethod
    def to_bytes(self, key: str) -> bytes:
        """Return the data as bytes: the same as `read`."""

    @abstractmethod
    def to_file(self, key: str, path: Any, buffer_size: int = BUFFER_SIZE) -> None:
        """Write the data to an ordinary file, which is replaced only once all of it is there.

        Parameters
        ----------
        key : str
        path : path-like
        buffer_size : int, optional
            Bytes in memory at once.
        """

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is such a key; ``key in store`` is the same."""

    @abstractmethod
    def __contains__(self, key: object) -> bool: ...

    @abstractmethod
    def __len__(self) -> int:
        """The number of keys."""

    @abstractmethod
    def __iter__(self) -> Iterator[str]:
        """The keys, in code-point order."""

    @abstractmethod
    def mapping(self) -> StoreMapping:
        """Return a view of the store as a ``MutableMapping[str, bytes]``."""

    # -- listing and searching --------------------------------------------------------------------

    @abstractmethod
    def keys(
        self, prefix: str = "", start_after: str | None = None, limit: int | None = None
    ) -> Iterator[str]:
        """Yield keys lazily, in code-point order; writing meanwhile is safe.

        Parameters
        ----------
        prefix : str, optional
            Only keys that begin with this string.
        start_after : str, optional
            Only keys after this one, whether it exists or not.
        limit : int, optional
            At most so many.
        """

    @abstractmethod
    def list(self, prefix: str = "", page_size: int = 1000) -> Iterator[list[str]]:
        """Yield pages of keys: lists of ``page_size``, the last one shorter, none empty."""

    @abstractmethod
    def items(self, prefix: str = "") -> Iterator[tuple[str, Value]]:
        """Yield ``(key, value)`` lazily, in code-point order; large data is not read yet."""

    @abstractmethod
    def entries(self, prefix: str = "") -> Iterator[KeyEntry]:
        """Yield ``(key, size, modified, token)`` lazily, in code-point order; no data is read."""

    @abstractmethod
    def totals(self, prefix: str = "") -> tuple[int, int | None]:
        """Return the number of keys that begin with ``prefix``, and the bytes of their data.

        The bytes are None where they cannot be told without reading all of it.
        """

    @abstractmethod
    def glob(self, pattern: str) -> Iterator[str]:
        """Yield the keys that fit a pattern.

        Parameters
        ----------
        pattern : str
            ``*`` and ``?`` stand for characters other than ``/``, ``**`` for any, ``[a-z]`` and
            ``[!a-z]`` for one of, or none of, a range.
        """

    @abstractmethod
    def query(
        self,
        select: Iterable[str] | None = None,
        where: Mapping[str, Any] | None = None,
        **equals: Any,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield ``(key, metadata)`` where fields of the metadata have certain values.

        Parameters
        ----------
        select : iterable of str, optional
            Give these fields only.
        where : mapping, optional
            For names that are no Python identifiers.
        **equals
            Fields and the values they must have, types distinguished as JSON does: ``1`` equals
            ``1.0`` but not ``True``; null is a value, not an absence.

        Raises
        ------
        TypeError
            A value is not JSON.
        """

    @abstractmethod
    def query_keys(self, where: Mapping[str, Any] | None = None, **equals: Any) -> Iterator[str]:
        """Yield the keys only; see `query`."""

    # -- writing ----------------------------------------------------------------------------------

    @abstractmethod
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
        """Write data and metadata under a key, as one act.

        Parameters
        ----------
        key : str
        data : bytes-like or binary file-like
            A file-like is read from where it stands to its end, in pieces.
        metadata : mapping of str to JSON, optional
            Copied; ``{}`` without.
        buffer_size : int, optional
            Bytes in memory at once.
        if_absent : bool, optional
            Refuse if the key is there.
        if_token : str, optional
            Refuse unless the value there has this token.

        Raises
        ------
        TypeError
            The data is not bytes, or the metadata not JSON.
        ConflictError
            ``if_absent`` or ``if_token`` refused.
        """

    @abstractmethod
    def set(self, key: str, value: Any, buffer_size: int = BUFFER_SIZE) -> None:
        """Replace data and metadata under a key, as one act.

        Parameters
        ----------
        key : str
        value : Value, (data, metadata) tuple, or data
            Data is bytes-like or a binary file-like; without metadata it stores ``{}``.
        buffer_size : int, optional
            Bytes in memory at once.
        """

    @abstractmethod
    def set_data(self, key: str, data: Any, buffer_size: int = BUFFER_SIZE) -> None:
        """Replace the data and keep the metadata; a new key gets ``{}``."""

    @abstractmethod
    def set_metadata(self, key: str, metadata: Mapping[str, Any]) -> None:
        """Replace the metadata and keep the data; a new key gets empty data."""

    @abstractmethod
    def update_metadata(self, key: str, metadata: Mapping[str, Any]) -> None:
        """Put fields over the metadata and keep the rest; a new key gets empty data."""

    @abstractmethod
    def from_bytes(self, key: str, data: bytes, buffer_size: int = BUFFER_SIZE) -> None:
        """Replace the data by bytes and keep the metadata: the same as `set_data`."""

    @abstractmethod
    def from_file(self, key: str, path: Any, buffer_size: int = BUFFER_SIZE) -> None:
        """Replace the data by that of an ordinary file and keep the metadata."""

    @abstractmethod
    def delete(self, key: str, missing_ok: bool = False) -> None:
        """Remove a key.

        Raises
        ------
        KeyNotFoundError
            There is no such key, and ``missing_ok`` is false.
        """

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Copy a value to another key of this store; onto itself nothing happens.

        Raises
        ------
        KeyNotFoundError
            There is no ``source``.
        """

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Give a value another key, replacing what is there; onto itself nothing happens.

        Raises
        ------
        KeyNotFoundError
            There is no ``source``.
        """

    @abstractmethod
    def clear(self, prefix: str = "") -> None:
        """Remove every key that begins with ``prefix``, in one transaction."""

    # -- several at once --------------------------------------------------------------------------

    @abstractmethod
    def multiget(self, keys: Iterable[str]) -> Iterator[Value]:
        """Yield the values of keys, in the order of the keys.

        Raises
        ------
        KeyNotFoundError
            One of them is not there; raised when its turn comes.
        """

    @abstractmethod
    def multiget_data(self, keys: Iterable[str]) -> Iterator[IO[bytes]]:
        """Yield the data of keys as streams; see `multiget`."""

    @abstractmethod
    def multiget_metadata(
        self, keys: Iterable[str], select: Iterable[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the metadata of keys; see `multiget` and `get_metadata`."""

    @abstractmethod
    def multiset(
        self,
        keys: Iterable[str] | Mapping[str, Any],
        values: Iterable[Any] | None = None,
        buffer_size: int = BUFFER_SIZE,
    ) -> None:
        """Set many values in one transaction, the fastest way to write many.

        Parameters
        ----------
        keys : iterable of str, or mapping of str to value
            A mapping brings the values along.
        values : iterable, optional
            As `set` takes them.
        buffer_size : int, optional
            Bytes in memory at once, per value.

        Raises
        ------
        ValueError
            There are more keys than values, or fewer.
        """

    @abstractmethod
    def multiset_data(
        self,
        keys: Iterable[str] | Mapping[str, Any],
        datas: Iterable[Any] | None = None,
        buffer_size: int = BUFFER_SIZE,
    ) -> None:
        """`set_data` for many keys, in one transaction."""

    @abstractmethod
    def multiset_metadata(
        self,
        keys: Iterable[str] | Mapping[str, Any],
        metadatas: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        """`set_metadata` for many keys, in one transaction."""

    @abstractmethod
    def multiupdate_metadata(
        self,
        keys: Iterable[str] | Mapping[str, Any],
        metadatas: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        """`update_metadata` for many keys, in one transaction."""

    @abstractmethod
    def import_values(
        self, items: Iterable[tuple[str, Value]], buffer_size: int = BUFFER_SIZE
    ) -> None:
        """Write values of another store as they are, in one transaction.

        Unlike `multiset` this keeps ``created``, ``modified`` and ``token``, so that a copy can
        be recognised as one.

        Parameters
        ----------
        items : iterable of (str, Value)
        buffer_size : int, optional
            Bytes in memory at once, per value.
        """

    # -- transactions -----------------------------------------------------------------------------

    @abstractmethod
    def transaction(
        self, notes: str = "", *, timeout: float | None = None, **options: Unpack[StepOptions]
    ) -> SimpleTransactionContext:
        """Return a context in which all writes happen together or not at all.

        Inside an open transaction of the caller this is the same context, and entering it again
        opens a block whose failure undoes that block only.

        Parameters
        ----------
        notes : str, optional
            What is being done, for people: "Crop image".
        timeout : float, optional
            Seconds to wait for another writer; default: the store's.
        meta : mapping of str to JSON, optional
            Kept by a `History` with the step, and given back when it is undone: a selection.
        undoable : bool, optional
            False: a history does not record what is done here.
        merge_key : str, optional
            A history makes one step of transactions with the same one that follow each other
            quickly: the moves of a slider.
        origin : str, optional
            Who writes; the ``origin`` of the events.

        Notes
        -----
        Inside an open transaction only ``notes`` counts: the rest is said by the outermost one.

        Examples
        --------
        >>> from encore.storage.api import DictStore
        >>> store = DictStore()
        >>> with store.transaction("Crop image"):
        ...     store.put("image", b"...")
        ...     store.update_metadata("image", {"cropped": True})
        """
