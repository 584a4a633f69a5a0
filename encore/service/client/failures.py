"""What a service refused, as errors that say it in both ways: as HTTP does, and as encore does.

``asking`` imports this module; the face of the package shows the classes.
"""

from __future__ import annotations

from encore.errors import (
    AuthorizationError,
    ConflictError,
    KeyNotFoundError,
    RequestError,
    StoreError,
)
from encore.storage.backends.http.failures import About, FailedResponse

__all__ = ["NotAllowed", "ObjectChanged", "ObjectNotFound", "error_of"]


class ObjectNotFound(RequestError, KeyNotFoundError):  # noqa: N818  as others call it
    """There is no such object, or none any more."""


class NotAllowed(RequestError, AuthorizationError):  # noqa: N818  what the request was
    """The token is missing, not valid, or does not allow it."""


class ObjectChanged(RequestError, ConflictError):  # noqa: N818  what it was
    """What is there stands against it."""


_KINDS: dict[int, type[RequestError]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: ObjectNotFound,
    410: ObjectNotFound,
    409: ObjectChanged,
    412: ObjectChanged,
}


def error_of(response: FailedResponse, about: About) -> StoreError:
    """The error for an answer of 400 to 499."""
    status = response.status
    what = "" if about.key is None else f" {about.key!r}"
    text = f"{about.operation}{what}: the service answered with {status}"
    if response.detail:
        text += f": {response.detail}"
    kind = _KINDS.get(status, RequestError)
    return kind(text, status, response, **about._asdict())
