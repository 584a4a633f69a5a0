"""`MultipartUpload`: an object in parts, which may be sent at the same time and in any order.

`Session.initiate_multipart_upload` makes one.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from encore.errors import RequestError
from encore.service.client.asking import Asking, document_of
from encore.storage.backends.http.failures import About

__all__ = ["CompletePart", "MultipartUpload", "PartInfo"]


class CompletePart(NamedTuple):
    """A part that has arrived, as `MultipartUpload.complete` wants to have it named."""

    part_number: int
    etag: str


class PartInfo(NamedTuple):
    """A part that has arrived, as the service lists it; sizes in bytes."""

    part_number: int
    etag: str
    last_modified: datetime
    size: int


class MultipartUpload:
    """An upload in parts.

    Attributes
    ----------
    key : str
        Of the object.
    upload_id : str

    Notes
    -----
    *Threads*: any; parts may be sent at the same time.
    """

    def __init__(self, asking: Asking, key: str, upload_id: str) -> None:
        self._asking = asking
        self.key = key
        self.upload_id = upload_id

    def __repr__(self) -> str:
        return f"<MultipartUpload of {self.key!r}>"

    def put_part(self, contents: bytes, *, part_number: int) -> CompletePart:
        """Send a part, exactly as it is; one of the same number is replaced.

        Parameters
        ----------
        contents : bytes
        part_number : int
            From 1 to 10,000.
        """
        url = self._asking.url(
            "objects:multipart:parts", self.key, upload_id=self.upload_id, part_number=part_number
        )
        digest = hashlib.sha256(contents).digest()
        headers = {"content-digest": f"sha-256=:{base64.b64encode(digest).decode()}:"}
        found = self._document("PUT", url, "put_part", headers, bytes(contents))
        return CompletePart(part_number, str(found.get("etag")))

    def list_parts(self) -> list[PartInfo]:
        """Return the parts that have arrived, in order."""
        found: list[PartInfo] = []
        while True:
            marker = {"part_number_marker": found[-1].part_number} if found else {}
            url = self._asking.url(
                "objects:multipart:parts", self.key, upload_id=self.upload_id, **marker
            )
            page = self._document("GET", url, "list_parts")
            try:
                new = [
                    PartInfo(
                        int(part["part_number"]),
                        str(part["etag"]),
                        datetime.fromisoformat(part["last_modified"]),
                        int(part["size"]),
                    )
                    for part in page["parts"]
                ]
            except (KeyError, TypeError, ValueError) as error:
                raise RequestError("list_parts: the answer is not understood") from error
            found += new
            if not page.get("is_truncated"):
                return found
            if not new:
                raise RequestError("list_parts: the service promises more, and gives nothing")

    def complete(self, parts: Iterable[CompletePart]) -> str:
        """Make the object of parts, in the order of their numbers, and return its key.

        Raises
        ------
        RequestError
            The service refused; its status is 200 where only the body says so.
        """
        chosen = [part._asdict() for part in sorted(parts)]
        url = self._asking.url("objects:multipart:complete", self.key, upload_id=self.upload_id)
        body = json.dumps({"parts": chosen}).encode()
        headers = {"content-type": "application/json"}
        found = self._document("POST", url, "complete", headers, body)
        problem = found.get("error")
        if isinstance(problem, dict) or "key" not in found:
            code = str(problem.get("code")) if isinstance(problem, dict) else "unknown"
            raise RequestError(f"complete: the service refused: {code}", 200, None, key=self.key)
        return str(found["key"])

    def abort(self) -> None:
        """End the upload without an object; it may have ended before."""
        url = self._asking.url("objects:multipart", self.key, upload_id=self.upload_id)
        about = About(None, "abort", self.key)
        self._asking.ask("DELETE", url, about, lambda answer: None)

    def _document(
        self,
        method: str,
        url: Any,
        operation: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> dict[str, Any]:
        about = About(None, operation, self.key)
        return self._asking.ask(
            method,
            url,
            about,
            lambda answer: document_of(answer, about),
            headers=headers,
            body=body,
        )
