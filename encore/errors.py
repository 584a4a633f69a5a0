"""Every exception that encore raises on purpose, and nothing else.

::

    EncoreError
    ├── StoreError (RuntimeError)
    │   ├── KeyNotFoundError (KeyError)
    │   ├── InvalidKeyError (KeyError, ValueError)
    │   ├── ReadOnlyError (PermissionError)
    │   ├── UnsupportedError (NotImplementedError)
    │   ├── AuthorizationError
    │   ├── CorruptValueError (ValueError)
    │   ├── StoreFullError (OSError)
    │   ├── LockTimeoutError (TimeoutError)
    │   ├── ConflictError
    │   └── RequestError
    ├── TransactionError (RuntimeError)
    │   ├── CommitUnknownError
    │   ├── CannotBeAtomicError
    │   ├── TransactionClosedError
    │   └── WrongOwnerError
    ├── HistoryError (RuntimeError)
    │   ├── UndoConflict
    │   └── HistoryBusy
    ├── ConfigError (ValueError)
    ├── EventCascadeError (RuntimeError)
    └── OperationCancelled

Where Python has a name for the situation, the error is that builtin too, so that code which has
never heard of encore still catches what it expects. ``OperationCancelled`` is deliberately not a
``StoreError``: neither a retry nor a fallback may swallow it.

Anybody may import this module; it imports nothing of encore.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class EncoreError(Exception):
    """The root of the tree.

    Parameters
    ----------
    message : str
        What was attempted, on what, why it was refused, and what to do. Never a secret.
    key : str, optional
        The key concerned.
    store : object, optional
        The store concerned.
    operation : str, optional
        The verb that failed, for example ``"put"``.
    """

    def __init__(
        self,
        message: str = "",
        *,
        key: str | None = None,
        store: Any = None,
        operation: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.key = key
        self.store = store
        self.operation = operation

    def __str__(self) -> str:
        # KeyError would print the repr of the message.
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # A store may hold threads and files; an error that crosses processes leaves it behind.
        state = {name: value for name, value in self.__dict__.items() if name != "store"}
        return _rebuild, (type(self), state)


def _rebuild(cls: type[EncoreError], state: dict[str, Any]) -> EncoreError:
    error = cls()
    error.store = None
    error.__dict__.update(state)
    error.args = (state.get("message", ""),)
    return error


class StoreError(EncoreError, RuntimeError):
    """A store could not do what it was asked."""


class KeyNotFoundError(StoreError, KeyError):
    """There is no such key."""


class InvalidKeyError(StoreError, KeyError, ValueError):
    """The key is outside the legal set: a ``str`` of 1 to 1024 UTF-8 bytes without NUL."""


class ReadOnlyError(StoreError, PermissionError):
    """The store, or the medium under it, cannot be written."""


class UnsupportedError(StoreError, NotImplementedError):
    """This store does not offer the operation."""


class AuthorizationError(StoreError):
    """The credentials do not allow the operation."""


class CorruptValueError(StoreError, ValueError):
    """What is stored is damaged, or is not what this store writes."""


class StoreFullError(StoreError, OSError):
    """There is no room left: disk, quota or the engine's own limit."""


class LockTimeoutError(StoreError, TimeoutError):
    """Somebody else kept the write lock for longer than the timeout; the message names them."""


class ConflictError(StoreError):
    """A condition (``if_absent``, ``if_token``) did not hold when the write was to happen."""


class RequestError(StoreError):
    """A remote server refused or broke off.

    Parameters
    ----------
    message : str
        See `EncoreError`.
    status : int, optional
        The HTTP status, or None where there was no response.
    response : object, optional
        The response object of the transport.
    **context
        ``key``, ``store`` and ``operation``.
    """

    def __init__(
        self, message: str = "", status: int | None = None, response: Any = None, **context: Any
    ) -> None:
        super().__init__(message, **context)
        self.status = status
        self.response = response


class TransactionError(EncoreError, RuntimeError):
    """A transaction was used in a way that its state does not allow."""


class CommitUnknownError(TransactionError):
    """The reply to a commit was lost: it may or may not have happened."""


class CannotBeAtomicError(TransactionError):
    """More than one of the stores can only commit at once, not prepare first."""


class TransactionClosedError(TransactionError):
    """The transaction has ended (or has not begun)."""


class WrongOwnerError(TransactionError):
    """The transaction belongs to another thread or task."""


class HistoryError(EncoreError, RuntimeError):
    """Undo or redo could not be done."""


class UndoConflict(HistoryError):  # noqa: N818  a documented name
    """Keys are no longer what the step left; nothing has been changed.

    Parameters
    ----------
    message : str, optional
    keys : iterable of str, optional
        The keys.
    """

    def __init__(self, message: str = "", *, keys: Iterable[str] = (), **about: Any) -> None:
        super().__init__(message, **about)
        self.keys = tuple(keys)


class HistoryBusy(HistoryError):  # noqa: N818  a documented name
    """Undo was asked for inside a transaction, a group or a hook."""


class ConfigError(EncoreError, ValueError):
    """A store address or configuration is not understood."""


class EventCascadeError(EncoreError, RuntimeError):
    """Listeners keep answering events with writes; the message shows the chain."""


class OperationCancelled(EncoreError):  # noqa: N818  a documented name
    """Somebody asked for the operation to stop, and it did, without a trace."""
