"""`Session`: the objects of one usecase and one list of scopes.

The face of the package exports it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from encore.errors import CorruptValueError, RequestError
from encore.service.client.asking import Asking, Connection, document_of
from encore.service.client.failures import ObjectNotFound
from encore.service.client.measuring import measure_storage_operation
from encore.service.client.multipart import MultipartUpload
from encore.service.client.receiving import GetResult, opened
from encore.service.client.saying import end_of, named
from encore.service.client.sending import Outgoing
from encore.service.client.usecases import Compression, Usecase, check_compression
from encore.service.durations import Policy
from encore.service.metadata import DEFAULT_TYPE, Metadata
from encore.service.places import Place
from encore.storage.backends.http.answers import Answer
from encore.storage.backends.http.failures import About
from encore.storage.wrappers.metrics import MetricsBackend

__all__ = ["Session"]


class Session:
    """The objects of one usecase and scopes; made by `Client.session`.

    Attributes
    ----------
    usecase : Usecase
    place : Place
        The usecase's name and the scopes.

    Notes
    -----
    *Threads*: any. Connections belong to the client.
    """

    def __init__(
        self, connection: Connection, usecase: Usecase, place: Place, metrics: MetricsBackend
    ) -> None:
        self._asking = Asking(connection, place)
        self._metrics = metrics
        self.connection = connection
        self.usecase = usecase
        self.place = place

    def __repr__(self) -> str:
        return f"<Session {self.place.usecase} {self.place.scopes_text}>"

    # -- writing ----------------------------------------------------------------------------------

    def put(
        self,
        contents: Any,
        id: str | None = None,  # noqa: A002  a documented name
        compression: Compression | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        expiration_policy: Policy | None = None,
        *,
        origin: str | None = None,
        filename: str | None = None,
    ) -> str:
        """Store an object, replacing what is there.

        Parameters
        ----------
        contents : bytes-like or binary file-like
            A file-like is read from where it stands, in pieces, and is not closed.
        id : str, optional
            Its key; without one the service chooses.
        compression : ``"zstd"`` or ``"none"``, optional
            Default: the usecase's.
        content_type : str, optional
            A media type.
        metadata : mapping of str to str, optional
            Custom fields, whose names come back in lower case.
        expiration_policy : TimeToLive or TimeToIdle, optional
            Default: the usecase's.
        origin, filename : str, optional

        Returns
        -------
        str
            The key.

        Raises
        ------
        ValueError
            A name or the policy cannot be sent.
        RequestError
            The service refused or did not answer. A stream that cannot be read again is sent once
            only; everything else is repeated if that may help.
        CorruptValueError
            The service has received something else than was sent.
        """
        compress = check_compression(compression or self.usecase.compression)
        described = Metadata(
            content_type=content_type or DEFAULT_TYPE,
            compression="zstd" if compress else None,
            expiration_policy=expiration_policy or self.usecase.expiration_policy,
            custom=dict(metadata or {}),
            origin=origin,
            filename=filename,
        )
        headers = described.as_headers()
        with self._measured("put", described.compression) as measured:
            outgoing = Outgoing(contents, compress=compress)
            key = self._send(outgoing, headers, id)
            measured.note(outgoing.size, outgoing.plain_size)
        return key

    def _send(self, outgoing: Outgoing, headers: dict[str, str], key: str | None) -> str:
        about = self._about("put", key)

        def take(answer: Answer) -> str:
            if not outgoing.arrived_whole(answer.headers.get("repr-digest")):
                raise CorruptValueError(
                    "put: the service has received something else than was sent; put it again",
                    **about._asdict(),
                )
            found = document_of(answer, about).get("key")
            if not isinstance(found, str):
                raise RequestError("put: the service does not say the key", **about._asdict())
            return found

        return self._asking.ask(
            "PUT" if key else "POST",
            self._asking.url("objects", key or ""),
            about,
            take,
            headers={**headers, **outgoing.headers},
            body=outgoing.body,
            can_repeat=outgoing.can_repeat,
        )

    def initiate_multipart_upload(
        self,
        id: str | None = None,  # noqa: A002
        described: Metadata | None = None,
    ) -> MultipartUpload:
        """Begin to store an object in parts.

        Parameters
        ----------
        id : str, optional
            Its key; without one the service chooses.
        described : Metadata, optional
            What is to be known of it. Parts are sent as they are: give ``compression`` only if
            what they make together is compressed.
        """
        known = described or Metadata(expiration_policy=self.usecase.expiration_policy)
        about = self._about("initiate_multipart_upload", id)
        found = self._asking.ask(
            "PUT" if id else "POST",
            self._asking.url("objects:multipart", id or ""),
            about,
            lambda answer: document_of(answer, about),
            headers=known.as_headers(),
            body=b"",
        )
        return MultipartUpload(self._asking, str(found.get("key")), str(found.get("upload_id")))

    def resume_multipart_upload(self, id: str, upload_id: str) -> MultipartUpload:  # noqa: A002
        """Return an upload that has begun before; the service is not asked."""
        return MultipartUpload(self._asking, named(id), upload_id)

    def delete(self, id: str) -> None:  # noqa: A002
        """Remove an object; there may be none."""
        with self._measured("delete"):
            url, about = self._asking.url("objects", named(id)), self._about("delete", id)
            self._asking.ask("DELETE", url, about, lambda answer: None)

    def extend_expiry(
        self,
        id: str,  # noqa: A002
        at: datetime | None = None,
        from_creation: timedelta | None = None,
        from_now: timedelta | None = None,
    ) -> None:
        """Let an object live until a moment at least; it is never shortened.

        Parameters
        ----------
        id : str
        at : datetime, optional
            With a time zone.
        from_creation, from_now : timedelta, optional

        Raises
        ------
        ValueError
            Not exactly one of the three is given, or it is no moment to come.
        ObjectNotFound
            There is no such object.
        ObjectChanged
            It does not expire.
        """
        document = {"extend_expiry": end_of(at, from_creation, from_now)}
        with self._measured("extend_expiry"):
            self._asking.ask(
                "PATCH",
                self._asking.url("objects", named(id)),
                self._about("extend_expiry", id),
                lambda answer: None,
                headers={"content-type": "application/json"},
                body=json.dumps(document).encode(),
                harmless=True,
            )

    # -- reading ----------------------------------------------------------------------------------

    def get(self, id: str, decompress: bool = True) -> GetResult:  # noqa: A002
        """Read an object.

        Parameters
        ----------
        id : str
        decompress : bool, optional
            False: the data as it is stored.

        Raises
        ------
        ObjectNotFound
            There is no such object.
        """
        about = self._about("get", id)
        with self._measured("get"):
            answer = self._asking.open(self._asking.url("objects", named(id)), about)
            try:
                return opened(answer, about, decompress=decompress)
            except BaseException:
                answer.close()
                raise

    def head(self, id: str) -> Metadata | None:  # noqa: A002
        """Return what is known of an object; None if there is none.

        Like reading it, this puts off the end of an idle time.
        """
        with self._measured("head"):
            url, about = self._asking.url("objects", named(id)), self._about("head", id)
            try:
                return self._asking.ask(
                    "HEAD", url, about, lambda answer: Metadata.from_headers(answer.headers)
                )
            except ObjectNotFound:
                return None

    def exists(self, id: str) -> bool:  # noqa: A002
        """Whether there is such an object; see `head`."""
        return self.head(id) is not None

    def object_url(self, id: str) -> str:  # noqa: A002
        """The address of an object, without a token."""
        url = self._asking.url("objects", named(id))
        return url.origin + url.target

    def presigned_object_url(self, id: str, duration: timedelta = timedelta(hours=1)) -> str:  # noqa: A002
        """An address that opens an object for a while to whoever has it, for reading only.

        Parameters
        ----------
        id : str
        duration : timedelta, optional
            At most seven days.

        Raises
        ------
        ValueError
            The client has no `SecretKey`, or it is too long.
        """
        url = self._asking.url("objects", named(id))
        token = self._asking.connection.token
        sign = getattr(token, "signed", None)
        if sign is None:
            raise ValueError("only a client with a SecretKey can sign addresses")
        return f"{url.origin}{url.target}?{sign(url.target, int(duration.total_seconds()))}"

    # -- the inside -------------------------------------------------------------------------------

    def _about(self, operation: str, key: str | None) -> About:
        return About(None, operation, key)

    def _measured(self, operation: str, compression: str | None = None) -> Any:
        return measure_storage_operation(
            self._metrics, operation, self.usecase.name, compression=compression
        )
