"""The part of the store that is not about keys: opening and closing, taking turns, what it can do.

Only ``store`` imports this module.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from encore.errors import EncoreError, ReadOnlyError, StoreError, UnsupportedError
from encore.events.abstract_event_manager import BaseEventManager
from encore.storage.backends.bucket.client import Client
from encore.storage.backends.bucket.listing import Listing
from encore.storage.backends.bucket.opening import (
    checked_prefix,
    identity,
    is_surely_ordered,
    make_s3,
    place_of,
)
from encore.storage.backends.bucket.placing import Placer
from encore.storage.backends.bucket.probing import Abilities, probe
from encore.storage.backends.bucket.reading import Reader, Seen
from encore.storage.backends.bucket.writing import Writer
from encore.storage.transactions.owners import OwnerState
from encore.storage.transactions.staging import StagedOwner, StagedStore

#: Data up to this size, in bytes, is read and written in one request, and held in memory for it.
SMALL = 4 << 20
#: The size of the parts of larger data, in bytes. A server takes 10,000 of them for one object.
PART = 8 << 20


class BucketOwner(StagedOwner):
    """What the store knows of the calling thread besides its uncommitted writes."""

    looks_only = 0  # whether it wants to know of values rather than read them
    guards = False  # whether the write under way has a condition
    target: str | None = None  # the only key that the data being staged can be for


class Version(NamedTuple):
    """What the store remembers of a version it wrote, to replace it without asking first."""

    condition: dict[str, str]
    created: float
    record: str | None


@dataclass(frozen=True, slots=True)
class OpenBucket:
    """What is held while a store is open."""

    client: Client
    abilities: Abilities
    listing: Listing
    reader: Reader
    placer: Placer
    writer: Writer


class BucketEngine(StagedStore):
    """A staged store with an open bucket; see `BucketStore`."""

    can_prepare = False  # each object is replaced by itself, and each of them can be refused
    small = SMALL
    _owner: BucketOwner

    def __init__(
        self,
        bucket_name: str,
        endpoint_url: str | None = None,
        s3_access_key: str | None = None,
        s3_secret_key: str | None = None,
        region: str | None = None,
        prefix: str = "",
        client: Any = None,
        *,
        readonly: bool = False,
        part_size: int = PART,
        request_timeout: float = 30.0,
        retries: int = 3,
        event_manager: BaseEventManager | None = None,
        timeout: float = 5.0,
    ) -> None:
        self._prefix = checked_prefix(prefix)
        self.bucket_name = bucket_name
        if client is None:
            client = make_s3(
                bucket_name,
                endpoint_url,
                s3_access_key,
                s3_secret_key,
                region,
                request_timeout=request_timeout,
                retries=retries,
            )
        self._client = client
        self._where = place_of(client, bucket_name)
        super().__init__(event_manager=event_manager, timeout=timeout)
        self._readonly = readonly
        self._part_size = part_size
        self._opening = threading.RLock()
        self._bucket: OpenBucket | None = None
        self._deferred: list[str] = []
        self._versions: dict[str, Version] = {}
        self._forget()

    def __repr__(self) -> str:
        place = f", prefix {self._prefix!r}" if self._prefix else ""
        return f"<BucketStore: {self._where}{place}>"

    def _new_owner(self) -> OwnerState:
        return BucketOwner()

    # -- opening and closing ----------------------------------------------------------------------

    def connect(self, credentials: Any = None) -> None:
        with self._opening:
            super().connect(credentials)

    def _open(self) -> None:
        client = Client(self._client, self._prefix, self._where)
        if self._readonly:
            next(client.objects("", ""), None)  # whether it is there, and may be read
            ordered = is_surely_ordered(self._client, self.bucket_name)
            abilities = Abilities(False, ordered, type(self._client).__name__ != "LocalStore")
        else:
            abilities = probe(client, identity(self._client, self.bucket_name))
        reader = Reader(client, self.small, abilities.attributes)
        placer = Placer(
            client,
            reader,
            small=self.small,
            part_size=self._part_size,
            has_attributes=abilities.attributes,
            has_conditions=abilities.conditions,
        )
        listing = Listing(client, abilities.is_ordered, reader.key_of_cut)
        writer = Writer(client, reader, placer)
        self._bucket = OpenBucket(client, abilities, listing, reader, placer, writer)

    def _ready(self) -> OpenBucket:
        """The open bucket; opens it on its first use."""
        self._opened()
        assert self._bucket is not None
        return self._bucket

    def _close(self) -> None:
        self._versions.clear()
        bucket, self._bucket = self._bucket, None
        if bucket is not None:
            bucket.client.close()

    def _after_fork(self) -> None:
        super()._after_fork()
        self._opening = threading.RLock()
        self._forget()
        if self._bucket is not None:
            self._bucket.client.let_go()

    def _describe(self) -> dict[str, Any]:
        bucket = self._bucket
        return {
            "path": f"{self._where}/{self._prefix}",
            "readonly": self._readonly,
            "atomic": "per key",
            "conditions": None if bucket is None else bucket.abilities.conditions,
            "forks": False,
        }

    # -- taking turns -----------------------------------------------------------------------------

    def _forget(self) -> None:
        """Begin without knowledge of what a transaction has seen."""
        self._seen: dict[str, Seen | None] = {}
        self._modes: dict[str, Any] = {}  # the condition of a write, by its token
        self._guesses: dict[str, Version | None] = {}  # what is probably there, by the token
        self._in_memory = 0

    def _enter_writer(self, timeout: float) -> None:
        if self._readonly:
            raise ReadOnlyError(f"begin: {self!r} was opened for reading only", store=self)
        self._forget()

    def _leave_writer(self) -> None:
        self._forget()
        names = self._deferred[:]
        self._deferred.clear()
        if names and self._bucket is not None:
            with suppress(StoreError):
                self._bucket.client.delete(names)

    def _only_looks(self) -> bool:
        """Whether the caller wants to know of a value, and not to read it."""
        if self._owner.looks_only:
            return True
        context = self._context()
        return context is not None and context.quiet  # a lone write wants to know what it replaces

    @contextmanager
    def _looking_only(self) -> Iterator[None]:
        """Find values in this thread without reading their data meanwhile."""
        owner = self._owner
        owner.looks_only += 1
        try:
            yield
        finally:
            owner.looks_only -= 1

    def _looking_in_transaction(self) -> AbstractContextManager[None]:
        """The same for a write in an open transaction. One by itself ends with its events, and
        whoever hears them may want to read."""
        return nullcontext() if self._context() is None else self._looking_only()

    @contextmanager
    def _guarding(self, is_guarded: bool) -> Iterator[None]:
        """Make the writes of this thread meanwhile depend on what they find."""
        if not is_guarded:
            yield
            return
        if not self._ready().abilities.conditions and not self._readonly:
            raise UnsupportedError(
                f"put: {self!r} cannot keep conditions: the server accepts a conditional write "
                "and ignores its condition, or has none. Without if_absent and if_token it works",
                store=self,
                operation="put",
            )
        self._owner.guards = True
        try:
            yield
        finally:
            self._owner.guards = False

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Have errors name this store."""
        try:
            yield
        except EncoreError as error:
            if error.store is None:
                error.store = self
            raise
