"""What obstore's errors mean here, told by their names and by what the server said.

Only this subpackage imports this module.
"""

from __future__ import annotations

import re

from encore.errors import (
    AuthorizationError,
    EncoreError,
    RequestError,
    StoreError,
    StoreFullError,
    UnsupportedError,
)

__all__ = ["ConditionFailed", "ObjectMissing", "Unreachable", "translate"]

_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_INSTANCE_SERVICE = "//169.254."
_QUERY = re.compile(r"\?\S+")  # where a signature may be
_REFUSED = frozenset((401, 403))
_FULL = frozenset(("QuotaExceeded", "InsufficientStorage", "StorageFull", "XMinioStorageFull"))


class ObjectMissing(StoreError):  # noqa: N818  a signal within this package
    """There is no such object."""


class Unreachable(RequestError):  # noqa: N818  a signal, and what callers get
    """Nobody answers at the address: nothing has been sent."""


class ConditionFailed(StoreError):  # noqa: N818  a signal within this package
    """The object is not the version that was meant."""


def translate(error: Exception, operation: str, name: str, where: str) -> EncoreError:
    """Return the error to raise ``from`` obstore's.

    Parameters
    ----------
    error : Exception
        One of ours, raised by a source on its way through obstore, is returned as it is.
    operation : str
        What was attempted.
    name : str
        Of the object.
    where : str
        The bucket for people.
    """
    if isinstance(error, EncoreError):
        return error
    kind, text = type(error).__name__, str(error)
    code = _first(_CODE, text)
    status = int(_first(_STATUS, text) or 0) or None
    what = f"{operation} of {name!r} in {where}"
    if _INSTANCE_SERVICE in text:  # asked as the last resort
        return AuthorizationError(
            f"{what}: there are no credentials; pass them, or set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        )
    if code in ("NoSuchBucket", "ContainerNotFound") or "bucket does not exist" in text:
        return StoreError(f"{what}: there is no such bucket; create it, or correct the name")
    if isinstance(error, FileNotFoundError):
        return ObjectMissing(f"{what}: there is no such object")
    if kind in ("AlreadyExistsError", "PreconditionError", "NotModifiedError"):
        return ConditionFailed(f"{what}: the object is another one by now")
    if kind in ("PermissionDeniedError", "UnauthenticatedError") or status in _REFUSED:
        return AuthorizationError(
            f"{what}: the credentials do not allow it{_in_brackets(code)}; correct them, or ask "
            "whoever owns the bucket"
        )
    if isinstance(error, NotImplementedError) or kind == "NotSupportedError":
        return UnsupportedError(f"{what}: this service does not offer it")
    if code in _FULL or status == 507:
        return StoreFullError(f"{what}: no room is left there{_in_brackets(code)}")
    if status is not None:
        return RequestError(f"{what}: the server answered {status}{_in_brackets(code)}", status)
    if "timed out" in text.lower() or "TimedOut" in text:
        return RequestError(f"{what}: the server did not answer in time; try again")
    if "kind: Connect" in text:
        return Unreachable(
            f"{what}: the server cannot be reached; look whether it runs, and whether the address "
            "is right"
        )
    if "error sending request" in text:
        return RequestError(f"{what}: the connection broke off; try again")
    return RequestError(f"{what} failed: {_QUERY.sub('?...', text.partition(chr(10))[0])[:200]}")


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return None if match is None else match[1]


def _in_brackets(code: str | None) -> str:
    return f" ({code})" if code else ""
