"""The same scenarios for two clients: ours, and the one that others have written.

`Ours` and `Theirs` offer the few acts that the tests are made of, in one form.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import objectstore_client

from encore import service

_MILLISECONDS = 20_000  # theirs gives up on a connection after 100 ms, and machines are busy


@dataclass(frozen=True)
class Seen:
    """An object as a client has seen it."""

    data: bytes
    metadata: Any


class Ours:
    """`encore.service.Client`."""

    name = "ours"
    library: Any = service
    RequestError = service.RequestError

    def __init__(self, url: str, usecase: str, token: Any = None, **scopes: Any) -> None:
        self.client = service.Client(url, timeout_ms=_MILLISECONDS, token=token)
        self.session = self.client.session(service.Usecase(usecase), **scopes)

    @staticmethod
    def live(duration: timedelta) -> Any:
        return service.TimeToLive(duration)

    @staticmethod
    def idle(duration: timedelta) -> Any:
        return service.TimeToIdle(duration)

    @staticmethod
    def duration(policy: Any) -> timedelta:
        return timedelta(seconds=policy.seconds)

    @staticmethod
    def secret_key(kid: str, pem: str, permissions: Any = None) -> Any:
        names = ["object.read", "object.write", "object.delete"]
        return service.SecretKey(kid, pem, permissions=permissions or names)

    def put(
        self, contents: Any, key: str | None = None, compress: str | None = None, **more: Any
    ) -> str:
        return self.session.put(contents, key, compress, **more)

    def get(self, key: str, decompress: bool = True) -> Seen | None:
        try:
            found = self.session.get(key, decompress)
        except service.ObjectNotFound:
            return None
        with found.payload:
            return Seen(found.payload.read(), found.metadata)

    def begin(self, key: str | None = None) -> Any:
        return self.session.initiate_multipart_upload(key)

    @staticmethod
    def put_part(upload: Any, data: bytes, number: int) -> Any:
        return upload.put_part(data, part_number=number)

    def close(self) -> None:
        self.client.close()


class Theirs:
    """``objectstore_client.Client``, unchanged."""

    name = "theirs"
    library: Any = objectstore_client
    RequestError = objectstore_client.RequestError

    def __init__(self, url: str, usecase: str, token: Any = None, **scopes: Any) -> None:
        self.client = objectstore_client.Client(url, timeout_ms=_MILLISECONDS, token=token)
        self.session = self.client.session(objectstore_client.Usecase(usecase), **scopes)

    @staticmethod
    def live(duration: timedelta) -> Any:
        return objectstore_client.TimeToLive(duration)

    @staticmethod
    def idle(duration: timedelta) -> Any:
        return objectstore_client.TimeToIdle(duration)

    @staticmethod
    def duration(policy: Any) -> timedelta:
        found: timedelta = policy.delta
        return found

    @staticmethod
    def secret_key(kid: str, pem: str, permissions: Any = None) -> Any:
        if permissions is None:
            return objectstore_client.SecretKey(kid, pem)
        chosen = [objectstore_client.Permission(name) for name in permissions]
        return objectstore_client.SecretKey(kid, pem, permissions=chosen)

    def put(
        self, contents: Any, key: str | None = None, compress: str | None = None, **more: Any
    ) -> str:
        return self.session.put(contents, key=key, compress=compress, **more)

    def get(self, key: str, decompress: bool = True) -> Seen | None:
        found = self.session.get(key, decompress)
        if found is None:
            return None
        with found.payload:
            return Seen(found.payload.read(), found.metadata)

    def begin(self, key: str | None = None) -> Any:
        return self.session.initiate_multipart_upload(key=key, compression="none")

    @staticmethod
    def put_part(upload: Any, data: bytes, number: int) -> Any:
        return upload.put_part(data, part_number=number, content_length=len(data))

    def close(self) -> None:
        self.client._pool.close()
