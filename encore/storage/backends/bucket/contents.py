"""The data of values: an object of one version, and data that is on its way into one.

Only this subpackage imports this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from encore.errors import ConflictError, StoreError
from encore.storage.backends.bucket.client import Client, Found, Sending
from encore.storage.backends.bucket.failures import ConditionFailed, ObjectMissing
from encore.streams import chunks_of

__all__ = ["Joined", "ObjectContent", "StagedObject", "Upload"]


class ObjectContent:
    """The data of an object as long as it is the version that was found.

    Every request names that version. What comes is its bytes, or `ConflictError` once somebody has
    replaced or removed the object: never a mixture.

    *Threads*: reads are independent of each other.
    """

    __slots__ = ("_client", "_closed", "found", "size")

    def __init__(self, client: Client, found: Found) -> None:
        self._client = client
        self.found = found
        self.size = found.size
        self._closed = False

    def again(self) -> ObjectContent:
        """The same, for somebody who may close it."""
        return ObjectContent(self._client, self.found)

    def read(self, start: int, end: int) -> bytes:
        if start >= end:
            self._check_open()
            return b""
        return b"".join(self.chunks(start, end, 1 << 20))

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        if start >= end:
            return
        self._check_open()
        found = self.found
        options: dict[str, Any] = {}
        if (start, end) != (0, self.size):
            options["range"] = (start, end)
        if found.version is not None:
            options["version"] = found.version  # still there after it has been replaced
        elif found.etag is not None:
            options["if_match"] = found.etag
        try:
            now, result = self._client.get(found.name, **options)
            if now.etag != found.etag:  # by a server that does not know the condition
                raise ConditionFailed
            done = start
            for chunk in self._client.chunks(result, found.name, buffer_size):
                self._check_open()
                done += len(chunk)
                yield chunk
        except (ConditionFailed, ObjectMissing) as error:
            raise ConflictError(
                f"the value in {found.name!r} was replaced or removed while it was being read; "
                "get it again"
            ) from error
        if done != end:
            raise StoreError(
                f"the server sent {done - start} bytes of {found.name!r} rather than {end - start}"
            )

    def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("I/O operation on closed value")


class Joined:
    """Streamed data that is small enough to be sent in one request."""

    __slots__ = ("data", "size")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, start: int, end: int) -> bytes:
        return self.data[start:end]

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        return chunks_of(self.data[start:end], buffer_size)

    def close(self) -> None:
        pass

    def discard(self) -> None:
        pass


class Upload:
    """An object that has been sent, and appears under its name once it is finished.

    On S3 that is a multipart upload yet to be completed. Nobody can read it, not even who sent it.
    """

    __slots__ = ("_sending", "name", "record", "size")

    def __init__(
        self, client: Client, name: str, record: str, attributes: dict[str, str], part_size: int
    ) -> None:
        self._sending: Sending | None = client.begin(name, attributes, part_size)
        self.name = name
        self.record = record
        self.size = 0

    def send(self, chunks: Iterable[bytes]) -> None:
        """Send all of the data; leave nothing of it if that fails."""
        sending = self._sending
        assert sending is not None
        try:
            for chunk in chunks:
                sending.write(chunk)
                self.size += len(chunk)
        except BaseException:
            self.discard()
            raise

    def finish(self) -> None:
        """Make the object appear."""
        sending, self._sending = self._sending, None
        assert sending is not None
        sending.finish()

    def discard(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            # What is left of an upload costs room until the bucket's own rules remove it.
            with suppress(StoreError):
                sending.abort()

    def read(self, start: int, end: int) -> bytes:
        raise self._unreadable()

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        raise self._unreadable()

    def close(self) -> None:
        pass

    def _unreadable(self) -> StoreError:
        return StoreError(f"the data for {self.name!r} cannot be read before it is in place")


class StagedObject:
    """A hidden object that a commit copies to its place, and then removes.

    Attributes
    ----------
    deferred : list of str or None
        Where its name goes when it is discarded while somebody may still read it; whoever set
        this removes those objects later.
    """

    __slots__ = ("_client", "deferred", "name", "record", "size")

    def __init__(self, client: Client, name: str, record: str, size: int) -> None:
        self._client = client
        self.name = name
        self.record = record
        self.size = size
        self.deferred: list[str] | None = None

    def read(self, start: int, end: int) -> bytes:
        return b"".join(self.chunks(start, end, 1 << 20))

    def chunks(self, start: int, end: int, buffer_size: int) -> Iterator[bytes]:
        if start >= end:
            return
        try:
            _, result = self._client.get(self.name, range=(start, end))
        except ObjectMissing:
            raise StoreError("the data of this value has been discarded") from None
        yield from self._client.chunks(result, self.name, buffer_size)

    def close(self) -> None:
        pass

    def discard(self) -> None:
        if self.deferred is not None:
            self.deferred.append(self.name)
            return
        with suppress(StoreError):  # the next store that stages something sweeps it away
            self._client.delete([self.name])
