"""What the system's errors mean here: errno in terms of ``encore.errors``.

Only this subpackage imports this module.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from encore.errors import EncoreError, ReadOnlyError, StoreError, StoreFullError

_FULL = frozenset((errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG))
_REFUSED = frozenset((errno.EROFS, errno.EACCES, errno.EPERM))


@contextmanager
def translated(
    store: Any,
    operation: str,
    key: str | None = None,
    *,
    writing: bool = True,
    folding: bool = False,
) -> Iterator[None]:
    """Translate what the system raises inside the block.

    Parameters
    ----------
    store : ZipStore
    operation : str
        What is attempted.
    key : str, optional
    writing : bool, optional
        Whether it is a write.
    folding : bool, optional
        Whether it is the rewriting of the archive, which comes after the commit.
    """
    try:
        yield
    except EncoreError as error:
        error.store, error.operation = error.store or store, error.operation or operation
        raise
    except OSError as error:
        raise translate(error, store, operation, key, writing=writing, folding=folding) from error


def translate(
    error: OSError,
    store: Any,
    operation: str,
    key: str | None = None,
    *,
    writing: bool = True,
    folding: bool = False,
) -> EncoreError:
    """Return the error to raise ``from`` the system's; see `translated`."""
    context: dict[str, Any] = {"store": store, "operation": operation, "key": key}
    what = f"{operation} of {key!r} in {store!r}" if key else f"{operation} in {store!r}"
    so_far = "what was committed is safe beside the archive" if folding else "nothing was changed"
    if error.errno in _FULL:
        return StoreFullError(
            f"{what}: no room left on the disk; {so_far}. Free some and try again", **context
        )
    if error.errno in _REFUSED:
        if writing:
            return ReadOnlyError(
                f"{what}: the system does not allow writing there ({error}); {so_far}. Allow it, "
                "or open the store with readonly=True",
                **context,
            )
        return StoreError(f"{what}: the system does not allow reading it ({error})", **context)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return StoreError(
            f"{what}: too many files are open; {so_far}. Close values that are no longer needed",
            **context,
        )
    return StoreError(f"{what} failed: {error}; {so_far}", **context)
