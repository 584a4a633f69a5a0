"""One value to its place: data under its name, and what is known of it where that belongs.

The order is the point: what is pointed to comes first, and the object of the key, which makes all
of it visible in one step, comes last. Until then everybody reads the value there was.

Only this subpackage imports this module.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from encore.errors import ConflictError, EncoreError, StoreError
from encore.storage.backends.bucket.client import Client
from encore.storage.backends.bucket.contents import Joined, ObjectContent, StagedObject, Upload
from encore.storage.backends.bucket.names import HIDDEN, key_of, name_of
from encore.storage.backends.bucket.reading import Reader
from encore.storage.backends.bucket.records import (
    About,
    inline,
    pointing,
    record_folder,
    version_id,
)
from encore.storage.template import Record, Staged
from encore.storage.transactions.owners import new_token
from encore.storage.values import gather

__all__ = ["STAGED", "Placed", "Placer"]

#: Where data of open transactions is.
STAGED = f"{HIDDEN}staged/"

_STALE_SECONDS = 86400.0  # what has been there so long, somebody left when he died
_COPY_BYTES = 5 << 30  # S3 copies no larger object in one request


class Placed(NamedTuple):
    """A version that is in place: the id of its record, if it has one, and its condition."""

    record: str | None
    condition: dict[str, str]


class Placer:
    """Takes data in, and puts values in their places.

    Parameters
    ----------
    client : Client
    reader : Reader
    small : int
        Data of up to so many bytes is written in one request.
    part_size : int
        Larger data goes in parts of so many bytes.
    has_attributes : bool
        Whether the service keeps user metadata; else all of it is in records, beside the objects,
        and a moment later than they.
    has_conditions : bool
    """

    def __init__(
        self,
        client: Client,
        reader: Reader,
        *,
        small: int,
        part_size: int,
        has_attributes: bool,
        has_conditions: bool,
    ) -> None:
        self._client = client
        self._reader = reader
        self._small = small
        self._part_size = part_size
        self._has_attributes = has_attributes
        self._has_conditions = has_conditions
        self._swept = False

    # -- data on its way in -----------------------------------------------------------------------

    def stage(self, chunks: Iterator[bytes], key: str | None) -> Staged:
        """Take a stream in.

        Parameters
        ----------
        chunks : iterator of bytes
        key : str or None
            The only key the data can be for; then it goes straight to its place.
        """
        head = gather(chunks, self._small)
        if isinstance(head, bytes):
            return Joined(head)
        if key is not None:
            return self._upload(key, head)
        return self.park(head)

    def park(self, chunks: Iterator[bytes]) -> StagedObject:
        """Take a stream in as a hidden object, whatever its size."""
        self._sweep()
        name, record = STAGED + new_token(), new_token()
        upload = Upload(self._client, name, record, self._pointing(record), self._part_size)
        upload.send(chunks)
        upload.finish()
        return StagedObject(self._client, name, record, upload.size)

    def duplicate(self, content: ObjectContent) -> Staged:
        """Take the data of another object in, within the server if possible."""
        if content.size <= self._small:
            return Joined(content.read(0, content.size))
        record = self._reader.record_of(content.found)
        if record is None or content.size > _COPY_BYTES or not self._has_attributes:
            return self.stage(content.chunks(0, content.size, self._part_size), None)
        self._sweep()
        staged = StagedObject(self._client, STAGED + new_token(), record, content.size)
        self._client.copy(content.found.name, staged.name)
        now = self._client.head(staged.name)
        if now is None or self._reader.record_of(now) != record:
            staged.discard()
            raise ConflictError(
                f"{content.found.name!r} was replaced while it was being copied; try again"
            )
        return staged

    def _upload(self, key: str, chunks: Iterator[bytes]) -> Upload:
        name, record = name_of(key), new_token()
        attributes = self._pointing(record, _key_beside(name, key))
        upload = Upload(self._client, name, record, attributes, self._part_size)
        upload.send(chunks)
        return upload

    def _attributes(self, about: About, key: str | None) -> dict[str, str] | None:
        return inline(about, key) if self._has_attributes else {}

    def _pointing(self, record: str, key: str | None = None) -> dict[str, str]:
        return pointing(record, key) if self._has_attributes else {}

    def _sweep(self) -> None:
        """Remove what others staged long ago and never published; once is enough."""
        if self._swept:
            return
        self._swept = True
        with suppress(StoreError):
            eldest = time.time() - _STALE_SECONDS
            listed = self._client.objects(STAGED, "")
            self._client.delete([found.name for found in listed if found.modified < eldest])

    # -- values to their places -------------------------------------------------------------------

    def place(self, key: str, record: Record, mode: Any) -> Placed:
        """Put a value under a key, in one step.

        Raises
        ------
        ConditionFailed
            The object is not what ``mode`` says.
        """
        content: Any = record[0]
        about = About(record[1], *record[3:])
        if isinstance(content, bytes):
            return self.put(key, content, about, mode)
        if isinstance(content, ObjectContent):
            return self._replace_about(key, content, about)
        # Only what is sent in one request can have a condition.
        if isinstance(content, Joined) or content.size <= self._small or mode != "overwrite":
            return self.put(key, content.read(0, content.size), about, mode)
        name = name_of(key)
        if isinstance(content, StagedObject) and self._can_copy(name, content):
            self._write_record(name, content.record, about, key)
            self._client.copy(content.name, name)
            return Placed(content.record, {})
        if not isinstance(content, Upload):
            content = self._upload(key, content.chunks(0, content.size, self._part_size))
        return self._finish(key, content, about)

    def put(self, key: str, data: bytes, about: About, mode: Any = "overwrite") -> Placed:
        """Put data under a key in one request.

        An error has an attribute ``leftover`` if a record has been written for nothing.
        """
        name = name_of(key)
        record = None
        attributes = self._attributes(about, _key_beside(name, key))
        if attributes is None:
            record = new_token()
            self._write_record(name, record, about, key)
            attributes = pointing(record, _key_beside(name, key))
        try:
            result = self._client.put(name, data, attributes, mode)
        except EncoreError as error:
            if record is not None:
                error.leftover = record_folder(name) + record  # type: ignore[attr-defined]
            raise
        if not self._has_attributes:
            record = version_id(result["e_tag"])
            self._write_record(name, record, about, key)
        return Placed(record, {part: value for part, value in result.items() if value is not None})

    def _finish(self, key: str, upload: Upload, about: About) -> Placed:
        if self._has_attributes:
            self._write_record(upload.name, upload.record, about, key)
            upload.finish()
            return Placed(upload.record, {})
        upload.finish()
        found = self._client.head(upload.name)
        record = version_id(None if found is None else found.etag)
        self._write_record(upload.name, record, about, key)
        return Placed(record, {})

    def _replace_about(self, key: str, content: ObjectContent, about: About) -> Placed:
        """Give an object that stays as it is other metadata."""
        found = content.found
        record = self._reader.record_of(found)
        if record is not None:
            self._write_record(found.name, record, about, key)
            return Placed(record, found.condition)
        if content.size > self._small:  # written by another program
            chunks = content.chunks(0, content.size, self._part_size)
            return self._finish(key, self._upload(key, chunks), about)
        mode = found.condition if self._has_conditions else "overwrite"
        return self.put(key, content.read(0, content.size), about, mode)

    def _can_copy(self, name: str, content: StagedObject) -> bool:
        """Whether a copy of the staged object would be as it should be under that name."""
        says_key = _key_beside(name, "") is None
        return self._has_attributes and says_key and content.size <= _COPY_BYTES

    def _write_record(self, name: str, record: str, about: About, key: str) -> None:
        self._client.put(record_folder(name) + record, about.to_json(key), {})


def _key_beside(name: str, key: str) -> str | None:
    """The key, where the name of its object does not say it."""
    return key if key_of(name) is None else None
