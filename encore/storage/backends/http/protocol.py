"""The protocol of `DynamicURLStore`: which requests mean what.

It is written down for authors of servers in ``docs/howto/http-stores.md``. Only ``dynamic`` and
``committing`` import this module.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from encore.errors import (
    CommitUnknownError,
    ConflictError,
    CorruptValueError,
    RequestError,
    StoreError,
)
from encore.storage.backends.http.answers import Answer
from encore.storage.backends.http.client import MISSING, HttpClient
from encore.storage.backends.http.contents import read_range
from encore.storage.backends.http.documents import BadDocument, lines_of, parse_json
from encore.storage.backends.http.failures import About
from encore.storage.backends.http.records import (
    RemoteValue,
    as_permissions,
    listed,
    read_page,
    rest_path,
)
from encore.storage.backends.http.spooling import Body, SpooledData
from encore.storage.backends.http.urls import Url
from encore.storage.template import Record

__all__ = ["RestProtocol"]

#: Data up to this size, in bytes, comes along with its record.
INLINE_BYTES = 1 << 16
_PAGE = 1000
_LONGEST_QUERY = 4000
_MOST_DOCUMENT = 1 << 26


class RestProtocol:
    """What a store asks its server, in terms of keys and records.

    *Threads*: any.
    """

    def __init__(self, client: HttpClient, base: Url, query: Url, store: Any) -> None:
        self.client = client
        self._base = base
        self._query = query
        self._store = store

    def _about(self, operation: str, key: str | None = None) -> About:
        return About(self._store, operation, key)

    def url(self, key: str, part: str) -> Url:
        """The address of a part of a key: ``value``, ``data``, ``metadata``, ``permissions``."""
        return self._base.below(f"{rest_path(key)}/{part}")

    # -- reading ----------------------------------------------------------------------------------

    def record(self, key: str) -> Record | None:
        """The record under a key; small data comes along, large data is read when it is asked."""
        return self._value(key, INLINE_BYTES)

    def token(self, key: str) -> str | None:
        """The token of what is under a key."""
        record = self._value(key, 0)
        return None if record is None else record[5]

    def _value(self, key: str, inline: int) -> Record | None:
        about = self._about("get", key)

        def take(answer: Answer) -> Record | None:
            if answer.status in MISSING:
                return None
            chunks = answer.chunks()
            line, *rest = lines_of(chunks, 1)
            _, text, size, created, modified, token = listed(parse_json(line), key)
            if size <= inline:
                data = b"".join(rest)
                for chunk in chunks:
                    data += chunk
                    if len(data) > size:
                        break
                if len(data) != size:
                    raise BadDocument("the data is not of the size that its record says")
                return data, text, size, created, modified, token
            content = RemoteValue(self.client, self.url(key, "data"), about, size, token)
            return content, text, size, created, modified, token

        headers = {"Encore-Inline": str(inline)}
        found: Record | None = self._document(
            "GET", self.url(key, "value"), about, take, headers=headers, allowed=MISSING
        )
        return found

    def has(self, key: str) -> bool:
        """Whether there is such a key."""
        about = self._about("exists", key)
        url = self.url(key, "value")
        return self.client.ask(
            "HEAD", url, about, lambda answer: answer.status not in MISSING, allowed=MISSING
        )

    def read_range(self, key: str, start: int, end: int) -> bytes | None:
        """A part of the data, which is not empty, cut off at its end; None if there is no key."""
        about = self._about("get_data_range", key)
        return read_range(self.client, self.url(key, "data"), about, start, end)

    def listing(self, **wanted: Any) -> Iterator[Any]:
        """Yield what a query finds, in pages: `Listed`, or keys for ``keys_only=True``."""
        about = self._about("query")
        prefix, after = wanted.get("prefix", ""), wanted.get("start_after")
        only = bool(wanted.get("keys_only"))

        def take(answer: Answer) -> tuple[list[Any], bool]:
            return read_page(lines_of(answer.chunks()), prefix, after, keys_only=only)

        while True:
            query = {**wanted, "start_after": after, "limit": _PAGE}
            page, more = self._ask_query(query, about, take)
            yield from page
            if not more:
                return
            if not page:
                raise self._corrupt(about, "the server promises more, and gives nothing")
            after = page[-1] if only else page[-1].key

    def _ask_query(self, query: dict[str, Any], about: About, take: Callable[[Answer], Any]) -> Any:
        text = json.dumps(query, ensure_ascii=False, separators=(",", ":"))
        encoded = quote(text, safe="")
        if len(encoded) <= _LONGEST_QUERY:
            url = Url(self._query.origin, f"{self._query.target}?{encoded}")
            return self._document("GET", url, about, take)
        headers = {"Content-Type": "application/json"}
        return self._document(
            "POST", self._query, about, take, headers=headers, body=text.encode(), harmless=True
        )

    def user_tag(self) -> str | None:
        """What the server calls the user whose credentials these are."""

        def take(answer: Answer) -> str | None:
            return answer.headers.get("Encore-User")

        query = {"prefix": "", "start_after": None, "limit": 0, "keys_only": True}
        found: str | None = self._ask_query(query, self._about("user_tag"), take)
        return found

    # -- writing ----------------------------------------------------------------------------------

    def put_anyway(self, key: str, record: Record) -> None:
        """Put a record, whatever is there; the server knows since when."""
        self.put(key, record, {}, keep=True)

    def put(self, key: str, record: Record, condition: Mapping[str, str], *, keep: bool) -> None:
        """Put a record under a key, as one act.

        Parameters
        ----------
        key : str
        record : Record
        condition : mapping of str to str
            Headers that say what has to be there.
        keep : bool
            Whether ``created`` is left to the server, which knows what is there.
        """
        content, text, size, created, modified, token = record
        head: dict[str, Any] = {"size": size, "modified": modified, "token": token}
        if not keep:
            head["created"] = created
        if isinstance(content, RemoteValue):
            head["data_of"] = {"key": content.key, "token": content.token}
        line = f'{{"metadata":{text},{json.dumps(head)[1:]}\n'.encode()
        body: Any = line
        if isinstance(content, bytes):
            body = line + content
        elif isinstance(content, SpooledData):
            body = lambda: Body(line, size, content.read)  # noqa: E731
        headers = {"Content-Type": "application/x-encore-value", **condition}
        self._change("PUT", key, headers, body, lambda: self.token(key) == token, (409, 412))

    def delete(self, key: str, condition: Mapping[str, str]) -> bool:
        """Take a key away; return whether it was there."""
        return self._change(
            "DELETE", key, condition, None, lambda: not self.has(key), (*MISSING, 409, 412)
        )

    def _change(
        self,
        method: str,
        key: str,
        headers: Mapping[str, str],
        body: Any,
        is_done: Callable[[], bool],
        allowed: tuple[int, ...],
    ) -> bool:
        """Have the server change something; where the answer is lost, find out what happened."""
        about, url = self._about(method.lower(), key), self.url(key, "value")
        try:
            status, again = self.client.ask(
                method,
                url,
                about,
                lambda answer: (answer.status, answer.is_repetition),
                headers=headers,
                body=body,
                allowed=allowed,
            )
        except RequestError as error:
            lost = getattr(error, "may_have_arrived", (error.status or 0) >= 500)
            if lost and self._look(is_done, key, error):
                return True
            raise
        if status in MISSING:
            return again
        if status in (409, 412) and not (again and is_done()):
            raise ConflictError(
                f"{key!r} was not changed in {self._store!r}: another client has changed it "
                "meanwhile, or what it was to be a copy of; look at it again",
                **about._asdict(),
            )
        return True

    def _look(self, is_done: Callable[[], bool], key: str, error: RequestError) -> bool:
        try:
            return is_done()
        except StoreError:
            raise CommitUnknownError(
                f"whether {key!r} was changed in {self._store!r} is not known, because the server "
                "has not answered since; look when it does",
                key=key,
                store=self._store,
            ) from error

    def permissions(self, method: str, key: str, change: Any = None) -> Any:
        """GET, PUT (replace) or POST (add) permissions; None if there is no such key."""
        about = self._about("permissions", key)

        def take(answer: Answer) -> Any:
            if answer.status in MISSING:
                return None
            return as_permissions(parse_json(answer.read(_MOST_DOCUMENT))) if body is None else {}

        body = None if change is None else json.dumps(change).encode()
        headers = {} if change is None else {"Content-Type": "application/json"}
        return self._document(
            method,
            self.url(key, "permissions"),
            about,
            take,
            headers=headers,
            body=body,
            allowed=MISSING,
            harmless=True,
        )

    # -- what is believed -------------------------------------------------------------------------

    def _document(
        self, method: str, url: Url, about: About, take: Callable[[Answer], Any], **options: Any
    ) -> Any:
        try:
            return self.client.ask(method, url, about, take, **options)
        except BadDocument as error:
            raise self._corrupt(about, str(error)) from error

    def _corrupt(self, about: About, problem: str) -> CorruptValueError:
        return CorruptValueError(
            f"{about.operation}: the answer of {self._base} cannot be taken: {problem}",
            **about._asdict(),
        )
