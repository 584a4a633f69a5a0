"""What the system's errors mean here: errno in terms of ``encore.errors``."""

from __future__ import annotations

import errno
from typing import Any

from encore.errors import EncoreError, ReadOnlyError, StoreError, StoreFullError

_FULL = frozenset((errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG))
_REFUSED = frozenset((errno.EROFS, errno.EACCES, errno.EPERM))


def translate(
    error: OSError, store: Any, operation: str, key: str | None = None, *, writing: bool = True
) -> EncoreError:
    """Return the error to raise ``from`` the system's.

    Parameters
    ----------
    error : OSError
        An error of ours, which may be an ``OSError`` too, is returned as it is.
    store : FilesystemStore
    operation : str
        What was attempted.
    key : str, optional
    writing : bool
        Whether it was a write that was refused.
    """
    if isinstance(error, EncoreError):
        return error
    context: dict[str, Any] = {"store": store, "operation": operation, "key": key}
    what = f"{operation} of {key!r} in {store!r}" if key else f"{operation} in {store!r}"
    if error.errno in _FULL:
        return StoreFullError(
            f"{what}: no room left on the disk; nothing was changed. Free some and try again",
            **context,
        )
    if error.errno in _REFUSED:
        if writing:
            return ReadOnlyError(f"{what}: the directory cannot be written ({error})", **context)
        return StoreError(f"{what}: the system does not allow reading it ({error})", **context)
    if error.errno == errno.ENAMETOOLONG:
        return StoreError(
            f"{what}: this file system has no names as long as this key needs; use a shorter key, "
            "or a HashdirStore",
            **context,
        )
    if error.errno == errno.EXDEV:
        return StoreError(
            f"{what}: another volume is mounted inside the directory, and files cannot be moved "
            "onto it in one step; open a store of its own there",
            **context,
        )
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return StoreError(
            f"{what}: too many files are open; close values that are no longer needed", **context
        )
    return StoreError(f"{what} failed: {error}", **context)
