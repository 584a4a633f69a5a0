"""What `ServiceStore` asks its service, in terms of keys and records.

Only ``store`` and ``following`` import this module.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from encore.errors import CommitUnknownError, CorruptValueError, RequestError, StoreError
from encore.service.client.asking import Connection
from encore.service.client.batches import Condition, body_of, segments_of
from encore.service.places import Place, encode_piece
from encore.storage.backends.http.answers import Answer
from encore.storage.backends.http.client import MISSING
from encore.storage.backends.http.contents import read_range
from encore.storage.backends.http.documents import (
    BadDocument,
    as_key,
    lines_of,
    parse_json,
)
from encore.storage.backends.http.failures import About
from encore.storage.backends.http.records import RemoteValue, listed
from encore.storage.backends.http.urls import Url
from encore.storage.template import Record

__all__ = ["RemotePlace"]

#: Data up to this size, in bytes, comes along with its record.
INLINE_BYTES = 1 << 16
_MOST_DOCUMENT = 1 << 26


#: What a transaction found under keys when it first looked: token and metadata, or nothing.
class RemotePlace:
    """The objects of one place, as keys and records.

    It offers what `HttpClient` does, and brings the token along, so that data is read through it.

    *Threads*: any.
    """

    def __init__(self, connection: Connection, place: Place, store: Any, name: str) -> None:
        self._connection = connection
        self._place = place
        self._store = store
        self._name = name

    def about(self, operation: str, key: str | None = None) -> About:
        return About(self._store, operation, key)

    def url(self, resource: str, key: str = "", query: str = "") -> Url:
        path = f"v1/{resource}/{self._place.path}/{encode_piece(key)}"
        return self._connection.base.below(path, query)

    def ask(self, method: str, url: Url, about: About, take: Any, **options: Any) -> Any:
        """See `HttpClient.ask`."""
        options["headers"] = self._headers(options.get("headers"))
        return self._connection.client.ask(method, url, about, take, **options)

    def open(self, url: Url, about: About, **options: Any) -> Answer:
        """See `HttpClient.open`."""
        options["headers"] = self._headers(options.get("headers"))
        return self._connection.client.open(url, about, **options)

    def _headers(self, more: Mapping[str, str] | None) -> dict[str, str]:
        ours = {"x-encore-client": self._name}
        return {**self._connection.headers(self._place), **ours, **(more or {})}

    # -- reading ----------------------------------------------------------------------------------

    def record(self, key: str, inline: int = INLINE_BYTES) -> Record | None:
        """The record under a key; small data comes along, large data is read when it is asked."""
        about = self.about("get", key)

        def take(answer: Answer) -> Record | None:
            if answer.status in MISSING:
                return None
            chunks = answer.chunks()
            line, *rest = lines_of(chunks, 1)
            _, text, size, created, modified, token = listed(parse_json(line), key)
            if size > inline:
                client: Any = self
                content = RemoteValue(client, self.url("objects", key, "data"), about, size, token)
                return content, text, size, created, modified, token
            data = b"".join((*rest, *chunks))
            if len(data) != size:
                raise BadDocument("the data is not of the size that its record says")
            return data, text, size, created, modified, token

        url = self.url("objects", key, f"record={inline}")
        found: Record | None = self._document("GET", url, about, take, allowed=MISSING)
        return found

    def has(self, key: str) -> bool:
        """Whether there is such a key."""
        return self.record(key, 0) is not None

    def key_bytes(self) -> int:
        """How long keys may be, which the service knows; it is asked, so it is there."""
        found = self._page("list&limit=0")
        most = found.get("key_bytes")
        if type(most) is not int or most < 1:
            raise self._corrupt(self.about("connect"), "it does not say how long keys may be")
        return most

    def read_range(self, key: str, start: int, end: int) -> bytes | None:
        """A part of the data, which is not empty, cut off at its end; None if there is no key."""
        asking: Any = self
        url = self.url("objects", key, "data")
        return read_range(asking, url, self.about("get_data_range", key), start, end)

    def put_anyway(self, key: str, record: Record) -> None:
        """Put a record, whatever is there; the service knows since when."""
        self.commit({key: record}, {}, keep_created=True)

    def listing(
        self,
        *,
        prefix: str = "",
        start_after: str | None = None,
        where: Mapping[str, Any] | None = None,
        keys_only: bool = False,
    ) -> Iterator[Any]:
        """Yield `Listed`, or keys, in order and in pages."""
        asked = {"list": "", "prefix": prefix}
        if where:
            asked["where"] = json.dumps(dict(where), ensure_ascii=False)
        if keys_only:
            asked["keys_only"] = ""
        after, last = start_after, start_after
        while True:
            given = asked if after is None else {**asked, "start_after": after}
            query = "&".join(f"{name}={quote(text, safe='')}" for name, text in given.items())
            page = self._page(query)
            for item in self._items(page, prefix, last, keys_only):
                last = item if keys_only else item.key
                yield item
            if not page.get("more"):
                return
            said = page.get("start_after")
            if not isinstance(said, str) or (after is not None and said <= after):
                raise self._corrupt(self.about("list"), "it promises more, and does not go on")
            after = said

    def _items(
        self, page: dict[str, Any], prefix: str, last: str | None, keys_only: bool
    ) -> Iterator[Any]:
        objects = page.get("objects")
        try:
            if not isinstance(objects, list):
                raise BadDocument("there are no objects in it")
            for found in objects:
                item = listed(found) if not keys_only else None
                key = as_key(found.get("key")) if item is None else item.key
                if not key.startswith(prefix) or (last is not None and key <= last):
                    raise BadDocument("its keys are not in order, or not those asked for")
                last = key
                yield key if item is None else item
        except (BadDocument, AttributeError) as error:
            raise self._corrupt(self.about("list"), str(error)) from error

    def _page(self, query: str) -> dict[str, Any]:
        def take(answer: Answer) -> dict[str, Any]:
            found = parse_json(answer.read(_MOST_DOCUMENT))
            if not isinstance(found, dict):
                raise BadDocument("it is no JSON object")
            return found

        found: dict[str, Any] = self._document(
            "GET", self.url("objects", "", query), self.about("list"), take
        )
        return found

    # -- writing ----------------------------------------------------------------------------------

    def commit(
        self,
        batch: Mapping[str, Record | None],
        conditions: Mapping[str, Condition],
        *,
        notes: str = "",
        origin: str | None = None,
        keep_created: bool = False,
    ) -> None:
        """Apply a batch, all of it or none.

        Parameters
        ----------
        batch : mapping of str to Record or None
        conditions : mapping of str to Condition
            For keys in the batch, and for others.
        notes, origin : str, optional
        keep_created : bool, optional
            Whether ``created`` is left to the service, which knows what is there.

        Raises
        ------
        ConflictError
            A condition does not hold.
        CommitUnknownError
            The answer was lost, and the service cannot be asked what became of it.
        """
        segments = [*segments_of(batch, conditions, keep_created)]
        headers = {"content-type": "application/x-encore-changes"}
        if notes:
            headers["x-encore-notes"] = quote(notes, safe=" /:,;()'")[:1000]
        if origin is not None:
            headers["x-encore-origin"] = quote(origin)
        about = self.about("commit")
        try:
            self.ask(
                "POST",
                self.url("objects:transaction"),
                about,
                lambda answer: answer.read(_MOST_DOCUMENT),
                headers=headers,
                body=lambda: body_of(segments),
            )
        except RequestError as error:
            lost = getattr(error, "may_have_arrived", (error.status or 0) >= 500)
            if not lost:
                raise
            if not self._is_done(batch):
                raise CommitUnknownError(
                    f"whether {len(batch)} keys were changed in {self._store!r} is not known, "
                    "because the answer of the service was lost; look at them",
                    store=self._store,
                ) from error

    def _is_done(self, batch: Mapping[str, Record | None]) -> bool:
        """Whether a batch was applied, as far as that can be seen."""
        try:
            for key, record in batch.items():
                found = self.record(key, 0)
                if record is not None:
                    return found is not None and found[5] == record[5]
            return bool(batch) and not any(self.has(key) for key in batch)
        except StoreError:
            return False

    # -- what is believed -------------------------------------------------------------------------

    def _document(
        self, method: str, url: Url, about: About, take: Callable[[Answer], Any], **options: Any
    ) -> Any:
        try:
            return self.ask(method, url, about, take, **options)
        except BadDocument as error:
            raise self._corrupt(about, str(error)) from error

    def _corrupt(self, about: About, problem: str) -> CorruptValueError:
        return CorruptValueError(
            f"{about.operation}: the answer of {self._connection.base} cannot be taken: {problem}",
            **about._asdict(),
        )
