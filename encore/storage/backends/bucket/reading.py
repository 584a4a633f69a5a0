"""Values as they are in the bucket: one request for most of them.

Only this subpackage imports this module.
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, NamedTuple, TypeVar

from encore.errors import StoreError
from encore.storage.backends.bucket.client import WORKERS, Client, Found
from encore.storage.backends.bucket.contents import ObjectContent
from encore.storage.backends.bucket.failures import ObjectMissing
from encore.storage.backends.bucket.names import name_of
from encore.storage.backends.bucket.records import (
    About,
    about_of,
    foreign_token,
    key_in,
    record_folder,
    record_id,
    version_id,
)
from encore.storage.metadata import EMPTY
from encore.storage.template import Record

_T = TypeVar("_T")
_R = TypeVar("_R")

_FEW = 3  # are asked for one by one


class Seen(NamedTuple):
    """A version of a value: what the server says of the object, and the record of the store."""

    found: Found
    record: Record


class Reader:
    """Reads values.

    Parameters
    ----------
    client : Client
    small : int
        Data of up to so many bytes is read at once, and is then safe from being replaced.
    has_attributes : bool
        Whether the service keeps user metadata; else all of it is in records.
    """

    def __init__(self, client: Client, small: int, has_attributes: bool) -> None:
        self._client = client
        self._small = small
        self._has_attributes = has_attributes

    def look(self, key: str) -> Seen | None:
        """Find a value; its data is asked for when somebody reads it."""
        return self._seen(key, lambda name: (self._client.get(name, head=True)[0], None))

    def load(self, key: str) -> Seen | None:
        """Find a value, and read its data if it is small."""

        def fetch(name: str) -> tuple[Found, bytes | None]:
            found, result = self._client.get(name)
            if found.size > self._small:
                return found, None
            return found, b"".join(self._client.chunks(result, name, max(found.size, 1)))

        return self._seen(key, fetch)

    def read(self, key: str) -> bytes | None:
        """All of the data."""
        try:
            return self._client.read(name_of(key))[1]
        except ObjectMissing:
            return None

    def record_of(self, found: Found) -> str | None:
        """The id of the record that an object has, or may have."""
        return record_id(found) if self._has_attributes else version_id(found.etag)

    def key_of_cut(self, found: Found) -> str | None:
        """The key of an object whose name does not say it."""
        if self._has_attributes:
            now = self._client.head(found.name)
            key = None if now is None else key_in(now)
        else:
            key = self._key_in_record(found)
        return key if key is not None and name_of(key) == found.name else None

    def _key_in_record(self, found: Found) -> str | None:
        try:
            data = self._client.read(record_folder(found.name) + version_id(found.etag))[1]
            return str(json.loads(data)["key"])
        except (ObjectMissing, ValueError, KeyError, TypeError):
            return None

    def _seen(self, key: str, fetch: Callable[[str], tuple[Found, bytes | None]]) -> Seen | None:
        name = name_of(key)
        last: Found | None = None
        while True:
            try:
                found, data = fetch(name)
            except ObjectMissing:
                return None
            about = self._about(found)
            if about is None and found == last:  # a copy by another program, which left it out
                about = About(EMPTY, found.modified, found.modified, foreign_token(found))
            if about is not None:
                content: Any = ObjectContent(self._client, found) if data is None else data
                text, created, modified, token = about
                return Seen(found, (content, text, found.size, created, modified, token))
            last = found

    def _about(self, found: Found) -> About | None:
        """What is known of an object; None if it should have a record, and there is none."""
        record = self.record_of(found)
        if record is None:
            return about_of(found)
        try:
            return About.from_json(self._client.read(record_folder(found.name) + record)[1])
        except ObjectMissing:
            return None

    # -- several ----------------------------------------------------------------------------------

    def each(
        self, function: Callable[[_T], _R], items: Iterable[_T], ahead: int = 4 * WORKERS
    ) -> Iterator[_R]:
        """Yield ``function(item)`` in order, several requests at a time.

        Parameters
        ----------
        function : callable
        items : iterable
        ahead : int, optional
            How many results may wait for the first of them.
        """
        rest = iter(items)
        few = [*itertools.islice(rest, _FEW + 1)]
        if len(few) <= _FEW:
            yield from map(function, few)
            return
        waiting: deque[Future[_R]] = deque()
        try:
            for item in itertools.chain(few, rest):
                waiting.append(self._client.pool.submit(function, item))
                if len(waiting) > ahead:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            for future in waiting:
                future.cancel()


def _result(future: Future[_R]) -> _R:
    try:
        return future.result()
    except CancelledError:
        raise StoreError("the store was closed in the middle of it") from None
